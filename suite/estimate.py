"""What a planned run will cost, before it is started: from the constants of its tasks.

    joules of a run  = budget x m_t x energy of the default's training x what is off the clock
    seconds of a run = the same with CPU time

The constants were measured on another machine, so that an interval goes with each figure. A strategy that stops before
its budget is used up (``default``, say) costs less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any, Final

from suite.catalog import task_spec
from suite.energy.carbon import Place, kg_co2e
from suite.energy.ledger import JOULES_PER_KWH
from suite.energy.meter import MODEL_FACTOR, RAPL_FACTOR
from suite.runs.board import BoardError
from suite.task import Constants

#: How far apart two machines are: CPU time of one training, and so its energy, within this factor.
MACHINE_FACTOR: Final = 2.0
#: What setup, test evaluation and resuming add to a charge: least, middle, most. 1.02 to 1.18 in five calibration runs
#: of 10 to 53 trials (torch 2.13 on a virtual machine of two cores).
OFF_THE_CLOCK: Final = (1.0, 1.08, 1.3)


@dataclass(frozen=True)
class Range:
    """A figure, and between which the truth is expected."""

    middle: float
    low: float
    high: float

    def times(self, factor: float) -> "Range":
        return Range(self.middle * factor, self.low * factor, self.high * factor)

    def __add__(self, other: "Range") -> "Range":
        """Bounds add up: all tasks are run on one machine, and err alike."""
        return Range(self.middle + other.middle, self.low + other.low, self.high + other.high)


@dataclass(frozen=True)
class Estimate:
    """Of all runs on one task, or of all: their number, energy in kWh and time in hours."""

    runs: int
    kwh: Range
    hours: Range


def estimate(
    tasks: Sequence[str], strategies: int, seeds: int, budget: float, default_trainings: int, jobs: int = 1
) -> dict[str, Estimate]:
    """By task, what ``strategies`` x ``seeds`` runs of ``budget`` random trainings cost, calibration included.

    jobs: runs side by side, which share the time. Raises ``BoardError`` for tasks without constants.
    """
    if not (budget > 0 and jobs > 0):
        raise BoardError(f"budget and jobs must be greater than 0, got {budget} and {jobs}")
    constants = {name: task_spec(name).constants for name in tasks}
    unknown = [name for name, found in constants.items() if found is None]
    if unknown:
        raise BoardError(
            f"there are no constants to estimate from for {', '.join(unknown)}; measure them with "
            "`carbon-suite constants`, or name other tasks"
        )
    return {
        name: _of_task(found, strategies * seeds, budget, default_trainings, jobs)
        for name, found in constants.items()
        if found is not None
    }


def total(estimates: Mapping[str, Estimate]) -> Estimate:
    several = list(estimates.values())
    nothing = Range(0.0, 0.0, 0.0)
    return Estimate(
        sum(each.runs for each in several),
        sum((each.kwh for each in several), nothing),
        sum((each.hours for each in several), nothing),
    )


def record(found: Estimate, place: Place, pue: float) -> dict[str, Any]:
    """For programs. ``place`` has one intensity: nobody knows at which hours a planned run will take place."""
    kg = found.kwh.times(kg_co2e(1.0, place, pue))
    return {
        "runs": found.runs,
        **{name: vars(value) for name, value in (("kwh", found.kwh), ("kg_co2e", kg), ("hours", found.hours))},
    }


def _of_task(constants: Constants, runs: int, budget: float, default_trainings: int, jobs: int) -> Estimate:
    trainings = runs * budget * constants.m_t + default_trainings
    at_once = min(jobs, runs)
    waits = ceil(runs / at_once) * at_once / runs  # the last runs may leave places empty
    return Estimate(
        runs,
        _spread(trainings * constants.default_joules / JOULES_PER_KWH, MACHINE_FACTOR, _tier_factor(constants)),
        _spread(trainings * constants.default_cpu_seconds / 3600 / at_once * waits, MACHINE_FACTOR),
    )


def _tier_factor(constants: Constants) -> float:
    return RAPL_FACTOR if constants.tier == "measured" else MODEL_FACTOR


def _spread(figure: float, *factors: float) -> Range:
    least, middle, most = OFF_THE_CLOCK
    factor = prod(factors)
    return Range(figure * middle, figure * least / factor, figure * most * factor)
