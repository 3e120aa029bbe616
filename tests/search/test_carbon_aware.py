"""Our own entry: what it promises of how it spends its joules."""

import hashlib
from collections import defaultdict
from collections.abc import Callable

import pytest

from suite.search.carbon_aware import FIRST, MOST_OF_A_RUNG, CarbonAware
from suite.search.strategy import EXHAUSTED, Proposal, Trial
from suite.space import Configuration, canonical
from suite.task import Fidelity
from suite.testing import problem

Loss = Callable[[float, int], float]  # of how good the configuration is, uniform from 0 to 1, and the epochs


def quality(configuration: Configuration) -> float:
    return int.from_bytes(hashlib.sha256(canonical(configuration).encode()).digest()[:4]) / 2**32


def spent(loss: Loss, trials: int, start_joules: float = 0.0) -> tuple[dict[int, float], list[Proposal]]:
    """Joules by the fidelity that they led to, where each epoch costs one, and what was proposed. start_joules: what a
    new configuration costs before its first epoch."""
    strategy = CarbonAware(problem("mixed", Fidelity("epochs", 1, 27)))
    joules: dict[int, float] = defaultdict(float)
    asked: list[Proposal] = []
    for number in range(1, trials + 1):
        proposal = strategy.ask()
        if proposal is EXHAUSTED:
            break
        assert isinstance(proposal, Proposal)
        asked.append(proposal)
        took = proposal.fidelity - (asked[proposal.parent - 1].fidelity if proposal.parent else -start_joules)
        joules[proposal.fidelity] += took
        value = loss(quality(proposal.configuration), proposal.fidelity)
        strategy.tell(Trial(number, proposal, "ok", (value,), joules=took))
    return joules, asked


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda x, epochs: (x if epochs == 1 else 0.5) + 1e-3 * epochs, id="short trainings are noise"),
        pytest.param(lambda x, epochs: x if epochs == 27 else 1.0, id="only full trainings tell"),
    ],
)
def test_short_trainings_take_no_more_than_half(loss: Loss) -> None:
    """Those before there is a model aside; new configurations are dear here, so that promotions seem to pay less."""
    start_joules = 8.0
    joules, _ = spent(loss, 200, start_joules)
    assert joules[1] - FIRST * (1 + start_joules) <= MOST_OF_A_RUNG * sum(joules.values())
    assert joules[27] > 0


def test_what_is_promising_after_a_short_training_goes_on_from_there() -> None:
    joules, asked = spent(lambda x, epochs: x + 1 / epochs, 60)
    assert 27 in joules
    best = [proposal for proposal in asked if proposal.fidelity == 27]
    assert min(quality(each.configuration) for each in best) < 0.2
    assert all(each.parent for each in best)
