"""The worked cases of docs/scoring.md, to the last digit given there."""

import math

import numpy as np
import pytest

from suite.runs.log import RunLog
from suite.score.board import score
from suite.score.curve import Curve, curve
from suite.score.efficiency import against_reference, efficiency, headline, weights
from suite.score.targets import to_target
from tests.score.make import end, run, several, spec

LOG_A = ((0.10, 0.2), (0.25, None), (0.40, 0.6), (0.80, 0.8))


def eta(*logs: RunLog) -> float:
    """eta * B, with B = 1."""
    curves = [curve(log) for log in logs]
    return u_of([each.final_s for each in curves], [each.area for each in curves])


def u_of(final_s: list[float], areas: list[float]) -> float:
    return float(efficiency(np.array(final_s), np.array(areas)))


def test_case_1_a_run_with_a_failure() -> None:
    assert curve(run(*LOG_A)).area == pytest.approx(0.54, abs=1e-9)
    assert eta(run(*LOG_A)) == pytest.approx(1.481481, abs=1e-6)


def test_case_2_doing_nothing_scores_exactly_zero() -> None:
    assert eta(run()) == 0.0


def test_case_2_noise_cannot_pay() -> None:
    again = [end(number, number / 50, 0.0, returned=True) for number in range(1, 41)]
    assert eta(run(*again)) == 0.0
    assert curve(run(*again)).s == (0.0,)


@pytest.mark.parametrize(
    ("completions", "area", "expected"),
    [
        ([(0.10, 0.2)], 0.82, 0.243902),
        ([(0.01, 0.5)], 0.505, 0.990099),
        ([(0.9, 1.0)], 0.9, 1.111111),
        ([(0.5, 0.5)], 0.75, 0.666667),
    ],
)
def test_case_3_stopping_early_and_coming_late(
    completions: list[tuple[float, float]], area: float, expected: float
) -> None:
    assert curve(run(*completions)).area == pytest.approx(area, abs=1e-9)
    assert eta(run(*completions)) == pytest.approx(expected, abs=1e-6)


def test_case_4_against_random_search() -> None:
    assert float(against_reference(np.array(1.481481), np.array(0.666667))) == pytest.approx(0.689655, abs=1e-6)
    logs = [run(*LOG_A), run((0.5, 0.5), strategy="random")]
    assert {cell.strategy: round(cell.pi, 6) for cell in score(logs).cells} == {"a": 0.689655, "random": 0.5}
    local = [run(*LOG_A, multiple=3.0), run((0.5, 0.5), strategy="random", multiple=3.0)]
    assert {cell.strategy: round(cell.pi, 6) for cell in score(local).cells} == {"a": 0.689655, "random": 0.5}


def test_case_5_a_missing_seed() -> None:
    random = several("random", [[(0.5, 0.5)], [(0.5, 0.5)]])
    found = {cell.strategy: cell for cell in score([run(*LOG_A), *random]).cells}
    assert found["a"].u == pytest.approx(0.519481, abs=1e-6)
    assert found["a"].missing == (1,)
    bad = several("bad", [[(0.5, -0.5), (0.6, 0.1)], [(0.5, 0.5)]])
    worse = [log if log.header.seed else _with_bad_test(log) for log in bad]
    found = {cell.strategy: cell for cell in score([run(*LOG_A), *random, *worse]).cells}
    assert found["a"].u == pytest.approx(0.147059, abs=1e-6)


def _with_bad_test(log: RunLog) -> RunLog:
    """A run whose incumbent is better on validation and worse on test: s = -.5."""
    return run(end(1, 0.5, -0.5, validation=0.3), strategy=log.header.strategy["name"], seed=log.header.seed)


def test_case_6_paradigms_count_alike_and_the_headline() -> None:
    tasks = ["x/one", "x/two", "y/three"]
    pi = float(np.sum(weights(tasks) * np.array([0.689655, 0.5, 0.25])))
    assert pi == pytest.approx(0.422414, abs=1e-6)
    assert pi / (1 - pi) == pytest.approx(0.731343, abs=1e-6)
    assert headline(0.5, [2.0, 8.0], [1.0, 1.0]) == pytest.approx(4.0)
    assert headline(1.0, [2.0], [1.0]) is None
    assert headline(0.5, [2.0, 0.0], [1.0, 1.0]) is None


def test_case_7_carbon_to_target_with_failures() -> None:
    found = to_target([2.0, 4.0, None, None], budget=10.0)
    assert found.average == pytest.approx(13.0)
    assert found.restricted_mean == pytest.approx(6.5)
    assert (found.successes, found.runs) == (2, 4)
    assert found.success_interval == pytest.approx((0.067586, 0.932414), abs=1e-6)
    assert to_target([None], 10.0).average == math.inf


def test_pi_is_a_half_where_neither_gains_anything() -> None:
    assert float(against_reference(np.array(0.0), np.array(0.0))) == 0.5


def test_validation_chooses_and_test_counts() -> None:
    made = curve(
        run(end(1, 0.1, 0.9, validation=0.2), end(2, 0.2, 0.3, validation=0.4), end(3, 0.3, 0.8, validation=0.3))
    )
    assert made.s == (0.0, 0.9, 0.3)


def test_what_ends_after_the_budget_does_not_count() -> None:
    assert curve(run((0.5, 0.4), (1.000001, 1.0))).s == (0.0, 0.4)


def test_a_metric_that_is_not_comparable_is_compared_at_the_highest_fidelity_reached() -> None:
    ends = [
        end(1, 0.1, 0.9, fidelity=3),
        end(2, 0.2, 0.5, fidelity=9),
        end(3, 0.3, 0.95, fidelity=3),
        end(4, 0.4, 0.6, fidelity=9),
    ]
    assert curve(run(*ends, task=spec(comparable=False))).s == (0.0, 0.9, 0.5, 0.6)
    assert curve(run(*ends)).s == (0.0, 0.9, 0.95)


def test_s_is_floored_and_capped() -> None:
    made = curve(run(end(1, 0.1, -7.0, validation=0.1), end(2, 0.2, 3.0, validation=0.2)))
    assert made.s == (0.0, -1.0, 1.0)


def test_a_curve_is_not_changed_by_a_budget_in_other_units() -> None:
    made = curve(run(*LOG_A))
    scaled = Curve(**{**vars(made), "budget_kwh": made.budget_kwh * 7, "kwh": tuple(7 * each for each in made.kwh)})
    assert scaled.area == pytest.approx(made.area)
