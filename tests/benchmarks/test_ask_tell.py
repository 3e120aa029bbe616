"""CPU time of ask and tell through each adapter, after a hundred trials on the mixed space, beside the library driven
directly with the same seed, in turns in the same run.

Nevergrad's NGOpt proposes what it proposed before most of the time here (113 of 130), and its adapter asks on, up to
twenty times; so does the loop beside it.

    tox -e bench -- tests/benchmarks/test_ask_tell.py
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.catalog import load_strategy
from suite.runs.machine import package_version
from suite.search.nevergrad import MOST_REPEATS
from suite.search.strategy import Proposal, Strategy, Trial
from suite.space import Configuration
from suite.testing import DEFAULT_JOULES, problem, value
from tests.benchmarks.paired import Peer, beside
from tests.search.direct import (
    DEFAULT,
    FULL,
    OPTUNA,
    SEED,
    Direct,
    ThroughBotorch,
    ThroughCmaes,
    ThroughNevergrad,
    ThroughSmac,
    mixed_by_nevergrad,
)

SLOW = {"gp": (100, 30), "gp-constrained": (100, 30), "ngopt": (100, 30), "smac-gp": (30, 9), "qlognehvi": (30, 9)}
EXPECTED = 200  # trials, and so many are made of the others: the last hundred are timed
LEAST = 1 / 1.2  # of the library's own time over the adapter's
OPTIMISERS = {"ngopt": "NGOpt", "two-points-de": "TwoPointsDE"}
OTHERS = {"catcma": ThroughCmaes, "qlognehvi": ThroughBotorch}
FACADES = {"smac-rf": "HyperparameterOptimizationFacade", "smac-mf": "MultiFidelityFacade", "smac-gp": "BlackBoxFacade"}


def direct(name: str, folder: Path) -> Direct:
    """The library behind strategy ``name``. Skips the test where it is not installed."""
    info = load_strategy(name).info
    if info.extra and package_version(info.library or "") is None:
        pytest.skip(f"{name} needs the extra {info.extra}")
    if name in OPTIMISERS:
        return SomethingNew(ThroughNevergrad(OPTIMISERS[name], mixed_by_nevergrad(), EXPECTED))
    if name in FACADES:
        budgets = {"min_budget": 1, "max_budget": FULL} if name == "smac-mf" else {}
        return ThroughSmac(FACADES[name], folder, EXPECTED, **budgets)
    return OTHERS[name]() if name in OTHERS else OPTUNA[name]()


class SomethingNew:
    """``library`` asked until it has something new, ``MOST_REPEATS`` times at most; it is told the same of the rest."""

    def __init__(self, library: Direct) -> None:
        self._library = library
        self._losses: dict[tuple[object, ...], float] = {}

    def ask(self) -> tuple[Configuration, int]:
        for _ in range(MOST_REPEATS):
            configuration, fidelity = self._library.ask()
            self._key = active(configuration)
            if self._key not in self._losses:
                break
            self._library.tell(self._losses[self._key], 0.0)
        return configuration, fidelity

    def tell(self, loss: float, spent_joules: float) -> None:
        self._losses[self._key] = loss
        self._library.tell(loss, spent_joules)


def active(configuration: Configuration) -> tuple[object, ...]:
    """Values of what is active in the mixed space."""
    inactive = {"nesterov", "momentum"}
    if configuration["optimiser"] == "sgd":
        inactive = {"damping"} if configuration["nesterov"] else {"damping", "momentum"}
    return tuple(value for name, value in configuration.items() if name not in inactive)


def loss(configuration: Configuration) -> float:
    """Quickly done, and of no two configurations the same."""
    return abs(float(configuration["learning_rate"]) - 0.1) + float(configuration["width"]) / 64


def spent(configuration: Configuration) -> float:
    return 10.0 * float(configuration["depth"])


class Adapter:
    """A strategy that is asked and told, trial by trial, as a run does."""

    def __init__(self, name: str) -> None:
        factory = load_strategy(name)
        self._capabilities = factory.info.capabilities
        self._strategy: Strategy = factory(
            replace(problem("mixed", seed=SEED), budget_joules=EXPECTED * DEFAULT_JOULES)
        )
        self._number = 0
        self._strategy.tell(self._trial(Proposal(DEFAULT, FULL), value(DEFAULT, FULL), DEFAULT_JOULES))

    def step(self) -> None:
        self._number += 1
        proposal = self._strategy.ask()
        assert isinstance(proposal, Proposal)
        configuration = proposal.configuration
        self._strategy.tell(self._trial(proposal, loss(configuration), spent(configuration)))

    def _trial(self, proposal: Proposal, found: float, joules: float) -> Trial:
        objectives = (found, joules) if "objectives" in self._capabilities else (found,)
        constraints = (joules - DEFAULT_JOULES,) if "constraints" in self._capabilities else ()
        return Trial(self._number, proposal, "ok", objectives, constraints, joules)


def step(library: Direct) -> None:
    configuration, _ = library.ask()
    library.tell(loss(configuration), spent(configuration))


@pytest.mark.parametrize("name", [*OPTUNA, *OTHERS, *OPTIMISERS, *FACADES])
def test_an_adapter_takes_hardly_more_than_its_library(benchmark: Any, name: str, tmp_path: Path) -> None:
    library = direct(name, tmp_path)
    adapter = Adapter(name)
    trials, rounds = SLOW.get(name, (100, 100))
    for _ in range(trials):
        adapter.step()
        step(library)
    peer = Peer(load_strategy(name).info.library or "", lambda: step(library), "ours goes through the adapter")
    pair = beside(benchmark, f"ask and tell by `{name}`, after {trials} trials", adapter.step, peer, rounds)
    assert pair.ratio > LEAST
