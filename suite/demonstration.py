"""The boards that ``carbon-suite demo`` makes: one trained for real, small enough for minutes, and a larger one that is
replayed on the recorded tables that are here."""

import os
from pathlib import Path
from typing import Final

from suite import catalog
from suite.replay.board import ReplayBoard, ReplaySettings
from suite.replay.table import table_path
from suite.runs.board import Board, Settings

TASKS: Final = ("supervised/mnist1d", "few_shot/sinusoid", "physics_informed/helmholtz")
STRATEGIES: Final = ("random", "tpe", "hyperband")
SEEDS: Final = (0, 1)
BUDGET: Final = 1.0  # random trainings a run; a ranked board has forty


def board(out: Path) -> Board:
    return Board(out, Settings(budget=BUDGET, jobs=min(2, os.cpu_count() or 1), default_trainings=1))


REPLAYED_STRATEGIES: Final = ("default", "random", "sobol", "tpe", "hyperband", "asha", "dehb", "carbon-aware")
REPLAYED_SEEDS: Final = range(10)


def replayed_tasks() -> list[str]:
    """The embedded tasks with a table."""
    names = catalog.select(catalog.TASKS, ["*"])
    return [name for name in names if table_path(catalog.task_card(name)).exists()]


def replayed_board(out: Path) -> ReplayBoard:
    return ReplayBoard(out, ReplaySettings(jobs=min(2, os.cpu_count() or 1)))
