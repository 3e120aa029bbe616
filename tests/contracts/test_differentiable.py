"""What every differentiable task must keep (``suite.task.DifferentiableTask``)."""

import functools
from collections.abc import Mapping

import pytest
import torch

from suite.catalog import load_task, task_names, task_spec
from suite.task import DifferentiableProblem, DifferentiableTask, WeightSharingTask

Tensors = Mapping[str, torch.Tensor]
NAMES = [name for name in task_names() if task_spec(name).embedded and isinstance(load_task(name), DifferentiableTask)]
STEP_SIZE = 1e-2

pytestmark = pytest.mark.parametrize("name", NAMES)


@functools.cache
def posed(name: str, seed: int = 0) -> DifferentiableProblem:
    task = load_task(name)
    assert isinstance(task, DifferentiableTask)
    return task.differentiable(task.load(), seed, "cpu")


def leaves(tensors: Tensors) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone().requires_grad_() for name, value in tensors.items()}


def unrolled(problem: DifferentiableProblem, hyperparameters: Tensors, steps: int) -> dict[str, torch.Tensor]:
    """Parameters after ``steps`` of gradient descent, differentiable in ``hyperparameters``."""
    parameters = leaves(problem.parameters())
    for step in range(steps):
        loss = problem.inner_loss(parameters, hyperparameters, step)
        gradients = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
        parameters = {
            name: value - STEP_SIZE * gradient
            for (name, value), gradient in zip(parameters.items(), gradients, strict=True)
        }
    return parameters


def test_same_seed_same_problem(name: str) -> None:
    task = load_task(name)
    assert isinstance(task, DifferentiableTask)
    again, first, other = task.differentiable(task.load(), 0, "cpu"), posed(name), posed(name, 1)
    for one, two in ((first.parameters(), again.parameters()), (first.hyperparameters(), again.hyperparameters())):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[each], two[each]) for each in one)
    hyperparameters = first.hyperparameters()
    losses = [float(each.inner_loss(each.parameters(), hyperparameters, 3).detach()) for each in (first, again, other)]
    assert losses[0] == losses[1] != losses[2]


def test_the_declared_vectors_are_the_problems_hyper_parameters(name: str) -> None:
    task, problem = load_task(name), posed(name)
    assert isinstance(task, DifferentiableTask)
    sizes = {each: value.numel() for each, value in problem.hyperparameters().items()}
    assert {each: vector.size for each, vector in task.vectors.items()} == sizes
    assert problem.steps >= 10
    assert problem.step_size > 0


def test_every_hyper_parameter_has_a_hypergradient_that_is_right(name: str) -> None:
    """Through three unrolled steps, against central differences in double precision along a random direction.

    A net that shares the weights of architectures keeps their rectifiers, which hide second derivatives: its parameters
    are held, as first-order DARTS has it.
    """
    problem = posed(name)
    steps = 0 if isinstance(load_task(name), WeightSharingTask) else 3
    hyperparameters = leaves(problem.hyperparameters())
    loss = problem.outer_loss(unrolled(problem, hyperparameters, steps), hyperparameters)
    gradients = torch.autograd.grad(loss, list(hyperparameters.values()))
    generator = torch.Generator().manual_seed(0)
    for (each, value), gradient in zip(hyperparameters.items(), gradients, strict=True):
        assert gradient.abs().max() > 0, f"{each} has no influence on the outer loss"
        direction = gradient / gradient.norm() + 0.1 * torch.randn(value.shape, generator=generator)
        step = 0.03 * max(1.0, float(value.detach().norm())) / float(direction.norm())
        ends = []
        for sign in (1, -1):
            moved = {**hyperparameters, each: value.detach() + sign * step * direction}
            ends.append(float(problem.outer_loss(unrolled(problem, leaves(moved), steps), moved).detach()))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=0.1, abs=2e-5 / step), each


def test_gradient_descent_lowers_the_inner_loss(name: str) -> None:
    problem = posed(name)
    hyperparameters, parameters = problem.hyperparameters(), leaves(problem.parameters())
    optimiser = torch.optim.Adam(parameters.values(), lr=3e-3)
    losses = []
    for step in range(100):
        loss = problem.inner_loss(parameters, hyperparameters, step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < sum(losses[:10])


def test_a_checkpoint_is_judged_by_the_task(name: str) -> None:
    task, problem = load_task(name), posed(name)
    checkpoint = problem.checkpoint(problem.parameters(), problem.hyperparameters())
    for split, metric in (("validation", task.spec.validation), ("test", task.spec.test)):
        value = task.evaluate(task.load(), checkpoint, split)  # type: ignore[arg-type]
        assert not metric.better(metric.worst, value)


def test_the_problem_is_posed_without_test_data(name: str) -> None:
    task = load_task(name)
    assert isinstance(task, DifferentiableTask)
    blind = {key: value for key, value in task.load().items() if not key.startswith("test")}
    problem, whole = task.differentiable(blind, 0, "cpu"), posed(name)
    parameters, hyperparameters = whole.parameters(), whole.hyperparameters()
    assert torch.equal(problem.outer_loss(parameters, hyperparameters), whole.outer_loss(parameters, hyperparameters))
