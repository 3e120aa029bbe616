"""The smallest task: gradient descent down a parabola. Outer search: the step size and where to start."""

from collections.abc import Iterator
from dataclasses import dataclass

from ConfigSpace import ConfigurationSpace, Float

from suite.task import Checkpoint, Configuration, Fidelity, Metric, Split, TaskSpec, constants_beside

SPACE = ConfigurationSpace()
SPACE.add(Float("step_size", (1e-3, 2.0), log=True, default=0.01), Float("start", (-5.0, 5.0), default=4.0))


@dataclass(frozen=True)
class Valley:
    spec: TaskSpec = TaskSpec(
        name="toy/valley",
        version="1",
        summary="descend x**2",
        paper="none: an example",
        space=SPACE,
        fidelity=Fidelity("steps", minimum=1, maximum=20),
        validation=Metric("loss", "minimize", worst=100.0),
        test=Metric("loss", "minimize", worst=100.0),
        mutable=frozenset({"step_size"}),
        constants=constants_beside(__file__),
    )

    def load(self, variant: int = 0) -> None:
        """There are no data."""

    def train(
        self, data: None, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        x = start.state["x"] if start else float(configuration["start"])
        for step in range(start.fidelity if start else 0, self.spec.fidelity.maximum):
            x -= float(configuration["step_size"]) * 2 * x
            yield Checkpoint(step + 1, {"x": x})

    def evaluate(self, data: None, checkpoint: Checkpoint, split: Split) -> float:
        return float(checkpoint.state["x"]) ** 2


TASK = Valley()
