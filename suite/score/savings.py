"""Carbon to a target beside random search's, over all tasks: how much a strategy saves at equal performance.

The ratio of a task is that of restricted means: runs that never come to the target count with their whole budget. Over
tasks it is the geometric mean, weighted as Pi.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from suite.score.efficiency import Array, weights
from suite.score.ranks import RESAMPLES, draw, interval

_TINY = 1e-9


@dataclass(frozen=True)
class TaskCosts:
    """What each run on one task was charged until it came to the target, its budget where it never did.

    name: paradigm/task. costs: (methods, seeds), above 0. random: (seeds,), random search's on the same seeds.
    """

    name: str
    costs: Array
    random: Array

    def log_ratios(self, counts: Array) -> tuple[Array, Array]:
        """Logarithms of the ratios over ``counts`` (draws, seeds), and their variances: (methods, draws) each.

        Variances are over seeds, which are paired, by the delta method.
        """
        seeds = len(self.random)
        own, other = self.costs @ counts.T / seeds, self.random @ counts.T / seeds
        squares = self.costs**2 @ counts.T / own**2 + self.random**2 @ counts.T / other**2
        products = (self.costs * self.random) @ counts.T / (own * other)
        variances = (squares - 2 * products) / (seeds * max(1, seeds - 1))
        return np.log(own / other), np.maximum(0.0, variances)


@dataclass(frozen=True)
class Saving:
    """ratio: below 1 is less than random search. interval: of 95 % over seeds, None with too few of them. lowest,
    highest: of one task. less: tasks on which it is below 1, of ``tasks``."""

    ratio: float
    interval: tuple[float, float] | None
    lowest: float
    highest: float
    less: int
    tasks: int


def savings(tasks: Sequence[TaskCosts]) -> tuple[Saving, ...]:
    """One a method, in the order of the rows."""
    each, variances = _over_tasks([task.log_ratios(np.ones((1, len(task.random)))) for task in tasks])
    weight = weights([task.name for task in tasks])
    points, errors = _weighted(each, variances, weight)
    intervals = _intervals(tasks, weight, points[:, 0], errors[:, 0])
    ratios = np.exp(each[:, :, 0])
    return tuple(
        Saving(
            ratio=float(np.exp(points[method, 0])),
            interval=intervals[method],
            lowest=float(ratios[:, method].min()),
            highest=float(ratios[:, method].max()),
            less=int(np.sum(ratios[:, method] < 1 - _TINY)),
            tasks=len(tasks),
        )
        for method in range(len(points))
    )


def _over_tasks(made: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """(tasks, methods, draws) each."""
    logs, variances = zip(*made, strict=True)
    return np.array(logs), np.array(variances)


def _weighted(logs: Array, variances: Array, weight: Array) -> tuple[Array, Array]:
    """The mean over tasks and its standard error: (methods, draws) each."""
    return np.tensordot(weight, logs, 1), np.sqrt(np.tensordot(weight**2, variances, 1))


def _intervals(
    tasks: Sequence[TaskCosts], weight: Array, points: Array, errors: Array
) -> list[tuple[float, float] | None]:
    """Bootstrap-t on the logarithm, which is the log odds of ratio / (ratio + 1)."""
    if any(len(task.random) < 2 for task in tasks):
        return [None] * len(points)
    made = [task.log_ratios(draw(task.name, len(task.random), RESAMPLES)) for task in tasks]
    drawn, spread = _weighted(*_over_tasks(made), weight)
    shares, share = expit(drawn), expit(points)
    found = [
        interval(share[m], errors[m] * share[m] * (1 - share[m]), shares[m], spread[m] * shares[m] * (1 - shares[m]))
        for m in range(len(points))
    ]
    return [ends and (ends[0] / (1 - ends[0]), ends[1] / (1 - ends[1])) for ends in found]
