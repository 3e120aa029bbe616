"""A counter of the whole machine that is not there: ten watts of elapsed time, whoever works."""

import time
from typing import ClassVar

from suite.energy.meter import Means, MeterInfo


class Wall:
    info: ClassVar = MeterInfo("wall", "cpu", "measured", "ten watts", factor=1.05, whole_machine=True)
    source = "ten watts"

    def __init__(self, means: Means) -> None:
        self._start_ns = time.monotonic_ns()

    def microjoules(self) -> int:
        return (time.monotonic_ns() - self._start_ns) // 100
