"""What a trial came to against what it comes to when it is made again.

On a machine and with versions like those of the submission a trial is the same bit for bit. Elsewhere floating-point
sums differ in their last digits, and a training carries that on: then a task's seed noise is the tolerance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import mean, stdev
from typing import Any, Final

from suite.runs.log import TrialEnd
from suite.task import TaskSpec

EXACT: Final = 1e-9  # relative
COST_FACTOR: Final = 4.0  # of one trial's CPU time over the default's, either way
COST_SLACK: Final = 0.2  # trainings of the default: what keeping a checkpoint, say, adds to a short trial
MEAN_COST_FACTOR: Final = 1.3  # of the same, geometric mean over all that were drawn
FEWEST_COSTS: Final = 5  # of a strategy on a task, below which their mean is not judged
_SAME: Final = ("cpu", "python")
_VERSIONS: Final = ("torch", "numpy")


@dataclass(frozen=True)
class Made:
    """A trial made again: its outcome, and the CPU seconds of training and validation of all of its stages."""

    status: str
    validation: float | None
    test: float | None
    cpu_seconds: float


def is_same_machine(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Whether trials must be the same bit for bit."""
    versions = [machine.get("versions", {}) for machine in (theirs, ours)]
    return all(theirs.get(name) == ours.get(name) for name in _SAME) and all(
        versions[0].get(name) == versions[1].get(name) for name in _VERSIONS
    )


def tolerances(spec: TaskSpec, end: TrialEnd, same: bool) -> tuple[float, float]:
    """By how much validation and test values may differ."""
    values = [abs(value) if value is not None else 0.0 for value in (end.validation, end.test)]
    if same or spec.constants is None:
        return EXACT * max(values[0], 1e-12), EXACT * max(values[1], 1e-12)
    noise = 3.0 * spec.constants.sigma_seed
    alike = spec.validation.name == spec.test.name
    return (noise if alike else max(noise, 0.1 * abs(spec.constants.v0), 0.1 * values[0])), noise


def value_problems(spec: TaskSpec, end: TrialEnd, made: Made, same: bool) -> list[str]:
    """Where the values differ by more than the tolerance."""
    if end.status != made.status:
        return [f"is {end.status} in the log and {made.status} when made again"] if same or end.status == "ok" else []
    found = []
    pairs = (("validation", end.validation, made.validation), ("test", end.test, made.test))
    for (name, logged, again), tolerance in zip(pairs, tolerances(spec, end, same), strict=True):
        if logged is not None and again is not None and not abs(logged - again) <= tolerance:
            found.append(f"{name} value {logged!r} is {again!r} when made again (tolerance {tolerance:.3g})")
    return found


def cost_problem(logged: float, again: float) -> str | None:
    """``logged``, ``again``: CPU time over that of the default's training, each on its own machine."""
    if again > COST_FACTOR * logged + COST_SLACK or logged > COST_FACTOR * again + COST_SLACK:
        return (
            f"cost {logged:.3g} trainings of the default by the log and {again:.3g} when made again; a factor of "
            f"{COST_FACTOR:g} and {COST_SLACK:g} trainings are allowed"
        )
    return None


def mean_cost_problem(ratios: Sequence[float]) -> str | None:
    """``ratios``: of logged to repeated costs of a strategy's trials. A forgery of all energies shows here."""
    found = mean_cost(ratios)
    if found["allowed"] is None or 1 / found["allowed"] <= found["mean"] <= found["allowed"]:
        return None
    return (
        f"{len(ratios)} trials cost {found['mean']:.3g} times what they cost when made again, over the default's; "
        f"a factor of {found['allowed']:.3g} is allowed"
    )


def mean_cost(ratios: Sequence[float]) -> dict[str, Any]:
    """Geometric mean of ``ratios``, and the factor from 1 that is allowed: None where they are too few to judge."""
    logs = [log(ratio) for ratio in ratios]
    few = len(ratios) < FEWEST_COSTS
    allowed = None if few else exp(max(log(MEAN_COST_FACTOR), 3 * stdev(logs) / sqrt(len(logs))))
    return {"mean": exp(mean(logs)), "allowed": allowed, "trials": len(ratios)}
