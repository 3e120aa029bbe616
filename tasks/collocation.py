"""What tasks share that fit a network to a differential equation at points (Raissi et al. 2019, arXiv:1711.10561).

The network takes coordinates. It is trained by Adam, then by L-BFGS for a share of the loss evaluations, which are the
unit of fidelity. L-BFGS runs in blocks that end at the fidelity steps, so that it can be interrupted there; a block
begins by evaluating the loss anew and may end one evaluation late (``counters`` in the state has the true number).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from suite.task import Checkpoint, Configuration
from tasks.derivatives import CURVES, bend, propagate
from tasks.networks import Sine, mlp
from tasks.optimisers import descend
from tasks.training import Model, Training, require_finite

EVALUATIONS, STEP = 1000, 25  # of the loss: the maximum fidelity and its steps
FOURIER_FEATURES = 16
LBFGS_HISTORY = 50


class CoordinateNetwork(nn.Module):
    """A perceptron of coordinates, behind random Fourier features where the configuration says so.

    Tancik et al. 2020, Fourier Features Let Networks Learn High Frequency Functions, arXiv:2006.10739.
    """

    frequencies: torch.Tensor | None

    def __init__(self, inputs: int, configuration: Configuration) -> None:
        super().__init__()
        frequencies = None
        if configuration["encoding"] == "fourier":
            frequencies = math.pi * float(configuration["fourier_scale"]) * torch.randn(inputs, FOURIER_FEATURES)
            inputs = 2 * FOURIER_FEATURES
        self.register_buffer("frequencies", frequencies)
        hidden = [int(configuration["width"])] * int(configuration["depth"])
        self.layers = mlp([inputs, *hidden, 1], str(configuration["activation"]))
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def output(self, coordinates: torch.Tensor) -> torch.Tensor:
        """(points, d) -> (points, 1)."""
        inputs = coordinates
        if self.frequencies is not None:
            angles = inputs @ self.frequencies
            inputs = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
        u: torch.Tensor = self.layers(inputs)
        return u

    def derivatives(self, coordinates: torch.Tensor, weights: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
        """Output u (n, 1) at ``coordinates`` (n, d), and (d + 1, n, 1): its gradient, then the sum of its second
        derivatives along each coordinate, each times its number in ``weights``."""
        points, along = coordinates.shape
        inputs = coordinates
        jacobian = torch.eye(along + 1, along, dtype=inputs.dtype, device=inputs.device)[:, None].expand(-1, points, -1)
        if self.frequencies is not None:
            angles, rates = inputs @ self.frequencies, jacobian @ self.frequencies
            turned, rates = torch.cat([angles, angles + math.pi / 2], dim=1), torch.cat([rates, rates], dim=2)
            inputs, jacobian = bend(CURVES[Sine], turned, rates, weights)
        return propagate(self.layers, inputs, jacobian, weights)


def root_mean_square(values: torch.Tensor) -> torch.Tensor:
    """Of all entries, as a scalar."""
    return values.square().mean().sqrt()


def adam_evaluations(configuration: Configuration) -> int:
    """How many of all loss evaluations Adam gets, in whole steps; L-BFGS has the rest.

    In whole steps, since only the very first step of torch's L-BFGS is scaled down by the gradient: cut short before
    its line search has found a point, the next one would try a step of length one, which diverges.
    """
    steps = EVALUATIONS // STEP
    return STEP * (steps - round(steps * float(configuration.get("lbfgs_share", 0.0))))


def lbfgs(model: nn.Module) -> torch.optim.LBFGS:
    """L-BFGS that stops for lack of evaluations only, as far as single precision lets it."""
    return torch.optim.LBFGS(
        model.parameters(),
        history_size=LBFGS_HISTORY,
        tolerance_grad=1e-9,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )


def begin(
    configuration: Configuration, seed: int, model: Model, groups: Sequence[dict[str, Any]], start: Checkpoint | None
) -> Training[Model]:
    """A training of ``model`` from ``start``, or before its first evaluation; ``groups`` are of Adam's parameters."""
    evaluations = start.state["counters"]["evaluations"] if start else 0
    if evaluations > adam_evaluations(configuration):
        optimiser: torch.optim.Optimizer = lbfgs(model)
    else:
        optimiser = torch.optim.Adam(groups, float(configuration["learning_rate"]), fused=True)
    training = Training(configuration, seed, model, optimiser, counters={"evaluations": evaluations})
    if start:
        training.resume(start)
    return training


def minimised(
    training: Training[Model], loss: Callable[[Model], torch.Tensor], start: Checkpoint | None
) -> Iterator[Checkpoint]:
    """Checkpoints of the training that minimises ``loss`` of its model, at every step after ``start``."""
    for target in range((start.fidelity if start else 0) + STEP, EVALUATIONS + 1, STEP):
        while (evaluations := training.counters["evaluations"]) < target:
            if evaluations < adam_evaluations(training.configuration):
                adam_step(training, loss)
            else:
                if not isinstance(training.optimiser, torch.optim.LBFGS):
                    training.optimiser = lbfgs(training.model)
                lbfgs_block(training, loss, target - evaluations)
        yield training.checkpoint(target)


def adam_step(training: Training[Model], loss_of: Callable[[Model], torch.Tensor]) -> None:
    """One loss evaluation and one step of Adam."""
    done = training.counters["evaluations"]
    loss = loss_of(training.model)
    require_finite(loss, done)
    progress = done / adam_evaluations(training.configuration)
    descend(training.optimiser, loss, str(training.configuration["schedule"]), progress)
    training.counters["evaluations"] = done + 1


def lbfgs_block(training: Training[Model], loss_of: Callable[[Model], torch.Tensor], most: int) -> None:
    """L-BFGS for ``most`` loss evaluations, or one more where a line search ends so."""

    def closure() -> float:
        training.optimiser.zero_grad()
        loss = loss_of(training.model)
        require_finite(loss, training.counters["evaluations"])
        torch.autograd.backward(loss)
        training.counters["evaluations"] += 1
        return float(loss.detach())

    training.optimiser.param_groups[0].update(max_iter=most, max_eval=most)
    training.optimiser.step(closure)
