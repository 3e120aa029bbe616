"""Derivatives carried forward through a perceptron, against nested reverse passes and finite differences."""

import pytest
import torch

from tasks.derivatives import CURVES, bend, propagate
from tasks.networks import activation, mlp

WEIGHTS = (1.0, 0.0, 2.0)
NAMES = ("tanh", "sine", "silu", "gelu")


def test_every_activation_of_the_searches_is_covered() -> None:
    assert {type(activation(name)) for name in NAMES} == set(CURVES)


@pytest.mark.parametrize("name", NAMES)
def test_curves_are_activations_and_their_derivatives(name: str) -> None:
    layer, x = activation(name), torch.linspace(-4, 4, 81, dtype=torch.float64, requires_grad=True)
    expected = layer(x)
    for curve in CURVES[type(layer)](x):
        assert torch.allclose(curve, expected, atol=1e-12)
        (expected,) = torch.autograd.grad(expected.sum(), x, create_graph=True)


@pytest.mark.parametrize("name", NAMES)
def test_propagation_is_what_nested_reverse_passes_give(name: str) -> None:
    torch.manual_seed(0)
    layers, x = mlp([3, 8, 8, 2], name).double(), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    value, derivatives = propagate(layers, x, start(x), WEIGHTS)
    assert torch.allclose(value, layers(x))
    for output in range(2):
        (slopes,) = torch.autograd.grad(layers(x)[:, output].sum(), x, create_graph=True)
        assert torch.allclose(derivatives[:3, :, output].T, slopes)
        second = sum(
            weight * torch.autograd.grad(slopes[:, axis].sum(), x, retain_graph=True)[0][:, axis]
            for axis, weight in enumerate(WEIGHTS)
        )
        assert torch.allclose(derivatives[3, :, output], second)


def start(x: torch.Tensor) -> torch.Tensor:
    """The derivatives of coordinates in themselves."""
    return torch.eye(4, 3, dtype=x.dtype)[:, None].expand(-1, len(x), -1)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences_twice(name: str) -> None:
    torch.manual_seed(0)
    curve = CURVES[type(activation(name))]
    x, jacobian = torch.randn(2, 3, dtype=torch.float64), torch.randn(4, 2, 3, dtype=torch.float64)
    given = (x.requires_grad_(), jacobian.requires_grad_())
    assert torch.autograd.gradcheck(lambda *each: bend(curve, *each, WEIGHTS), given)
    assert torch.autograd.gradgradcheck(lambda *each: bend(curve, *each, WEIGHTS), given)
