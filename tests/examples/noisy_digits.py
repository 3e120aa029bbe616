"""A differentiable task: logistic regression on handwritten digits of which 40 % of the labels were drawn anew.

Searched are a penalty for each of the 64 pixels and a weight for each of the 800 training images, 864 hyper-parameters:
the weights can find the wrong labels out (Ren et al. 2018, arXiv:1803.09050, pose it for nets). As a black-box task it
has one penalty and the step size. The images are scikit-learn's (UCI, doi:10.24432/C50P49, CC BY 4.0): 800 to train,
400 to validate, 597 to test, split and labelled anew for each variant.

Test accuracy of the incumbent on a program board after 100 J (about ten seconds of CPU time, 10 W a core declared;
searching included), median and range of 3 seeds, each with its variant, by `pytest -m slow tests/runs/test_program.py`
(two shared AMD EPYC cores, Python 3.11.7, torch 2.13.0):

    unrolled                                        .946 (.931 to .958)
    implicit-cg                                     .948 (.935 to .953)
    random-common: one value for each vector        .921 (.911 to .921)
    cma-es over all 864                             .839 (.807 to .866)
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from ConfigSpace import ConfigurationSpace, Float
from torch.nn.functional import cross_entropy

from suite.task import Checkpoint, Configuration, Fidelity, Metric, Split, TaskSpec, Vector, constants_beside

Tensors = Mapping[str, torch.Tensor]
TRAIN, VALIDATION, PIXELS, CLASSES = 800, 400, 64, 10
REDRAWN = 0.4
STEPS, STEP_SIZE = 300, 0.05  # of Adam, a full training
LOG_PENALTY = -6.0
VECTORS = {"log_penalties": Vector(PIXELS, -6.0, 12.0), "weight_logits": Vector(TRAIN, -6.0, 6.0)}


def split(variant: int) -> dict[str, torch.Tensor]:
    """``x`` (n, 64) in [0, 1] and ``y`` (n,) of ``train``, ``validation`` and ``test``; the training labels redrawn."""
    from sklearn.datasets import load_digits  # here, since it is slow to import

    images, labels = load_digits(return_X_y=True)
    random = np.random.RandomState(variant)
    order = random.permutation(len(labels))
    x, y = torch.tensor(images[order] / 16), torch.tensor(labels[order])
    redrawn = torch.tensor(random.random_sample(TRAIN) < REDRAWN)
    drawn = torch.tensor(random.randint(CLASSES, size=TRAIN))
    y[:TRAIN] = torch.where(redrawn, drawn, y[:TRAIN])
    sizes = [TRAIN, VALIDATION, len(y) - TRAIN - VALIDATION]
    parts = zip(("train", "validation", "test"), x.split(sizes), y.split(sizes), strict=True)
    return {f"{name}_{kind}": values for name, *both in parts for kind, values in zip("xy", both, strict=True)}


@dataclass(frozen=True)
class Regression:
    """The differentiable problem. All training images make up every batch."""

    data: Tensors
    seed: int
    steps: int = STEPS
    step_size: float = STEP_SIZE

    def hyperparameters(self) -> dict[str, torch.Tensor]:
        """``log_penalties`` (64,), ``weight_logits`` (800,)."""
        double = torch.float64
        return {
            "log_penalties": torch.full((PIXELS,), LOG_PENALTY, dtype=double),
            "weight_logits": torch.zeros(TRAIN, dtype=double),
        }

    def parameters(self) -> dict[str, torch.Tensor]:
        """``weights`` (64, 10), ``biases`` (10,)."""
        random = torch.Generator().manual_seed(self.seed)
        weights = 0.01 * torch.randn(PIXELS, CLASSES, generator=random, dtype=torch.float64)
        return {"weights": weights, "biases": torch.zeros(CLASSES, dtype=torch.float64)}

    def inner_loss(self, parameters: Tensors, hyperparameters: Tensors, step: int) -> torch.Tensor:
        """Weighted cross-entropy and the penalised squares of the weights, with a little on the biases, which would
        have no one best value otherwise."""
        losses = cross_entropy(scores(parameters, self.data["train_x"]), self.data["train_y"], reduction="none")
        weights = 2 * hyperparameters["weight_logits"].sigmoid()  # 1 at the start
        squares = parameters["weights"].square().sum(dim=1)
        penalty = (hyperparameters["log_penalties"].exp() * squares).sum() + 1e-4 * parameters["biases"].square().sum()
        loss: torch.Tensor = (weights * losses).mean() + penalty
        return loss

    def outer_loss(self, parameters: Tensors, hyperparameters: Tensors) -> torch.Tensor:
        """Cross-entropy on the validation images."""
        return cross_entropy(scores(parameters, self.data["validation_x"]), self.data["validation_y"])

    def checkpoint(self, parameters: Tensors, hyperparameters: Tensors) -> Checkpoint:
        return Checkpoint(STEPS, {"parameters": dict(parameters)})


def scores(parameters: Tensors, x: torch.Tensor) -> torch.Tensor:
    """(n, 64) -> (n, 10)."""
    return x @ parameters["weights"] + parameters["biases"]


def search_space() -> ConfigurationSpace:
    space = ConfigurationSpace(name="toy/noisy-digits")
    space.add(
        Float("penalty", (1e-5, 1.0), default=math.exp(LOG_PENALTY), log=True),
        Float("step_size", (1e-3, 0.5), default=STEP_SIZE, log=True),
    )
    return space


@dataclass(frozen=True)
class NoisyDigits:
    """The task, by the contract of ``suite.task.DifferentiableTask``."""

    spec: TaskSpec

    @property
    def vectors(self) -> Mapping[str, Vector]:
        return VECTORS

    def load(self, variant: int = 0) -> dict[str, torch.Tensor]:
        return split(variant)

    def train(
        self, data: Tensors, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        problem = Regression(data, seed)
        parameters = {name: value.requires_grad_() for name, value in problem.parameters().items()}
        penalties = torch.full((PIXELS,), math.log(float(configuration["penalty"])), dtype=torch.float64)
        hyperparameters = {**problem.hyperparameters(), "log_penalties": penalties}
        optimiser = torch.optim.Adam(parameters.values(), float(configuration["step_size"]))
        if start:
            for name, value in parameters.items():
                value.data.copy_(start.state["parameters"][name])
            optimiser.load_state_dict(start.state["optimiser"])
        for step in range(start.fidelity if start else 0, STEPS):
            optimiser.zero_grad()
            torch.autograd.backward(problem.inner_loss(parameters, hyperparameters, step))
            optimiser.step()
            values = {name: value.detach() for name, value in parameters.items()}
            yield Checkpoint(step + 1, {"parameters": values, "optimiser": optimiser.state_dict()})

    def differentiable(self, data: Tensors, seed: int, device: str) -> Regression:
        return Regression(data, seed)

    def evaluate(self, data: Tensors, checkpoint: Checkpoint, split: Split) -> float:
        """Share of the images of ``split`` that are put into a wrong class."""
        predicted = scores(checkpoint.state["parameters"], data[f"{split}_x"]).argmax(dim=1)
        return float((predicted != data[f"{split}_y"]).double().mean())


TASK = NoisyDigits(
    TaskSpec(
        name="toy/noisy-digits",
        version="1",
        summary="read handwritten digits by logistic regression when 40 % of the labels are redrawn (error rate)",
        paper="none: an example",
        space=search_space(),
        fidelity=Fidelity("steps", 1, STEPS),
        validation=Metric("validation error rate", "minimize", worst=1.0),
        test=Metric("test error rate", "minimize", worst=1.0),
        constants=constants_beside(__file__),
    )
)
