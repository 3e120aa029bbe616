"""``carbon-suite submit``: results that anybody can check, handed in, validated and verified."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from suite.commands.options import JSON, entering, examples, print_json, progress, settings

REGISTER = click.option(
    "--register",
    "register_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="CSV",
    help="The register of nonces; default: the nonces.csv of the release that the submission lies in.",
)
MARKDOWN = click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write a summary, too."
)


@click.group()
def submit() -> None:
    """Results that anybody can check (docs/submissions.md, RULES.md).

    \b
    carbon-suite submit nonce    for the maintainers: draw the nonce that the seeds of an entry follow from
    carbon-suite submit run      make the runs, those of random search with them
    carbon-suite submit package  put them into a folder to hand in
    carbon-suite submit validate check one, and recompute its score from its logs; runs nothing
    carbon-suite submit verify   make some of its trials again
    """


@submit.command(
    epilog=examples(
        "carbon-suite submit nonce --board practice --strategy climbing --version 1.0 --register nonces.csv"
    )
)
@click.option("--board", required=True, help="Such as estimated-cold-black-box, or practice.")
@click.option("--strategy", required=True)
@click.option("--version", required=True)
@click.option(
    "--register", "register_file", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="CSV"
)
def nonce(board: str, strategy: str, version: str, register_file: Path) -> None:
    """Draw a nonce for an entry and add it to the register, before any of its runs is made."""
    from suite.submit.register import draw

    click.echo(draw(register_file, board, strategy, version))


@submit.command(
    epilog=examples(
        "carbon-suite submit run --nonce 00112233445566778899aabbccddeeff --strategy tpe --task '*' --out board",
        "carbon-suite submit run --nonce 00112233445566778899aabbccddeeff --strategy ./mine.py:Mine "
        "--task few_shot/sinusoid --seeds 2 --budget 2 --out try",
    )
)
@click.option("--nonce", required=True, metavar="HEX", help="From the register; the seeds follow from it.")
@click.option("--strategy", required=True, metavar="NAME", help="A strategy by name, or FILE.py:CLASS.")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    required=True,
    metavar="GLOB",
    help="As for `carbon-suite run`; a pattern leaves out what the boards do not rank.",
)
@click.option("--seeds", default=10, show_default=True, help="How many a task.")
@click.option("--budget", default=40.0, show_default=True, help="In random trainings; 40 on all boards but practice.")
@click.option("--program", is_flag=True, help="A program board; implied by a strategy that is a program.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The board's directory.")
@entering
@JSON
def run(nonce: str, strategy: str, tasks: Sequence[str], seeds: int, out: Path, as_json: bool, **options: Any) -> None:
    """Make an entry's runs, and beside each that of random search with the same seed. Run again, it goes on."""
    from suite import catalog
    from suite.runs.board import Board, for_strategies
    from suite.submit.layout import seeds_of

    names = list(dict.fromkeys((*catalog.select(catalog.STRATEGIES, [strategy]), "random")))
    board = Board(out, for_strategies(settings(**options), names))
    chosen = entered(tasks, board.settings.program)
    with progress("calibration", len(chosen) * board.settings.default_trainings) as shown:
        results = board.calibrate(chosen, shown)
    if all(result.ok for result in results):
        with progress("runs", len(chosen) * len(names) * seeds) as shown:
            for task in chosen:
                own = seeds_of(nonce, catalog.task_spec(task).name, seeds)
                results = [*results, *board.run([task], names, own, shown)]
    failed = [f"{result.job.name}: {result.message}" for result in results if not result.ok]
    for message in failed:
        click.echo(f"failed: {message}", err=True)
    if as_json:
        print_json({"runs": len(results), "failed": failed})
    elif not failed:
        called = catalog.load_strategy(names[0]).info.name  # in its logs
        click.echo(
            f"Hand them in with: carbon-suite submit package {out} --nonce {nonce} --strategy {called} --board BOARD "
            "--author NAME --licence LICENCE --link URL --commit HEX --out results   (--code PATH, if it is your own)"
        )
    if failed:
        sys.exit(1)


def entered(patterns: Sequence[str], program: bool) -> list[str]:
    """Tasks by name; a pattern stands for those that the boards rank."""
    from suite import catalog
    from suite.submit.validate import ranked_tasks

    ranked, chosen = ranked_tasks(program), []
    for name in catalog.select(catalog.TASKS, patterns):
        if name in ranked or name in patterns:
            chosen.append(name)
        else:
            click.echo(f"{name} is left out: the boards do not rank it", err=True)
    return chosen


@submit.command(
    epilog=examples(
        "carbon-suite submit package board --strategy climbing --nonce 00112233445566778899aabbccddeeff "
        "--board estimated-cold-black-box --author 'Ada Lovelace' --licence Apache-2.0 "
        "--link https://example.org/climbing --commit 0123456789abcdef --code climbing.py --out results",
    )
)
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--strategy", required=True, metavar="NAME", help="As its logs call it.")
@click.option("--nonce", required=True, metavar="HEX")
@click.option("--board", required=True, metavar="NAME", help="Such as estimated-cold-black-box, or practice.")
@click.option("--author", "authors", multiple=True, required=True, metavar="NAME", help="May be repeated.")
@click.option("--licence", required=True, metavar="NAME", help="Of the logs and the code, such as Apache-2.0.")
@click.option("--link", required=True, metavar="URL", help="Where the strategy's code is.")
@click.option("--commit", required=True, metavar="HEX", help="Which state of it ran.")
@click.option(
    "--code",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="The strategy's code: a file, or a folder whose Python files are taken. Needed unless it is the suite's own.",
)
@click.option("--transfer", metavar="TEXT", help="What the strategy knew beforehand.")
@click.option("--transfer-kwh", type=float, help="The energy that this took; it is charged.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The folder `results`.")
def package(
    directory: Path,
    strategy: str,
    nonce: str,
    board: str,
    authors: Sequence[str],
    licence: str,
    link: str,
    commit: str,
    code: Sequence[Path],
    transfer: str | None,
    transfer_kwh: float | None,
    out: Path,
) -> None:
    """Put the runs of a strategy, and those of random search, into a folder to hand in."""
    from suite.submit.package import package as make

    if (transfer is None) != (transfer_kwh is None):
        raise click.UsageError("--transfer and --transfer-kwh go together: what was known, and the energy it took")
    about = {
        "board": board,
        "authors": list(authors),
        "licence": licence,
        "link": link,
        "commit": commit,
        "transfer": None if transfer is None else {"what": transfer, "kwh": transfer_kwh},
    }
    folder = make(directory, out, strategy, nonce, about, code)
    click.echo(f"wrote {folder}")
    click.echo(f"Check it with: carbon-suite submit validate {folder}")


@submit.command(epilog=examples("carbon-suite submit validate results/1.0/practice/climbing/1.0"))
@click.argument("folder", type=click.Path(path_type=Path))
@REGISTER
@JSON
@MARKDOWN
def validate(folder: Path, register_file: Path | None, as_json: bool, markdown: Path | None) -> None:
    """Check a submission, every rule at once, and recompute its score from its logs. Nothing of it is run.

    Exit status: 0 accepted, 1 rejected, 2 there is nothing to look at.
    """
    report = _validated(folder, register_file or _register_of(folder))
    _show(report, as_json, markdown)


def _validated(folder: Path, register_file: Path | None) -> Any:
    """The report, from a process with little memory and time. Exits with 2 where there is none."""
    from suite.submit.confine import Limits, OutOfTime
    from suite.submit.confine import run as run_confined
    from suite.submit.findings import Finding, Report
    from suite.submit.rules import MEMORY_BYTES, SECONDS

    command = [sys.executable, "-P", "-m", "suite.submit.validate", str(folder.absolute())]
    limits = Limits(memory_bytes=MEMORY_BYTES, cpu_seconds=SECONDS, seconds=SECONDS)
    try:
        made = run_confined([*command, *([str(register_file.absolute())] if register_file else [])], limits)
    except OutOfTime as error:
        return Report(str(folder), (Finding("limits", "", None, f"reading it: {error}"),))
    if made.returncode in (0, 1) and made.stdout:
        return Report.from_record(json.loads(made.stdout))
    if made.returncode == 2:
        click.echo(f"carbon-suite: {made.stderr.decode(errors='replace').strip()}", err=True)
        sys.exit(2)
    said = made.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"it ended with {made.returncode}"]
    message = f"reading it took more than {MEMORY_BYTES} bytes or {SECONDS} s, or broke: {said[0]}"
    return Report(str(folder), (Finding("limits", "", None, message),))


def _register_of(folder: Path) -> Path | None:
    """The register of the release that ``folder`` (RELEASE/BOARD/STRATEGY/VERSION) lies in."""
    from suite.submit.register import NONCES

    candidate = folder.absolute().parents[2] / NONCES if len(folder.absolute().parents) > 2 else None
    return candidate if candidate and candidate.is_file() else None


def _show(report: Any, as_json: bool, markdown: Path | None) -> None:
    from suite.submit.findings import as_markdown, as_text

    if markdown:
        markdown.write_text(as_markdown(report))
    if as_json:
        print_json(report.to_record())
    else:
        click.echo(as_text(report), nl=False)
    if not report.passed:
        sys.exit(1)


@submit.command(
    epilog=examples(
        "carbon-suite submit verify results/1.0/practice/climbing/1.0 --strategy ./climbing.py:Climbing",
        "carbon-suite submit verify results/1.0/estimated-cold-black-box/tpe/1 --trials 60",
    )
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--trials", "count", default=30, show_default=True, help="How many trials are drawn and made again.")
@click.option(
    "--strategy",
    "reference",
    metavar="NAME",
    help="The strategy's code, if it is not the suite's own: an installed one by name, or FILE.py:CLASS. It is run, "
    "without network and with limits.",
)
@click.option(
    "--variant-seeds",
    default=0,
    show_default=True,
    help="Also run the strategy on a fresh variant of each task's data, with so many seeds and the full budget.",
)
@click.option("--draw", "key", default="", metavar="TEXT", help="Draw as the report with this key did.")
@REGISTER
@JSON
@MARKDOWN
def verify(
    folder: Path,
    count: int,
    reference: str | None,
    variant_seeds: int,
    key: str,
    register_file: Path | None,
    as_json: bool,
    markdown: Path | None,
) -> None:
    """Validate a submission, then make some of its trials again and ask its strategies anew.

    Exit status: 0 nothing found, 1 something found, 2 there is nothing to look at.
    """
    report = _validated(folder, register_file or _register_of(folder))
    if report.passed:
        from suite.submit.verify import Verification

        verification = Verification(folder, count, reference, key)
        verification.make_trials_again()
        verification.ask_strategies_again()
        if variant_seeds:
            from suite.submit.variants import try_variants

            try_variants(verification, variant_seeds)
        report = verification.report()
    _show(report, as_json, markdown)
