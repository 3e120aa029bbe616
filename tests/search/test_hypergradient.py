"""Hypergradients against finite differences, against a plain loop, and against torchopt where that is installed."""

from contextlib import nullcontext

import pytest
import torch

from suite.search.hypergradient import (
    BETAS,
    EPSILON,
    Inner,
    Outer,
    Training,
    conjugate_gradients,
    descended,
    direct,
    largest_eigenvalue,
    linear,
    neumann_series,
    trained,
    unrolled,
)
from suite.task import Vector
from tests.examples.noisy_digits import TASK, VECTORS

STEPS = 12


@pytest.fixture(scope="module")
def inner() -> Inner:
    return Inner(TASK.differentiable(TASK.load(), 0, "cpu"), VECTORS)


def drawn(size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def minimum(inner: Inner, offsets: torch.Tensor, start: torch.Tensor | None = None) -> torch.Tensor:
    """The parameters at which the inner loss is least: it is strictly convex."""
    parameters = (inner.parameters() if start is None else start).clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [parameters],
        max_iter=2000,
        tolerance_grad=1e-9,
        tolerance_change=0,
        history_size=30,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = inner.loss(parameters, offsets, 0)
        loss.backward()
        return loss

    optimiser.step(closure)
    return parameters.detach()


def central_difference(inner: Inner, offsets: torch.Tensor, start: torch.Tensor, direction: torch.Tensor) -> float:
    """The slope of the outer loss at the minimum, which was at ``start``, along ``direction``."""
    step = 1e-3
    up, down = (
        float(inner.outer_loss(minimum(inner, offsets + sign * step * direction, start), offsets)) for sign in (1, -1)
    )
    return (up - down) / (2 * step)


def test_implicit_hypergradients_are_those_of_finite_differences(inner: Inner) -> None:
    """On converged logistic regression, over 64 penalties and 800 weights, along six directions."""
    offsets = torch.zeros_like(inner.lower)
    offsets[:64] = 4.0
    parameters = minimum(inner, offsets)
    at = linear(inner, parameters, offsets, 0)
    hypergradient = at.hypergradient(conjugate_gradients(at.hessian, at.outer, 200, 1e-8))
    directions = [drawn(len(offsets), seed) for seed in range(6)]
    exact = torch.tensor(
        [central_difference(inner, offsets, parameters, each) for each in directions], dtype=torch.float64
    )
    along = torch.stack([hypergradient @ each for each in directions])
    assert torch.cosine_similarity(along, exact, dim=0) >= 0.999
    assert along.norm() == pytest.approx(float(exact.norm()), rel=0.01)


def test_twenty_iterations_and_terms_point_the_same_way(inner: Inner) -> None:
    offsets = torch.zeros_like(inner.lower)
    offsets[:64] = 4.0
    at = linear(inner, minimum(inner, offsets), offsets, 0)
    exact = at.hypergradient(conjugate_gradients(at.hessian, at.outer, 200, 1e-8))
    for solution in (
        conjugate_gradients(at.hessian, at.outer, 20, 0.1),
        neumann_series(at.hessian, at.outer, 20),
        at.outer,
    ):
        assert torch.cosine_similarity(at.hypergradient(solution), exact, dim=0) > 0.7


def by_a_plain_loop(inner: Inner, offsets: torch.Tensor) -> torch.Tensor:
    """Adam written out, differentiated by autograd: the outer loss after ``STEPS``."""
    theta = inner.parameters().requires_grad_()
    mean = square = torch.zeros_like(theta)
    for count in range(1, STEPS + 1):
        (gradient,) = torch.autograd.grad(inner.loss(theta, offsets, count - 1), theta, create_graph=True)
        mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
        square = BETAS[1] * square + (1 - BETAS[1]) * gradient**2
        hats = mean / (1 - BETAS[0] ** count), square / (1 - BETAS[1] ** count)
        theta = theta - inner.step_size * hats[0] / (hats[1] + EPSILON**2) ** 0.5
    return inner.outer_loss(theta, offsets)


def test_unrolled_hypergradients_are_exact(inner: Inner) -> None:
    offsets = (0.5 * drawn(len(inner.lower))).requires_grad_()
    loss = by_a_plain_loop(inner, offsets)
    (expected,) = torch.autograd.grad(loss, offsets)
    training, found = unrolled(inner, Training.begin(inner), offsets, STEPS, nullcontext)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    assert inner.outer_loss(training.parameters, offsets).item() == pytest.approx(loss.item(), rel=1e-12)
    assert not training.parameters.requires_grad


def test_unrolled_hypergradients_are_those_of_finite_differences(inner: Inner) -> None:
    offsets, step = 0.5 * drawn(len(inner.lower)), 1e-5
    _, found = unrolled(inner, Training.begin(inner), offsets, STEPS, nullcontext)
    for seed in range(1, 4):
        direction = drawn(len(offsets), seed)
        up, down = (
            inner.outer_loss(
                trained(inner, Training.begin(inner), offsets + sign * step * direction, STEPS).parameters, offsets
            )
            for sign in (1, -1)
        )
        assert float(found @ direction) == pytest.approx(float(up - down) / (2 * step), rel=1e-5)


def test_unrolled_hypergradients_are_torchopts(inner: Inner) -> None:
    torchopt = pytest.importorskip("torchopt")
    offsets = (0.5 * drawn(len(inner.lower))).requires_grad_()
    theta = (inner.parameters().requires_grad_(),)
    optimiser = torchopt.adam(inner.step_size, eps=0.0, eps_root=EPSILON**2)
    state = optimiser.init(theta)
    for step in range(STEPS):
        gradients = torch.autograd.grad(inner.loss(theta[0], offsets, step), theta, create_graph=True)
        updates, state = optimiser.update(gradients, state, inplace=False)
        theta = torchopt.apply_updates(theta, updates, inplace=False)
    (expected,) = torch.autograd.grad(inner.outer_loss(theta[0], offsets), offsets)
    _, found = unrolled(inner, Training.begin(inner), offsets, STEPS, nullcontext)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def test_the_inner_training_is_torchs_adam(inner: Inner) -> None:
    """But for where epsilon stands, which moves parameters without a gradient by a little."""
    offsets = torch.zeros_like(inner.lower)
    parameters = inner.parameters().requires_grad_()
    optimiser = torch.optim.Adam([parameters], inner.step_size, betas=BETAS, eps=EPSILON)
    for step in range(STEPS):
        optimiser.zero_grad()
        torch.autograd.backward(inner.loss(parameters, offsets, step))
        optimiser.step()
    ours = trained(inner, Training.begin(inner), offsets, STEPS).parameters
    assert torch.allclose(ours, parameters.detach(), atol=0.1 * inner.step_size)
    assert inner.loss(ours, offsets, 0).item() == pytest.approx(inner.loss(parameters, offsets, 0).item(), rel=1e-4)


def matrix(*eigenvalues: float) -> torch.Tensor:
    vectors, _ = torch.linalg.qr(drawn(len(eigenvalues) ** 2).reshape(len(eigenvalues), -1))
    return vectors @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ vectors.T


def test_conjugate_gradients_solve_a_damped_system() -> None:
    a, b = matrix(5.0, 2.0, 1.0, 0.1), drawn(4, 1)
    x = conjugate_gradients(lambda v: a @ v, b, 4, 0.1)
    assert torch.allclose(a @ x + 0.1 * x, b)


def test_conjugate_gradients_stay_finite_where_curvature_is_negative() -> None:
    a, b = matrix(5.0, 1.0, -3.0, -4.0), drawn(4, 1)
    assert conjugate_gradients(lambda v: a @ v, b, 20, 0.1).isfinite().all()
    assert torch.equal(conjugate_gradients(lambda v: a @ v, torch.zeros_like(b), 20, 0.1), torch.zeros_like(b))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_neumann_series_finds_its_rate_whatever_the_scale(scale: float) -> None:
    a, b = scale * matrix(5.0, 4.0, 2.0, 1.0), drawn(4, 1)
    assert float(largest_eigenvalue(lambda v: a @ v, b)) == pytest.approx(5 * scale, rel=0.05)
    assert torch.allclose(neumann_series(lambda v: a @ v, b, 200), torch.linalg.solve(a, b), rtol=1e-3)


@pytest.mark.parametrize("eigenvalues", [(5.0, 1.0, -3.0, -4.0), (1.0, -1e3), (0.0, 0.0), (1e6, 1e-6)])
def test_the_neumann_series_never_diverges(eigenvalues: tuple[float, ...]) -> None:
    """Its sum is at most so many terms, none of which is longer than the first."""
    a, b = matrix(*eigenvalues), drawn(len(eigenvalues), 1)
    x = neumann_series(lambda v: a @ v, b, 20)
    assert x.isfinite().all()
    largest = largest_eigenvalue(lambda v: a @ v, b)
    assert x.norm() <= 20 * b.norm() / (largest or 1.0) * (1 + 1e-9)


def test_outer_steps_keep_to_the_declared_range(inner: Inner) -> None:
    outer = Outer.begin(inner)
    first = descended(inner, outer, torch.ones_like(inner.lower), 0.02)
    assert torch.allclose(first.offsets, -0.02 * (inner.upper - inner.lower))
    for _ in range(100):
        outer = descended(inner, outer, torch.ones_like(inner.lower), 0.02)
    assert torch.equal(outer.offsets, inner.lower)
    with pytest.raises(FloatingPointError, match="hypergradient must be finite"):
        descended(inner, outer, torch.full_like(inner.lower, float("nan")), 0.02)


def test_what_the_outer_loss_says_by_itself(inner: Inner) -> None:
    """Its hyper-parameters are all of the training, so nothing."""
    with pytest.raises(RuntimeError):
        direct(inner, inner.parameters(), torch.zeros_like(inner.lower))


def test_a_training_that_diverges_is_told(inner: Inner) -> None:
    broken = Training.begin(inner)._replace(parameters=torch.full_like(inner.parameters(), float("inf")))
    with pytest.raises(FloatingPointError, match="must stay finite"):
        trained(inner, broken, torch.zeros_like(inner.lower), 1)


def test_another_number_of_hyper_parameters_than_declared_is_refused() -> None:
    problem = TASK.differentiable(TASK.load(), 0, "cpu")
    with pytest.raises(ValueError, match="declares hyper-parameters"):
        Inner(problem, {**VECTORS, "weight_logits": Vector(801, -6.0, 6.0)})
