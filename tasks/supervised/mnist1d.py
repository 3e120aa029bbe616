"""Supervised learning: tell ten kinds of 1-D signals apart with a small convolutional net.

The signals are MNIST-1D (Greydanus & Kobak 2024, arXiv:2011.14439): ten templates, shifted, scaled, sheared and
buried in correlated noise. The library makes them on the spot; its Apache-2.0 licence covers them. Of its 4,000
training signals the last 1,000 are for validation; its own 1,000 test signals are for testing.

The search is over the optimiser, the net and the augmentation, which must match the ways in which the signals vary.

To beat: guessing 0.90. Figures of the default, its noise and the best known are in docs/tasks.md.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from suite.data import verified
from suite.task import Checkpoint, Configuration, Fidelity, Metric, Split, TaskSpec, Vector, constants_beside
from tasks.networks import signal_cnn
from tasks.optimisers import MUTABLE, build_optimiser, descend, optimiser_space
from tasks.signals import CLASSES, DATA, LENGTH, TRAIN, arrays, augmented
from tasks.training import Data, Training, drawn_from, error_rate, require_finite, stream, tensors

EPOCHS = 30  # the maximum fidelity; the minimum is one epoch
BATCH = 64
LEAST_DECAY, LEAST_NOISE = 1e-6, 1e-2  # where the differentiable problem starts
VECTORS = {
    "weight_logits": Vector(TRAIN, -6.0, 6.0),
    "log_decay": Vector(8, -2.0, 13.0),
    "log_noise": Vector(1, -3.0, 4.0),
}


def build_model(configuration: Configuration) -> nn.Module:
    """(batch, 1, 40) -> (batch, 10) logits; the first weights come from the global generator."""
    width, depth, norm = int(configuration["width"]), int(configuration["depth"]), str(configuration["normalisation"])
    return signal_cnn(LENGTH, CLASSES, width, depth, norm, str(configuration.get("activation", "relu")))


def begin(configuration: Configuration, seed: int, device: str) -> Training[nn.Module]:
    """A training before its first epoch."""
    with drawn_from(stream(seed, "weights")):
        model = build_model(configuration).to(device)
    streams = {"order": stream(seed, "order"), "augmentation": stream(seed, "augmentation")}
    return Training(configuration, seed, model, build_optimiser(model.parameters(), configuration), streams)


def train_epoch(training: Training[nn.Module], x: torch.Tensor, y: torch.Tensor, epoch: int) -> torch.Tensor:
    """One pass over the training set in a new order; returns the loss of the last batch."""
    order = torch.randperm(len(x), generator=training.streams["order"]).to(x.device)
    batches = torch.split(order, BATCH)
    schedule = str(training.configuration["schedule"])
    for number, batch in enumerate(batches):
        inputs = augmented(x[batch], training.configuration, training.streams["augmentation"])
        loss = functional.cross_entropy(training.model(inputs), y[batch])
        descend(training.optimiser, loss, schedule, (epoch + number / len(batches)) / EPOCHS)
    return loss.detach()


@dataclass(frozen=True)
class WeightedSignals:
    """The default's training as a differentiable problem: a weight for each training signal, a weight decay for each
    tensor of the net and the strength of the noise, 3,009 hyper-parameters (Maclaurin et al. 2015; Lorraine et al.
    2020).

    Its activation is smooth, since the hypergradient of a training needs second derivatives, which a rectifier hides.
    """

    model: nn.Module
    data: Data
    configuration: Configuration
    seed: int
    steps: int = EPOCHS * -(-TRAIN // BATCH)
    step_size: float = 1e-3

    def hyperparameters(self) -> dict[str, torch.Tensor]:
        """``weight_logits`` (3000,), ``log_decay`` (tensors,), ``log_noise`` ()."""
        device = self.data["train_x"].device
        tensors_of_net = len(self.parameters())
        return {
            "weight_logits": torch.zeros(len(self.data["train_x"]), device=device),
            "log_decay": torch.full((tensors_of_net,), math.log(LEAST_DECAY), device=device),
            "log_noise": torch.tensor(math.log(LEAST_NOISE), device=device),
        }

    def parameters(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in self.model.named_parameters()}

    def inner_loss(self, parameters: Data, hyperparameters: Data, step: int) -> torch.Tensor:
        """Weighted cross-entropy of a batch with noise, and half of the decayed squares of the parameters."""
        random = stream(self.seed, f"batch {step}")
        batch = torch.randint(len(self.data["train_x"]), (BATCH,), generator=random).to(self.data["train_x"].device)
        x = self.data["train_x"][batch]
        x = x + hyperparameters["log_noise"].exp() * torch.randn(x.shape, generator=random).to(x.device)
        logits = functional_call(self.model, dict(parameters), (x,))
        losses = functional.cross_entropy(logits, self.data["train_y"][batch], reduction="none")
        weights = 2 * hyperparameters["weight_logits"][batch].sigmoid()  # 1 at the start
        squares = torch.stack([value.square().sum() for value in parameters.values()])
        return (weights * losses).mean() + 0.5 * (hyperparameters["log_decay"].exp() * squares).sum()

    def outer_loss(self, parameters: Data, hyperparameters: Data) -> torch.Tensor:
        """Cross-entropy on the validation signals."""
        logits = functional_call(self.model, dict(parameters), (self.data["validation_x"],))
        return functional.cross_entropy(logits, self.data["validation_y"])

    def checkpoint(self, parameters: Data, hyperparameters: Data) -> Checkpoint:
        """As of a full training."""
        return Checkpoint(EPOCHS, {"configuration": dict(self.configuration), "model": dict(parameters)})


@dataclass(frozen=True)
class Mnist1d:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` (n, 1, 40) and ``y`` (n,) of ``train``, ``validation`` and ``test``; raises ``DataMismatch``."""
        return tensors(verified(self.spec.data[0], arrays(variant), variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(configuration, seed, device)
        done = training.resume(start) if start else 0
        x, y = data["train_x"].to(device), data["train_y"].to(device)
        for epoch in range(done, EPOCHS):
            require_finite(train_epoch(training, x, y, epoch), epoch + 1)
            yield training.checkpoint(epoch + 1)

    @property
    def vectors(self) -> Mapping[str, Vector]:
        return VECTORS

    def differentiable(self, data: Data, seed: int, device: str) -> WeightedSignals:
        configuration = {**self.spec.default, "activation": "gelu"}
        with drawn_from(stream(seed, "weights")):
            model = build_model(configuration).to(device)
        here = {name: values.to(device) for name, values in data.items()}
        return WeightedSignals(model, here, configuration, seed)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Share of the signals of ``split`` that are put into a wrong class."""
        return error_rate(build_model, data, checkpoint, split)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is a plain Adam on a plain net, without augmentation."""
    space = ConfigurationSpace(name="supervised/mnist1d")
    space.add(
        *optimiser_space(),
        Categorical("normalisation", ["none", "batch", "group"], default="none"),
        Categorical("width", [16, 32, 48], default=32, ordered=True),
        Integer("depth", (1, 4), default=3),
        Integer("shift", (0, 6), default=0),
        Float("ramp", (0.0, 1.0), default=0.0),
        Float("noise", (0.0, 0.3), default=0.0),
    )
    return space


TASK = Mnist1d(
    TaskSpec(
        name="supervised/mnist1d",
        version="1",
        summary="classify ten kinds of 1-D signals with a convolutional net (error rate)",
        paper="Greydanus & Kobak 2024, Scaling Down Deep Learning with MNIST-1D, arXiv:2011.14439",
        space=search_space(),
        fidelity=Fidelity("epochs", 1, EPOCHS),
        validation=Metric("validation error rate", "minimize", worst=1.0),
        test=Metric("test error rate", "minimize", worst=1.0),
        data=(DATA,),
        mutable=MUTABLE | {"shift", "ramp", "noise"},
        constants=constants_beside(__file__),
    )
)
