"""What a run remembers of its trials, and what it lets a strategy propose."""

from collections.abc import Iterator

from suite.runs.trial import Outcome
from suite.search.strategy import Proposal, Status, StrategyInfo, Trial
from suite.space import Completion, Configuration, canonical
from suite.task import TaskSpec


class RunError(RuntimeError):
    """The strategy or the task broke its contract; the message says how."""


class TaskUnavailable(RuntimeError):
    """The task's data or its optional install are not here; the message says what to do."""


class Trials:
    """The run's memory of its trials: what was proposed, what came of it, what the strategy was told."""

    def __init__(self, spec: TaskSpec, info: StrategyInfo, v0: float | None, default_joules: float) -> None:
        self._spec = spec
        self._info = info
        self._v0 = v0
        self._default_joules = default_joules
        self._default = canonical(spec.default)
        self._default_configuration = spec.default
        self._complete = Completion(spec.space)
        self._proposals: dict[int, Proposal] = {}
        self._ended: dict[int, str] = {}
        self._worst = v0
        self.asked = 0

    def trial_zero(self) -> Trial | None:
        if self._v0 is None:
            return None
        proposal = Proposal(self._spec.default, self._spec.fidelity.maximum)
        return self._told(0, proposal, "ok", self._v0, self._default_joules)

    def accept(self, proposal: Proposal) -> Proposal:
        """The proposal as the next trial, inactive hyper-parameters stripped. Raises ``RunError`` on an illegal one."""
        try:
            configuration = self._complete(proposal.configuration)
        except ValueError as error:
            raise RunError(f"strategy {self._info.name} proposed an {error}") from error
        accepted = Proposal(configuration, proposal.fidelity, proposal.parent)
        self._check(accepted)
        self.asked += 1
        self._proposals[self.asked] = accepted
        return accepted

    def end(self, number: int, outcome: Outcome, joules: float) -> Trial:
        """Remember how trial ``number`` ended. Returns what the strategy is told of it."""
        self._ended[number] = outcome.status
        if outcome.validation is not None:
            self._worst = self._worse(outcome.validation)
        value = outcome.validation if outcome.validation is not None else self._penalty()
        return self._told(number, self._proposals[number], outcome.status, value, joules)

    def returns_trial_zero(self, proposal: Proposal) -> bool:
        """Whether it asks for the default again, in full: that is trial 0, and nothing is trained."""
        full = proposal.fidelity == self._spec.fidelity.maximum and proposal.parent is None
        if self._v0 is None or not full or proposal.configuration != self._default_configuration:
            return False  # without spelling it out, as nearly every proposal
        return canonical(proposal.configuration) == self._default

    @property
    def zero_joules(self) -> float:
        return self._default_joules

    def outstanding(self) -> Iterator[tuple[int, Proposal]]:
        return ((number, proposal) for number, proposal in self._proposals.items() if number not in self._ended)

    def _check(self, proposal: Proposal) -> None:
        name, fidelity = self._info.name, self._spec.fidelity
        if not fidelity.allows(proposal.fidelity):
            raise RunError(f"strategy {name} asked for fidelity {proposal.fidelity}; this task allows {fidelity}")
        if proposal.fidelity != fidelity.maximum and "fidelity" not in self._info.capabilities:
            raise RunError(f"strategy {name} asked for a short training but does not declare the capability 'fidelity'")
        if proposal.parent is not None:
            self._check_parent(proposal, proposal.parent)

    def _check_parent(self, proposal: Proposal, number: int) -> None:
        name, parent = self._info.name, self._proposals.get(number)
        if parent is None or self._ended.get(number) != "ok":
            raise RunError(f"strategy {name} proposed to go on from trial {number}, which is not a completed trial")
        if parent.fidelity > proposal.fidelity:
            raise RunError(
                f"strategy {name} proposed to go on from trial {number} at fidelity {parent.fidelity} "
                f"to less, {proposal.fidelity}"
            )
        changed = _differences(parent.configuration, proposal.configuration)
        if changed - self._spec.mutable or (changed and "mutation" not in self._info.capabilities):
            raise RunError(
                f"strategy {name} changed {sorted(changed)} of trial {number} in mid-training; "
                f"mutable are {sorted(self._spec.mutable)}"
            )

    def _worse(self, value: float) -> float:
        if self._worst is None or self._spec.validation.better(self._worst, value):
            return value
        return self._worst

    def _penalty(self) -> float:
        """A finite value for a trial that came to none: the worst that this run has seen."""
        return self._spec.validation.worst if self._worst is None else self._worst

    def _told(self, number: int, proposal: Proposal, status: Status, value: float, joules: float) -> Trial:
        """The trial as its strategy is told of it: with as much as it declares that it can handle."""
        objectives = (value, joules) if "objectives" in self._info.capabilities else (value,)
        constraints = (joules - self._default_joules,) if "constraints" in self._info.capabilities else ()
        return Trial(number, proposal, status, objectives, constraints, joules)


def _differences(one: Configuration, other: Configuration) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}
