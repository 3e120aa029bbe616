"""Whether a replayed board says what a live one of the same tasks, strategies and budget says."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from scipy.stats import norm

from suite.score.board import Board
from suite.score.curve import Curve
from suite.score.ranks import LEVEL, RESAMPLES, TaskSeeds, draw

Array = np.ndarray
_Z: Final = float(norm.ppf(0.5 + LEVEL / 2))


class NothingInCommon(ValueError):
    """The boards have no two strategies on the same task."""


@dataclass(frozen=True)
class Pair:
    """Two strategies on one task. Differences of pi, the first less the second; an interval that leaves out 0 separates
    them."""

    task: str
    first: str
    second: str
    live: float
    live_interval: tuple[float, float]
    replayed: float
    replayed_interval: tuple[float, float]

    @property
    def separated_live(self) -> bool:
        return _leaves_out_zero(self.live_interval)

    @property
    def same_order(self) -> bool:
        return self.live * self.replayed > 0

    @property
    def contradicted(self) -> bool:
        """Whether both boards separate them, each the other way."""
        return self.separated_live and _leaves_out_zero(self.replayed_interval) and not self.same_order


@dataclass(frozen=True)
class Agreement:
    """pairs: all of them. covered: of how many of ``cells`` (strategies on tasks) the live pi lies where the replayed
    one, by the errors of both, says with ``LEVEL``."""

    pairs: tuple[Pair, ...]
    cells: int
    covered: int

    @property
    def separated(self) -> tuple[Pair, ...]:
        """The pairs that the live board tells apart."""
        return tuple(pair for pair in self.pairs if pair.separated_live)

    @property
    def same_order(self) -> float | None:
        """Share of these that the replayed board orders the same; None where there are none."""
        told = self.separated
        return sum(pair.same_order for pair in told) / len(told) if told else None

    @property
    def contradictions(self) -> int:
        return sum(pair.contradicted for pair in self.pairs)


def agreement(live: Board, replayed: Board) -> Agreement:
    """Over the tasks and strategies that both boards have. Raises ``NothingInCommon``."""
    pairs: list[Pair] = []
    cells = covered = 0
    for task in live.tasks:
        names = [name for name in live.strategies if name in replayed.strategies]
        here, there = _drawn(live, task, names), _drawn(replayed, task, names)
        known = [name for name in names if name in here and name in there]
        for name in known:
            error = np.hypot(here[name][1].std(), there[name][1].std())
            cells += 1
            covered += abs(here[name][0] - there[name][0]) <= _Z * error
        pairs += [_pair(task, first, second, here, there) for first, second in combinations(known, 2)]
    if not pairs:
        raise NothingInCommon(
            f"the boards have no two strategies on one task in common: one has {', '.join(live.strategies)} on "
            f"{', '.join(live.tasks)}, the other {', '.join(replayed.strategies)} on {', '.join(replayed.tasks)}"
        )
    return Agreement(tuple(pairs), cells, int(covered))


_Draws = Mapping[str, tuple[float, Array]]  # by strategy: pi, and its bootstrap draws


def _pair(task: str, first: str, second: str, live: _Draws, replayed: _Draws) -> Pair:
    found = []
    for draws in (live, replayed):
        difference = draws[first][1] - draws[second][1]
        low, high = np.quantile(difference, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found.append((draws[first][0] - draws[second][0], (float(low), float(high))))
    return Pair(task, first, second, *found[0], *found[1])


def _drawn(board: Board, task: str, names: list[str]) -> _Draws:
    """pi of the strategies that ran every seed of the board on ``task``."""
    curves: dict[str, dict[int, Curve]] = {}
    for curve in board.curves:
        if curve.task == task and curve.strategy in names:
            curves.setdefault(curve.strategy, {})[curve.seed] = curve
    seeds = board.seeds
    whole = [name for name in names if name in curves and set(seeds) <= curves[name].keys()]
    if not whole:
        return {}
    runs = [[curves[name][seed] for seed in seeds] for name in whole]
    kappa = next(cell.kappa for cell in board.cells if cell.task == task)
    made = TaskSeeds(
        task,
        np.array([[curve.final_s for curve in row] for row in runs]),
        np.array([[curve.area for curve in row] for row in runs]),
        np.ones(len(whole), bool),
        kappa,
        None,
    )
    points, draws = made.pi(made.once)[:, 0], made.pi(draw(made.name, made.seeds, RESAMPLES))
    return {name: (float(points[row]), draws[row]) for row, name in enumerate(whole)}


def _leaves_out_zero(interval: tuple[float, float]) -> bool:
    return interval[0] > 0 or interval[1] < 0
