"""Statistics beside the libraries that are known for them, on random inputs. Each is skipped where it is not installed.

tox -e oracles
"""

import numpy as np
import pytest

from suite.score.check import holm
from suite.score.curve import curve
from suite.score.efficiency import weights
from suite.score.fronts import attainment, hypervolume, points
from suite.score.profiles import interquartile_mean, shares_above
from suite.score.ranks import TaskSeeds, improvement
from suite.score.targets import kaplan_meier, to_target
from tests.score.make import run

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs
DRAWS = range(5)


@pytest.mark.parametrize("seed", DRAWS)
def test_interquartile_mean_and_profile_are_rliables(seed: int) -> None:
    metrics = pytest.importorskip("rliable.metrics")
    library = pytest.importorskip("rliable.library")
    scores = np.random.default_rng(seed).normal(size=(7 + seed, 5))  # runs, tasks
    assert interquartile_mean(scores) == pytest.approx(metrics.aggregate_iqm(scores), abs=1e-12)
    thresholds = np.linspace(-2, 2, 9)
    theirs = [library.run_score_deviation(scores, threshold) for threshold in thresholds]
    ours = shares_above(list(scores.T), np.full(5, 0.2), list(thresholds))
    assert ours == pytest.approx(tuple(theirs), abs=1e-12)


@pytest.mark.parametrize("seed", DRAWS)
def test_probability_of_improvement_is_rliables(seed: int) -> None:
    """On single tasks of equal weight, with ties, and areas of 1 so that a run's figure is its s."""
    metrics = pytest.importorskip("rliable.metrics")
    draw = np.random.default_rng(seed)
    final_s = draw.integers(0, 6, size=(3, 2, 8)) / 6  # tasks, methods, runs
    names = [f"p{task}/t" for task in range(3)]
    tasks = [
        TaskSeeds(name, values, np.ones((2, 8)), np.ones(2, dtype=bool), 1.0, None)
        for name, values in zip(names, final_s, strict=True)
    ]
    theirs = metrics.probability_of_improvement(final_s[:, 0].T, final_s[:, 1].T)
    assert improvement(tasks, weights(names))[0, 1] == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("seed", DRAWS)
def test_restricted_means_are_lifelines(seed: int) -> None:
    lifelines = pytest.importorskip("lifelines")
    utils = pytest.importorskip("lifelines.utils")
    draw = np.random.default_rng(seed)
    times, ends = draw.exponential(1.0, size=20), draw.uniform(0.5, 2.0, size=20)
    reached = [float(time) if time <= end else None for time, end in zip(times, ends, strict=True)]
    ours = kaplan_meier(reached, list(map(float, ends)))
    fitted = lifelines.KaplanMeierFitter().fit(np.minimum(times, ends), times <= ends)
    for limit in (0.3, 1.0):
        theirs = utils.restricted_mean_survival_time(fitted, t=limit)
        assert ours.restricted_mean(limit) == pytest.approx(float(theirs), abs=1e-9)


@pytest.mark.parametrize("seed", DRAWS)
def test_restricted_means_of_runs_to_one_budget_are_the_area_below_kaplan_meier(seed: int) -> None:
    draw = np.random.default_rng(seed)
    reached = [float(cost) if cost < 1 else None for cost in draw.exponential(1.0, size=15)]
    found = to_target(reached, 1.0)
    assert kaplan_meier(reached, [1.0] * 15).restricted_mean(1.0) == pytest.approx(found.restricted_mean, abs=1e-12)


@pytest.mark.parametrize("seed", DRAWS)
def test_hypervolumes_are_pymoos(seed: int) -> None:
    pytest.importorskip("moocore")
    indicator = pytest.importorskip("pymoo.indicators.hv")
    front = np.random.default_rng(seed).uniform(0, 1.2, size=(12, 2))
    assert hypervolume(front) == pytest.approx(float(indicator.HV(ref_point=np.ones(2))(front)), abs=1e-12)


def test_the_hypervolume_of_a_run_without_setbacks_is_its_area() -> None:
    pytest.importorskip("moocore")
    made = curve(run((0.10, 0.2), (0.40, 0.6), (0.80, 0.8)))
    assert hypervolume(points(made)) == pytest.approx(1 - made.area)


def test_attainment_by_hand() -> None:
    pytest.importorskip("moocore")
    runs = [curve(run((0.5, 0.8), seed=0)), curve(run((0.3, 0.4), seed=1))]
    half, all_ = attainment(runs, (50.0, 100.0))
    assert half.carbon == pytest.approx((0.0, 0.3, 0.5))
    assert half.shortfall == pytest.approx((1.0, 0.6, 0.2))
    assert (all_.carbon, all_.shortfall) == (pytest.approx((0.0, 0.5)), pytest.approx((1.0, 0.6)))


@pytest.mark.parametrize("seed", DRAWS)
def test_holms_correction_is_statsmodels(seed: int) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(seed).uniform(0, 0.1, size=8)
    assert holm(list(p_values)) == pytest.approx(list(multitest.multipletests(p_values, method="holm")[1]), abs=1e-15)
