"""A run as a set of points (carbon, shortfall): hypervolume and empirical attainment, by moocore (an optional install).

Carbon is in shares of the budget, shortfall is 1 - s. Both are to be small; the reference point is (1, 1), which doing
nothing just reaches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Final

import numpy as np

from suite.score.curve import Curve
from suite.score.efficiency import Array

REFERENCE_POINT: Final = (1.0, 1.0)


@dataclass(frozen=True)
class Attainment:
    """The carbon by which, and the shortfall to which, ``percent`` of the runs have come: the corners of a stair."""

    percent: float
    carbon: tuple[float, ...]
    shortfall: tuple[float, ...]


def points(curve: Curve) -> Array:
    """(incumbents, 2): share of the budget, 1 - s."""
    return np.column_stack([np.array(curve.kwh) / curve.budget_kwh, 1 - np.array(curve.s)])


def hypervolume(front: Array, reference: Sequence[float] = REFERENCE_POINT) -> float:
    """What ``front`` (points, 2) dominates up to ``reference``; both objectives are to be small (Zitzler 1999)."""
    return float(_moocore().hypervolume(front, ref=np.asarray(reference)))


def attainment(curves: Sequence[Curve], percents: Sequence[float] = (25.0, 50.0, 75.0)) -> tuple[Attainment, ...]:
    """Empirical attainment surfaces of runs on one task (Fonseca & Fleming 1996)."""
    sets = np.repeat(np.arange(1, len(curves) + 1), [len(curve.kwh) for curve in curves])
    surfaces = _moocore().eaf(np.vstack([points(curve) for curve in curves]), sets=sets, percentiles=list(percents))
    return tuple(_surface(surfaces, percent) for percent in percents)


def _surface(surfaces: Array, percent: float) -> Attainment:
    own = surfaces[np.isclose(surfaces[:, 2], percent)]
    ordered = own[np.argsort(own[:, 0], kind="stable")]
    return Attainment(percent, tuple(map(float, ordered[:, 0])), tuple(map(float, ordered[:, 1])))


def _moocore() -> ModuleType:
    try:
        import moocore
    except ImportError as error:
        raise ModuleNotFoundError(
            "hypervolume and attainment need moocore; install it with `pip install 'carbon-suite[attainment]'`"
        ) from error
    module: ModuleType = moocore
    return module
