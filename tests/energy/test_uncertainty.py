"""What a figure in joules is worth: ticks, prior errors, gaps."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.energy.meter import COUNTER_FACTOR, MODEL_FACTOR, RAPL_FACTOR
from suite.energy.nvml import TICK_SECONDS
from suite.energy.uncertainty import Energy, Worth, coverage, energy, total

JOULE = 1_000_000


@pytest.mark.parametrize("factor", [COUNTER_FACTOR, RAPL_FACTOR, MODEL_FACTOR])
def test_the_prior_error_of_a_source_is_a_factor(factor: float) -> None:
    found = energy(60 * JOULE, Worth(factor), watts=10.0, stretches=1)
    assert found == Energy(60 * JOULE, pytest.approx(60 * JOULE / factor), pytest.approx(60 * JOULE * factor))


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.9])
def test_less_than_two_seconds_of_a_gpu_are_known_to_five_percent_at_best(seconds: float) -> None:
    watts = 300.0
    amount = round(watts * seconds * JOULE)
    found = energy(amount, Worth(1.0, tick_seconds=TICK_SECONDS), watts, stretches=1)
    assert (found.high - amount) / amount >= 0.05
    assert (amount - found.low) / amount >= 0.05


def test_ticks_of_several_stretches_are_independent() -> None:
    one, four = (energy(1000 * JOULE, Worth(1.0, 0.1), 100.0, stretches) for stretches in (1, 4))
    assert four.high - four.microjoules == pytest.approx(2 * (one.high - one.microjoules))


def test_time_without_readings_may_have_cost_as_much_as_the_rest() -> None:
    assert energy(60 * JOULE, Worth(1.0, coverage=0.75), 10.0, 1).high == 80 * JOULE
    assert energy(0, Worth(1.0, coverage=0.0), 0.0, 1).high == math.inf
    assert energy(0, Worth(1.0, coverage=0.0), 0.0, 1).to_record() == {"joules": 0.0, "low": 0.0, "high": None}


def test_coverage_is_a_share_of_the_time() -> None:
    assert coverage({"gpu": 25}, 100, "gpu") == 0.75
    assert coverage({"gpu": 25}, 100, "cpu") == 1.0
    assert coverage({"gpu": 200}, 100, "gpu") == 0.0
    assert coverage({}, 0, "cpu") == 1.0


def test_bounds_of_components_add_up() -> None:
    assert total([Energy(1, 0.5, 3.0), Energy(2, 1.5, 2.5)]) == Energy(3, 2.0, 5.5)


@given(st.integers(0, 10**12), st.floats(1.0, 10.0), st.floats(0.0, 1.0), st.floats(0.01, 1.0), st.floats(0, 1e4))
def test_an_energy_lies_in_its_interval(amount: int, factor: float, tick: float, covered: float, watts: float) -> None:
    found = energy(amount, Worth(factor, tick, covered), watts, 3)
    assert 0 <= found.low <= amount * (1 + 1e-9)
    assert amount <= found.high * (1 + 1e-9)
