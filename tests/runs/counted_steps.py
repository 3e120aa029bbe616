"""A task whose every step of training takes the same CPU time, from whatever checkpoint it goes on."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from ConfigSpace import ConfigurationSpace, Float

from suite.space import Configuration
from suite.task import Checkpoint, Fidelity, Metric, Split, TaskSpec

STEP_SECONDS = 0.02

SPACE = ConfigurationSpace()
SPACE.add(Float("x", (0.0, 1.0), default=0.5))


@dataclass(frozen=True)
class CountedSteps:
    spec: TaskSpec = TaskSpec(
        name="tests/counted-steps",
        version="1",
        summary="burns the same CPU time at every step",
        paper="none: a test",
        space=SPACE,
        fidelity=Fidelity("steps", minimum=1, maximum=9),
        validation=Metric("loss", "minimize", worst=10.0),
        test=Metric("loss", "minimize", worst=10.0),
    )

    def load(self, variant: int = 0) -> None:
        """There are no data."""

    def train(
        self, data: None, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        for step in range(start.fidelity if start else 0, self.spec.fidelity.maximum):
            end = time.process_time() + STEP_SECONDS
            while time.process_time() < end:
                pass
            yield Checkpoint(step + 1, {"x": float(configuration["x"])})

    def evaluate(self, data: None, checkpoint: Checkpoint, split: Split) -> float:
        return float(checkpoint.state["x"])


TASK = CountedSteps()
