"""``carbon-suite check``: the regression gate."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from suite.commands.options import JSON, examples, print_json


@click.command(
    epilog=examples(
        "carbon-suite check board --baseline baseline.json --update",
        "carbon-suite check board --baseline baseline.json --markdown comment.md --junit check.xml",
    )
)
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="LOGS...")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="What the runs must come to.",
)
@click.option("--update", is_flag=True, help="Write the baseline from these runs, and check nothing.")
@JSON
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write JUnit XML.")
@click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a summary for a pull-request comment.",
)
def check(
    directories: Sequence[Path], baseline: Path, update: bool, as_json: bool, junit: Path | None, markdown: Path | None
) -> None:
    """Compare runs with a baseline: replayed ones to 1e-12, others by a paired test. Live energy never gates.

    Exit status: 0 as in the baseline, 1 changed, 2 the input cannot be used.
    """
    from suite.report import check as written
    from suite.runs.board import find_logs
    from suite.runs.log import read_log
    from suite.score.check import check as compare
    from suite.score.check import records

    if update and (junit or markdown):
        raise click.UsageError("--update checks nothing, so there is nothing to write with --junit or --markdown")
    now = records(read_log(path) for path in find_logs(directories))
    if update:
        _update(baseline, now, as_json)
        return
    report = compare(now, _read(baseline))
    if junit:
        junit.write_bytes(written.junit(report))
    if markdown:
        markdown.write_text(written.write(report, "md"))
    if as_json:
        print_json(written.to_record(report))
    else:
        click.echo(written.write(report, "table"), nl=False)
    if not report.passed:
        sys.exit(1)


def _update(baseline: Path, now: Sequence[Any], as_json: bool) -> None:
    from suite.score.check import to_baseline

    part = baseline.with_name(f"{baseline.name}.part")
    part.write_text(json.dumps(to_baseline(now), indent=1) + "\n")
    part.replace(baseline)
    if as_json:
        print_json({"baseline": str(baseline), "runs": len(now)})
    else:
        click.echo(f"wrote {len(now)} runs to {baseline}")


def _read(path: Path) -> Any:
    from suite.score.check import CheckError, from_baseline

    if not path.exists():
        raise CheckError(f"{path}: there is no such baseline; write it from runs that are right with --update")
    try:
        return from_baseline(json.loads(path.read_text()))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckError(f"{path}: a baseline is JSON, and this is not: {error}") from error
    except CheckError as error:
        raise CheckError(f"{path}: {error}") from error
