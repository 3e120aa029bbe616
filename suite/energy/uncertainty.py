"""What a figure in joules is worth: an interval from the counter's ticks, the source's prior error, and gaps.

    low  = (E - ticks) / factor
    high = (E + ticks) x factor / coverage

``factor`` is the source's systematic error (``suite.energy.meter``): one unknown number for all readings of a component
on one machine, so that it cancels where runs on that machine are compared. ``ticks`` is what the counter may have been
late by, at the ends of each stretch of time that a figure is made of. Where a counter was silent, what is missing may
have been as much as the rest.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Worth:
    """What one component's meter is worth in one run: its prior factor, its tick, and the share of time it covered."""

    factor: float
    tick_seconds: float = 0.0
    coverage: float = 1.0


@dataclass(frozen=True)
class Energy:
    """Microjoules, and between which the truth lies in about 95 cases of 100."""

    microjoules: int
    low: float
    high: float

    def __add__(self, other: Self) -> "Energy":
        """Bounds add up, as if both errors pointed the same way: nobody knows that they do not."""
        return Energy(self.microjoules + other.microjoules, self.low + other.low, self.high + other.high)

    def to_record(self) -> dict[str, Any]:
        """In joules."""
        high = self.high / 1e6 if math.isfinite(self.high) else None
        return {"joules": self.microjoules / 1e6, "low": self.low / 1e6, "high": high}


NOTHING = Energy(0, 0.0, 0.0)


def energy(microjoules: int, worth: Worth, watts: float, stretches: int) -> Energy:
    """An energy that ``stretches`` separate stretches of time make up, in which the component drew about ``watts``.

    Each stretch may miss up to one tick or hold one too many, independently of the others.
    """
    ticks = worth.tick_seconds * watts * 1e6 * math.sqrt(stretches)
    high = (microjoules + ticks) * worth.factor
    return Energy(
        microjoules,
        max(0.0, microjoules - ticks) / worth.factor,
        high / worth.coverage if worth.coverage > 0 else math.inf,
    )


def total(energies: Iterable[Energy]) -> Energy:
    return sum(energies, NOTHING)


def coverage(uncovered_ns: Mapping[str, int], elapsed_ns: int, component: str) -> float:
    """Share of ``elapsed_ns`` in which ``component`` was read."""
    return 1.0 - min(1.0, uncovered_ns.get(component, 0) / elapsed_ns) if elapsed_ns else 1.0
