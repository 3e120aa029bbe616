"""What is saved against random search: by hand, and its interval by its coverage."""

import math

import numpy as np
import pytest

from suite.report.details import tables
from suite.score.board import HIGH, score
from suite.score.details import SAVED_AT, details
from suite.score.savings import TaskCosts, savings
from tests.score.make import run, several, spec


def test_the_ratio_is_of_means_and_geometric_over_tasks_weighted_as_pi() -> None:
    """Two tasks in one paradigm and one in another: weights 1/4, 1/4, 1/2."""
    costs = {"a/one": ([1.0, 3.0], [4.0, 4.0]), "a/two": ([2.0, 2.0], [1.0, 1.0]), "b/one": ([1.0, 1.0], [4.0, 4.0])}
    (found,) = savings([TaskCosts(name, np.array([own]), np.array(other)) for name, (own, other) in costs.items()])
    assert found.ratio == pytest.approx(0.5**0.25 * 2.0**0.25 * 0.25**0.5)
    assert (found.lowest, found.highest, found.less, found.tasks) == (pytest.approx(0.25), pytest.approx(2.0), 2, 3)


def test_seeds_are_paired() -> None:
    """Half of random search's cost under every seed, however that varies, is exactly a half."""
    random = np.array([1.0, 5.0, 2.0, 9.0])
    half, scattered = savings([TaskCosts("a/one", np.array([random / 2, random[::-1] / 2]), random)])
    assert half.interval == pytest.approx((0.5, 0.5))
    assert scattered.interval is not None
    assert scattered.interval[0] < scattered.ratio < scattered.interval[1]


def test_random_search_is_not_less_than_itself() -> None:
    random = np.random.default_rng(0).exponential(size=20)
    *_, itself = savings([TaskCosts("a/one", np.array([random / 3, random / 7, random]), random)])
    assert (itself.ratio, itself.less) == (pytest.approx(1.0), 0)


def test_one_seed_has_no_interval() -> None:
    (found,) = savings([TaskCosts("a/one", np.array([[1.0]]), np.array([4.0]))])
    assert (found.ratio, found.interval) == (0.25, None)


@pytest.mark.parametrize("seeds", [5, 20])
def test_the_interval_covers_the_truth(seeds: int) -> None:
    """Exponential costs of mean .6 and 1 on three tasks, 400 boards: 95 %, within four errors of such a share."""
    rng = np.random.default_rng(seeds)
    covered = []
    for _ in range(400):
        tasks = [
            TaskCosts(f"p/{task}", 0.6 * rng.exponential(size=(1, seeds)), rng.exponential(size=seeds))
            for task in range(3)
        ]
        (found,) = savings(tasks)
        covered.append(found.interval is not None and found.interval[0] <= 0.6 <= found.interval[1])
    assert abs(np.mean(covered) - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 400)


def test_on_a_board_failures_count_with_the_budget() -> None:
    """Own: .2 and never (1), random: .5 and .7, to s = .5."""
    own = [run((0.2, 0.6), seed=0), run((0.3, 0.4), seed=1)]
    random = several("random", [[(0.5, 0.5)], [(0.7, 0.95)]])
    found = {each.strategy: each for each in details(score([*own, *random])).overall}
    assert tuple(found["a"].savings) == SAVED_AT
    assert found["a"].savings[0.5].ratio == pytest.approx(1.2 / 1.2)
    assert found["a"].savings[HIGH].ratio == pytest.approx(2.0 / 1.7)
    assert found["random"].savings[HIGH].ratio == 1.0


def test_a_task_that_a_strategy_did_not_run_counts_as_never_reached() -> None:
    own = [run((0.2, 0.6), seed=seed) for seed in range(2)]
    random = [
        run((0.5, 0.5), strategy="random", seed=seed, task=spec(name))
        for name in ("toy/one", "toy/two")
        for seed in (0, 1)
    ]
    found = next(each for each in details(score([*own, *random])).overall if each.strategy == "a")
    assert found.savings[0.5].ratio == pytest.approx(math.sqrt(0.4 * 2.0))


def test_without_random_search_nothing_is_said_of_savings() -> None:
    board = score(several("a", [[(0.5, 0.5)], [(0.7, 0.6)]]))
    found = details(board)
    assert [each.savings for each in found.overall] == [{}]
    assert tables(board, found)[0].headers == ("Strategy", "Own", "Gap")
