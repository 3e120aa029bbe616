"""Carbon to reach a target, over runs some of which never do (docs/scoring.md, section 4)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from scipy.stats import CensoredData, binomtest, ecdf

from suite.score.curve import Curve

TARGETS: Final = tuple(tenth / 10 for tenth in range(1, 10))  # of s


@dataclass(frozen=True)
class ToTarget:
    """Energy to a target over several runs, in the unit of the budget.

    average: aRT, the energy of all runs per success, failures charged the whole budget; infinite without a success.
    restricted_mean: the mean, censored at the budget. success_interval: Clopper-Pearson at 95 %.
    """

    successes: int
    runs: int
    average: float
    restricted_mean: float
    success_interval: tuple[float, float]

    @property
    def success(self) -> float:
        return self.successes / self.runs


@cache
def clopper_pearson(successes: int, runs: int) -> tuple[float, float]:
    """Exact 95 % interval of a share (Clopper & Pearson 1934)."""
    interval = binomtest(successes, runs).proportion_ci(confidence_level=0.95, method="exact")
    return float(interval.low), float(interval.high)


def censored(reached: Sequence[float | None], budget: float) -> list[float]:
    """What each run had spent when it reached the target, the budget where it never did."""
    return [budget if cost is None else min(cost, budget) for cost in reached]


def to_target(reached: Sequence[float | None], budget: float) -> ToTarget:
    """From what each run had spent when it reached the target; None where it never did (Hansen et al. 2016, aRT)."""
    spent = censored(reached, budget)
    successes = sum(cost is not None and cost <= budget for cost in reached)
    return ToTarget(
        successes=successes,
        runs=len(reached),
        average=sum(spent) / successes if successes else math.inf,
        restricted_mean=sum(spent) / len(spent),
        success_interval=clopper_pearson(successes, len(reached)),
    )


def cost_of(curve: Curve, target: float) -> float | None:
    """The charge (kWh) at which ``curve`` first stood at ``target`` or better, or None."""
    return next((kwh for kwh, s in zip(curve.kwh, curve.s, strict=True) if s >= target), None)


@dataclass(frozen=True)
class Unreached:
    """Kaplan-Meier estimate: the probability that a target is not reached by each of ``kwh``, a step function.

    It starts at 1; ``probability[i]`` holds from ``kwh[i]`` to the next.
    """

    kwh: tuple[float, ...]
    probability: tuple[float, ...]

    def restricted_mean(self, limit: float) -> float:
        """Area below the steps up to ``limit``: the mean energy to the target, censored there."""
        starts = np.concatenate([[0.0], self.kwh])
        heights = np.concatenate([[1.0], self.probability])
        ends = np.append(starts[1:], np.inf)
        return float(np.sum(heights * np.maximum(0.0, np.minimum(ends, limit) - np.minimum(starts, limit))))


def kaplan_meier(reached: Sequence[float | None], followed: Sequence[float]) -> Unreached:
    """From what each run had spent when it reached the target, and up to where it was followed where it did not.

    A run that ended is followed to its budget; one that goes on, to what it has been charged so far.
    """
    events = [cost for cost in reached if cost is not None]
    censored = [end for cost, end in zip(reached, followed, strict=True) if cost is None]
    if not events:
        return Unreached((), ())
    survival = ecdf(CensoredData(uncensored=events, right=censored)).sf
    steps = [(float(at), float(p)) for at, p in zip(survival.quantiles, survival.probabilities, strict=True)]
    return Unreached(tuple(at for at, _ in steps), tuple(p for _, p in steps))
