"""A task that does nothing, to weigh the harness alone."""

from collections.abc import Iterator
from dataclasses import replace

from suite.space import Configuration
from suite.task import Checkpoint, Split
from tests.examples.valley import Valley


class Nothing(Valley):
    def train(
        self, data: None, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        yield Checkpoint(self.spec.fidelity.maximum, {})

    def evaluate(self, data: None, checkpoint: Checkpoint, split: Split) -> float:
        return 0.0


TASK = Nothing(replace(Valley().spec, name="toy/nothing"))
