"""Answers from a table: denoised means, noise that does not freeze, failures, energies."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from suite.catalog import task_spec
from suite.replay.record import sobol
from suite.replay.recorded import LIKE, Curves, Fitted, Recorded, Scores
from suite.replay.table import read_table
from suite.search.process import Encoder, Kernel, Process, _objective
from suite.space import Configuration, training_seed
from tests.replay.noisy import NOISE, truth


@pytest.fixture(scope="module")
def answers(noisy: str) -> Recorded:
    spec = task_spec(noisy)
    rows, facts = read_table(Path(noisy.rpartition(":")[0]).with_suffix(".parquet"), spec)
    return Recorded(Curves(rows, spec), spec, Fitted.from_record(facts.fitted))


@pytest.fixture
def fresh(noisy: str) -> list[Configuration]:
    """Configurations that come to a value; beyond the first 63 none was recorded."""
    return [each for each in sobol(task_spec(noisy), 160) if float(each["rate"]) <= 0.8]


def final(answers: Recorded, configurations: list[Configuration], seed: int = 0) -> np.ndarray:
    seeds = [training_seed(seed, each) for each in configurations]
    return curves(answers, configurations, seeds)[:, :, -1]


def curves(answers: Recorded, configurations: list[Configuration], seeds: list[int]) -> np.ndarray:
    """(n, 2, levels)"""
    found = [answers.look_up(configurations, seeds, int(level)) for level in answers.levels]
    return np.stack([[each.validation, each.test] for each in found]).transpose(2, 1, 0)


def test_unseen_configurations_are_answered_near_the_truth(answers: Recorded, fresh: list[Configuration]) -> None:
    unseen = [each for each in fresh[70:] if float(each["rate"]) < 0.5]  # nearer to where trainings fail, some do
    expected = np.array([truth(each) + 1 / 20 for each in unseen])
    mean = np.mean([final(answers, unseen, seed) for seed in range(40)], axis=0)
    for split in range(2):
        errors = np.abs(mean[:, split] - expected)
        assert np.median(errors) < 0.05
        assert np.corrcoef(mean[:, split], expected)[0, 1] > 0.97


def test_noise_is_drawn_anew_for_each_seed_and_is_as_large_as_recorded(
    answers: Recorded, fresh: list[Configuration]
) -> None:
    several = np.array([final(answers, fresh[:30], seed) for seed in range(60)])  # (seeds, n, 2)
    assert np.array_equal(several[7], final(answers, fresh[:30], 7))
    assert len(np.unique(several[:, 0, 0])) > 5
    deviation = several.std(0)
    true = NOISE * np.sqrt(0.25 / 3 + 0.25 / 3)  # two uniform draws, half of each
    assert 0.5 * true < np.median(deviation) < 2.0 * true
    centred = several - several.mean(0)
    correlation = np.corrcoef(centred[:, :, 0].ravel(), centred[:, :, 1].ravel())[0, 1]
    assert 0.2 < correlation < 0.8  # half of it is common


def test_curves_fall_with_training(answers: Recorded, fresh: list[Configuration]) -> None:
    found = curves(answers, fresh[:20], [training_seed(0, each) for each in fresh[:20]])
    assert (found[:, :, 0] > found[:, :, -1]).all()


def test_a_training_goes_on_with_the_noise_that_it_began_with(answers: Recorded, fresh: list[Configuration]) -> None:
    found = np.array([curves(answers, fresh[:1], [seed])[0] for seed in range(200)])  # (seeds, 2, levels)
    drawn = found.reshape(200, -1)
    assert 1 < len(np.unique(drawn, axis=0)) <= LIKE


def test_failures_are_answered_as_failures(answers: Recorded, noisy: str) -> None:
    failing = [each for each in sobol(task_spec(noisy), 160) if float(each["rate"]) > 0.8]
    assert failing
    recorded = [each for each in failing if each in sobol(task_spec(noisy), 63)]
    found = curves(answers, recorded, [training_seed(0, each) for each in recorded])
    assert np.isnan(found[:, :, 4:]).all()
    assert np.isfinite(found[:, :, :4]).all()
    reached = answers.look_up(recorded, [0] * len(recorded), 20).reached
    assert (reached == 4).all()


def test_going_on_costs_the_rest(answers: Recorded, fresh: list[Configuration]) -> None:
    whole = answers.energy(fresh[80], 0, 20)
    parts = [answers.energy(fresh[80], start, end) for start, end in ((0, 6), (6, 14), (14, 20))]
    assert sum(part.train_microjoules for part in parts) == pytest.approx(whole.train_microjoules, abs=3)
    assert all(part.validate_microjoules == whole.validate_microjoules > 0 for part in parts)
    assert answers.energy(fresh[80], 0, 10).train_microjoules == pytest.approx(whole.train_microjoules / 2, rel=0.3)


def test_a_batch_answers_as_one_at_a_time_does(answers: Recorded, fresh: list[Configuration]) -> None:
    seeds = [training_seed(0, each) for each in fresh]
    together = curves(answers, fresh, seeds)
    alone = np.concatenate([curves(answers, [each], [seed]) for each, seed in zip(fresh, seeds, strict=True)])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-9)
    energies = np.concatenate([answers.energies([each]) for each in fresh])
    np.testing.assert_allclose(answers.energies(fresh), energies, rtol=1e-9)


def test_a_pool_answers_as_the_nearest_that_was_recorded(noisy: str, table: Path, fresh: list[Configuration]) -> None:
    spec = task_spec(noisy)
    rows, facts = read_table(table, spec)
    recorded = Curves(rows, spec)
    pool = Recorded(recorded, spec, Fitted.from_record(facts.fitted), pool=True)
    known = pool.energies(recorded.configurations)
    unseen = pool.energies(fresh[80:])
    assert {tuple(row) for row in unseen} <= {tuple(row) for row in known}
    nudged = [{**each, "shift": float(each["shift"]) * 0.999} for each in fresh[:20]]
    np.testing.assert_array_equal(pool.energies(nudged), pool.energies(fresh[:20]))


def test_what_is_said_of_the_unseen_errs_as_much_as_it_says(
    noisy: str, table: Path, fresh: list[Configuration]
) -> None:
    """Where the coarser way of answering misses more than seeds differ, answers scatter as much more."""
    spec = task_spec(noisy)
    rows, facts = read_table(table, spec)
    fitted = Fitted.from_record(facts.fitted)
    pool = Recorded(Curves(rows, spec), spec, fitted, pool=True)
    unseen = [each for each in fresh[70:] if np.isfinite(final(pool, [each], 0)).all()]
    said = np.array([final(pool, unseen, seed)[:, 0] for seed in range(60)])
    truths = np.array([truth(each) + 1 / 20 for each in unseen])
    missed, scatter = np.abs(np.median(said, axis=0) - truths), said.std(0)
    assert 0.5 < np.median(scatter) / np.sqrt(np.mean(missed**2)) < 3.0
    known = np.array([final(pool, fresh[:30], seed)[:, 0] for seed in range(60)])
    assert np.median(scatter) > 2 * np.median(known.std(0))


def test_normal_scores_are_a_monotone_map_and_back() -> None:
    values = np.random.default_rng(0).exponential(size=2000)
    scale = Scores(values)
    spread = np.linspace(values.min(), values.max(), 500)
    assert (np.diff(scale(spread)) > 0).all()
    np.testing.assert_allclose(scale.inverse(scale(spread)), spread, atol=1e-9)
    assert abs(np.mean(scale(values))) < 0.02
    assert abs(np.std(scale(values)) - 1) < 0.05


@pytest.mark.parametrize(
    "values", [np.random.default_rng(0).uniform(size=500), np.repeat([0.0, 0.5, 1.0], [9, 100, 60])]
)
def test_nothing_is_answered_beyond_all_that_was_recorded(values: np.ndarray) -> None:
    found = Scores(values).inverse(np.array([-50.0, 50.0]))
    np.testing.assert_array_equal(found, [values.min(), values.max()])


def test_normal_scores_of_a_constant() -> None:
    scale = Scores(np.full(10, 3.0))
    assert np.isfinite(scale(np.array([3.0, 4.0]))).all()


def test_the_gaussian_process_is_the_textbooks() -> None:
    """scikit-learn's, with the same kernel and noise."""
    rng = np.random.default_rng(0)
    points, at, targets = rng.random((40, 3)), rng.random((25, 3)), rng.standard_normal((40, 2))
    kernel = Kernel((0.4, 0.9, 2.0), 0.1)
    ours = Process(kernel, points, targets)
    theirs = GaussianProcessRegressor(Matern([0.4, 0.9, 2.0], nu=2.5), alpha=0.1, optimizer=None)
    theirs.fit(points, targets - targets.mean(0))
    mean, deviation = theirs.predict(at, return_std=True)
    np.testing.assert_allclose(ours(at), mean + targets.mean(0), atol=1e-9)
    found, spread = ours.posterior(at)
    np.testing.assert_allclose(found, ours(at), atol=1e-9)
    np.testing.assert_allclose(spread / np.sqrt(ours.variance), deviation, atol=1e-7)


def test_the_likelihoods_gradient() -> None:
    rng = np.random.default_rng(1)
    points, target = rng.random((30, 3)), rng.standard_normal(30)
    squares, at = (points[:, None] - points[None]) ** 2, np.array([0.1, -0.4, 0.8, -2.0])
    _, gradient = _objective(at, squares, target)
    for place in range(4):
        step = 1e-5 * np.eye(4)[place]
        difference = _objective(at + step, squares, target)[0] - _objective(at - step, squares, target)[0]
        assert gradient[place] == pytest.approx(difference / 2e-5, rel=1e-5)


def test_encoded_configurations_tell_what_is_inactive(noisy: str) -> None:
    spec = task_spec(noisy)
    plain = {"rate": 1e-2, "shift": 0.0, "kind": "plain"}
    bent = {"rate": 1e-2, "shift": 0.0, "kind": "bent", "bend": 0.5}
    rows = Encoder(spec.space)([plain, bent])
    assert rows.shape == (2, Encoder(spec.space).width)
    assert not np.array_equal(rows[0], rows[1])
    assert np.linalg.norm(np.diff(rows[:, :-1], axis=0)) == pytest.approx(1.0)  # the choice alone
