"""Polynomial regression by gradient descent: fit a noisy sine wave in Legendre polynomials.

Inner problem: least squares with weight decay on 30 points, by gradient descent with momentum from zero. Outer search:
degree, learning rate, momentum and weight decay. Data are generated: 30 points to train on, 100 to validate, 400 to
test, uniform in [-1, 1] with noise of standard deviation 0.3. No licence is needed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from ConfigSpace import ConfigurationSpace, Float, Integer
from numpy.polynomial.legendre import legvander

from suite.data import verified
from suite.task import (
    Checkpoint,
    Configuration,
    DataRef,
    Fidelity,
    Metric,
    Split,
    TaskSpec,
    constants_beside,
)

Arrays = Mapping[str, np.ndarray]

NOISE = 0.3
POINTS = {"train": 30, "validation": 100, "test": 400}
DATA = DataRef(
    name="noisy-sine",
    version="1",
    digest="d83dc8847ba00fea998bd925fb2a81ea2fbcd48f6d4268b4a866231be1d822ce",
    licence="none needed: generated in closed form",
    source="numpy PCG64 with seed 20 + variant",
    splits="30 points train, 100 validate, 400 test",
)


def space() -> ConfigurationSpace:
    space = ConfigurationSpace("curves/polynomial")
    space.add(
        Integer("degree", (1, 16), default=3),
        Float("learning_rate", (1e-4, 10.0), log=True, default=1e-3),
        Float("momentum", (0.0, 0.99), default=0.5),
        Float("weight_decay", (1e-6, 1.0), log=True, default=1e-3),
    )
    return space


@dataclass(frozen=True)
class Polynomial:
    spec: TaskSpec = field(
        default_factory=lambda: TaskSpec(
            name="curves/polynomial",
            version="1",
            summary="fit a noisy sine wave in Legendre polynomials (mean squared error)",
            paper="none: an example",
            space=space(),
            fidelity=Fidelity("steps", minimum=200, maximum=4000, step=200),
            validation=Metric("mean squared error", "minimize", worst=100.0),
            test=Metric("mean squared error", "minimize", worst=100.0),
            data=(DATA,),
            constants=constants_beside(__file__),
        )
    )

    def load(self, variant: int = 0) -> Arrays:
        rng = np.random.default_rng(20 + variant)
        arrays = {}
        for split, points in POINTS.items():
            x = rng.uniform(-1, 1, points)
            arrays[f"{split}_x"] = x
            arrays[f"{split}_y"] = np.sin(3 * np.pi * x / 2) + NOISE * rng.standard_normal(points)
        return verified(DATA, arrays, variant)

    def train(
        self, data: Arrays, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        degree, decay = int(configuration["degree"]), float(configuration["weight_decay"])
        momentum, learning_rate = float(configuration["momentum"]), float(configuration["learning_rate"])
        features, targets = legvander(data["train_x"], degree), data["train_y"]
        rng = np.random.default_rng(seed)
        weights = np.array(start.state["weights"]) if start else 0.1 * rng.standard_normal(degree + 1)
        velocity = np.array(start.state["velocity"]) if start else np.zeros(degree + 1)
        for step in range(start.fidelity if start else 0, self.spec.fidelity.maximum):
            with np.errstate(over="raise", invalid="raise"):  # a training that diverges says so
                gradient = features.T @ (features @ weights - targets) / len(targets) + decay * weights
                velocity = momentum * velocity - learning_rate * gradient
                weights = weights + velocity
            if (step + 1) % self.spec.fidelity.step == 0:
                state = {"weights": weights.tolist(), "velocity": velocity.tolist()}
                yield Checkpoint(step + 1, state)

    def evaluate(self, data: Arrays, checkpoint: Checkpoint, split: Split) -> float:
        weights = np.array(checkpoint.state["weights"])
        predicted = legvander(data[f"{split}_x"], len(weights) - 1) @ weights
        return float(np.mean((predicted - data[f"{split}_y"]) ** 2))


TASK = Polynomial()
