"""Adapters add nothing: the library, driven directly with the same seed, proposes the same, one by one.

The mixed space is spelt out here in each library's own words, so that no adapter is compared with itself.
"""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from cmaes import CatCMAwM

from suite.search.bayesian import ConstrainedGp, Gp, OptunaStrategy, Tpe
from suite.search.cube import from_unit_cube
from suite.search.evolution import CatCma, CmaEs, Nsga2
from suite.search.nevergrad import NevergradStrategy, NgOpt, TwoPointsDe
from suite.search.smac import SmacGp, SmacMf, SmacRf, SmacStrategy
from suite.space import Configuration, complete
from suite.testing import DEFAULT_JOULES, Rehearsal, joules, mixed, problem, value

SEED = 11
FULL = 27
DEFAULT = {
    "optimiser": "adam",
    "learning_rate": 1e-2,
    "width": 16,
    "depth": 2,
    "kernel": 5,
    "damping": 0.1,
}
DISTRIBUTIONS: dict[str, optuna.distributions.BaseDistribution] = {
    "depth": optuna.distributions.IntDistribution(1, 4),
    "kernel": optuna.distributions.CategoricalDistribution([3, 5, 7]),
    "learning_rate": optuna.distributions.FloatDistribution(1e-4, 1.0, log=True),
    "optimiser": optuna.distributions.CategoricalDistribution(["adam", "sgd"]),
    "width": optuna.distributions.IntDistribution(1, 64, log=True),
    "damping": optuna.distributions.FloatDistribution(0.0, 1.0),
}


def suggested(trial: optuna.Trial) -> Configuration:
    found: dict[str, Any] = {
        "depth": trial.suggest_int("depth", 1, 4),
        "kernel": trial.suggest_categorical("kernel", [3, 5, 7]),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1.0, log=True),
        "optimiser": trial.suggest_categorical("optimiser", ["adam", "sgd"]),
        "width": trial.suggest_int("width", 1, 64, log=True),
    }
    if found["optimiser"] == "adam":
        found["damping"] = trial.suggest_float("damping", 0.0, 1.0)
    else:
        found["nesterov"] = trial.suggest_categorical("nesterov", [True, False])
        if found["nesterov"]:
            found["momentum"] = trial.suggest_float("momentum", 0.0, 0.99)
    return found


def through_optuna(sampler: optuna.samplers.BaseSampler, count: int, two: bool, constrained: bool) -> list[Any]:
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * (1 + two))
    zero = [value(DEFAULT, FULL), DEFAULT_JOULES][: 1 + two]
    limits = {"energy": 0.0} if constrained else None
    study.add_trial(optuna.create_trial(params=DEFAULT, distributions=DISTRIBUTIONS, values=zero, constraints=limits))
    found = []
    for _ in range(count):
        trial = study.ask()
        found.append(suggested(trial))
        spent = joules(found[-1], FULL)
        if constrained:
            trial.set_constraint("energy", spent - DEFAULT_JOULES)
        study.tell(trial, [value(found[-1], FULL), spent][: 1 + two])
    return found


def tpe() -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=SEED, multivariate=True, group=True)


def gp() -> optuna.samplers.BaseSampler:
    return optuna.samplers.GPSampler(seed=SEED, warn_independent_sampling=False)


def cma() -> optuna.samplers.BaseSampler:
    return optuna.samplers.CmaEsSampler(seed=SEED, warn_independent_sampling=False)


def nsga2() -> optuna.samplers.BaseSampler:
    return optuna.samplers.NSGAIISampler(seed=SEED, population_size=10)


@pytest.mark.parametrize(
    ("strategy", "sampler", "count"),
    [(Tpe, tpe, 40), (CmaEs, cma, 40), (Nsga2, nsga2, 40), (Gp, gp, 15), (ConstrainedGp, gp, 15)],
)
def test_optuna(strategy: type[OptunaStrategy], sampler: Callable[[], Any], count: int) -> None:
    expected = through_optuna(
        sampler(), count, two="objectives" in strategy.info.capabilities, constrained=strategy is ConstrainedGp
    )
    assert proposed(strategy, count) == expected


def test_catcma() -> None:
    """Depth, kernel and width go in steps, each where its values stand in the unit cube; see ``suite.search.cube``."""
    widths = [float(np.log(width / 0.5) / np.log(64.5 / 0.5)) for width in range(1, 65)]
    steps = [[1 / 8, 3 / 8, 5 / 8, 7 / 8], [1 / 6, 1 / 2, 5 / 6], widths]
    optimizer = CatCMAwM(x_space=[[0.0, 1.0]] * 3, z_space=steps, c_space=[2, 2], seed=SEED)
    expected: list[Configuration] = []
    while len(expected) < 60:
        told = []
        for _ in range(optimizer.population_size):
            solution = optimizer.ask()
            rate, damping, momentum = solution.x
            depth, kernel, width = solution.z
            optimiser, nesterov = (0.25 if choice[0] else 0.75 for choice in solution.c)
            point = np.array([depth, kernel, rate, optimiser, width, damping, nesterov, momentum])
            expected.append(from_unit_cube(mixed(), point))
            told.append((solution, value(expected[-1], FULL)))
        optimizer.tell(told)
    assert proposed(CatCma, len(expected)) == expected


@pytest.mark.parametrize("strategy", [NgOpt, TwoPointsDe])
def test_nevergrad(strategy: type[NevergradStrategy]) -> None:
    """Of what Nevergrad asks for, all that is new; it is told the same of what is not."""
    ng = pytest.importorskip("nevergrad", reason="needs the extra nevergrad")
    parametrization = ng.p.Dict(x=ng.p.Scalar(lower=0.0, upper=1.0))
    parametrization.random_state.seed(SEED)
    budget = round(problem("single").budget_joules / DEFAULT_JOULES)
    asked = [{"x": 0.5}]  # trial 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = ng.optimizers.registry[strategy.optimiser](parametrization, budget=budget, num_workers=1)
        for _ in range(20):
            candidate = optimizer.ask()
            if candidate.value not in asked:
                asked.append(candidate.value)
            optimizer.tell(candidate, value(candidate.value, FULL))
    assert proposed(strategy, len(asked) - 1, "single") == asked[1:]


@pytest.mark.parametrize("strategy", [NgOpt, TwoPointsDe])
def test_nevergrad_trains_nothing_twice_while_there_is_something_new(strategy: type[NevergradStrategy]) -> None:
    pytest.importorskip("nevergrad", reason="needs the extra nevergrad")
    found = proposed(strategy, 5, "categories")
    assert len({*map(repr, found), repr({"colour": "red", "large": True})}) == 6


@pytest.mark.parametrize(("strategy", "count"), [(SmacRf, 15), (SmacGp, 10), (SmacMf, 60)])
def test_smac(strategy: type[SmacStrategy], count: int, tmp_path: Path) -> None:
    smac = pytest.importorskip("smac", reason="needs the extra smac")
    space, budgets = mixed(), {"min_budget": 1, "max_budget": FULL} if strategy is SmacMf else {}
    scenario = smac.Scenario(
        space,
        output_directory=tmp_path,
        deterministic=True,
        n_trials=round(problem("mixed").budget_joules / DEFAULT_JOULES),
        seed=SEED,
        **budgets,
    )
    facade = getattr(smac, strategy.facade)(scenario, overwrite=True, logging_level=False)
    expected = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(count):
            info = facade.ask()
            configuration, fidelity = complete(space, dict(info.config)), round(info.budget or FULL)
            expected.append((configuration, fidelity))
            facade.tell(info, smac.runhistory.TrialValue(cost=value(configuration, fidelity)), save=False)
    found = list(Rehearsal(strategy, problem("mixed", seed=SEED)).proposals(count))
    assert [(proposal.configuration, proposal.fidelity) for proposal in found] == expected


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


@pytest.mark.parametrize(("library", "strategy"), [("nevergrad", NgOpt), ("smac", SmacRf)])
def test_a_missing_library_is_noticed_before_the_search(
    monkeypatch: pytest.MonkeyPatch, library: str, strategy: Any
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=library):
        strategy(problem("single"))


def proposed(strategy: Any, count: int, space: str = "mixed") -> list[Configuration]:
    rehearsal = Rehearsal(strategy, problem(space, seed=SEED))
    return [dict(proposal.configuration) for proposal in rehearsal.proposals(count)]
