"""What every strategy in the catalogue promises: the suite that ships with the package, over all of them."""

import random
from pathlib import Path
from typing import Any, ClassVar

import pytest

from suite.catalog import PERSON, STRATEGIES, load_strategy, select, strategy_names
from suite.runs.machine import package_version
from suite.runs.memory import RunError
from suite.search.baselines import Random
from suite.search.strategy import EXHAUSTED, WAIT, Problem, Proposal, Signal, Strategy, StrategyInfo, Trial, refusal
from suite.testing import LoggedRun, Rehearsal, StrategyContract, problem
from tests.examples.climber import Climber

ASK_AND_TELL = select(STRATEGIES, ["*"])  # without a person, who proposes nothing alone, and programs
PROGRAMS = [name for name in strategy_names() if name not in [*ASK_AND_TELL, PERSON]]
SLOW = {"gp", "gp-constrained", "ngopt"}  # they think long at every step
OTHERS = {"smac-gp", "smac-mf", "smac-rf", "qlognehvi"}


def installed(name: str) -> type[Strategy]:
    strategy = load_strategy(name)
    if strategy.info.extra and package_version(strategy.info.library or "") is None:
        pytest.skip(f"{name} needs the extra {strategy.info.extra}")
    return strategy


class TestCatalogue(StrategyContract):
    @pytest.fixture(params=[name for name in ASK_AND_TELL if name not in SLOW | OTHERS])
    def factory(self, request: pytest.FixtureRequest) -> type[Strategy]:
        return installed(request.param)


class TestSlow(StrategyContract):
    trials = 13  # of Gaussian processes, ten at random and then the model's
    kills = (0.8,)

    @pytest.fixture(params=sorted(SLOW))
    def factory(self, request: pytest.FixtureRequest) -> type[Strategy]:
        return installed(request.param)


class TestBotorch(StrategyContract):
    trials = 11  # ten Sobol points and then the model's
    kills = (0.9,)

    @pytest.fixture(params=["qlognehvi"])
    def factory(self, request: pytest.FixtureRequest) -> type[Strategy]:
        return installed(request.param)


class TestSmac(StrategyContract):
    trials = 9  # five of the initial design and then the model's
    needs_hash_seed = True
    kills = (0.8,)

    @pytest.fixture(params=["smac-gp", "smac-rf"])
    def factory(self, request: pytest.FixtureRequest) -> type[Strategy]:
        return installed(request.param)


class TestSmacMultiFidelity(StrategyContract):
    trials = 30  # 27 on the lowest rung and then promotions
    needs_hash_seed = True
    kills = (0.8,)

    @pytest.fixture(params=["smac-mf"])
    def factory(self, request: pytest.FixtureRequest) -> type[Strategy]:
        return installed(request.param)


class TestClimber(StrategyContract):
    strategy = Climber


@pytest.mark.parametrize("name", strategy_names())
def test_names_of_the_catalogue_are_the_strategies_own(name: str) -> None:
    assert load_strategy(name).info.name == name


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_present_themselves_and_run_alone(name: str) -> None:
    info = load_strategy(name).info
    assert info.family in ("gradient", "architecture")
    assert "program" in info.capabilities
    assert info.paper
    assert "run it with one worker" in str(refusal(info, problem("single", workers=4)))


@pytest.mark.parametrize("name", [name for name in ASK_AND_TELL if name != "default"])
def test_another_seed_proposes_something_else(name: str) -> None:
    one, other = (list(Rehearsal(installed(name), problem("mixed", seed=seed)).proposals(5)) for seed in (0, 1))
    assert one != other


class Scripted:
    """Answers what it is told to."""

    info = StrategyInfo("scripted", family="examples", summary="for tests", capabilities=frozenset({"conditional"}))
    answers: ClassVar[list[Proposal | Signal]] = []

    def __init__(self, given: Problem) -> None:
        self.left = list(self.answers)

    def ask(self) -> Proposal | Signal:
        return self.left.pop(0)

    def tell(self, trial: Trial) -> None:
        """Nothing is learned."""


HALF = {"x": 0.5}


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([WAIT], "no trial is outstanding"),
        ([EXHAUSTED, WAIT], "no proposal ever comes again"),
        ([Proposal({"x": 2.0}, 27)], "illegal configuration"),
        ([Proposal(HALF, 28)], "asked for fidelity 28"),
        ([Proposal(HALF, 9)], "does not declare the capability 'fidelity'"),
        ([Proposal(HALF, 27), Proposal(HALF, 27, parent=2)], "not a completed trial"),
        ([Proposal(HALF, 27), Proposal({"x": 0.6}, 27, parent=1)], "in mid-training"),
    ],
)
def test_the_suite_sees_a_breach(monkeypatch: pytest.MonkeyPatch, answers: list[Any], message: str) -> None:
    monkeypatch.setattr(Scripted, "answers", answers)
    with pytest.raises((AssertionError, RunError), match=message):
        list(Rehearsal(Scripted, problem("single")).proposals(9))


def test_going_on_from_a_failed_trial_is_a_breach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "answers", [Proposal(HALF, 27), Proposal(HALF, 27, parent=1)])
    with pytest.raises(RunError, match="not a completed trial"):
        list(Rehearsal(Scripted, problem("single"), failing=1.0).proposals(9))


class Astray:
    """Draws from a generator that is not its own."""

    info = StrategyInfo("astray", family="examples", summary="for tests")

    def __init__(self, given: Problem) -> None:
        self.fidelity = given.fidelity.maximum

    def ask(self) -> Proposal:
        return Proposal({"x": random.random()}, self.fidelity)

    def tell(self, trial: Trial) -> None:
        """Nothing is learned."""


def test_proposals_that_a_killed_run_would_not_make_again_are_a_breach(tmp_path: Path) -> None:
    run = LoggedRun(Astray, problem("single"), 10, tmp_path)
    run.go_on()
    run.cut(0.8)
    with pytest.raises(RunError, match="strategy astray is not deterministic"):
        run.go_on()


def test_a_killed_run_is_told_again_what_it_was_told(tmp_path: Path) -> None:
    """Values, joules and failures come from the log as they went into it."""
    Remembering.told.clear()
    run = LoggedRun(Remembering, problem("mixed"), 20, tmp_path)
    run.go_on()
    undisturbed = Remembering.told.copy()
    assert {trial.status for trial in undisturbed} == {"ok", "failed"}
    Remembering.told.clear()
    run.cut(0.8)
    run.go_on()
    assert Remembering.told == undisturbed


class Remembering(Random):
    """Random search that keeps what it is told."""

    told: ClassVar[list[Trial]] = []

    def tell(self, trial: Trial) -> None:
        self.told.append(trial)
