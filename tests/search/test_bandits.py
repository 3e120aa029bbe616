"""Multi-fidelity strategies against the examples of their papers."""

from collections import Counter
from collections.abc import Iterator

import pytest

from suite.search.bandits import Asha, Hyperband, Ladder, Pasha, SuccessiveHalving, bracket, noise_level
from suite.search.baselines import sample, seeded
from suite.search.strategy import WAIT, Problem, Proposal, Strategy, Trial
from suite.space import canonical
from suite.task import Fidelity
from suite.testing import problem

PAPER = Fidelity("epochs", 1, 81)


def given(fidelity: Fidelity = PAPER, workers: int = 1) -> Problem:
    return problem("single", fidelity, workers=workers)


def value(proposal: Proposal) -> float:
    """x itself, at every fidelity: the order never changes."""
    return float(proposal.configuration["x"])


def run(strategy: Strategy, trials: int) -> Iterator[tuple[int, Proposal]]:
    for number in range(1, trials + 1):
        proposal = strategy.ask()
        assert isinstance(proposal, Proposal)
        yield number, proposal
        strategy.tell(Trial(number, proposal, "ok", (value(proposal),)))


def test_brackets_are_those_of_the_papers_table() -> None:
    """Li et al. 2018, table 1 (R = 81, eta = 3)."""
    assert [bracket(PAPER, depth) for depth in (4, 3, 2, 1, 0)] == [
        [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)],
        [(3, 34), (9, 11), (27, 3), (81, 1)],
        [(9, 15), (27, 5), (81, 1)],
        [(27, 8), (81, 2)],
        [(81, 5)],
    ]


def test_hyperband_asks_for_its_brackets_in_turn() -> None:
    table = [rung for depth in (4, 3, 2, 1, 0) for rung in bracket(PAPER, depth)]
    asked = [proposal.fidelity for _, proposal in run(Hyperband(given()), sum(size for _, size in table))]
    assert asked == [fidelity for fidelity, size in table for _ in range(size)]


@pytest.mark.parametrize("strategy", [Hyperband, SuccessiveHalving])
def test_the_best_third_goes_on_from_its_checkpoints(strategy: type[Hyperband]) -> None:
    asked = dict(run(strategy(given()), 81 + 27))
    best = sorted(range(1, 82), key=lambda number: value(asked[number]))[:27]
    assert [asked[number].parent for number in range(82, 109)] == best
    assert all(
        asked[number].configuration == asked[asked[number].parent or 0].configuration for number in range(82, 109)
    )


def test_successive_halving_repeats_its_deepest_bracket() -> None:
    fidelities = [proposal.fidelity for _, proposal in run(SuccessiveHalving(given()), 2 * 121)]
    assert fidelities[:121] == fidelities[121:]


def test_asha_promotes_as_soon_as_a_third_is_beaten() -> None:
    """Li et al. 2020, algorithm 2: three results on the lowest rung give one promotion, nine give a second step up."""
    asked = dict(run(Asha(given(Fidelity("epochs", 1, 9))), 13))
    fidelities = Counter(proposal.fidelity for proposal in asked.values())
    assert asked[4].fidelity == 3
    assert asked[4].parent == min((1, 2, 3), key=lambda number: value(asked[number]))
    assert fidelities == {1: 9, 3: 3, 9: 1}


def test_asha_never_waits_and_promotes_nobody_twice() -> None:
    strategy, outstanding = Asha(given(Fidelity("epochs", 1, 27), workers=4)), []
    parents = []
    for number in range(1, 120):
        proposal = strategy.ask()
        outstanding.append(Trial(number, proposal, "ok", (value(proposal),)))
        parents.append(proposal.parent)
        if len(outstanding) == 4:
            strategy.tell(outstanding.pop(0))
    promoted = [parent for parent in parents if parent is not None]
    assert promoted
    assert len(promoted) == len(set(promoted))


def test_failed_trials_are_never_promoted() -> None:
    strategy = Asha(given(Fidelity("epochs", 1, 9)))
    for number in range(1, 40):
        proposal = strategy.ask()
        assert proposal.parent is None
        strategy.tell(Trial(number, proposal, "failed", (100.0,)))


def test_pasha_stays_short_while_the_order_holds() -> None:
    assert max(proposal.fidelity for _, proposal in run(Pasha(given()), 200)) == 3


def test_pasha_trains_longer_where_the_order_changes() -> None:
    strategy = Pasha(given())
    reached = set()
    for number in range(1, 400):
        proposal = strategy.ask()
        reached.add(proposal.fidelity)
        turned = value(proposal) * (-1) ** (len(reached) and [1, 3, 9, 27, 81].index(proposal.fidelity))
        strategy.tell(Trial(number, proposal, "ok", (turned,)))
    assert max(reached) == 81


def test_pasha_takes_curves_that_cross_twice_for_noise() -> None:
    assert noise_level([(0.0, 1.0, 0.0), (0.5, 0.5, 0.5)]) == 0.5  # crosses twice
    assert noise_level([(0.0, 1.0, 2.0), (0.5, 0.5, 0.5)]) == 0.0  # once
    assert noise_level([(0.0, 0.0), (1.0, 1.0)]) == 0.0


def test_a_ladder_climbs_no_higher_than_its_highest_rung() -> None:
    setting = given()
    space = seeded(setting.space, 0)
    ladder = Ladder(setting, lambda: sample(space))
    ladder.highest = 2
    for number in range(1, 200):
        proposal = ladder.ask()
        assert proposal.fidelity <= 9
        ladder.tell(Trial(number, proposal, "ok", (value(proposal),)))


def test_synchronous_brackets_wait_for_their_rung() -> None:
    strategy = SuccessiveHalving(given(Fidelity("epochs", 1, 3), workers=4))
    first = [strategy.ask() for _ in range(3)]
    assert all(isinstance(proposal, Proposal) for proposal in first)
    assert strategy.ask() is WAIT
    assert len({canonical(proposal.configuration) for proposal in first if isinstance(proposal, Proposal)}) == 3
