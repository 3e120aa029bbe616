"""What every strategy in the catalogue promises."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from suite.catalog import PERSON, load_strategy, strategy_names
from suite.search.strategy import EXHAUSTED, WAIT, Problem, Proposal, Strategy, Trial
from suite.space import canonical, complete
from suite.task import Fidelity
from tests.contracts.spaces import SPACES, problem, trial_of

STRATEGIES = [name for name in strategy_names() if name != PERSON]  # who proposes nothing by itself


def started(name: str, given: Problem) -> Strategy:
    """The strategy, told of trial 0 as a run does."""
    strategy = load_strategy(name)(given)
    zero = Proposal(given.default, given.fidelity.maximum)
    strategy.tell(trial_of(0, zero, strategy.info, sign=1.0 if given.goal == "minimize" else -1.0))
    return strategy


def search(name: str, given: Problem, trials: int, outstanding: int = 1, failing: float = 0.0) -> Iterator[Proposal]:
    """Proposals of a search that keeps so many outstanding and tells the latest first."""
    strategy, number = started(name, given), 0
    open_: list[Trial] = []
    while number < trials:
        answer = strategy.ask()
        if isinstance(answer, Proposal):
            number += 1
            yield answer
            open_.append(trial_of(number, answer, strategy.info, failing))
        elif answer is EXHAUSTED:
            return
        assert open_ or answer is not WAIT, "WAIT though nothing is outstanding"
        if len(open_) == outstanding or answer is WAIT:
            strategy.tell(open_.pop())


def record(proposal: Proposal) -> tuple[str, int, int | None]:
    return canonical(proposal.configuration), proposal.fidelity, proposal.parent


def changed(parent: Proposal, proposal: Proposal) -> set[str]:
    """Hyper-parameters in which ``proposal`` differs from its parent."""
    one, other = parent.configuration, proposal.configuration
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("space", SPACES)
def test_proposals_are_legal(name: str, space: str) -> None:
    given = problem(space)
    seen: dict[int, Proposal] = {}
    for number, proposal in enumerate(search(name, given, 40), 1):
        assert complete(given.space, proposal.configuration) == proposal.configuration
        assert given.fidelity.allows(proposal.fidelity)
        if proposal.parent is not None:
            parent = seen[proposal.parent]
            if "mutation" not in load_strategy(name).info.capabilities:
                assert parent.configuration == proposal.configuration
            assert parent.fidelity <= proposal.fidelity
            assert changed(parent, proposal) <= given.mutable
        seen[number] = proposal
    assert seen


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_copes_with_failures_and_several_outstanding_told_in_any_order(name: str) -> None:
    proposals = list(search(name, problem("mixed", workers=4), 60, outstanding=4, failing=0.12))
    assert proposals == list(search(name, problem("mixed", workers=4), 60, outstanding=4, failing=0.12))


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_copes_with_nothing_but_failures(name: str) -> None:
    assert list(search(name, problem("mixed"), 30, failing=1.0))


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("fidelity", [Fidelity("steps", 5, 5), Fidelity("steps", 1, 2), Fidelity("steps", 10, 100, 40)])
def test_it_copes_with_any_fidelity_range(name: str, fidelity: Fidelity) -> None:
    for proposal in search(name, problem("single", fidelity), 20):
        assert fidelity.allows(proposal.fidelity)
        if "fidelity" not in load_strategy(name).info.capabilities:
            assert proposal.fidelity == fidelity.maximum


@pytest.mark.parametrize("name", STRATEGIES)
def test_maximising_is_minimising_the_negative(name: str) -> None:
    given = problem("mixed")
    upside_down = Problem(**{**vars(given), "goal": "maximize"})
    one, other = started(name, given), started(name, upside_down)
    for number in range(1, 31):
        answer, mirrored = one.ask(), other.ask()
        assert answer == mirrored
        if not isinstance(answer, Proposal):
            break
        one.tell(trial_of(number, answer, one.info))
        other.tell(trial_of(number, answer, other.info, sign=-1.0))


@pytest.mark.parametrize("name", STRATEGIES)
def test_another_seed_proposes_something_else(name: str) -> None:
    if name == "default":
        return
    one, other = (list(search(name, problem("mixed", seed=seed), 5)) for seed in (0, 1))
    assert one != other


def test_the_same_proposals_in_a_fresh_process() -> None:
    expected = {
        name: [list(record(p)) for p in search(name, problem("mixed"), 25, failing=0.12)] for name in STRATEGIES
    }
    assert json.loads(_in_fresh_process()) == expected


def _in_fresh_process() -> str:
    code = (
        "import json\n"
        "from tests.contracts.test_strategies import STRATEGIES, problem, record, search\n"
        "print(json.dumps({n: [record(p) for p in search(n, problem('mixed'), 25, failing=0.12)] for n in STRATEGIES}))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    return subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_presents_itself(name: str) -> None:
    info = load_strategy(name).info
    assert info.name == name
    assert info.family
    assert info.summary
    assert info.capabilities <= {
        "conditional",
        "fidelity",
        "asynchronous",
        "mutation",
        "objectives",
        "constraints",
        "program",
    }
