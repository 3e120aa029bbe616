"""A task's constants from the logs of its calibration runs (docs/scoring.md, section 1). Pure functions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean, median, stdev
from typing import Any, Final, NamedTuple

import numpy as np

from suite.runs.log import RunLog, TrialEnd
from suite.score.curve import CAP, FLOOR, Curve
from suite.score.efficiency import efficiency
from suite.space import Configuration
from suite.task import Constants, TaskSpec

BUDGET: Final = 40.0
SEARCHES: Final = 200  # random searches that kappa is estimated from


def measure_constants(
    defaults: Sequence[RunLog], pool: RunLog, retrained: Sequence[RunLog], provisional: bool
) -> Constants:
    """Constants from full trainings of the default (one a run), of a pool of Sobol configurations, and of the best
    known configuration (one a run).

    Raises ``ValueError`` where a training of the default or of the best failed.
    """
    ends, best = [_only(log) for log in defaults], [_only(log) for log in retrained]
    spec, header = defaults[0].header.task, defaults[0].header
    tests = [_test(end) for end in ends]
    default = mean(end.microjoules for end in ends)
    a0, a1 = median(tests), median(_test(end) for end in best)
    v0 = median(_validation(end) for end in ends)
    m_t = mean(end.microjoules for end in pool.trials) / default
    return Constants(
        a0=a0,
        a1=a1,
        v0=v0,
        m_t=m_t,
        kappa_t=random_search(spec, pool.trials, a0, a1, v0, BUDGET * m_t * default),
        sigma_seed=stdev(tests),
        default_joules=default / 1e6,
        default_cpu_seconds=mean(_cpu_seconds(log) for log in defaults),
        longest_over_default=max(end.microjoules for end in pool.trials) / default,
        median_test=median(_test(end) for end in pool.trials if end.test is not None),
        failed_configurations=sum(end.test is None for end in pool.trials),
        seeds=len(ends),
        configurations=len(pool.trials),
        provisional=provisional,
        tier=header.tier,
        measured_on=measured_on(header.machine),
    )


def winner(logs: Sequence[RunLog]) -> Configuration:
    """The configuration with the best validation value among all full trainings in ``logs``."""
    metric = logs[0].header.task.validation
    full = logs[0].header.task.fidelity.maximum
    trials = [end for log in logs for end in log.trials if end.validation is not None and end.proposal.fidelity == full]
    if not trials:
        raise ValueError(f"no training of {logs[0].header.task.name} came to a value")
    sign = 1 if metric.goal == "minimize" else -1
    return min(trials, key=lambda end: sign * _validation(end)).proposal.configuration


def random_search(spec: TaskSpec, pool: Sequence[TrialEnd], a0: float, a1: float, v0: float, budget: float) -> float:
    """u of random search, estimated from ``SEARCHES`` searches that draw trainings from ``pool`` with replacement.

    budget: in microjoules. An estimate for want of independent runs: the pool's luck is in all of them.
    """
    rng = np.random.default_rng(0)
    made = [Made(end.microjoules, end.validation, end.test) for end in pool]

    def drawn() -> Iterator[Made]:
        while True:
            yield made[int(rng.integers(len(made)))]

    return mean_efficiency([curve_of(spec, drawn(), a0, a1, v0, budget) for _ in range(SEARCHES)])


class Made(NamedTuple):
    """A full training: what it took, and its values, None where it failed."""

    microjoules: float
    validation: float | None
    test: float | None


def mean_efficiency(curves: Sequence[Curve]) -> float:
    """u of the searches behind ``curves``, taken together."""
    final_s = np.array([curve.final_s for curve in curves])
    return float(efficiency(final_s, np.array([curve.area for curve in curves])))


def curve_of(spec: TaskSpec, trainings: Iterable[Made], a0: float, a1: float, v0: float, budget: float) -> Curve:
    """One search: ``trainings``, of which there must be enough, until ``budget`` (microjoules) is used up. Its curve
    has budget 1."""
    spent, best = 0.0, v0
    kwh, s = [0.0], [0.0]
    for made in trainings:
        spent += made.microjoules
        if spent > budget:
            break
        if made.validation is not None and made.test is not None and spec.validation.better(made.validation, best):
            best = made.validation
            kwh.append(spent / budget)
            s.append(min(CAP, max(FLOOR, (made.test - a0) / (a1 - a0))))
    return Curve(spec.name, "random", 0, 1.0, tuple(kwh), tuple(s), (v0,) * len(s), (None,) * len(s))


def _only(log: RunLog) -> TrialEnd:
    if len(log.trials) != 1 or log.trials[0].validation is None:
        reason = log.trials[0].reason if log.trials else "it has no trial"
        raise ValueError(f"{log.path}: the training that a constant rests on has failed: {reason}")
    return log.trials[0]


def _validation(end: TrialEnd) -> float:
    assert end.validation is not None  # of trials that came to a value
    return end.validation


def _test(end: TrialEnd) -> float:
    assert end.test is not None  # of trials that came to a value
    return end.test


def _cpu_seconds(log: RunLog) -> float:
    """CPU time of the run's trainings and validations."""
    return sum(segment.cpu_ns for segment in log.segments if segment.phase in ("train", "validate")) / 1e9


def measured_on(machine: Mapping[str, Any]) -> dict[str, str]:
    """What constants say of the machine that they hold for. machine: as a log's header has it."""
    versions = ", ".join(f"{name} {version}" for name, version in machine.get("versions", {}).items())
    return {"cpu": str(machine["cpu"]), "python": str(machine["python"]), "versions": versions}
