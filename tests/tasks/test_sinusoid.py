"""few_shot/sinusoid: the data, the adaptation against torch.func, and what the default must beat."""

from collections.abc import Mapping

import pytest
import torch
from torch.func import functional_call, grad

from suite.task import Configuration
from tasks.few_shot.sinusoid import HELD_OUT_TASKS, QUERIES, SHOTS, TASK, MetaLearner, begin, fresh_tasks
from tasks.training import stream

DEFAULT = TASK.spec.default


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def test_held_out_tasks_are_sines_of_the_published_ranges(data: Mapping[str, torch.Tensor]) -> None:
    validation, test = ({task.numpy().tobytes() for task in data[f"{split}_x"]} for split in ("validation", "test"))
    assert len(validation | test) == 2 * HELD_OUT_TASKS
    for split in ("validation", "test"):
        x, y = data[f"{split}_x"].double(), data[f"{split}_y"].double()
        assert -5 <= float(x.min()) < -4.9 < 4.9 < float(x.max()) <= 5
        # A sin(x - phase) is a combination of sin x and cos x, one for each task
        basis = torch.cat([x.sin(), x.cos()], dim=2)
        weights = torch.linalg.lstsq(basis, y).solution
        assert torch.allclose(basis @ weights, y, atol=1e-5)
        amplitude, phase = weights.norm(dim=1).flatten(), torch.atan2(-weights[:, 1], weights[:, 0]).flatten()
        assert 0.1 <= float(amplitude.min()) < 0.2 < 4.9 < float(amplitude.max()) <= 5.0
        assert -1e-3 <= float(phase.min()) < 0.1 < 3.0 < float(phase.max()) <= 3.1416


def test_training_tasks_are_like_the_held_out_ones() -> None:
    x, y = fresh_tasks(stream(0, "tasks"))
    assert x.shape == y.shape == (25, SHOTS + QUERIES, 1)
    assert float(y.abs().max()) <= 5.0
    assert not torch.equal(x[0], x[1])


@pytest.mark.parametrize("algorithm", ["maml", "anil"])
def test_adaptation_is_gradient_descent_on_each_task(algorithm: str) -> None:
    configuration: Configuration = {**DEFAULT, "algorithm": algorithm, "inner_learning_rate": 0.05}
    model = begin(configuration, 0, "cpu").model
    x, y = fresh_tasks(stream(1, "tasks"))
    errors = model.query_errors(x, y, steps=3, first_order=False)
    assert errors.detach().tolist() == pytest.approx([reference_error(model, *pair) for pair in zip(x, y, strict=True)])


def reference_error(model: MetaLearner, x: torch.Tensor, y: torch.Tensor) -> float:
    """Query error of one task after three steps, by torch's own functional calls."""
    weights = {name: parameter.detach() for name, parameter in model.layers.named_parameters()}
    adapted = list(weights)[-model.adapted :]

    def loss(some: dict[str, torch.Tensor], where: slice) -> torch.Tensor:
        predicted: torch.Tensor = functional_call(model.layers, {**weights, **some}, (x[where],))
        return (predicted - y[where]).square().mean()

    some = {name: weights[name] for name in adapted}
    for _ in range(3):
        slopes = grad(loss)(some, slice(SHOTS))
        some = {name: some[name] - 0.05 * slopes[name] for name in adapted}
    return float(loss(some, slice(SHOTS, None)))


def test_first_order_keeps_the_values_and_changes_the_meta_gradient() -> None:
    model = begin(DEFAULT, 0, "cpu").model
    x, y = fresh_tasks(stream(1, "tasks"))
    values, slopes = [], []
    for first_order in (False, True):
        loss = model.query_errors(x, y, 1, first_order).mean()
        values.append(float(loss.detach()))
        slopes.append(torch.autograd.grad(loss, next(model.layers.parameters()))[0])
    assert values[0] == values[1]
    assert not torch.allclose(slopes[0], slopes[1])


def test_learned_inner_rate_moves_and_a_fixed_one_does_not(data: Mapping[str, torch.Tensor]) -> None:
    learned: Configuration = {**DEFAULT, "learn_inner_rate": True, "inner_rate_learning_rate": 0.01}
    rates = [
        float(next(TASK.train(data, configuration, 0, "cpu", None)).state["model"]["log_rate"])
        for configuration in (DEFAULT, learned)
    ]
    assert rates[0] == pytest.approx(-4.60517)
    assert abs(rates[1] - rates[0]) > 1e-3


def test_adaptation_that_diverges_has_the_worst_error(data: Mapping[str, torch.Tensor]) -> None:
    configuration: Configuration = {**DEFAULT, "inner_learning_rate": 1e6, "adaptation_steps": 10}
    start = begin(configuration, 0, "cpu").checkpoint(0)
    for split in ("validation", "test"):
        assert TASK.evaluate(data, start, split) == TASK.spec.test.worst


@pytest.mark.slow
def test_default_beats_the_best_constant_function_of_x(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, DEFAULT, 0, "cpu", None)
    # E[A sin(x - phase)] = -2.55 (2 / pi) cos x, the best that can be said of a task without its shots
    x, y = data["test_x"][:, SHOTS:], data["test_y"][:, SHOTS:]
    without_shots = float((y + 2.55 * 2 / torch.pi * x.cos()).square().mean())
    assert TASK.evaluate(data, last, "test") < 0.6 * without_shots
