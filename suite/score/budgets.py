"""A strategy at other budgets and at other prices of a training (docs/scoring.md, section 4)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from suite.energy.ledger import CHARGED
from suite.score.curve import Curve
from suite.score.efficiency import against_reference, efficiency

FRACTIONS: Final = (1.0, 1 / 4, 1 / 16)  # of the budget
LEAST_KAPPA: Final = 0.25  # below which u says more about luck than about strategies
TRIALS: Final = frozenset({"train", "validate"})  # the phases that are no overhead


@dataclass(frozen=True)
class AtBudget:
    """u and pi after ``fraction`` of the budget. pi is None where random search's u there is below ``LEAST_KAPPA``."""

    fraction: float
    u: float
    kappa: float
    pi: float | None


def cut(curve: Curve, fraction: float) -> Curve:
    """``curve`` as if its budget were ``fraction`` of what it was."""
    limit = fraction * curve.budget_kwh
    kept = sum(kwh <= limit for kwh in curve.kwh)
    return replace(
        curve,
        budget_kwh=limit,
        kwh=curve.kwh[:kept],
        s=curve.s[:kept],
        validation=curve.validation[:kept],
        test=curve.test[:kept],
    )


def u_at(curves: Sequence[Curve], fraction: float) -> float:
    parts = [cut(each, fraction) for each in curves]
    return float(efficiency(np.array([each.final_s for each in parts]), np.array([each.area for each in parts])))


def at_budget(curves: Sequence[Curve], fraction: float, kappa: float) -> AtBudget:
    u = u_at(curves, fraction)
    pi = float(against_reference(np.array(u), np.array(kappa))) if kappa >= LEAST_KAPPA else None
    return AtBudget(fraction, u, kappa, pi)


def log_area(curve: Curve, multiple: float) -> float:
    """Mean of s over the logarithm of carbon, from one random training (B / ``multiple``) to B.

    It counts each doubling of the spent carbon alike. Raises ``ValueError`` where B is no more than one training.
    """
    if multiple <= 1:
        raise ValueError(f"the log-carbon area needs a budget of more than one random training, got {multiple:g}")
    first = curve.budget_kwh / multiple
    ends = (*curve.kwh[1:], curve.budget_kwh)
    steps = zip(curve.kwh, ends, curve.s, strict=True)
    return sum(s * math.log(max(end, first) / max(start, first)) for start, end, s in steps) / math.log(multiple)


def overhead_share(microjoules_by_phase: Mapping[str, int]) -> float:
    """Share of the charged energy that went into neither training nor validation."""
    total = sum(microjoules_by_phase.get(phase, 0) for phase in CHARGED)
    return 1 - sum(microjoules_by_phase.get(phase, 0) for phase in TRIALS) / total if total else 0.0


def break_even(cost: float, overhead: float, random_cost: float, random_overhead: float, training: float) -> float:
    """The energy of a random training above which a strategy's overhead pays for itself, in the unit of ``cost``.

    cost, random_cost: energy to one target, by the strategy and by random search. overhead, random_overhead: the shares
    of it that are no training. training: what a random training takes now. Assumes that dearer trainings change neither
    how many a strategy needs nor its overhead. 0 where it pays at any price, infinite where at none.
    """
    trainings, random_trainings = (1 - overhead) * cost / training, (1 - random_overhead) * random_cost / training
    if trainings >= random_trainings:
        return math.inf
    return max(0.0, (overhead * cost - random_overhead * random_cost) / (random_trainings - trainings))
