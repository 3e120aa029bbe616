"""Summaries over all runs of a board that no single competitor moves: interquartile mean, performance profiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import trim_mean

from suite.score.efficiency import Array

THRESHOLDS: Final = tuple(twentieth / 20 for twentieth in range(21))  # of s
RATIOS: Final = tuple(2.0 ** (quarter / 4) for quarter in range(-20, 21))  # of carbon over random search's: 1/32 to 32


@dataclass(frozen=True)
class Profile:
    """At each of ``at``, the share of runs that are there or better; tasks weighted as in Pi."""

    strategy: str
    at: tuple[float, ...]
    share: tuple[float, ...]


def interquartile_mean(values: Array) -> float:
    """Mean of the middle half of all ``values``, whatever their shape (Agarwal et al. 2021)."""
    return float(trim_mean(np.ravel(values), proportiontocut=0.25))


def shares_above(values: Sequence[Array], weights: Array, thresholds: Sequence[float]) -> tuple[float, ...]:
    """Share of runs above each threshold, the run-score distribution of Agarwal et al. 2021.

    values: one array of runs a task. weights: of the tasks, summing to 1.
    """
    above = [(each[:, None] > np.asarray(thresholds)).mean(axis=0) for each in values]
    return _shares(above, weights)


def shares_within(costs: Sequence[Array], references: Sequence[float], weights: Array) -> tuple[float, ...]:
    """Share of runs that reached a target for at most each of ``RATIOS`` times the reference's carbon.

    costs: one array of runs a task, infinite where a run never reached it. The profile of Dolan & More 2002 with random
    search in the place of the best competitor: who else competes changes nothing.
    """
    ratios = np.asarray(RATIOS)
    within = [
        (each[:, None] <= ratios * reference).mean(axis=0) for each, reference in zip(costs, references, strict=True)
    ]
    return _shares(within, weights)


def _shares(by_task: Sequence[Array], weights: Array) -> tuple[float, ...]:
    return tuple(float(share) for share in weights @ np.array(by_task))
