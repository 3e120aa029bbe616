"""DEHB beside the ``dehb`` package: no more regret for the same total fidelity, up to noise.

The package's regrets were computed by ``dehb_package.py``; where and with what is noted beside them. Its trainings do
not go on from checkpoints, so that here promotions, too, count from the beginning.
"""

import json
from typing import Any

import pytest
from scipy.stats import mannwhitneyu

from suite.search.bandits import Hyperband
from suite.search.evolution import Dehb
from suite.search.strategy import Problem, Proposal, Strategy, Trial
from suite.task import Fidelity
from tests.search.dehb_package import RESULTS
from tests.search.synthetic import FUNCTIONS, MAXIMUM, MINIMUM, TOTAL, Point, Synthetic, final_regret

PACKAGE: dict[str, Any] = json.loads(RESULTS.read_text())
LEVEL = 0.05 / len(FUNCTIONS)  # below it a difference is no noise: it is looked for three times


def regret(factory: type[Strategy], function: Synthetic, seed: int) -> float:
    space = function.space()
    default = dict(space.get_default_configuration())
    strategy = factory(Problem(space, default, Fidelity("units", MINIMUM, MAXIMUM), "minimize", seed, float("inf")))
    asked: list[Proposal] = []

    def ask() -> tuple[Point, float]:
        proposal = strategy.ask()
        assert isinstance(proposal, Proposal)
        asked.append(proposal)
        return proposal.configuration, proposal.fidelity

    return final_regret(function, seed, ask, lambda found: strategy.tell(Trial(len(asked), asked[-1], "ok", (found,))))


def p_of_worse(factory: type[Strategy], name: str) -> float:
    """Of the one-sided rank test (Mann & Whitney 1947) for more regret than the package's, over the same seeds."""
    ours = [regret(factory, FUNCTIONS[name], seed) for seed in range(PACKAGE["seeds"])]
    return float(mannwhitneyu(ours, PACKAGE["regrets"][name], alternative="greater").pvalue)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_dehb_does_no_worse_than_the_package(name: str) -> None:
    assert PACKAGE["total_fidelity"] == TOTAL
    assert p_of_worse(Dehb, name) > LEVEL


@pytest.mark.parametrize("name", ["hartmann6", "counting-ones"])
def test_the_comparison_sees_whether_anything_evolves(name: str) -> None:
    """Hyperband has the same fidelities and draws at random where DEHB has children."""
    assert p_of_worse(Hyperband, name) < LEVEL
