"""Schedules: worked by hand, and what no policy may do."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.runs.log import RunLog
from suite.score.schedule import (
    PAST,
    POLICIES,
    ScheduleError,
    Work,
    at_once,
    emissions,
    later,
    pause,
    schedule,
    wait,
    work_of,
)
from tests.score.make import run

DAY = np.array([4.0, 3.0, 1.0, 1.0, 3.0, 2.0])
PAST_DAY = np.full(PAST, 2.5)


def timed(log: RunLog, hours: float) -> RunLog:
    """Each trial takes ``hours``."""
    return replace(log, trials=tuple(trial._replace(seconds=hours * 3600) for trial in log.trials))


def test_policies_by_hand() -> None:
    assert at_once(DAY, PAST_DAY, 2.5).tolist() == [1, 1, 0.5]
    assert later(DAY, PAST_DAY, 2.0).tolist() == [0, 0, 1, 1]
    assert pause(DAY, PAST_DAY, 2.5).tolist() == [0, 0, 1, 1, 0, 0.5]
    assert wait(DAY, PAST_DAY, 2.5).tolist() == [0, 0, 1, 1, 0, 0.5]
    assert wait(DAY[:3], PAST_DAY, 2.5).tolist() == [1, 1, 0.5]  # there is no time to lose


def test_emissions_by_hand() -> None:
    work = Work(np.array([0.0, 1.0, 3.0]), np.array([0.0, 5.0, 6.0]))  # 5 kW for an hour, then 0.5 kW for two
    assert emissions(work, np.array([1.0, 1.0, 1.0]), DAY[:3], 0.0) == pytest.approx(5 * 4 + 0.5 * 3 + 0.5 * 1)
    paused = np.array([0.0, 1.0, 0.5, 0.0, 1.0, 0.5])
    busy = 5 * 3 + 0.25 * 1 + 0.5 * 3 + 0.25 * 2
    assert emissions(work, paused, DAY, 0.0) == pytest.approx(busy)
    assert emissions(work, paused, DAY, 100.0) == pytest.approx(busy + 0.1 * (4 + 0.5 * 1 + 1))


@given(
    st.lists(st.floats(0.0, 2.0), min_size=PAST + 12, max_size=PAST + 40),
    st.floats(0.05, 11.9),
)
def test_every_policy_does_all_the_work_in_time_and_knowing_more_never_costs(
    intensities: list[float], length: float
) -> None:
    past, ahead = np.array(intensities[:PAST]), np.array(intensities[PAST:])
    work = Work(np.array([0.0, length]), np.array([0.0, length]))  # 1 kW throughout
    kg = {}
    for name, policy in POLICIES.items():
        going = policy(ahead, past, length)
        assert going.sum() == pytest.approx(length)
        assert len(going) <= len(ahead)
        assert ((going >= 0) & (going <= 1)).all()
        kg[name] = emissions(work, going, ahead, 0.0)
    assert kg["pause"] <= min(kg.values()) + 1e-9
    assert kg["later"] <= kg["at once"] + 1e-9


def test_a_flat_grid_makes_all_policies_alike() -> None:
    logs = [timed(run((0.2, 0.4), (0.5, level), strategy=name), 2.0) for name, level in (("random", 0.5), ("tpe", 0.8))]
    outcomes = schedule(logs, [0.3] * 100, within_hours=12, stretch=1.0)
    by_strategy = {each.strategy: each.kg_co2e for each in outcomes}
    assert len(outcomes) == 2 * len(POLICIES)
    assert all(each.kg_co2e == pytest.approx(by_strategy[each.strategy]) for each in outcomes)
    assert all(each.of_at_once == pytest.approx(1.0) for each in outcomes)
    assert outcomes[0].strategy == "tpe"  # more for the same kg


def test_stretching_scales_kg_and_hours() -> None:
    log = timed(run((0.2, 0.4), (0.5, 0.6)), 1.0)
    (one,) = [each for each in schedule([log], [0.3] * 200, 0, 1.0) if each.policy == "at once"]
    (five,) = [each for each in schedule([log], [0.3] * 200, 0, 5.0) if each.policy == "at once"]
    assert five.kg_co2e == pytest.approx(5 * one.kg_co2e)
    assert five.hours == pytest.approx(5 * one.hours)
    assert work_of(log, 1.0).kwh[-1] == pytest.approx(log.charged_microjoules / 1e6 / 3.6e6)


def test_what_trained_nothing_is_left_out() -> None:
    log = timed(run((0.2, 0.4), (0.5, 0.6)), 1.0)
    given = timed(run((0.0, 0.4), strategy="default"), 0.0)
    for nothing in (run(strategy="default"), given):
        assert {each.strategy for each in schedule([nothing, log], [0.3] * 200, 0, 1.0)} == {"a"}


def test_what_cannot_be_scheduled_is_refused() -> None:
    log = timed(run((0.2, 0.4), (0.5, 0.6)), 20.0)
    with pytest.raises(ScheduleError, match="give a longer trace, or a smaller --stretch"):
        schedule([log], [0.3] * 60, 0, 1.0)
    other = timed(run((0.2, 0.4), strategy="tpe", seed=3), 1.0)
    with pytest.raises(ScheduleError, match="has no run on toy/one with seed"):
        schedule([log, other], [0.3] * 200, 0, 1.0)
    with pytest.raises(ScheduleError, match="without trials"):
        schedule([run()], [0.3] * 200, 0, 1.0)
