"""Optimisers of the inner problem, as hyper-parameters and as torch objects.

Schedules are functions of the fraction of the *maximum* fidelity, never of the trial's own: a training that is cut
short is a prefix of a full one, and there is no scheduler state to save.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from ConfigSpace import Categorical, EqualsCondition, Float
from ConfigSpace.hyperparameters import Hyperparameter

from suite.task import Configuration

# Hyper-parameters below that may change in mid-training.
MUTABLE = frozenset({"learning_rate", "weight_decay", "momentum", "beta1", "schedule"})


def optimiser_space(
    learning_rate: tuple[float, float] = (1e-4, 1.0),
) -> list[Hyperparameter[Any, Any] | EqualsCondition]:
    """SGD with Nesterov momentum or AdamW, weight decay and schedule; the default is plain Adam at 1e-3.

    Weight decay is PyTorch's: it is multiplied by the learning rate.
    """
    optimiser = Categorical("optimiser", ["adamw", "sgd"], default="adamw")
    momentum = Float("momentum", (0.0, 0.99), default=0.9)
    beta1 = Float("beta1", (0.5, 0.99), default=0.9)
    return [
        optimiser,
        Float("learning_rate", learning_rate, default=1e-3, log=True),
        momentum,
        beta1,
        Float("weight_decay", (1e-6, 1.0), default=1e-6, log=True),
        schedule_space(),
        EqualsCondition(momentum, optimiser, "sgd"),
        EqualsCondition(beta1, optimiser, "adamw"),
    ]


def schedule_space() -> Hyperparameter[Any, Any]:
    """The learning rate constant, or annealed to zero by a cosine."""
    return Categorical("schedule", ["constant", "cosine"], default="constant")


def build_optimiser(parameters: Iterable[torch.Tensor], configuration: Configuration) -> torch.optim.Optimizer:
    """The optimiser that the names of ``optimiser_space`` in ``configuration`` describe."""
    rate, decay = float(configuration["learning_rate"]), float(configuration["weight_decay"])
    if configuration["optimiser"] == "sgd":
        momentum = float(configuration["momentum"])
        return torch.optim.SGD(
            parameters, rate, momentum=momentum, nesterov=momentum > 0, weight_decay=decay, fused=True
        )
    betas = (float(configuration["beta1"]), 0.999)
    return torch.optim.AdamW(parameters, rate, betas=betas, weight_decay=decay, fused=True)


def schedule_factor(schedule: str, progress: float) -> float:
    """Learning rate over its initial value at ``progress`` in [0, 1] (cosine: Loshchilov & Hutter 2017, eq. 5)."""
    return 0.5 * (1.0 + math.cos(math.pi * progress)) if schedule == "cosine" else 1.0


def descend(
    optimiser: torch.optim.Optimizer, loss: torch.Tensor, schedule: str, progress: float, largest_norm: float = math.inf
) -> None:
    """One step down the gradient of ``loss`` at ``progress`` in [0, 1], the gradient clipped to ``largest_norm``."""
    factor = schedule_factor(schedule, progress)
    for group in optimiser.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    if largest_norm < math.inf:
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, largest_norm)
    optimiser.step()
