"""physics_informed/inverse-burgers: the reference solution, the observations, and the judges of the coefficients."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from suite.data import DataMismatch, verified
from suite.task import Checkpoint
from tasks.physics_informed.inverse_burgers import (
    COEFFICIENTS,
    DATA,
    FIRST_COEFFICIENTS,
    NOISE,
    OBSERVATIONS,
    RESOLUTION,
    TASK,
    Burgers,
    Coefficients,
    coefficients_of,
    error,
    observations,
    residual,
    solution,
)
from tasks.training import drawn_from, stream

DEFAULT = TASK.spec.default


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def spectral(coefficients: Coefficients, times: list[float], modes: int) -> tuple[np.ndarray, np.ndarray]:
    """x (modes,) and u (modes, times) by Fourier collocation in space and Dormand-Prince in time."""
    convection, viscosity = coefficients
    x = -1 + 2 * np.arange(modes) / modes
    wave = 1j * math.pi * np.fft.rfftfreq(modes, 1 / modes)

    def velocity(_: float, u: np.ndarray) -> np.ndarray:
        transformed = np.fft.rfft(u)
        u_x, u_xx = np.fft.irfft(wave * transformed), np.fft.irfft(wave**2 * transformed)
        return viscosity * u_xx - convection * u * u_x

    begun = -np.sin(math.pi * x)
    done = solve_ivp(velocity, (0, times[-1]), begun, "DOP853", times, rtol=1e-9, atol=1e-11)
    return x, done.y


@pytest.mark.parametrize(("coefficients", "modes"), [(COEFFICIENTS, 256), ((0.5, 0.05), 128), ((1.5, 0.01), 512)])
def test_reference_is_the_spectral_solution(coefficients: Coefficients, modes: int) -> None:
    times = [0.25, 0.5, 1.0]
    x, u = spectral(coefficients, times, modes)
    for number, time in enumerate(times):
        reference = solution(x, np.full_like(x, time), coefficients)
        assert np.linalg.norm(reference - u[:, number]) < 1e-6 * np.linalg.norm(u[:, number])


def test_reference_has_converged_in_its_nodes() -> None:
    x, t = np.meshgrid(np.linspace(-1, 1, 41), np.linspace(1e-3, 1, 21))
    for variant in range(20):
        coefficients = coefficients_of(variant)
        finer = solution(x, t, coefficients, nodes=160)
        assert np.abs(solution(x, t, coefficients) - finer).max() < 1e-8


def test_observations_have_the_published_noise(data: Mapping[str, torch.Tensor]) -> None:
    for name, count in OBSERVATIONS.items():
        x, y = data[f"{name}_x"].double().numpy(), data[f"{name}_y"].double().numpy()[:, 0]
        assert x.shape == (count, 2)
        assert x.min(axis=0) == pytest.approx([-1, 0], abs=0.05)
        assert x.max(axis=0) == pytest.approx([1, 1], abs=0.05)
        u = solution(x[:, 0], x[:, 1], COEFFICIENTS)
        assert (y - u).std() == pytest.approx(NOISE * u.std(), rel=4 / math.sqrt(2 * count))


def test_resolution_is_the_cramer_rao_bound(data: Mapping[str, torch.Tensor]) -> None:
    """Fisher's information on the relative coefficients, from slopes of the reference by central differences."""
    x, t = data["train_x"].double().numpy().T
    slopes, step = [], 1e-4
    for number in range(2):
        up, down = (np.array(COEFFICIENTS) for _ in range(2))
        up[number] *= 1 + step
        down[number] *= 1 - step
        slopes.append((solution(x, t, tuple(up)) - solution(x, t, tuple(down))) / (2 * step))
    jacobian = np.stack(slopes, axis=1)
    spread = NOISE * solution(x, t, COEFFICIENTS).std()
    variances = spread**2 * np.diag(np.linalg.inv(jacobian.T @ jacobian))
    assert math.sqrt(variances.mean()) == pytest.approx(RESOLUTION, rel=0.1)


def test_variants_have_other_coefficients_and_other_noise() -> None:
    assert len({coefficients_of(variant) for variant in range(10)}) == 10
    one, other = observations(1), observations(2)
    assert not np.array_equal(one["train_x"], other["train_x"])
    changed = observations(0)
    changed["train_y"][0] += np.float32(1e-3)
    with pytest.raises(DataMismatch, match="burgers"):
        verified(DATA, changed)


def net() -> Burgers:
    with drawn_from(stream(0, "weights")):
        return Burgers(DEFAULT).double()


def test_residual_is_that_of_finite_differences() -> None:
    model, step = net(), 1e-4
    with torch.no_grad():
        model.convection.fill_(0.7)
        model.log_viscosity.fill_(math.log(0.3))

    def u(x: float, t: float) -> float:
        return float(model(torch.tensor([[x, t]], dtype=torch.float64)).detach())

    x, t = 0.3, 0.6
    u_t = (u(x, t + step) - u(x, t - step)) / (2 * step)
    u_x = (u(x + step, t) - u(x - step, t)) / (2 * step)
    u_xx = (u(x + step, t) + u(x - step, t) - 2 * u(x, t)) / step**2
    expected = u_t + 0.7 * u(x, t) * u_x - 0.3 * u_xx
    assert residual(model, torch.tensor([[x, t]], dtype=torch.float64)).item() == pytest.approx(expected, rel=1e-5)


def test_training_starts_from_the_first_coefficients_and_moves_them(data: Mapping[str, torch.Tensor]) -> None:
    assert net().coefficients().tolist() == pytest.approx(FIRST_COEFFICIENTS)
    state = next(TASK.train(data, DEFAULT, 0, "cpu", None)).state["model"]
    assert abs(float(state["convection"]) - FIRST_COEFFICIENTS[0]) > 1e-3
    assert abs(float(state["log_viscosity"]) - math.log(FIRST_COEFFICIENTS[1])) > 1e-3


def test_validation_knows_nothing_of_the_coefficients(data: Mapping[str, torch.Tensor]) -> None:
    checkpoint = next(TASK.train(data, DEFAULT, 0, "cpu", None))
    without = {name: values for name, values in data.items() if name != "test_y"}
    assert TASK.evaluate(without, checkpoint, "validation") == TASK.evaluate(data, checkpoint, "validation")


def with_coefficients(data: Mapping[str, torch.Tensor], convection: float, viscosity: float) -> Checkpoint:
    checkpoint = next(TASK.train(data, DEFAULT, 0, "cpu", None))
    coefficients = {"convection": torch.tensor(convection), "log_viscosity": torch.tensor(viscosity).log()}
    return Checkpoint(1, {**checkpoint.state, "model": {**checkpoint.state["model"], **coefficients}})


def test_error_is_relative_and_over_both_coefficients(data: Mapping[str, torch.Tensor]) -> None:
    convection, viscosity = COEFFICIENTS
    expected = {(1.0, 1.0): RESOLUTION, (1.1, 1.0): 0.1 / 2**0.5, (1.0, 0.9): 0.1 / 2**0.5, (0.5, 1.5): 0.5}
    for (one, other), relative in expected.items():
        checkpoint = with_coefficients(data, one * convection, other * viscosity)
        assert TASK.evaluate(data, checkpoint, "test") == pytest.approx(math.log10(relative), abs=1e-4)
    assert TASK.evaluate(data, with_coefficients(data, 1.0, 1e9), "test") == TASK.spec.test.worst


@pytest.mark.slow
def test_default_beats_coefficients_of_zero_and_the_first_ones(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, DEFAULT, 0, "cpu", None)
    assert math.log10(float(error(net(), data["test_y"]))) > 0.4
    assert TASK.evaluate(data, last, "test") < 0.0  # log10; coefficients of zero have 0
    *_, better = TASK.train(data, {**DEFAULT, "learning_rate": 1e-2}, 0, "cpu", None)
    assert TASK.evaluate(data, better, "test") < -0.5
