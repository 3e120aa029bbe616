"""``carbon-suite published``: the published board, and where one's own strategy stands on it."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from suite.commands.options import JSON, examples, print_json

RUNS = "published.csv"


@click.command(
    epilog=examples(
        "carbon-suite published",
        "carbon-suite run --replay --task '*' --seeds 0-19 --strategy ./mine.py:Mine --out mine",
        "carbon-suite published mine",
    )
)
@click.argument("directories", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="[DIR]...")
@JSON
def published(directories: Sequence[Path], as_json: bool) -> None:
    """The replayed board of this release, and where the replayed strategies below DIR stand on it.

    Nothing of the board is made again: its runs come with the package, each with what it is scored from.
    """
    from suite.catalog import task_spec
    from suite.report.standing import printed, to_record
    from suite.report.tables import write_printed
    from suite.score.runs import from_csv, rows
    from suite.score.standing import standings

    board = from_csv(files("suite").joinpath(RUNS).read_text().splitlines())
    own = list(rows(_replayed(directories))) if directories else []
    tasks = sorted({row.task for row in board})
    kappas = {task: _kappa(task_spec(task)) for task in tasks}
    found = standings(board, own, kappas)
    if as_json:
        print_json(to_record(found))
    else:
        click.echo(write_printed(printed(found, len(tasks), len({row.seed for row in board})), "table"), nl=False)


def _kappa(spec: Any) -> float:
    return float(spec.constants.kappa_t)


def _replayed(directories: Sequence[Path]) -> list[Any]:
    """The runs below ``directories``, if they are as those of the board. Raises ``ScoreError``."""
    from suite.commands.rank import logs_below
    from suite.score.admission import ScoreError
    from suite.score.board import FULL_BUDGET

    logs = logs_below(directories)
    for log in logs:
        header = log.header
        if header.tier != "replay" or header.budget.multiple != FULL_BUDGET or header.workers != 1:
            raise ScoreError(
                f"{log.path}: the published board is replayed, with a budget of {FULL_BUDGET:g} random trainings and "
                "one worker; make such runs: carbon-suite run --replay --task '*' --seeds 0-19 --strategy NAME "
                "--out DIR"
            )
        if log.ended is None:
            raise ScoreError(f"{log.path}: this run has not ended; go on with it by the command that began it")
    return logs
