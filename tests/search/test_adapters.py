"""Adapters add nothing: the library, driven directly with the same seed, proposes the same, one by one."""

import sys
from pathlib import Path
from typing import Any

import pytest

from suite.catalog import load_strategy
from suite.search.botorch import QLogNehvi
from suite.search.evolution import CatCma
from suite.search.nevergrad import NevergradStrategy, NgOpt, TwoPointsDe
from suite.search.smac import SmacGp, SmacMf, SmacRf, SmacStrategy
from suite.space import Configuration
from suite.testing import Rehearsal, joules, problem, value
from tests.search.direct import (
    FULL,
    OPTUNA,
    SEED,
    Direct,
    ThroughBotorch,
    ThroughCmaes,
    ThroughNevergrad,
    ThroughSmac,
    single_by_nevergrad,
)


def driven(library: Direct, count: int) -> list[tuple[Configuration, int]]:
    """What the library proposes by itself."""
    found = []
    for _ in range(count):
        configuration, fidelity = library.ask()
        found.append((configuration, fidelity))
        library.tell(value(configuration, fidelity), joules(configuration, fidelity))
    return found


def proposed(strategy: Any, count: int, space: str = "mixed") -> list[tuple[Configuration, int]]:
    """What the adapter proposes."""
    rehearsal = Rehearsal(strategy, problem(space, seed=SEED))
    return [(dict(proposal.configuration), proposal.fidelity) for proposal in rehearsal.proposals(count)]


@pytest.mark.parametrize(
    ("name", "count"), [("tpe", 40), ("cma-es", 40), ("nsga2", 40), ("gp", 15), ("gp-constrained", 15)]
)
def test_optuna(name: str, count: int) -> None:
    assert proposed(load_strategy(name), count) == driven(OPTUNA[name](), count)


def test_catcma() -> None:
    assert proposed(CatCma, 60) == driven(ThroughCmaes(), 60)


@pytest.mark.parametrize("strategy", [NgOpt, TwoPointsDe])
def test_nevergrad(strategy: type[NevergradStrategy]) -> None:
    """Of what Nevergrad asks for, all that is new; it is told the same of what is not."""
    pytest.importorskip("nevergrad", reason="needs the extra nevergrad")
    new: list[tuple[Configuration, int]] = []
    for asked in driven(ThroughNevergrad(strategy.optimiser, single_by_nevergrad()), 20):
        if asked not in [({"x": 0.5}, FULL), *new]:  # trial 0
            new.append(asked)
    assert proposed(strategy, len(new), "single") == new


@pytest.mark.parametrize("strategy", [NgOpt, TwoPointsDe])
def test_nevergrad_trains_nothing_twice_while_there_is_something_new(strategy: type[NevergradStrategy]) -> None:
    pytest.importorskip("nevergrad", reason="needs the extra nevergrad")
    found = proposed(strategy, 5, "categories")
    assert len({repr(configuration) for configuration, _ in [*found, ({"colour": "red", "large": True}, FULL)]}) == 6


def test_botorch() -> None:
    """Without the kernel that BoTorch compiles where it can."""
    pytest.importorskip("botorch", reason="needs the extra botorch")
    from botorch.acquisition.multi_objective import logei

    found = proposed(QLogNehvi, 13)
    assert logei._C is None
    assert driven(ThroughBotorch(), 13) == found


@pytest.mark.parametrize(("strategy", "count"), [(SmacRf, 15), (SmacGp, 10), (SmacMf, 60)])
def test_smac(strategy: type[SmacStrategy], count: int, tmp_path: Path) -> None:
    pytest.importorskip("smac", reason="needs the extra smac")
    budgets = {"min_budget": 1, "max_budget": FULL} if strategy is SmacMf else {}
    assert proposed(strategy, count) == driven(ThroughSmac(strategy.facade, tmp_path, **budgets), count)


def test_smac_goes_on_from_checkpoints() -> None:
    """In the first bracket whatever is trained longer was trained a third as long before."""
    pytest.importorskip("smac", reason="needs the extra smac")
    found = dict(enumerate(Rehearsal(SmacMf, problem("mixed", seed=SEED)).proposals(39), 1))
    longer = [proposal for proposal in found.values() if proposal.fidelity > 1]
    assert [proposal.fidelity for proposal in longer] == [3] * 9 + [9] * 3 + [27]
    for proposal in longer:
        assert proposal.parent is not None
        parent = found[proposal.parent]
        assert (parent.configuration, 3 * parent.fidelity) == (proposal.configuration, proposal.fidelity)


@pytest.mark.parametrize(("library", "strategy"), [("nevergrad", NgOpt), ("smac", SmacRf), ("botorch", QLogNehvi)])
def test_a_missing_library_is_noticed_before_the_search(
    monkeypatch: pytest.MonkeyPatch, library: str, strategy: Any
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=library):
        strategy(problem("single"))
