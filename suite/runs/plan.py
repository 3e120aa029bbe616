"""What one run is to do, as the process that makes it is told."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from suite.runs.log import Budget
from suite.search.strategy import Problem, Proposal
from suite.space import Configuration
from suite.task import TaskSpec


@dataclass(frozen=True)
class ByHand:
    """A session of a person's run: it makes what was told, and leaves the run open.

    name: what the person is called on the board. answers: what is new. thinking_seconds: for how long the machine stood
    idle while the person thought about them, as the person declares.
    """

    name: str
    answers: tuple[Proposal, ...] = ()
    thinking_seconds: float = 0.0

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        return cls(**{**record, "answers": tuple(Proposal(**each) for each in record["answers"])})


@dataclass(frozen=True)
class RunPlan:
    """One run: a strategy on a task with a seed, and the means it has.

    task, strategy: names in the catalogue. role: "ranked", "calibration" or "recording". jobs: runs side by side on
    this machine, which share its declared idle power. default: what the strategy is given as the default, where not
    the task's own (to retrain a configuration in a calibration). time_limit_seconds: what one trial may take.
    meters: by name, or "auto" for the best here; reasons: why these, by component, where they were chosen before.
    ram_watts: declared power of the memory, this run's share, or None. default_mix: see ``RunHeader``.
    share: where this run finds its share of counters that see the whole machine (``suite.energy.node``), as descriptor,
    slot, and sources by meter; None where it reads them itself.
    crosscheck: run codecarbon too. variant: of the task's data, 0 for the boards. by_hand: for a person's run.
    configurations: train these, in this order, with a value at every step of the fidelity, in place of a search (a
    recording).
    program: the run belongs to a program board (``suite.runs.program``).
    """

    task: str
    strategy: str
    seed: int
    budget: Budget
    role: str = "ranked"
    workers: int = 1
    jobs: int = 1
    device: str = "cpu"
    time_limit_seconds: float = 3600.0
    meters: tuple[str, ...] = ("cpu-time",)
    watts_per_core: float = 10.0
    idle_watts: float = 2.0
    ram_watts: float | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    default_mix: Mapping[str, float] = field(default_factory=dict)
    share: Mapping[str, Any] | None = None
    crosscheck: bool = True
    default: Configuration | None = None
    variant: int = 0
    configurations: tuple[Configuration, ...] = ()
    by_hand: ByHand | None = None
    program: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        record: Mapping[str, Any] = json.loads(text)
        hand = record["by_hand"] and ByHand.from_record(record["by_hand"])
        several = {name: tuple(record[name]) for name in ("meters", "configurations")}
        return cls(**{**record, **several, "budget": Budget(**record["budget"]), "by_hand": hand})


def problem_of(plan: RunPlan, spec: TaskSpec) -> Problem:
    """What the strategy of the run is told of ``spec``, its task."""
    budget = plan.budget
    return Problem(
        space=spec.space,
        default=plan.default or spec.default,
        fidelity=spec.fidelity,
        goal=spec.validation.goal,
        seed=plan.seed,
        budget_joules=budget.microjoules / 1e6 if budget.microjoules is not None else float("inf"),
        workers=plan.workers,
        mutable=spec.mutable,
    )
