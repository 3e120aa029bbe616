"""Hypergradients: how the outer loss changes with the hyper-parameters, through the training of the parameters.

With theta the parameters, lambda the hyper-parameters, L the inner and M the outer loss, the total derivative is

    dM/dlambda = M_lambda + (dtheta/dlambda)^T M_theta

and methods differ in what stands for dtheta/dlambda. By the implicit function theorem, where L is at a minimum and has
Hessian H, it is -H^-1 L_theta_lambda; so with p close to H^-1 M_theta the derivative is M_lambda - L_lambda_theta p.
Unrolling differentiates the steps of the optimiser instead.

All vectors are flat: parameters (p,), hyper-parameters (h,) as offsets from where they start. This module needs torch;
strategies import it when they run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch.autograd import grad

from suite.search.strategy import Search
from suite.task import Checkpoint, DifferentiableProblem, Vector

Vectors = Mapping[str, Vector]
Product = Callable[[torch.Tensor], torch.Tensor]

BETAS: Final = (0.9, 0.999)
EPSILON: Final = 1e-8
OUTER_BETAS: Final = (0.9, 0.99)
POWER_ITERATIONS: Final = 10


class Inner:
    """A differentiable problem over flat vectors.

    lower, upper: (h,), how far each hyper-parameter may be moved from its start. first_step: whose batch is the first.
    """

    def __init__(self, problem: DifferentiableProblem, vectors: Vectors, first_step: int = 0) -> None:
        self._problem = problem
        self._first_step = first_step
        self._parameters: Mapping[str, torch.Tensor] = problem.parameters()
        self._start: Mapping[str, torch.Tensor] = problem.hyperparameters()
        sizes = {name: value.numel() for name, value in self._start.items()}
        declared = {name: vector.size for name, vector in vectors.items()}
        if sizes != declared:
            raise ValueError(
                f"the task declares hyper-parameters {declared}, and its differentiable problem has {sizes}"
            )
        self.step_size, self.steps = problem.step_size, problem.steps
        self.lower, self.upper = (
            torch.cat([torch.full_like(self._start[name], end).flatten() for name, end in ends.items()])
            for ends in (
                {name: vectors[name].lower for name in self._start},
                {name: vectors[name].upper for name in self._start},
            )
        )

    def parameters(self) -> torch.Tensor:
        """(p,): the first of a training."""
        return torch.cat([value.flatten() for value in self._parameters.values()])

    def loss(self, parameters: torch.Tensor, offsets: torch.Tensor, step: int) -> torch.Tensor:
        """L, of the batch of ``step``."""
        loss: torch.Tensor = self._problem.inner_loss(
            self._named(parameters), self._moved(offsets), self._first_step + step
        )
        return loss

    def outer_loss(self, parameters: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """M."""
        loss: torch.Tensor = self._problem.outer_loss(self._named(parameters), self._moved(offsets))
        return loss

    def checkpoint(self, parameters: torch.Tensor, offsets: torch.Tensor) -> Checkpoint:
        return self._problem.checkpoint(self._named(parameters), self._moved(offsets))

    def _named(self, parameters: torch.Tensor) -> dict[str, torch.Tensor]:
        return _split(parameters, self._parameters)

    def _moved(self, offsets: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: self._start[name] + offset for name, offset in _split(offsets, self._start).items()}


def _split(vector: torch.Tensor, like: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    parts = torch.split(vector, [value.numel() for value in like.values()])
    return {name: part.view_as(value) for (name, value), part in zip(like.items(), parts, strict=True)}


class Training(NamedTuple):
    """An inner training by Adam after ``step`` steps: parameters and the means of gradients and of their squares, each
    (p,)."""

    parameters: torch.Tensor
    mean: torch.Tensor
    square: torch.Tensor
    step: int

    @classmethod
    def begin(cls, inner: Inner) -> "Training":
        parameters = inner.parameters()
        return cls(parameters, torch.zeros_like(parameters), torch.zeros_like(parameters), 0)

    def detached(self) -> "Training":
        return Training(self.parameters.detach(), self.mean.detach(), self.square.detach(), self.step)


def trained(inner: Inner, training: Training, offsets: torch.Tensor, steps: int) -> Training:
    """``training`` after so many more steps of Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1).

    Differentiable in ``offsets`` where these require it; epsilon stands under the root, where it has a derivative.
    Raises ``FloatingPointError`` once the training diverges.
    """
    for _ in range(steps):
        here = training.parameters
        here = here if here.requires_grad else here.detach().requires_grad_()
        loss = inner.loss(here, offsets, training.step)
        (gradient,) = grad(loss, here, create_graph=offsets.requires_grad)
        training = stepped(training, gradient, inner.step_size)
    if not training.parameters.isfinite().all():
        raise FloatingPointError(f"the inner training must stay finite, but by step {training.step} it does not")
    return training


def stepped(training: Training, gradient: torch.Tensor, step_size: float) -> Training:
    count = training.step + 1
    mean = torch.lerp(gradient, training.mean, BETAS[0])
    square = torch.lerp(gradient.square(), training.square, BETAS[1])
    scale = (square / (1 - BETAS[1] ** count) + EPSILON**2).sqrt()
    moved = training.parameters - step_size / (1 - BETAS[0] ** count) * mean / scale
    return Training(moved, mean, square, count)


def unrolled(
    inner: Inner, training: Training, offsets: torch.Tensor, steps: int, search: Search
) -> tuple[Training, torch.Tensor]:
    """``training`` after so many more steps at ``offsets`` (h,), and dM/dlambda (h,) through these steps, which started
    from what is taken for given. The way back counts as ``search``."""
    offsets = offsets.detach().requires_grad_()
    after = trained(inner, training, offsets, steps)
    with search():
        (hypergradient,) = grad(inner.outer_loss(after.parameters, offsets), offsets)
    return after.detached(), hypergradient


@dataclass(frozen=True)
class Linear:
    """The problem at one point: derivatives of M, and products with the second derivatives of L.

    outer: M_theta (p,). direct: M_lambda (h,). hessian: v -> H v, (p,) to (p,). mixed: v -> L_lambda_theta v, (p,) to
    (h,).
    """

    outer: torch.Tensor
    direct: torch.Tensor
    hessian: Product
    mixed: Product

    def hypergradient(self, solution: torch.Tensor) -> torch.Tensor:
        """M_lambda - L_lambda_theta p with p = ``solution`` (p,)."""
        return self.direct - self.mixed(solution)


def direct(inner: Inner, parameters: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """M_lambda (h,) alone, ``parameters`` (p,) held."""
    moved = offsets.detach().requires_grad_()
    (slope,) = grad(inner.outer_loss(parameters, moved), moved)
    return slope


def linear(inner: Inner, parameters: torch.Tensor, offsets: torch.Tensor, step: int) -> Linear:
    """``inner`` at ``parameters`` (p,) and ``offsets`` (h,), on the batch of ``step``."""
    theta, moved = parameters.detach().requires_grad_(), offsets.detach().requires_grad_()
    outer, direct = grad(inner.outer_loss(theta, moved), (theta, moved), materialize_grads=True)
    (slope,) = grad(inner.loss(theta, moved, step), theta, create_graph=True)

    def product_with(variable: torch.Tensor) -> Product:
        """v -> the derivative of slope^T v; of one in theta itself it is H v, since H is symmetric."""
        return lambda v: grad(slope, variable, v, retain_graph=True, materialize_grads=True)[0]

    return Linear(outer, direct, product_with(theta), product_with(moved))


def conjugate_gradients(product: Product, b: torch.Tensor, iterations: int, damping: float) -> torch.Tensor:
    """x (p,) with (A + damping) x close to ``b`` (Hestenes & Stiefel 1952), where ``product`` is v -> A v.

    Stops where a direction has no positive curvature, as an indefinite A has: there is no minimum along it.
    """
    x, residual = torch.zeros_like(b), b
    direction, squared = residual, residual @ residual
    for _ in range(iterations):
        image = product(direction) + damping * direction
        curvature = direction @ image
        if curvature <= 0 or squared == 0:
            break
        x = x + squared / curvature * direction
        residual = residual - squared / curvature * image
        squared, before = residual @ residual, squared
        direction = residual + squared / before * direction
    return x


def neumann_series(product: Product, b: torch.Tensor, terms: int) -> torch.Tensor:
    """x (p,), the first ``terms`` of alpha * sum of (I - alpha A)^k b, close to A^-1 b (Lorraine et al. 2020).

    alpha is 1 / lambda_max, half of where the series diverges, by power iteration; should a term be longer than the one
    before, as where A has a negative eigenvalue, the series ends there. Where there is no curvature, x is b.
    """
    largest = largest_eigenvalue(product, b)
    if largest == 0:
        return b
    alpha = 1.0 / largest
    term = total = b
    for _ in range(terms - 1):
        following = term - alpha * product(term)
        if not following.norm() <= term.norm():
            break
        term = following
        total = total + term
    return alpha * total


def largest_eigenvalue(product: Product, start: torch.Tensor) -> torch.Tensor:
    """|lambda_max| of a symmetric matrix, from below, by power iteration from ``start`` (p,)."""
    tiny = torch.finfo(start.dtype).tiny
    direction = start
    for _ in range(POWER_ITERATIONS):
        direction = product(direction / direction.norm().clamp(min=tiny))
    size: torch.Tensor = direction.norm()
    return size


class Outer(NamedTuple):
    """The hyper-parameters as offsets from their start, and the means that Adam keeps, each (h,)."""

    offsets: torch.Tensor
    mean: torch.Tensor
    square: torch.Tensor
    step: int

    @classmethod
    def begin(cls, inner: Inner) -> "Outer":
        zeros = torch.zeros_like(inner.lower)
        return cls(zeros, zeros, zeros, 0)


def descended(inner: Inner, outer: Outer, hypergradient: torch.Tensor, share: float) -> Outer:
    """One step of Adam down ``hypergradient`` (h,), about ``share`` of the declared range, and not out of it.

    Raises ``FloatingPointError`` where the hypergradient is not finite.
    """
    if not hypergradient.isfinite().all():
        raise FloatingPointError(f"the hypergradient must be finite, but in outer step {outer.step} it is not")
    count = outer.step + 1
    mean = torch.lerp(hypergradient, outer.mean, OUTER_BETAS[0])
    square = torch.lerp(hypergradient.square(), outer.square, OUTER_BETAS[1])
    scale = (square / (1 - OUTER_BETAS[1] ** count)).sqrt() + EPSILON
    step = share * (inner.upper - inner.lower) / (1 - OUTER_BETAS[0] ** count) * mean / scale
    offsets = (outer.offsets - step).clamp(inner.lower, inner.upper)
    return Outer(offsets, mean, square, count)
