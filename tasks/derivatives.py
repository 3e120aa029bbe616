"""Derivatives of a perceptron in its inputs, carried forward through the layers beside its value.

Equations of second order need the gradient and a sum of second derivatives. Nested reverse passes, the usual way, walk
through the net once for each of these and again for the gradient in the weights; forward propagation (Bettencourt,
Johnson & Duvenaud 2019, Taylor-Mode Automatic Differentiation; Li et al. 2023, the forward Laplacian, arXiv:2307.08214)
walks once. The benchmark ``tests/benchmarks/test_physics.py`` has the ratio.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from tasks.networks import Sine

Curve = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]


def propagate(
    layers: Iterable[nn.Module], x: torch.Tensor, jacobian: torch.Tensor, weights: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Value (n, outputs) of ``layers`` at ``x`` (n, inputs), and derivatives (d + 1, n, outputs) in d coordinates.

    ``jacobian`` (d + 1, n, inputs) has the derivatives of ``x``: along each coordinate, then the sum of the second
    derivatives, each times its number in ``weights`` (d,). Layers are linear or an activation of ``tasks.networks``.
    """
    for layer in layers:
        if isinstance(layer, nn.Linear):
            x, jacobian = layer(x), nn.functional.linear(jacobian, layer.weight)
        else:
            x, jacobian = bend(CURVES[type(layer)], x, jacobian, weights)
    return x, jacobian


def bend(
    curve: Curve, x: torch.Tensor, jacobian: torch.Tensor, weights: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """``curve`` of ``x`` entry by entry, and the derivatives by the chain rule; shapes as of ``propagate``."""
    value, derivatives = _Bend.apply(x, jacobian, curve, tuple(weights))  # type: ignore[no-untyped-call]
    return value, derivatives


class _Bend(torch.autograd.Function):
    """The chain rule to second order, with its own gradient: a third of the operations that autograd would record."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, jacobian: torch.Tensor, curve: Curve, weights: tuple[float, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        value, first, second, third = curve(x)
        squares = _squares(jacobian, weights)
        derivatives = jacobian * first
        derivatives[-1].addcmul_(second, squares)
        ctx.curve, ctx.weights = curve, weights
        ctx.save_for_backward(x, jacobian, first, second, third, squares)
        return value, derivatives

    @staticmethod
    def backward(ctx: Any, to_value: torch.Tensor, to_derivatives: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, jacobian, first, second, third, squares = ctx.saved_tensors
        if torch.is_grad_enabled():  # this pass is to be differentiated, so it must not rest on saved intermediates
            _, first, second, third = ctx.curve(x)
            squares = _squares(jacobian, ctx.weights)
        to_last = to_derivatives[-1]
        to_x = (to_derivatives * jacobian).sum(0) * second
        to_x = to_x.addcmul(to_value, first).addcmul(third * squares, to_last)
        to_jacobian = to_derivatives * first
        bent = second * to_last
        for axis, weight in enumerate(ctx.weights):
            if weight:
                to_jacobian[axis].addcmul_(bent, jacobian[axis], value=2 * weight)
        return to_x, to_jacobian, None, None


def _squares(jacobian: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """(n, width): the sum of the squared first derivatives, each times its weight."""
    terms = [row.square() * weight for row, weight in zip(jacobian, weights, strict=False) if weight]
    total: torch.Tensor = sum(terms[1:], start=terms[0])
    return total


def _tanh(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    value = torch.tanh(x)
    square = value.square()
    first = 1 - square
    return value, first, -2 * value * first, (6 * square - 2) * first


def _sine(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    value, first = torch.sin(x), torch.cos(x)
    return value, first, -value, -first


def _silu(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    gate = torch.sigmoid(x)
    slope, tilt = gate * (1 - gate), 1 - 2 * gate
    bend = x * tilt
    return x * gate, gate + x * slope, slope * (2 + bend), slope * (3 * tilt + bend * tilt - 2 * x * slope)


def _gelu(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    below = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    square = x.square()
    density = torch.exp(-0.5 * square) / math.sqrt(2 * math.pi)
    return x * below, below + x * density, density * (2 - square), density * x * (square - 4)


#: Value, first, second and third derivative of each activation.
CURVES: dict[type[nn.Module], Curve] = {nn.Tanh: _tanh, Sine: _sine, nn.SiLU: _silu, nn.GELU: _gelu}
