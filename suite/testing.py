"""The contract suite of strategies, for pytest: what every strategy promises, on spaces that strategies trip over.

    from my_package import Mine
    from suite.testing import StrategyContract

    class TestMine(StrategyContract):
        strategy = Mine

Searches go through the memory of a real run, which refuses what a run refuses; cut runs are continued from their log as
real ones are. A task is not needed: configurations are judged by a made-up function.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, Final, get_args

import numpy as np
import pytest
from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer, OrdinalHyperparameter

from suite.replay.engine import RecordedLedger, ReplayEngine
from suite.replay.recorded import Answers, Energy
from suite.runs.book import Book
from suite.runs.engine import PINNED
from suite.runs.log import LOG_NAME, SCHEMA, Budget, LogWriter, read_records
from suite.runs.machine import package_version
from suite.runs.memory import Trials
from suite.runs.plan import RunPlan
from suite.runs.runner import Runner
from suite.runs.session import Session, build
from suite.runs.trial import Outcome
from suite.search.strategy import EXHAUSTED, Capability, Problem, Proposal, Signal, Strategy, refusal
from suite.space import Configuration, canonical, training_seed
from suite.task import Fidelity, Metric, TaskSpec

DEFAULT_JOULES: Final = 50.0
FAILING: Final = 0.12
WORST: Final = 1000.0
FIDELITIES: Final = (
    Fidelity("steps", 1, 27),
    Fidelity("steps", 5, 5),
    Fidelity("steps", 1, 2),
    Fidelity("steps", 10, 100, 40),
)


def mixed() -> ConfigurationSpace:
    """Two levels of conditions, logarithmic, integer, categorical, ordinal."""
    space = ConfigurationSpace()
    optimiser = Categorical("optimiser", ["adam", "sgd"], default="adam")
    nesterov = Categorical("nesterov", [True, False], default=False)
    space.add(
        optimiser,
        nesterov,
        Float("learning_rate", (1e-4, 1.0), log=True, default=1e-2),
        Integer("width", (1, 64), log=True, default=16),
        Integer("depth", (1, 4), default=2),
        OrdinalHyperparameter("kernel", [3, 5, 7], default_value=5),
        Float("momentum", (0.0, 0.99), default=0.9),
        Float("damping", (0.0, 1.0), default=0.1),
    )
    space.add(EqualsCondition(nesterov, optimiser, "sgd"))
    space.add(EqualsCondition(space["momentum"], nesterov, True))
    space.add(EqualsCondition(space["damping"], optimiser, "adam"))
    return space


def single() -> ConfigurationSpace:
    """One number."""
    space = ConfigurationSpace()
    space.add(Float("x", (0.0, 1.0), default=0.5))
    return space


def categories() -> ConfigurationSpace:
    """Six configurations, which any strategy soon repeats."""
    space = ConfigurationSpace()
    space.add(
        Categorical("colour", ["red", "green", "blue"], default="red"),
        Categorical("large", [True, False], default=True),
    )
    return space


SPACES: Final[Mapping[str, Callable[[], ConfigurationSpace]]] = {
    "mixed": mixed,
    "single": single,
    "categories": categories,
}


def problem(space: str, fidelity: Fidelity = FIDELITIES[0], seed: int = 3, workers: int = 1) -> Problem:
    """A search problem over the space of that name. The value is to be minimised."""
    made = SPACES[space]()
    return Problem(
        space=made,
        default=dict(made.get_default_configuration()),
        fidelity=fidelity,
        goal="minimize",
        seed=seed,
        budget_joules=1000.0,
        workers=workers,
        mutable=frozenset({"learning_rate", "momentum", "damping"}) & set(made),
    )


class Rehearsal:
    """A search for ``problem`` without a task: proposals are checked as a run checks them, trials are made up.

    failing: share of the configurations that come to no value: to NaN, or to nothing in time.
    """

    def __init__(self, strategy: type[Strategy], given: Problem, failing: float = 0.0) -> None:
        self._sign = 1.0 if given.goal == "minimize" else -1.0
        self._failing = failing
        self._workers = given.workers
        self._open: list[tuple[int, Proposal]] = []
        zero = self._value(Proposal(given.default, given.fidelity.maximum))
        self._trials = Trials(specification(given), strategy.info, zero, DEFAULT_JOULES)
        told = self._trials.trial_zero()
        assert told is not None
        self._strategy = strategy(given)
        self._strategy.tell(told)

    def proposals(self, count: int) -> Iterator[Proposal]:
        """The next ``count`` proposals, or all that there are. Of those outstanding the latest is told first.

        Raises ``RunError`` on a proposal that a run would refuse.
        """
        last = self._trials.asked + count
        while self._trials.asked < last:
            answer = self._strategy.ask()
            if isinstance(answer, Proposal):
                accepted = self._trials.accept(answer)
                self._open.append((self._trials.asked, accepted))
                yield accepted
            elif answer is EXHAUSTED:
                assert self._strategy.ask() is EXHAUSTED, "EXHAUSTED means that no proposal ever comes again"
                return
            else:
                assert self._open, f"{answer}, though no trial is outstanding whose end could be waited for"
            if len(self._open) == self._workers or isinstance(answer, Signal):
                self._end(*self._open.pop())

    def _end(self, number: int, proposal: Proposal) -> None:
        spent = joules(proposal.configuration, proposal.fidelity)
        self._strategy.tell(self._trials.end(number, self._outcome(proposal), spent))

    def _outcome(self, proposal: Proposal) -> Outcome:
        drawn = training_seed(1, proposal.configuration)
        if drawn % 100 >= 100 * self._failing:
            return Outcome("ok", self._value(proposal))
        return Outcome("timeout") if drawn % 3 == 0 else Outcome("failed", reason="the validation value is nan")

    def _value(self, proposal: Proposal) -> float:
        return self._sign * value(proposal.configuration, proposal.fidelity)


def specification(given: Problem) -> TaskSpec:
    """A task that would pose ``given``."""
    metric = Metric("value", given.goal, WORST if given.goal == "minimize" else -WORST)
    return TaskSpec(
        "testing/rehearsal", "1", "no task", "none", given.space, given.fidelity, metric, metric, mutable=given.mutable
    )


def value(configuration: Configuration, fidelity: int) -> float:
    """Some smooth, some rough, less with more training."""
    numbers = [float(number) for number in configuration.values() if isinstance(number, int | float)]
    rough = training_seed(0, configuration) % 1000 / 1000
    return sum(math.log1p(abs(number)) for number in numbers) + rough + 1 / fidelity


def joules(configuration: Configuration, fidelity: int) -> float:
    """What a training costs: one to seven joules a step."""
    return fidelity * (1.0 + training_seed(2, configuration) % 7)


def records(strategy: type[Strategy], count: int) -> list[list[Any]]:
    """Proposals of a search on the mixed space with failures, in plain values."""
    found = Rehearsal(strategy, problem("mixed"), FAILING).proposals(count)
    return [[canonical(proposal.configuration), proposal.fidelity, proposal.parent] for proposal in found]


def records_elsewhere(strategy: type[Strategy], count: int, hash_seed: str) -> list[list[Any]]:
    """``records`` made by a fresh process, which must be able to import the class of the strategy by its name."""
    code = (
        "import json, sys\n"
        "from suite.testing import imported, records\n"
        "print(json.dumps(records(imported(*sys.argv[1:3]), int(sys.argv[3]))))"
    )
    command = [sys.executable, "-P", "-c", code, strategy.__module__, strategy.__qualname__, str(count)]
    environment = {**os.environ, **PINNED, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": hash_seed}
    made = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    found: list[list[Any]] = json.loads(made.stdout.splitlines()[-1])
    return found


class LoggedRun:
    """A run as a board makes it, with its log in ``directory``; only its trials are made up and take no time.

    It ends after ``most`` proposals, or when it has used as much as twenty trainings of the default.
    """

    def __init__(self, strategy: type[Strategy], given: Problem, most: int, directory: Path) -> None:
        made_up = MadeUp(given.fidelity)
        joules = round(DEFAULT_JOULES * 1e6)
        default = value(given.default, given.fidelity.maximum)
        self._strategy, self._spec, self._directory = strategy, specification(given), directory
        budget = Budget(20.0, 20 * joules, most, joules, 1, default)
        self._plan = RunPlan(self._spec.name, strategy.info.name, given.seed, budget, workers=given.workers)
        self._ledger = RecordedLedger(search_watts=0.0)
        self._engine = ReplayEngine(made_up, self._spec, self._ledger)  # it outlives a kill, as checkpoints do

    @property
    def log(self) -> Path:
        return self._directory / LOG_NAME

    def go_on(self) -> list[Any]:
        """Make what the log lacks of the run, all of it where there is none. Returns all answers of the strategy.

        Raises ``RunError`` where the strategy, asked again, does not answer what the log has.
        """
        records, torn = read_records(self.log) if self.log.exists() else ([], 0)
        past, info = Session(records), self._strategy.info
        with closing(LogWriter(self.log, self.log.stat().st_size - torn if records else 0)) as log:
            book = Book(self._ledger, past.charge(), log, past.total_microjoules)
            if not past.resumed:
                book.write("run", schema=SCHEMA)
            trials = Trials(self._spec, info, self._plan.budget.v0, DEFAULT_JOULES)
            strategy = build(self._strategy, self._plan, self._spec, trials, past)
            runner = Runner(self._plan, self._spec, strategy, trials, self._engine, book, self._directory)
            runner.open("setup")
            runner.resume(records)
            runner.search()
            runner.close("setup")
        return [record["answer"] for record in read_records(self.log)[0] if record["record"] == "ask"]

    def cut(self, share: float) -> int:
        """Leave of the log what a kill may leave: ``share`` of its records, and a torn one. Returns how many answers
        are among them."""
        lines = self.log.read_bytes().splitlines(keepends=True)
        kept = int(share * len(lines))
        self.log.write_bytes(b"".join(lines[:kept]) + lines[kept][:-9])
        return sum(record["record"] == "ask" for record in read_records(self.log)[0])


@dataclass(frozen=True)
class MadeUp:
    """What a ``ReplayEngine`` answers with, in place of a recorded table."""

    fidelity: Fidelity

    @property
    def levels(self) -> np.ndarray:
        return np.array([amount for amount in range(self.fidelity.maximum + 1) if self.fidelity.allows(amount)])

    def look_up(self, configurations: Sequence[Configuration], seeds: Sequence[int], fidelity: int) -> Answers:
        """A share of ``FAILING`` comes to no value."""
        found = np.array([value(each, fidelity) for each in configurations])
        failing = np.array([training_seed(1, each) % 100 < 100 * FAILING for each in configurations])
        values = np.where(failing, np.nan, found)
        return Answers(values, values, np.where(failing, 0, len(self.levels)))

    def energy(self, configuration: Configuration, start: int, end: int) -> Energy:
        joule = joules(configuration, end) - joules(configuration, start)
        return Energy(round(joule * 1e6), 0, 0, round(joule * 1e9), 0)


def imported(module: str, qualified_name: str) -> type[Strategy]:
    found: type[Strategy] = attrgetter(qualified_name)(import_module(module))
    return found


class StrategyContract:
    """Derive from it, name it ``Test...`` and set ``strategy``.

    trials: how many proposals each check looks at; fewer where they are slow. needs_hash_seed: the same seed gives the
    same proposals only under one ``PYTHONHASHSEED``, as every run has. kills: after what share of its log's records a
    run is killed.
    """

    strategy: ClassVar[type[Strategy]]
    trials: ClassVar[int] = 40
    needs_hash_seed: ClassVar[bool] = False
    kills: ClassVar[tuple[float, ...]] = (0.8, 0.3)

    @pytest.fixture
    def factory(self) -> type[Strategy]:
        return self.strategy

    def test_it_presents_itself(self, factory: type[Strategy]) -> None:
        info = factory.info
        assert info.name
        assert info.family
        assert info.summary
        assert info.capabilities <= set(get_args(Capability))
        assert info.library is None or package_version(info.library), f"{info.library} is not a distribution"

    @pytest.mark.parametrize("space", SPACES)
    def test_its_proposals_are_legal(self, factory: type[Strategy], space: str) -> None:
        """On conditional and mixed, on one-parameter and on small spaces, going on from completed trials only."""
        assert list(Rehearsal(factory, admitted(factory, problem(space))).proposals(self.trials))

    def test_it_copes_with_failures_and_several_outstanding_told_in_any_order(self, factory: type[Strategy]) -> None:
        given = admitted(factory, problem("mixed", workers=4))
        one, other = (list(Rehearsal(factory, given, FAILING).proposals(self.trials)) for _ in range(2))
        assert one
        assert one == other

    def test_it_copes_with_nothing_but_failures(self, factory: type[Strategy]) -> None:
        assert list(Rehearsal(factory, admitted(factory, problem("mixed")), failing=1.0).proposals(self.trials))

    @pytest.mark.parametrize("fidelity", FIDELITIES, ids=str)
    def test_it_copes_with_any_fidelity_range(self, factory: type[Strategy], fidelity: Fidelity) -> None:
        assert list(Rehearsal(factory, problem("single", fidelity)).proposals(min(self.trials, 20)))

    def test_maximising_is_minimising_the_negative(self, factory: type[Strategy]) -> None:
        given = admitted(factory, problem("mixed"))
        up, down = (Rehearsal(factory, replace(given, goal=goal)) for goal in ("minimize", "maximize"))
        assert list(up.proposals(self.trials)) == list(down.proposals(self.trials))

    def test_the_same_seed_gives_the_same_proposals_in_a_fresh_process(self, factory: type[Strategy]) -> None:
        admitted(factory, problem("mixed"))
        if self.needs_hash_seed:
            expected = records_elsewhere(factory, self.trials, PINNED["PYTHONHASHSEED"])
            assert records_elsewhere(factory, self.trials, PINNED["PYTHONHASHSEED"]) == expected
        else:
            assert records_elsewhere(factory, self.trials, "123") == records(factory, self.trials)

    @pytest.mark.parametrize("workers", [1, 4])
    def test_a_run_that_was_killed_goes_on_to_the_same_proposals(
        self, factory: type[Strategy], workers: int, tmp_path: Path
    ) -> None:
        """Several workers may end in another order after it; what was proposed before is proposed again even so."""
        run = LoggedRun(factory, admitted(factory, problem("mixed", workers=workers)), self.trials, tmp_path)
        undisturbed = run.go_on()
        for share in self.kills:
            known = run.cut(share)
            same = len(undisturbed) if workers == 1 else known
            assert run.go_on()[:same] == undisturbed[:same]

    def test_what_it_does_not_admit_is_refused_with_a_reason(self, factory: type[Strategy]) -> None:
        for needed, given in (("conditional", problem("mixed")), ("asynchronous", problem("single", workers=4))):
            reason = refusal(factory.info, given)
            assert (reason is None) == (needed in factory.info.capabilities)
            assert reason is None or (factory.info.name in reason and needed in reason)
        assert refusal(factory.info, problem("single")) is None


def admitted(strategy: type[Strategy], given: Problem) -> Problem:
    """``given``, where the strategy's capabilities admit it; skips the test otherwise."""
    if reason := refusal(strategy.info, given):
        pytest.skip(reason)
    return given
