"""What stands beside the ranking, by hand."""

import builtins
import math
from dataclasses import replace

import numpy as np
import pytest

from suite.report.details import tables, to_record
from suite.report.tables import write_printed
from suite.score.board import HIGH, score
from suite.score.budgets import break_even, cut, log_area, overhead_share, u_at
from suite.score.curve import curve
from suite.score.details import PROFILE_TARGET, ReferenceCheck, details
from suite.score.fronts import hypervolume
from suite.score.profiles import RATIOS, shares_within
from suite.score.targets import TARGETS
from tests.score.make import CONSTANTS, run, several, spec

LOG_A = ((0.10, 0.2), (0.25, None), (0.40, 0.6), (0.80, 0.8))
RANDOM = several("random", [[(0.5, 0.5)], [(0.3, 0.7)], [(0.9, 0.4)]])
BOARD = score([*several("a", [LOG_A, LOG_A, LOG_A]), *RANDOM])


def test_a_curve_cut_at_a_quarter_of_the_budget() -> None:
    quarter = cut(curve(run(*LOG_A)), 0.25)
    assert quarter.s == (0.0, 0.2)
    assert quarter.area == pytest.approx(0.4 + 0.6 * 0.8)
    assert u_at([curve(run(*LOG_A))], 1.0) == pytest.approx(0.8 / 0.54)


def test_log_area_by_hand() -> None:
    made = curve(run((0.1, 0.5), (0.5, 1.0)))
    expected = (0.5 * math.log(5) + 1.0 * math.log(2)) / math.log(40)
    assert log_area(made, 40) == pytest.approx(expected)
    assert log_area(curve(run((0.01, 1.0))), 40) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="more than one"):
        log_area(made, 1.0)


def test_break_even_by_hand() -> None:
    """Half the energy is overhead: 4 trainings and 4 units, against random's 10 trainings: it pays above 2/3."""
    assert break_even(8.0, 0.5, 10.0, 0.0, training=1.0) == pytest.approx(4 / 6)
    assert break_even(10.0, 0.0, 10.0, 0.0, training=1.0) == math.inf
    assert break_even(4.0, 0.0, 10.0, 0.1, training=1.0) == 0.0


def test_overhead_is_what_is_charged_and_neither_trained_nor_validated() -> None:
    assert overhead_share({"setup": 99, "ask": 10, "tell": 5, "idle": 5, "train": 70, "validate": 10}) == pytest.approx(
        0.2
    )
    assert overhead_share({}) == 0.0


def test_targets_of_a_board() -> None:
    found = details(BOARD).details[0]
    assert tuple(found.targets) == TARGETS
    budget = BOARD.curves[0].budget_kwh
    assert found.targets[0.6].restricted_mean == pytest.approx(0.4 * budget)
    assert (found.targets[0.9].successes, found.targets[0.9].average) == (0, math.inf)
    assert found.unreached[PROFILE_TARGET].kwh == pytest.approx((0.4 * budget,))
    assert found.unreached[HIGH].restricted_mean(budget) == pytest.approx(budget)


def test_a_missing_run_never_reaches_a_target() -> None:
    board = score([run(*LOG_A, strategy="a"), *RANDOM])
    found = next(each for each in details(board).details if each.strategy == "a")
    assert (found.targets[0.5].successes, found.targets[0.5].runs) == (1, 3)


def test_early_ranks_only_where_random_search_has_got_somewhere() -> None:
    early = several("early", [[(0.05, 0.4)]] * 2)
    late = several("late", [[(0.5, 1.0)]] * 2)
    random = several("random", [[(0.05, 0.3)]] * 2)
    found = details(score([*early, *late, *random]))
    by_name = {each.strategy: each.at_budgets for each in found.details}
    assert [each.fraction for each in by_name["early"]] == [1.0, 0.25, 0.0625]
    assert by_name["early"][1].pi == pytest.approx(by_name["early"][1].u / (by_name["early"][1].u + 0.3 / 0.76))
    assert by_name["early"][2].pi is not None
    assert {(flip.fraction, flip.better, flip.worse) for flip in found.flips} == {
        (fraction, "late", name) for fraction in (0.25,) for name in ("early", "random")
    } | {(0.0625, "late", name) for name in ("early", "random") if by_name["random"][2].pi is not None}
    slow = details(score([*early, *late, *several("random", [[(0.5, 0.3)]] * 2)]))
    assert slow.details[0].at_budgets[1].pi is None
    assert slow.flips == ()


def test_the_profile_over_carbon_is_against_random_search() -> None:
    found = details(BOARD)
    a = next(each for each in found.carbon_profiles if each.strategy == "a")
    cost = (0.5 + 0.3 + 1.0) / 3
    assert a.share == tuple(float(ratio * cost >= 0.4) for ratio in RATIOS)
    shares = shares_within([np.array([1.0, math.inf])], [2.0], np.array([1.0]))
    assert (shares[0], shares[-1]) == (0.0, 0.5)


def test_the_reference_is_checked() -> None:
    """CONSTANTS have kappa 2/3, which is u of random search that gets to .5 at .5."""
    fine = score(several("random", [[(0.5, 0.5)], [(0.48, 0.52)], [(0.52, 0.49)]]))
    assert [each.agrees for each in details(fine).reference_checks] == [True]
    poor = score(several("random", [[(0.9, 0.1 + 0.01 * seed)] for seed in range(10)]))
    (check,) = details(poor).reference_checks
    assert not check.agrees
    assert check.interval is not None
    assert check.interval[0] <= check.u <= check.interval[1]
    assert ReferenceCheck("t", 1.0, 1.1, None).agrees


def test_what_is_not_admitted_is_told() -> None:
    noisy = spec(constants=replace(CONSTANTS, sigma_seed=0.5))
    assert any("headroom is 2 seed standard deviations" in note for note in score([run((0.5, 0.5), task=noisy)]).notes)
    hopeless = spec(constants=replace(CONSTANTS, kappa_t=0.0))
    assert any("random search gains nothing" in note for note in score([run((0.5, 0.5), task=hopeless)]).notes)


def test_intervals_over_tasks_are_wider_where_tasks_differ() -> None:
    levels = {"p/one": 0.2, "p/two": 0.9}
    logs = [
        log
        for task, level in levels.items()
        for log in several("a", [[(0.2, level + 0.01 * seed)] for seed in range(10)], task=spec(task))
    ]
    (entry,) = score(logs).entries
    assert entry.pi_interval is not None
    assert entry.task_interval is not None
    assert entry.task_interval[0] < entry.pi_interval[0] < entry.pi < entry.pi_interval[1] < entry.task_interval[1]
    (single,) = score(several("a", [LOG_A, LOG_A])).entries
    assert single.task_interval is None


def test_whole_runs_are_verified_and_others_are_not() -> None:
    def whole(*logs: object) -> bool:
        return score(logs).entries[0].whole  # type: ignore[arg-type]

    log = run(*LOG_A)
    assert whole(log)
    assert not whole(replace(log, ended=None))
    assert not whole(replace(log, torn=3))
    assert not whole(replace(log, recorded_total_microjoules=1))


@pytest.mark.parametrize("style", ["table", "md", "latex"])
def test_details_are_written(style: str) -> None:
    text = "\n".join(write_printed(table, style) for table in tables(BOARD, details(BOARD)))
    assert "(3/3)" in text
    assert "Break-even" in text
    assert "u here" in text


def test_details_as_json_have_no_infinity() -> None:
    record = to_record(details(BOARD))
    assert record["details"][0]["targets"]["0.9"]["average"] is None
    assert record["reference_checks"][0]["agrees"] in (True, False)


def test_without_moocore_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "moocore":
            raise ImportError(name)
        return found(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"carbon-suite\[attainment\]"):
        hypervolume(np.array([[0.0, 0.5]]))
