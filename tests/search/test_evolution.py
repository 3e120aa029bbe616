"""Evolution and populations against their papers."""

import numpy as np
import pytest

from suite.search.bandits import bracket
from suite.search.baselines import sample, seeded
from suite.search.bayesian import Bohb
from suite.search.evolution import POPULATION, Dehb, RegularisedEvolution, mutated
from suite.search.population import INTERVALS, Pbt, perturbed
from suite.search.population import POPULATION as MEMBERS
from suite.search.strategy import WAIT, Proposal, Strategy, Trial
from suite.space import Configuration, canonical
from suite.task import Fidelity
from suite.testing import mixed, problem


def differences(one: Configuration, other: Configuration) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


def ask(strategy: Strategy) -> Proposal:
    proposal = strategy.ask()
    assert isinstance(proposal, Proposal)
    return proposal


def test_a_child_differs_in_one_hyper_parameter_and_what_hangs_on_it() -> None:
    space, random = seeded(mixed(), 0), np.random.default_rng(0)
    parent = dict(space.get_default_configuration())
    touched = set()
    for _ in range(200):
        changed = differences(parent, mutated(parent, space, random))
        touched |= changed
        assert len(changed) <= 1 or "optimiser" in changed
    assert touched >= {"learning_rate", "width", "depth", "kernel", "optimiser", "damping"}


def test_the_old_die_however_good_they_are() -> None:
    """Real et al. 2019: with ageing, a lucky member leaves no trace once its line does no better."""
    strategy = RegularisedEvolution(problem("single"))
    lucky = ask(strategy)
    strategy.tell(Trial(1, lucky, "ok", (-1000.0,)))
    for number in range(2, 2 + POPULATION):
        proposal = ask(strategy)
        strategy.tell(Trial(number, proposal, "ok", (0.0,)))
    assert all(member is not lucky.configuration for _, member in strategy._population)


def test_evolution_goes_down_a_slope() -> None:
    strategy = RegularisedEvolution(problem("mixed", seed=1))
    values = []
    for number in range(1, 151):
        proposal = ask(strategy)
        values.append(float(proposal.configuration["width"]) / 64 + float(proposal.configuration["depth"]) / 4)
        strategy.tell(Trial(number, proposal, "ok", (values[-1],)))
    assert np.mean(values[-30:]) < 0.6 * np.mean(values[:POPULATION])


def test_dehb_asks_for_the_fidelities_of_hyperband() -> None:
    fidelity = Fidelity("epochs", 1, 27)
    strategy = Dehb(problem("mixed", fidelity))
    table = [rung for depth in (3, 2, 1, 0, 3) for rung in bracket(fidelity, depth)]
    for number, expected in enumerate([amount for amount, size in table for _ in range(size)], 1):
        proposal = ask(strategy)
        assert proposal.fidelity == expected
        assert (proposal.parent is not None) == (27 < number <= 40)  # promotions in the first bracket alone
        strategy.tell(Trial(number, proposal, "ok", (float(proposal.configuration["depth"]),)))


def test_a_dehb_child_replaces_its_target_only_where_it_is_not_worse() -> None:
    strategy = Dehb(problem("single", Fidelity("epochs", 3, 3)))
    best: list[float] = []
    for number in range(1, 60):
        proposal = ask(strategy)
        strategy.tell(Trial(number, proposal, "ok", (float(proposal.configuration["x"]),)))
        best.append(min(member.loss for member in strategy._populations[3]))
    assert best == sorted(best, reverse=True)


def test_dehb_closes_in() -> None:
    strategy = Dehb(problem("single", Fidelity("epochs", 1, 27), seed=0))
    last = []
    for number in range(1, 300):
        proposal = ask(strategy)
        last.append(abs(float(proposal.configuration["x"]) - 0.3))
        strategy.tell(Trial(number, proposal, "ok", (last[-1],)))
    assert np.mean(last[-100:]) < 0.5 * np.mean(last[:27])


def test_bohb_draws_where_its_model_says() -> None:
    strategy = Bohb(problem("single", Fidelity("epochs", 1, 9), seed=0))
    distances = []
    for number in range(1, 150):
        proposal = ask(strategy)
        distance = abs(float(proposal.configuration["x"]) - 0.7)
        if proposal.parent is None:
            distances.append(distance)
        strategy.tell(Trial(number, proposal, "ok", (distance,)))
    uniform = (0.7**2 + 0.3**2) / 2  # mean distance of draws without a model
    assert np.mean(distances[30:]) < 0.75 * uniform


def test_pbt_trains_its_population_in_intervals() -> None:
    strategy = Pbt(problem("mixed", Fidelity("epochs", 1, 80)))
    first = [ask(strategy) for _ in range(MEMBERS)]
    assert {proposal.fidelity for proposal in first} == {80 // INTERVALS}
    assert strategy.ask() is WAIT
    assert all(proposal.parent is None for proposal in first)


@pytest.mark.parametrize(
    "fidelity",
    [Fidelity("epochs", 1, 30), Fidelity("epochs", 1, 12), Fidelity("steps", 20, 600, 20), Fidelity("epochs", 1, 3)],
    ids=str,
)
def test_pbt_trains_its_members_in_full_whatever_the_intervals_are_rounded_to(fidelity: Fidelity) -> None:
    strategy = Pbt(problem("mixed", fidelity))
    asked: dict[int, Proposal] = {}
    for number in range(1, 3 * MEMBERS * INTERVALS):
        proposal = asked[number] = ask(strategy)
        assert proposal.parent is None or proposal.fidelity > asked[proposal.parent].fidelity
        strategy.tell(Trial(number, proposal, "ok", (float(number),)))
    full = [proposal for proposal in asked.values() if proposal.fidelity == fidelity.maximum]
    assert len(full) >= MEMBERS


def test_pbt_lets_the_worst_go_on_from_the_best() -> None:
    """Jaderberg et al. 2017: the weights are copied as they are, what may change is perturbed."""
    setting = problem("mixed", Fidelity("epochs", 1, 80))
    strategy = Pbt(setting)
    first = {number: ask(strategy) for number in range(1, MEMBERS + 1)}
    for number, proposal in first.items():
        strategy.tell(Trial(number, proposal, "ok", (float(number),)))
    second = [ask(strategy) for _ in range(MEMBERS)]
    donors, losers = {1, 2}, {MEMBERS - 1, MEMBERS}
    parents = [proposal.parent for proposal in second]
    assert set(parents) == set(first) - losers
    for place, proposal in enumerate(second, 1):
        parent = proposal.parent
        assert parent is not None
        if place in losers:
            assert parent in donors
            assert differences(first[parent].configuration, proposal.configuration) <= setting.mutable
        else:
            assert parent == place
            assert proposal.configuration == first[place].configuration


@pytest.mark.parametrize("seed", range(20))
def test_perturbation_keeps_to_the_range_and_to_what_may_change(seed: int) -> None:
    space = seeded(mixed(), seed)
    configuration = sample(space)
    changed = perturbed(configuration, space, frozenset({"learning_rate", "damping"}), np.random.default_rng(seed))
    assert differences(configuration, changed) <= {"learning_rate", "damping"}
    assert 1e-4 <= float(changed["learning_rate"]) <= 1.0
    assert canonical(configuration) != canonical(changed)
