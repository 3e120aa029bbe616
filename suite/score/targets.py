"""Carbon to reach a target, over runs some of which never do (docs/scoring.md, section 3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from suite.score.curve import Curve


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


def to_target(reached: Sequence[float | None], budget: float) -> ToTarget:
    """From what each run had spent when it reached the target; None where it never did (Hansen et al. 2016, aRT)."""
    spent = [budget if cost is None else min(cost, budget) for cost in reached]
    successes = sum(cost is not None and cost <= budget for cost in reached)
    interval = binomtest(successes, len(reached)).proportion_ci(confidence_level=0.95, method="exact")
    return ToTarget(
        successes=successes,
        runs=len(reached),
        average=sum(spent) / successes if successes else math.inf,
        restricted_mean=sum(spent) / len(spent),
        success_interval=(float(interval.low), float(interval.high)),
    )


def cost_of(curve: Curve, target: float) -> float | None:
    """The charge (kWh) at which ``curve`` first stood at ``target`` or better, or None."""
    return next((kwh for kwh, s in zip(curve.kwh, curve.s, strict=True) if s >= target), None)
