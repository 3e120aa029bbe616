"""Program boards: outer loops that differentiate the training, and black-box strategies over the same hyper-parameters.

The declared space of a task there is that of its differentiable problem: one number for each hyper-parameter, by which
it is moved from its start. Where the problem is a net that shares the weights of architectures, it is the task's own.

A program runs as a task whose trials are its evaluations: trial n is the program's yield n, a training to fidelity n
that goes on from the checkpoint of trial n - 1. So it is metered, logged, charged for failures, killed and resumed like
any other search. Budget, anchors and trial 0 are the task's own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ConfigSpace import ConfigurationSpace, Float

from suite.catalog import load_strategy
from suite.runs.memory import RunError
from suite.runs.plan import RunPlan, problem_of
from suite.search.strategy import (
    EXHAUSTED,
    WAIT,
    Program,
    Proposal,
    Search,
    Signal,
    StrategyInfo,
    Trial,
    is_program,
)
from suite.space import Configuration
from suite.task import (
    Checkpoint,
    DifferentiableTask,
    Fidelity,
    Split,
    Task,
    TaskSpec,
    Vector,
    WeightSharingTask,
)

if TYPE_CHECKING:
    import torch

MOST_EVALUATIONS: Final = 10**9  # the budget ends a program, not a number
EVALUATIONS: Final = Fidelity("evaluations", 1, MOST_EVALUATIONS)


def declared_spec(task: Task) -> TaskSpec:
    """``task`` as it stands on a program board. Raises ``RunError`` where it has no place there."""
    if not isinstance(task, DifferentiableTask):
        raise RunError(
            f"task {task.spec.name} has no place on a program board: it is not posed as a differentiable problem "
            "(suite.task.DifferentiableTask)"
        )
    if isinstance(task, WeightSharingTask):
        return task.spec
    space = declared_space(task.vectors)
    return replace(task.spec, space=space, mutable=frozenset(space))


def program_refusal(info: StrategyInfo, task: Task | None) -> str | None:
    """Why a strategy is not given ``task`` on a program board, or, where None, one of a black-box board."""
    if task is None:
        return f"strategy {info.name} is a program, and runs on program boards only" if is_program(info) else None
    if "one-shot" in info.capabilities and not isinstance(task, WeightSharingTask):
        return (
            f"strategy {info.name} needs a task whose architectures share their weights "
            f"(suite.task.WeightSharingTask), and those of {task.spec.name} do not"
        )
    return None


def declared_space(vectors: Mapping[str, Vector]) -> ConfigurationSpace:
    """One number for each hyper-parameter, ``name[0]``, ``name[1]``, ...: by how much it is moved from its start."""
    space = ConfigurationSpace()
    space.add([Float(each, (vectors[name].lower, vectors[name].upper), default=0.0) for each, name in _names(vectors)])
    return space


def _names(vectors: Mapping[str, Vector]) -> Iterator[tuple[str, str]]:
    return ((f"{name}[{index}]", name) for name, vector in vectors.items() for index in range(vector.size))


class Evaluations:
    """A program as the run asks it: for one evaluation after another, each going on from the one before.

    One that came to no value is its last: what goes on from the same checkpoint would fail again.
    """

    def __init__(self, info: StrategyInfo) -> None:
        self.info = info
        self._asked = self._told = 0
        self._failed = False

    def ask(self) -> Proposal | Signal:
        if self._failed:
            return EXHAUSTED
        if self._asked > self._told:
            return WAIT
        self._asked += 1
        return Proposal({}, self._asked, self._asked - 1 or None)

    def tell(self, trial: Trial) -> None:
        self._told = trial.number
        self._failed = trial.status != "ok"


def as_asked(spec: TaskSpec, info: StrategyInfo) -> tuple[TaskSpec, StrategyInfo]:
    """What proposals are checked against: of a program they are ``Evaluations``, without a configuration, by number."""
    if not is_program(info):
        return spec, info
    return _evaluations_of(spec), replace(info, capabilities=info.capabilities | {"fidelity"})


def _evaluations_of(spec: TaskSpec) -> TaskSpec:
    return replace(spec, space=ConfigurationSpace(), mutable=frozenset(), fidelity=EVALUATIONS)


def posed(task: Task, plan: RunPlan, search: Search) -> Task:
    """What a worker trains on a program board in place of ``task``."""
    strategy = load_strategy(plan.strategy)
    spec = declared_spec(task)
    assert isinstance(task, DifferentiableTask)  # checked just before
    if is_program(strategy.info):
        program = strategy(problem_of(plan, spec))
        assert isinstance(program, Program)
        return Programmed(task, program, plan.seed, search)
    return task if isinstance(task, WeightSharingTask) else Declared(task, spec, plan.seed)


class Programmed:
    """A task whose training is a program's run; its fidelity is the number of evaluations."""

    def __init__(self, task: DifferentiableTask, program: Program, seed: int, search: Search) -> None:
        self.spec = _evaluations_of(task.spec)
        self._task = task
        self._program = program
        self._seed = seed
        self._search = search

    def load(self, variant: int = 0) -> Any:
        return self._task.load(variant)

    def train(
        self, data: Any, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        """All evaluations of a run belong to one training, of the run's seed; that of the trial is of no account."""
        inner = self._task.differentiable(data, self._seed, device)
        done = start.fidelity if start else 0
        evaluations = self._program.run(inner, self._task.vectors, start, self._search)
        for number, checkpoint in enumerate(evaluations, done + 1):
            yield Checkpoint(number, checkpoint.state)

    def evaluate(self, data: Any, checkpoint: Checkpoint, split: Split) -> float:
        return self._task.evaluate(data, checkpoint, split)


class Declared:
    """A differentiable task as strategies that ask and tell see it: trained by the same Adam as by a program.

    All trainings of a run share its seed, and with it the start that the hyper-parameters are moved from.
    """

    def __init__(self, task: DifferentiableTask, spec: TaskSpec, seed: int) -> None:
        self.spec = spec
        self._task = task
        self._seed = seed

    def load(self, variant: int = 0) -> Any:
        return self._task.load(variant)

    def train(
        self, data: Any, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        from suite.search.hypergradient import Inner, Training, trained

        inner = Inner(self._task.differentiable(data, self._seed, device), self._task.vectors)
        training = Training(**start.state["training"]) if start else Training.begin(inner)
        offsets = self._offsets(configuration, inner.lower)
        fidelity = start.fidelity if start else 0
        while fidelity < self.spec.fidelity.maximum:
            fidelity = self._next(fidelity)
            until = -(-inner.steps * fidelity // self.spec.fidelity.maximum)
            training = trained(inner, training, offsets, until - training.step)
            reached = inner.checkpoint(training.parameters, offsets)
            yield Checkpoint(fidelity, {**reached.state, "training": training._asdict()})

    def evaluate(self, data: Any, checkpoint: Checkpoint, split: Split) -> float:
        return self._task.evaluate(data, checkpoint, split)

    def _next(self, fidelity: int) -> int:
        range_ = self.spec.fidelity
        return min(fidelity + range_.step, range_.maximum) if fidelity else range_.minimum

    def _offsets(self, configuration: Configuration, like: "torch.Tensor") -> "torch.Tensor":
        return like.new_tensor([float(configuration[each]) for each, _ in _names(self._task.vectors)])
