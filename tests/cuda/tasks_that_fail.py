"""A task whose trials do to a real GPU what their configuration says."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from ConfigSpace import Categorical, ConfigurationSpace, Float

from suite.space import Configuration
from suite.task import Checkpoint, Fidelity, Metric, Split, TaskSpec

SPACE = ConfigurationSpace()
SPACE.add(
    Categorical("act", ["multiply", "assert", "allocate"], default="multiply"), Float("x", (0.0, 1.0), default=0.5)
)


def act_out(act: str, device: str) -> None:
    match act:
        case "multiply":
            matrix = torch.randn(4096, 4096, device=device)
            for _ in range(200):
                matrix = torch.tanh(matrix @ matrix)
        case "assert":
            torch.zeros(4, device=device)[torch.tensor([7], device=device)]  # an error that comes late
        case "allocate":
            torch.empty(2**50, dtype=torch.uint8, device=device)


@dataclass(frozen=True)
class Scripted:
    """Validation is ``x``, test ``x + 1``."""

    spec: TaskSpec = TaskSpec(
        name="toy/cuda",
        version="1",
        summary="does to the GPU what its configuration says",
        paper="none",
        space=SPACE,
        fidelity=Fidelity("steps", minimum=1, maximum=3),
        validation=Metric("x", "minimize", worst=10.0),
        test=Metric("x + 1", "minimize", worst=10.0),
    )

    def load(self, variant: int = 0) -> None:
        """There are no data."""

    def train(
        self, data: None, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        for step in range(start.fidelity if start else 0, 3):
            act_out(str(configuration["act"]), device)
            yield Checkpoint(step + 1, dict(configuration))

    def evaluate(self, data: None, checkpoint: Checkpoint, split: Split) -> float:
        return float(checkpoint.state["x"]) + (split == "test")


TASK = Scripted()
