"""How often the intervals hold the truth, and how often a strategy is told from itself, in a simulation.

Noise is skewed: most runs come near the best, a few stay far behind or fall below the default (s down to -1), and the
time to get there is exponential. What it measures is in docs/scoring.md, section 4.

    pytest -m slow tests/score/test_coverage.py -s
"""

import numpy as np
import pytest

from suite.score.efficiency import Array
from suite.score.ranks import TaskSeeds, uncertainty

REPETITIONS = 4_000
RESAMPLES = 999
KAPPA = 0.8

pytestmark = pytest.mark.slow


def drawn(rng: np.random.Generator, task: int, methods: int, seeds: int) -> TaskSeeds:
    """Methods of one distribution, independent of each other."""
    final_s = 1 - np.minimum(rng.lognormal(-1.2, 0.8, size=(methods, seeds)), 2.0)
    reached = np.minimum(rng.exponential(0.25, size=(methods, seeds)), 1.0)
    areas = 1 - final_s * (1 - reached)
    return TaskSeeds(f"p{task % 2}/{task}", final_s, areas, np.ones(methods, dtype=bool), KAPPA, None)


def simulated(tasks: int, seeds: int) -> tuple[float, float]:
    """Share of boards whose first interval covers, and share on which the two methods are separated."""
    rng = np.random.default_rng(100 * seeds + tasks)
    many = 1_000_000
    truth = float(drawn(np.random.default_rng(0), 0, 1, many).pi(np.ones((1, many)))[0, 0])
    weights: Array = np.full(tasks, 1 / tasks)
    covered = separated = 0
    for board in range(REPETITIONS):
        made = [drawn(rng, task + 10 * board, 2, seeds) for task in range(tasks)]
        found = uncertainty(made, weights, RESAMPLES)
        interval = found.pi_intervals[0]
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
        separated += found.rank_intervals[0] != (1, 2)
    return covered / REPETITIONS, separated / REPETITIONS


@pytest.mark.parametrize("tasks", [1, 4])
@pytest.mark.parametrize(("seeds", "low", "high"), [(10, 0.91, 0.98), (20, 0.93, 0.97)])
def test_intervals_cover_and_a_strategy_is_not_told_from_itself(
    tasks: int, seeds: int, low: float, high: float
) -> None:
    coverage, told = simulated(tasks, seeds)
    print(f"{seeds} seeds, {tasks} tasks: cover {coverage:.4f}, told from itself {told:.4f}")
    assert low <= coverage <= high
    error = (0.02 * 0.98 / REPETITIONS) ** 0.5
    assert 0.02 - 2 * error <= told <= 0.06 + 2 * error
