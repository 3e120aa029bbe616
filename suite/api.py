"""The public functions: load a task, run searches, rank them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from suite import catalog
from suite.energy.carbon import REFERENCE
from suite.energy.places import place
from suite.runs.board import Board, Settings, find_logs, for_strategies
from suite.runs.log import RunLog, read_log
from suite.runs.processes import Listener, Result, Silent
from suite.task import Task

if TYPE_CHECKING:
    import pandas as pd


class RunsFailed(RuntimeError):
    """Some runs of a board did not end; the message has one line for each. The others are kept."""


def load_task(name: str) -> Task:
    """The task called ``name`` (``paradigm/task``, or ``file.py:OBJECT``). Raises ``CatalogError``."""
    return catalog.load_task(name)


def run(
    task: str | Sequence[str],
    strategy: str | Sequence[str],
    seeds: Iterable[int],
    out: str | Path,
    settings: Settings | None = None,
    listener: Listener | None = None,
) -> list[RunLog]:
    """Search each task with each strategy and seed; return the logs. Names may be globs.

    Of tasks a glob matches those that are embedded; what downloads data or needs an extra is named in full. What
    ``out`` already holds is gone on with. Raises ``CatalogError``, ``BoardError``, ``LogError`` and, once all others
    have ended, ``RunsFailed``.
    """
    tasks = catalog.select(catalog.TASKS, _several(task))
    strategies = catalog.select(catalog.STRATEGIES, _several(strategy))
    board = Board(Path(out), for_strategies(settings or Settings(), strategies))
    _check(board.calibrate(tasks, listener or Silent()))
    results = board.run(tasks, strategies, list(seeds), listener or Silent())
    _check(results)
    return [read_log(result.job.directory) for result in results]


def rank(*directories: str | Path, grid: str | None = None, pue: float | None = None) -> "pd.DataFrame":
    """The ranking of all runs below ``directories``, one row a strategy, best first.

    grid: what gives kg CO2e: a zone (FRA, US-CA), grams per kWh, or a trace by the hour (a .csv file); the frozen
    reference where None. It changes no rank. Raises ``LogError``, ``ScoreError``, ``UnknownZone`` and ``TraceError``.
    """
    from suite.report.tables import ranking
    from suite.score.board import score

    board = score([read_log(path) for path in find_logs(Path(directory) for directory in directories)])
    return ranking(board, place(grid) if grid else REFERENCE, pue)


def _several(names: str | Sequence[str]) -> Sequence[str]:
    return [names] if isinstance(names, str) else names


def _check(results: Sequence[Result]) -> None:
    failed = [f"{result.job.name}: {result.message}" for result in results if not result.ok]
    if failed:
        raise RunsFailed("\n".join(failed))
