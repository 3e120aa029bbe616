"""A differentiable task without torch tensors to speak of, and programs that follow a script on it."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ConfigSpace import ConfigurationSpace, Float

from suite.search.strategy import Problem, Search, StrategyInfo
from suite.space import Configuration
from suite.task import Checkpoint, DifferentiableProblem, Fidelity, Metric, Split, TaskSpec, Vector

SEARCH_SECONDS, TRAIN_SECONDS = 0.3, 0.1


@dataclass(frozen=True)
class Line:
    """Nothing is minimised: programs of this file never ask for a loss."""

    steps: int = 10
    step_size: float = 0.1

    def hyperparameters(self) -> Mapping[str, Any]:
        return {}

    def parameters(self) -> Mapping[str, Any]:
        return {}

    def inner_loss(self, parameters: Mapping[str, Any], hyperparameters: Mapping[str, Any], step: int) -> Any:
        raise NotImplementedError

    def outer_loss(self, parameters: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def checkpoint(self, parameters: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> Checkpoint:
        raise NotImplementedError


@dataclass(frozen=True)
class Walk:
    """A task whose models are numbers: the value is its distance from 5."""

    spec: TaskSpec
    vectors: Mapping[str, Vector]

    def load(self, variant: int = 0) -> None:
        """There are no data."""

    def train(
        self, data: None, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        for step in range(start.fidelity if start else 0, 3):
            yield Checkpoint(step + 1, {"x": float(configuration["x"])})

    def differentiable(self, data: None, seed: int, device: str) -> Line:
        return Line()

    def evaluate(self, data: None, checkpoint: Checkpoint, split: Split) -> float:
        if split == "test":
            burn(0.1)
        return abs(float(checkpoint.state["x"]) - 5.0)


def search_space() -> ConfigurationSpace:
    space = ConfigurationSpace()
    space.add(Float("x", (0.0, 10.0), default=0.0))
    return space


TASK = Walk(
    TaskSpec(
        name="toy/walk",
        version="1",
        summary="walk to 5",
        paper="none: a test",
        space=search_space(),
        fidelity=Fidelity("steps", 1, 3),
        validation=Metric("distance", "minimize", worst=100.0),
        test=Metric("distance", "minimize", worst=100.0),
    ),
    {"shift": Vector(2, -1.0, 1.0)},
)


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


class Walks:
    """A step of 0.1 an evaluation, searched for longer than it is trained."""

    info: ClassVar = StrategyInfo("walks", family="tests", summary="walks", capabilities=frozenset({"program"}))

    def __init__(self, problem: Problem) -> None:
        assert list(problem.space) == ["shift[0]", "shift[1]"]

    def run(
        self, inner: DifferentiableProblem, vectors: Mapping[str, Vector], start: Checkpoint | None, search: Search
    ) -> Iterator[Checkpoint]:
        x = float(start.state["x"]) if start else 0.0
        while True:
            for _ in range(10):
                burn(TRAIN_SECONDS / 10)
                with search():
                    burn(SEARCH_SECONDS / 10)
            x += 0.1
            yield Checkpoint(0, {"x": self.reached(x)})

    def reached(self, x: float) -> float:
        return x


class Fails(Walks):
    """Comes to no value in its third evaluation."""

    info: ClassVar = StrategyInfo("fails", family="tests", summary="fails", capabilities=frozenset({"program"}))

    def reached(self, x: float) -> float:
        return x if x < 0.25 else float("nan")


class Raises(Walks):
    info: ClassVar = StrategyInfo("raises", family="tests", summary="raises", capabilities=frozenset({"program"}))

    def reached(self, x: float) -> float:
        raise FloatingPointError("the loss is inf")


class Exits(Walks):
    info: ClassVar = StrategyInfo("exits", family="tests", summary="exits", capabilities=frozenset({"program"}))

    def reached(self, x: float) -> float:
        os._exit(3)


class Ends(Walks):
    info: ClassVar = StrategyInfo("ends", family="tests", summary="ends", capabilities=frozenset({"program"}))

    def run(
        self, inner: DifferentiableProblem, vectors: Mapping[str, Vector], start: Checkpoint | None, search: Search
    ) -> Iterator[Checkpoint]:
        if start is None:
            yield Checkpoint(0, {"x": 1.0})
