"""What self-supervised tasks share: two views through an encoder and a projector, and a probe of what was learnt.

A representation is judged by a linear classifier that is fitted to it afterwards, and the projector that the loss
looks through is thrown away (Chen et al. 2020, SimCLR, sections 2.1 and 2.3, arXiv:2002.05709). The classifier here is
ridge regression on the classes, in closed form: it draws no random numbers, so that it adds no noise. All
representations have the same size, since a probe of more features is a better one even if nobody trained them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from ConfigSpace import Categorical, EqualsCondition
from ConfigSpace.hyperparameters import Hyperparameter
from torch import nn
from torch.nn import functional

from suite.task import Configuration, Split
from tasks.optimisers import descend
from tasks.training import Data, Training, drawn_from, stream

FEATURES = 64  # of a representation
RIDGE = 1e-2  # over the variance of a feature, which is one

View = Callable[[torch.Tensor, Configuration, torch.Generator], torch.Tensor]
Loss = Callable[[torch.Tensor, torch.Tensor, Configuration], torch.Tensor]


class JointEmbedding(nn.Module):
    """An encoder, whose output is the representation, and a projector, whose output the loss compares."""

    def __init__(self, net: nn.Module, projector: nn.Module) -> None:
        """net: to (n, FEATURES). projector: from (n, FEATURES)."""
        super().__init__()
        self.encoder = nn.Sequential(net, nn.BatchNorm1d(FEATURES), nn.ReLU())
        self.projector = projector

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Two views of a batch (n, ...) to their projections (n, outputs), by one pass of both together."""
        first, second = self.projector(self.encoder(torch.cat([one, other]))).chunk(2)
        return first, second


def projector_space(widths: tuple[int, int, int]) -> list[Hyperparameter[Any, Any] | EqualsCondition]:
    """No projector, a linear one or a perceptron of one hidden layer (Chen et al. 2020, figure 8), and its width.

    The middle one of ``widths`` is the default.
    """
    projector = Categorical("projector", ["none", "linear", "mlp"], default="mlp")
    width = Categorical("projector_width", widths, default=widths[1], ordered=True)
    return [projector, width, EqualsCondition(width, projector, "mlp")]


def build_projector(configuration: Configuration, outputs: int) -> nn.Module:
    """(n, FEATURES) -> (n, outputs), or the representation itself, by the names of ``projector_space``."""
    match configuration["projector"]:
        case "mlp":
            hidden = int(configuration["projector_width"])
            first = nn.Linear(FEATURES, hidden, bias=False)
            return nn.Sequential(first, nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, outputs, bias=False))
        case "linear":
            return nn.Linear(FEATURES, outputs, bias=False)
        case _:
            return nn.Identity()


def begin(
    build: Callable[[Configuration], JointEmbedding], configuration: Configuration, seed: int, device: str
) -> Training[JointEmbedding]:
    """A training by Adam before its first epoch."""
    with drawn_from(stream(seed, "weights")):
        model = build(configuration).to(device)
    optimiser = torch.optim.Adam(model.parameters(), float(configuration["learning_rate"]), fused=True)
    streams = {"order": stream(seed, "order"), "augmentation": stream(seed, "augmentation")}
    return Training(configuration, seed, model, optimiser, streams)


def train_epoch(
    training: Training[JointEmbedding], x: torch.Tensor, epoch: int, epochs: int, view: View, loss: Loss
) -> torch.Tensor:
    """One pass over ``x`` in a new order by whole batches, each seen in two views; returns the last batch's loss.

    The configuration says ``batch``; the learning rate is annealed by a cosine over ``epochs``.
    """
    configuration, changes = training.configuration, training.streams["augmentation"]
    size = int(configuration["batch"])
    order = torch.randperm(len(x), generator=training.streams["order"]).to(x.device)
    batches = order[: len(x) - len(x) % size].view(-1, size)
    for number, batch in enumerate(batches):
        one, other = (view(x[batch], configuration, changes) for _ in range(2))
        first, second = training.model(one, other)
        value = loss(first, second, configuration)
        descend(training.optimiser, value, "cosine", (epoch + number / len(batches)) / epochs)
    return value.detach()


@dataclass(frozen=True)
class RidgeProbe:
    """A linear classifier: (n, features) -> (n, classes) scores."""

    mean: torch.Tensor
    scale: torch.Tensor
    weights: torch.Tensor
    shares: torch.Tensor

    @classmethod
    def fit(cls, features: torch.Tensor, labels: torch.Tensor, ridge: float = RIDGE) -> "RidgeProbe":
        """Least squares on one-hot ``labels`` (n,), with ``ridge`` as the penalty on weights of standardised features.

        Features that never change get no weight.
        """
        x, classes = features.double(), functional.one_hot(labels).double()
        mean, deviation, shares = x.mean(dim=0), x.std(dim=0, correction=0), classes.mean(dim=0)
        scale = torch.where(deviation > 0, deviation, 1.0)
        x = (x - mean) / scale
        penalty = ridge * len(x) * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        weights = torch.linalg.solve(x.T @ x + penalty, x.T @ (classes - shares))
        return cls(mean, scale, weights, shares)

    def scores(self, features: torch.Tensor) -> torch.Tensor:
        return (features.double() - self.mean) / self.scale @ self.weights + self.shares


@torch.no_grad()
def probe_error(encoder: nn.Module, data: Data, split: Split, device: torch.device) -> float:
    """Error rate on ``split`` of a probe fitted to the labelled training part; 1 where a feature is not finite."""
    train, held_out = (encoder(data[f"{part}_x"].to(device)) for part in ("train", split))
    if not (train.isfinite().all() and held_out.isfinite().all()):
        return 1.0
    scores = RidgeProbe.fit(train, data["train_y"].to(device)).scores(held_out)
    return float((scores.argmax(dim=1) != data[f"{split}_y"].to(device)).double().mean())
