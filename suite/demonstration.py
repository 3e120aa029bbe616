"""The board that ``carbon-suite demo`` makes: small enough for minutes, real in every part."""

import os
from pathlib import Path
from typing import Final

from suite.runs.board import Board, Settings

TASKS: Final = ("supervised/mnist1d", "few_shot/sinusoid", "physics_informed/helmholtz")
STRATEGIES: Final = ("random", "tpe", "hyperband")
SEEDS: Final = (0, 1)
BUDGET: Final = 1.0  # random trainings a run; a ranked board has forty


def board(out: Path) -> Board:
    return Board(out, Settings(budget=BUDGET, jobs=min(2, os.cpu_count() or 1), default_trainings=1))
