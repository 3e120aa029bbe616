"""What a planned run costs, from the constants of its tasks."""

import pytest

from suite.catalog import task_spec
from suite.energy.carbon import REFERENCE, REFERENCE_PUE, fixed
from suite.estimate import MACHINE_FACTOR, OFF_THE_CLOCK, Range, estimate, record, total
from suite.runs.board import BoardError
from tests.conftest import VALLEY

TASKS = ["supervised/mnist1d", "few_shot/sinusoid"]


def test_it_is_the_budget_in_energy_of_the_default() -> None:
    constants = task_spec(TASKS[0]).constants
    assert constants is not None
    found = estimate(TASKS[:1], strategies=2, seeds=10, budget=40.0, default_trainings=3)[TASKS[0]]
    trainings = 2 * 10 * 40.0 * constants.m_t + 3
    assert found.runs == 20
    assert found.kwh.middle == pytest.approx(OFF_THE_CLOCK[1] * trainings * constants.default_joules / 3.6e6)
    assert found.hours.middle == pytest.approx(OFF_THE_CLOCK[1] * trainings * constants.default_cpu_seconds / 3600)
    assert found.hours.high / found.hours.middle == pytest.approx(MACHINE_FACTOR * 1.3 / 1.08)
    assert found.kwh.low < found.kwh.middle / 6
    assert found.kwh.high > found.kwh.middle * 6


def test_tasks_add_up() -> None:
    found = estimate(TASKS, 1, 1, 5.0, 3)
    whole = total(found)
    assert whole.runs == 2
    assert whole.kwh.high == pytest.approx(sum(each.kwh.high for each in found.values()))


def test_runs_side_by_side_share_the_time_and_not_the_energy() -> None:
    one, two, three = (estimate(TASKS[:1], 4, 1, 5.0, 0, jobs)[TASKS[0]] for jobs in (1, 2, 3))
    assert one.kwh == two.kwh
    assert two.hours.middle == pytest.approx(one.hours.middle / 2)
    assert three.hours.middle == pytest.approx(two.hours.middle)  # the fourth run is alone


def test_kg_follow_the_grid() -> None:
    found = estimate(TASKS[:1], 1, 1, 5.0, 3)[TASKS[0]]
    here, reference = record(found, fixed(48.1), REFERENCE_PUE), record(found, REFERENCE, REFERENCE_PUE)
    assert here["kg_co2e"]["high"] == pytest.approx(reference["kg_co2e"]["high"] / 10)
    assert here["kwh"] == reference["kwh"]


def test_a_task_without_constants_is_refused() -> None:
    with pytest.raises(BoardError, match="no constants to estimate from for"):
        estimate([VALLEY], 1, 1, 5.0, 3)


@pytest.mark.parametrize(("budget", "jobs"), [(0.0, 1), (-1.0, 1), (float("nan"), 1), (5.0, 0)])
def test_nonsense_is_refused(budget: float, jobs: int) -> None:
    with pytest.raises(BoardError, match="must be greater than 0"):
        estimate(TASKS, 1, 1, budget, 3, jobs)


def test_ranges_add_and_scale() -> None:
    assert Range(2.0, 1.0, 4.0).times(2.0) + Range(1.0, 1.0, 1.0) == Range(5.0, 3.0, 9.0)
