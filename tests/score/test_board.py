"""What a board promises: nobody's score depends on the others, and what cannot be compared is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.runs.log import RunLog
from suite.score.admission import ScoreError
from suite.score.board import score
from suite.score.curve import curve
from suite.score.efficiency import efficiency
from suite.score.ranks import TaskSeeds, bca, draw, interval, uncertainty
from tests.score.make import CONSTANTS, end, provisional, run, several, spec

SEEDS = 10


def noisy(strategy: str, level: float, task: str = "toy/one", seeds: int = SEEDS, spread: float = 0.1) -> list[RunLog]:
    """Runs that reach about ``level`` half-way."""
    draw = np.random.default_rng(abs(hash_of(strategy + task)))
    levels = np.clip(level + spread * draw.standard_normal(seeds), 0.01, 1.0)
    return several(strategy, [[(0.2, 0.5 * value), (0.5, value)] for value in levels], task=spec(task))


def hash_of(text: str) -> int:
    return sum((position + 1) * ord(letter) for position, letter in enumerate(text))


LOGS = [
    *noisy("good", 0.9),
    *noisy("fair", 0.5),
    *noisy("random", 0.5),
    *noisy("good", 0.8, "other/two"),
    *noisy("fair", 0.5, "other/two"),
    *noisy("random", 0.5, "other/two"),
]


def test_a_clearly_better_method_is_separated_and_equals_share_a_rank() -> None:
    ranks = {entry.strategy: entry.rank_interval for entry in score(LOGS).entries}
    assert ranks == {"good": (1, 1), "fair": (2, 3), "random": (2, 3)}


def test_the_order_of_logs_does_not_matter() -> None:
    assert score(LOGS) == score(LOGS[::-1])


def test_the_same_logs_give_the_same_bytes() -> None:
    assert repr(score(LOGS)) == repr(score(LOGS))


@pytest.mark.parametrize("multiple", [40.0, 3.0])
def test_adding_a_competitor_changes_nobodys_score(multiple: float) -> None:
    logs = [
        replace(log, header=replace(log.header, budget=replace(log.header.budget, multiple=multiple))) for log in LOGS
    ]
    without = [log for log in logs if log.header.strategy["name"] != "good"]
    before = {entry.strategy: (entry.pi, entry.headline, entry.pi_by_paradigm) for entry in score(without).entries}
    after = {entry.strategy: (entry.pi, entry.headline, entry.pi_by_paradigm) for entry in score(logs).entries}
    assert before == {name: figures for name, figures in after.items() if name != "good"}


STEPS = st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(0.0, 1.0)), max_size=6)


@given(STEPS, st.floats(0.0, 0.5))
def test_a_curve_that_dominates_another_never_scores_lower(steps: list[tuple[float, float]], lift: float) -> None:
    ordered = sorted(steps)
    lower = curve(run(*ordered))
    higher = curve(run(*((0.9 * charge, min(1.0, s + lift)) for charge, s in ordered)))
    one, other = (efficiency(np.array([each.final_s]), np.array([each.area])) for each in (lower, higher))
    assert other >= one - 1e-12


@given(STEPS)
def test_scores_are_bounded_and_nothing_scores_below_doing_nothing(steps: list[tuple[float, float]]) -> None:
    logs = [run(*sorted(steps)), run(strategy="idle"), run((0.5, 0.5), strategy="random")]
    pi = {cell.strategy: cell.pi for cell in score(logs).cells}
    assert pi["idle"] == 0.0
    assert 0.0 <= pi["a"] < 1.0


def test_a_task_that_a_strategy_did_not_run_counts_zero_and_the_common_tasks_are_told() -> None:
    logs = [log for log in LOGS if (log.header.strategy["name"], log.header.task.name) != ("good", "other/two")]
    board = score(logs)
    good = next(entry for entry in board.entries if entry.strategy == "good")
    assert good.pi_by_paradigm["other"] == 0.0
    assert any("good did not run other/two" in note for note in board.notes)
    assert any(note.startswith("Pi on toy/one alone: good ") for note in board.notes)


def test_a_missing_seed_is_told() -> None:
    assert any("fair has no run on toy/one with seed 3" in note for note in score([*LOGS[:13], *LOGS[14:]]).notes)


def test_while_constants_are_provisional_local_random_search_is_the_reference() -> None:
    logs = [replace(log, header=replace(log.header, task=provisional(log.header.task))) for log in LOGS]
    board = score(logs)
    assert board.reference == "local random search"
    assert next(entry.pi for entry in board.entries if entry.strategy == "random") == 0.5
    assert any("provisional" in note for note in board.notes)
    with pytest.raises(ScoreError, match=r"no runs of random search.*provisional.*--strategy random"):
        score([log for log in logs if log.header.strategy["name"] != "random"])


def test_one_seed_gives_no_interval_and_separates_nobody() -> None:
    board = score([log for log in LOGS if log.header.seed == 0])
    assert all(entry.pi_interval is None and entry.rank_interval == (1, 3) for entry in board.entries)
    assert any("With one seed" in note for note in board.notes)


def test_an_unfinished_run_is_scored_as_it_stands_and_told() -> None:
    board = score([*LOGS[1:], replace(LOGS[0], ended=None)])
    assert any("good on toy/one with seed 0 has not ended" in note for note in board.notes)


def _header(**change: object) -> RunLog:
    return replace(LOGS[0], header=replace(LOGS[0].header, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (_header(budget=replace(LOGS[0].header.budget, multiple=20.0)), "the budget differs"),
        (_header(device="cuda"), "the device differs"),
        (_header(workers=4), "the number of workers differs"),
        (_header(program=True), r"the kind of board \(program or black-box\) differs"),
        (_header(task=replace(LOGS[0].header.task, version="2")), "the version of task toy/one differs"),
        (_header(strategy={"name": "good", "version": "2"}), "the version of strategy good differs"),
        (_header(meters=({"tier": "measured"},)), "the tier of energy differs"),
        (_header(budget=replace(LOGS[0].header.budget, microjoules=None)), "had no energy budget"),
        (_header(task=spec(constants=None)), "has no constants; measure them with `carbon-suite constants`"),
        (replace(LOGS[1], torn=1), "are both the run of toy/one good 1"),
    ],
)
def test_what_is_no_board_is_refused(odd: RunLog, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        score([odd, *LOGS[1:]])


def test_a_program_board_is_scored_against_its_own_random_search() -> None:
    """The frozen reference is of another space."""
    logs = [replace(log, header=replace(log.header, program=True)) for log in LOGS]
    board = score(logs)
    assert score(LOGS).reference == "frozen"
    assert board.reference == "local random search"
    assert next(entry.pi for entry in board.entries if entry.strategy == "random") == 0.5
    assert any("A program board" in note for note in board.notes)
    with pytest.raises(ScoreError, match=r"no runs of random search.*on a program board"):
        score([log for log in logs if log.header.strategy["name"] != "random"])


def test_without_runs_there_is_nothing_to_score() -> None:
    with pytest.raises(ScoreError, match="no ranked runs"):
        score([_header(role="calibration")])


def test_the_reference_budget_makes_the_headline() -> None:
    """One task, pi = 1/2, so H is kappa / B_ref with B_ref of 40 default trainings of one joule."""
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e

    board = score(several("a", [[(0.5, 0.5)], [(0.5, 0.5)]]))
    kg = kg_co2e(40 / 3.6e6, REFERENCE, REFERENCE_PUE)
    assert board.entries[0].headline == pytest.approx(CONSTANTS.kappa_t / kg)


def test_equal_methods_are_seldom_separated() -> None:
    """Three methods of one distribution, ten seeds, two tasks: someone is separated in about 5 % of boards, no more."""
    rng = np.random.default_rng(7)
    separated = 0
    for _ in range(200):
        tasks = [_drawn(rng, methods=3, seeds=10) for _ in range(2)]
        ranks = uncertainty(tasks, np.array([0.5, 0.5]), resamples=499).rank_intervals
        separated += any(interval != (1, 3) for interval in ranks)
    assert separated / 200 <= 0.09  # 5 % and two standard errors of 200 boards


def test_intervals_cover_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(8)
    truth = _drawn(rng, methods=2, seeds=20_000).pi(np.ones((1, 20_000)))[0, 0]
    covered = 0
    for _ in range(200):
        low_high = uncertainty([_drawn(rng, methods=2, seeds=15)], np.array([1.0]), resamples=499).pi_intervals[0]
        assert low_high is not None
        covered += low_high[0] <= truth <= low_high[1]
    assert 0.86 <= covered / 200 <= 0.99


def _drawn(rng: np.random.Generator, methods: int, seeds: int) -> TaskSeeds:
    """Methods of one distribution: final s and areas that go with it."""
    final_s = rng.beta(4, 3, size=(methods, seeds))
    areas = 1 - 0.7 * final_s + 0.05 * rng.standard_normal((methods, seeds))
    return TaskSeeds("toy/one", final_s, areas, np.ones(methods, dtype=bool), 0.8, None)


def test_bca_of_a_constant_is_that_constant() -> None:
    assert bca(0.5, np.full(99, 0.5), np.zeros(10)) == (0.5, 0.5)


def test_bca_agrees_with_scipy_on_a_mean() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(5).exponential(size=30)
    draws = values[np.random.default_rng(6).integers(30, size=(9_999, 30))].mean(axis=1)
    ours = bca(values.mean(), draws, (values - values.mean()) / 30)
    theirs = bootstrap((values,), np.mean, n_resamples=9_999, method="BCa", rng=np.random.default_rng(7))
    assert ours == pytest.approx(tuple(theirs.confidence_interval), rel=0.03)


def test_where_few_of_few_seeds_gained_anything_the_interval_is_bcas() -> None:
    """Two of ten seeds gained: one draw in nine has no odds, so the log odds have no interval."""
    final_s = np.array([[0.5, 0.6, *[0.0] * 8]])
    task = TaskSeeds("toy/one", final_s, 1 - final_s / 2, np.ones(1, dtype=bool), 0.8, None)
    counts = draw(task.name, task.seeds, 9_999)
    error, errors = (np.sqrt(task.covariance(each)[:, 0, 0]) for each in (task.once, counts))
    assert interval(float(task.pi(task.once)[0, 0]), float(error[0]), task.pi(counts)[0], errors) is None
    (found,) = uncertainty([task], np.ones(1)).pi_intervals
    assert found is not None
    assert 0.0 <= found[0] < task.pi(task.once)[0, 0] < found[1] < 1.0


def test_the_interval_of_doing_nothing_is_nothing() -> None:
    task = TaskSeeds("toy/one", np.zeros((1, 10)), np.ones((1, 10)), np.ones(1, dtype=bool), 0.8, None)
    assert uncertainty([task], np.ones(1)).pi_intervals == ((0.0, 0.0),)


def test_on_one_task_the_interval_is_that_of_log_u() -> None:
    """The studentised distance is the same in units of log u; kappa only moves it."""
    rng = np.random.default_rng(3)
    final_s = rng.beta(4, 3, size=(1, 12))
    ends = []
    for kappa in (0.1, 0.8, 5.0):
        task = TaskSeeds("toy/one", final_s, 1 - final_s / 2, np.ones(1, dtype=bool), kappa, None)
        (found,) = uncertainty([task], np.ones(1)).pi_intervals
        assert found is not None
        ends.append([kappa * end / (1 - end) for end in found])
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)
    assert ends[0] == pytest.approx(ends[2], rel=1e-9)


@pytest.mark.parametrize(
    ("validation", "test", "told"),
    [
        ("validation error rate", "test error rate", True),
        ("error rate on validation episodes", "error rate on test episodes", True),
        ("v", "v", True),
        ("mean return in training", "mean return of the final policy", False),
        ("validation error rate", "test bits per dimension", False),
    ],
)
def test_the_gap_is_told_where_validation_and_test_are_one_quantity(validation: str, test: str, told: bool) -> None:
    task = spec()
    task = replace(task, validation=replace(task.validation, name=validation), test=replace(task.test, name=test))
    promised = end(1, 0.2, test=0.5, validation=0.8)
    board = score([run(promised, strategy="a", seed=seed, task=task) for seed in range(2)])
    assert board.cells[0].validation_gap == (pytest.approx(0.3) if told else None)
