"""Grid search and the unit cube."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.search.baselines import grid_points
from suite.search.cube import Cube
from suite.space import canonical
from suite.testing import SPACES, categories, mixed, single


def test_a_small_grid_is_visited_whole_and_once() -> None:
    points = [canonical(point) for point in grid_points(categories(), seed=0)]
    assert len(points) == len(set(points)) == 6


def test_numbers_of_a_grid_stand_apart() -> None:
    assert sorted(float(point["x"]) for point in grid_points(single(), seed=0)) == pytest.approx([1 / 6, 1 / 2, 5 / 6])


def test_points_that_differ_in_inactive_hyper_parameters_alone_are_one() -> None:
    points = [canonical(point) for point in grid_points(mixed(), seed=1)]
    assert len(points) == len(set(points))
    numbers = 3 * 3 * 3 * 3  # learning rate, width, depth, kernel
    assert len(points) == numbers * (3 + 3 + 1)  # Adam with three dampings; SGD with three momenta, or plain


@pytest.mark.parametrize("space", SPACES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_configuration_goes_into_the_cube_and_comes_back(space: str, seed: int) -> None:
    made = SPACES[space]()
    configuration = Cube(made).configuration(np.random.default_rng(seed).random(len(made)))
    again = Cube(made).configuration(Cube(made).point(configuration))
    assert again.keys() == configuration.keys()
    for name, value in configuration.items():
        assert again[name] == (pytest.approx(value) if isinstance(value, float) else value)


def test_the_ends_of_the_cube_are_legal() -> None:
    for made in (mixed(), single(), categories()):
        for end in (0.0, 1.0):
            assert Cube(made).configuration(np.full(len(made), end))
