"""CPU time times declared watts: an *estimate* for machines without an energy counter."""

import time
from typing import ClassVar, Final

from suite.energy.meter import Means, MeterInfo

#: Declared where nobody declares better, right within a factor of 3. By the makers' data sheets a core's share of the
#: thermal design power is 4.4 W on a large server (AMD EPYC 7763: 280 W, 64 cores) and 10 to 16 W on a desktop (Intel
#: Core i7-12700K: 125 to 190 W, 12 cores). At rest: a tenth.
WATTS_PER_CORE: Final = 10.0
IDLE_WATTS_PER_CORE: Final = 1.0


class CpuTime:
    """CPU seconds of the whole process tree x watts per busy core + elapsed seconds x idle watts."""

    info: ClassVar = MeterInfo(
        name="cpu-time",
        component="cpu",
        tier="estimated",
        summary="CPU time of the run's processes and their children x declared watts",
    )

    def __init__(self, means: Means) -> None:
        self._means = means
        self._start_ns = time.monotonic_ns()

    @property
    def source(self) -> str:
        return f"CPU seconds x {self._means.watts_per_core:g} W/core + seconds x {self._means.idle_watts:g} W, declared"

    def microjoules(self) -> int:
        # 1 W x 1 ns = 1 nJ
        busy = self._means.processes.cpu_ns() * self._means.watts_per_core
        idle = (time.monotonic_ns() - self._start_ns) * self._means.idle_watts
        return int((busy + idle) / 1000)
