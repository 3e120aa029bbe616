"""unsupervised/flow-lorenz: the points, the density against the change of variables, and what the default must beat."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from suite.data import DataMismatch, verified
from suite.task import Configuration
from tasks.training import drawn_from, stream
from tasks.unsupervised.flow_lorenz import (
    CENTRE,
    DATA,
    DELAY_STEPS,
    DIMENSIONS,
    NOISE,
    SCALE,
    TASK,
    TIME_STEP,
    arrays,
    begin,
    bits_per_dimension,
    build_flow,
    trajectories,
    velocity,
)

DEFAULT = TASK.spec.default
FLOWS: list[Configuration] = [
    {**DEFAULT, "conditioner": conditioner, **transformer}
    for conditioner in ("coupling", "autoregressive")
    for transformer in ({"transformer": "affine"}, {"transformer": "spline", "bins": 6})
]


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


@pytest.fixture(scope="module")
def pairs() -> np.ndarray:
    """(states, 6) without noise."""
    return trajectories(np.random.Generator(np.random.PCG64(0)), 200).reshape(-1, DIMENSIONS)


def test_splits_have_the_published_sizes_and_share_no_point(data: Mapping[str, torch.Tensor]) -> None:
    sizes = {"train": 3000, "validation": 2500, "test": 2500}
    assert {name: tuple(x.shape) for name, x in data.items()} == {f"{n}_x": (s, DIMENSIONS) for n, s in sizes.items()}
    points = np.concatenate([x.numpy() for x in data.values()])
    assert len(np.unique(points, axis=0)) == sum(sizes.values())


def test_later_states_follow_from_the_earlier_ones(pairs: np.ndarray) -> None:
    for pair in pairs[::100]:
        end = DELAY_STEPS * TIME_STEP
        done = solve_ivp(lambda _, s: velocity(s[:, None])[:, 0], (0, end), pair[:3], "DOP853", rtol=1e-10, atol=1e-10)
        assert done.y[:, -1] == pytest.approx(pair[3:], abs=1e-3)


def test_states_are_spread_over_the_attractor(pairs: np.ndarray) -> None:
    """Both halves of a point then have the same distribution, which is near the scale that the points are given in."""
    for half in (pairs[:, :3], pairs[:, 3:]):
        assert half.mean(axis=0) == pytest.approx(CENTRE, abs=1.0)
        assert half.std(axis=0) == pytest.approx(SCALE, rel=0.05)


def test_noise_is_added_to_scaled_states(data: Mapping[str, torch.Tensor]) -> None:
    random = np.random.Generator(np.random.PCG64(1))
    clean = trajectories(random, 800).reshape(-1, DIMENSIONS)
    noisy = np.concatenate([data[f"{name}_x"].numpy() for name in ("train", "validation", "test")])
    difference = noisy - (clean - np.tile(CENTRE, 2)) / np.tile(SCALE, 2)
    assert difference.std(axis=0) == pytest.approx(np.full(DIMENSIONS, NOISE), rel=0.05)


def test_changed_data_are_refused_and_variants_differ() -> None:
    changed = arrays()
    assert not np.array_equal(changed["train_x"], arrays(1)["train_x"])
    changed["test_x"][0, 0] += np.float32(1e-3)
    with pytest.raises(DataMismatch, match="lorenz"):
        verified(DATA, changed)


@pytest.mark.parametrize("configuration", FLOWS, ids=lambda c: f"{c['conditioner']}-{c['transformer']}")
def test_density_is_that_of_the_change_of_variables(configuration: Configuration) -> None:
    with drawn_from(stream(0, "weights")):
        flow = build_flow(configuration).double()
    transform = flow().transform
    for x in torch.randn(5, DIMENSIONS, generator=stream(0, "x"), dtype=torch.float64):
        jacobian = torch.autograd.functional.jacobian(transform, x)
        z = transform(x).detach()
        expected = torch.distributions.Normal(0, 1).log_prob(z).sum() + torch.linalg.slogdet(jacobian).logabsdet
        bits = bits_per_dimension(flow, x[None]).item()
        assert bits == pytest.approx(-float(expected) / (DIMENSIONS * math.log(2)), rel=1e-6)


def test_coupling_leaves_half_of_the_dimensions_and_autoregression_orders_them() -> None:
    x = torch.zeros(DIMENSIONS)
    depends = []
    for conditioner in ("coupling", "autoregressive"):
        with drawn_from(stream(0, "weights")):
            flow = build_flow({**DEFAULT, "conditioner": conditioner, "transforms": 1})
        depends.append(torch.autograd.functional.jacobian(flow().transform, x) != 0)
    coupling, autoregressive = depends
    assert int(coupling.sum(dim=1).eq(1).sum()) == DIMENSIONS // 2
    assert torch.equal(autoregressive, torch.ones(DIMENSIONS, DIMENSIONS).tril().bool())


def test_density_that_is_not_a_number_is_the_worst(data: Mapping[str, torch.Tensor]) -> None:
    state = dict(begin(DEFAULT, 0, "cpu").checkpoint(1).state)
    model = {name: torch.full_like(v, math.nan) if v.is_floating_point() else v for name, v in state["model"].items()}
    checkpoint = begin(DEFAULT, 0, "cpu").checkpoint(1)
    for split in ("validation", "test"):
        broken = type(checkpoint)(1, {**state, "model": model})
        assert TASK.evaluate(data, broken, split) == TASK.spec.test.worst


@pytest.mark.slow
def test_default_beats_a_fitted_normal_density(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, DEFAULT, 0, "cpu", None)
    train, test = data["train_x"].double(), data["test_x"].double()
    normal = torch.distributions.MultivariateNormal(train.mean(dim=0), train.T.cov())
    bits = -float(normal.log_prob(test).mean()) / (DIMENSIONS * math.log(2))
    assert bits == pytest.approx(1.31, abs=0.01)
    assert TASK.evaluate(data, last, "test") < bits - 1.0
