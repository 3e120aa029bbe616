"""Our own entry: what it promises of how it spends its joules."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace
from scipy.stats import qmc

from suite.search.carbon_aware import FIRST, CarbonAware
from suite.search.cube import Cube
from suite.search.strategy import EXHAUSTED, Problem, Proposal, Trial
from suite.space import Configuration, canonical
from suite.task import Fidelity
from suite.testing import problem

Loss = Callable[[Configuration, int], float]  # of the configuration and the epochs
Joules = Callable[[Configuration], float]  # an epoch
FULL = 27
SPACE = ConfigurationSpace({"x": (0.0, 1.0), "y": (0.0, 1.0)})
PROBLEM = replace(
    problem("mixed", Fidelity("epochs", 1, FULL)),
    space=SPACE,
    default={"x": 0.5, "y": 0.5},
    mutable=frozenset(),
    budget_joules=1e4,
)


def quality(configuration: Configuration) -> float:
    """Uniform from 0 to 1, and nothing that a model could learn."""
    return int.from_bytes(hashlib.sha256(canonical(configuration).encode()).digest()[:4]) / 2**32


def search(loss: Loss, trials: int, joules: Joules = lambda _: 1.0, given: Problem = PROBLEM) -> list[Proposal]:
    """What was proposed."""
    strategy, asked = CarbonAware(given), list[Proposal]()
    for number in range(1, trials + 1):
        proposal = strategy.ask()
        if proposal is EXHAUSTED:
            break
        assert isinstance(proposal, Proposal)
        asked.append(proposal)
        epochs = proposal.fidelity - (asked[proposal.parent - 1].fidelity if proposal.parent else 0)
        value = loss(proposal.configuration, proposal.fidelity)
        strategy.tell(Trial(number, proposal, "ok", (value,), joules=epochs * joules(proposal.configuration)))
    return asked


def begun(asked: list[Proposal]) -> list[Configuration]:
    return [proposal.configuration for proposal in asked if proposal.parent is None]


def by_the_model(asked: list[Proposal]) -> list[Configuration]:
    return begun(asked)[2 * FIRST + 1 :: 2]


def test_what_is_promising_after_a_short_training_goes_on_from_there() -> None:
    asked = search(lambda configuration, epochs: quality(configuration) + 1 / epochs, 200)
    in_full = [proposal for proposal in asked if proposal.fidelity == FULL]
    assert in_full
    assert min(quality(each.configuration) for each in in_full) < 0.1
    assert all(each.parent for each in in_full)


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda configuration, epochs: quality(configuration) if epochs == 1 else 0.5, id="short ones lie"),
        pytest.param(lambda configuration, epochs: quality(configuration) if epochs == FULL else 1.0, id="only full"),
    ],
)
def test_every_other_configuration_is_spread_evenly_whatever_the_model_says(loss: Loss) -> None:
    made = begun(search(loss, 100))
    points = qmc.Sobol(d=len(PROBLEM.space), scramble=True, rng=np.random.default_rng(PROBLEM.seed)).random(2048)
    cube = Cube(PROBLEM.space)
    even = {canonical(cube.configuration(point)) for point in points}
    assert len(made) > 2 * FIRST
    assert all(canonical(each) in even for each in made[::2])


def test_the_model_draws_near_what_is_good() -> None:
    made = by_the_model(search(lambda configuration, _: abs(configuration["x"] - 0.3), 150))
    assert np.median([abs(each["x"] - 0.3) for each in made]) < 0.1  # .25 where they are spread evenly


def test_of_two_equally_good_it_begins_with_the_cheaper() -> None:
    """Good at both ends of a range, whose one end takes forty times the joules of the other."""

    def loss(configuration: Configuration, _: int) -> float:
        return -abs(float(configuration["x"]) - 0.5)

    def share_of_cheap(joules: Joules) -> float:
        return float(np.mean([each["x"] < 0.5 for each in by_the_model(search(loss, 150, joules))]))

    assert share_of_cheap(lambda configuration: 40 ** float(configuration["x"])) > 0.7
    assert share_of_cheap(lambda configuration: 40 ** (1 - float(configuration["x"]))) < 0.3


def test_it_ends_where_nothing_is_to_be_gained_and_not_before_a_full_training() -> None:
    asked = search(lambda configuration, epochs: 1.0, 1000)
    assert len(asked) < 1000
    assert any(proposal.fidelity == FULL for proposal in asked)


def test_without_a_budget_it_never_ends() -> None:
    endless = replace(PROBLEM, budget_joules=float("inf"))
    assert len(search(lambda configuration, epochs: 1.0, 300, given=endless)) == 300
