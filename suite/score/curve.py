"""One run as the score sees it: normalised performance of the incumbent against charged energy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from suite.energy.ledger import JOULES_PER_KWH
from suite.runs.log import RunLog, TrialEnd
from suite.task import Metric

FLOOR, CAP = -1.0, 1.0
NO_ERRORS: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True)
class Curve:
    """The incumbents of a run, in order: the charge (kWh) from which each was in hand, and its values.

    The first is trial 0, the default configuration: s = 0 at no charge, with its frozen validation value and no test
    value of its own. s is (test - a0) / (a1 - a0), floored at -1 and capped at 1.
    """

    task: str
    strategy: str
    seed: int
    budget_kwh: float
    kwh: tuple[float, ...]
    s: tuple[float, ...]
    validation: tuple[float, ...]
    test: tuple[float | None, ...]

    @property
    def final_s(self) -> float:
        return self.s[-1]

    @property
    def area(self) -> float:
        """Integral of 1 - s over the budget, in units of the budget (D / B)."""
        ends = (*self.kwh[1:], self.budget_kwh)
        steps = zip(self.kwh, ends, self.s, strict=True)
        return sum((1 - s) * (end - start) for start, end, s in steps) / self.budget_kwh


def curve(log: RunLog, factors: Mapping[str, float] = NO_ERRORS) -> Curve:
    """The curve of a run with a budget, on a task with constants. Raises ``ValueError`` where it lacks either.

    factors: what the energy of each component is to be multiplied by, in the run and in the default that its budget was
    measured by: an error of their meters. One factor for all components changes nothing.
    """
    spec, budget = log.header.task, log.header.budget
    if spec.constants is None or budget.v0 is None or not budget.microjoules:
        raise ValueError(f"{log.path}: a run without constants, trial 0 or an energy budget has no curve")
    a0, a1 = spec.constants.a0, spec.constants.a1
    limit = budget.microjoules * _scale(log.header.default_mix, factors)
    charges = [_charge(trial, factors) for trial in log.trials]
    steps: list[tuple[float, float, float, float | None]] = [(0.0, 0.0, budget.v0, None)]
    for trial, charge in incumbents(log.trials, charges, spec.validation, budget.v0, limit):
        assert trial.validation is not None  # of every incumbent
        assert trial.test is not None
        s = min(CAP, max(FLOOR, (trial.test - a0) / (a1 - a0)))
        steps.append((kwh(charge), s, trial.validation, trial.test))
    charged, performance, validation, test = zip(*steps, strict=True)
    name = str(log.header.strategy["name"])
    return Curve(spec.name, name, log.header.seed, kwh(limit), charged, performance, validation, test)


def incumbents(
    trials: Sequence[TrialEnd], charges: Sequence[float], metric: Metric, v0: float, limit: float
) -> list[tuple[TrialEnd, float]]:
    """The trials that were the best in hand from their end on, up to a charge of ``limit``, each with its charge.

    charges: what the run was charged up to the end of each trial. Best by validation, at whatever fidelity, and better
    than trial 0 (``v0``). Where ``metric`` is not comparable across fidelities, among those of the highest fidelity
    reached so far.
    """
    found: list[tuple[TrialEnd, float]] = []
    best, highest = v0, 0
    for trial, charge in zip(trials, charges, strict=True):
        if trial.validation is None or trial.test is None or charge > limit:
            continue
        if not metric.comparable_across_fidelities and trial.proposal.fidelity != highest:
            if trial.proposal.fidelity < highest:
                continue
            best, highest = v0, trial.proposal.fidelity
        if metric.better(trial.validation, best):
            best = trial.validation
            found.append((trial, charge))
    return found


def _charge(trial: TrialEnd, factors: Mapping[str, float]) -> float:
    """Microjoules charged up to the end of ``trial``. Components without a factor stand as they were read."""
    if not factors:
        return trial.charged_microjoules
    correction = sum((factors.get(component, 1.0) - 1.0) * amount for component, amount in trial.charged.items())
    return trial.charged_microjoules + correction


def _scale(mix: Mapping[str, float], factors: Mapping[str, float]) -> float:
    return 1.0 + sum((factors.get(component, 1.0) - 1.0) * share for component, share in mix.items())


def kwh(microjoules: float) -> float:
    return microjoules / 1e6 / JOULES_PER_KWH
