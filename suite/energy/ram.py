"""Energy of the memory: RAPL's dram counter, or declared watts.

There is no default power: on a small machine a constant would be most of the energy (docs/metering.md).
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from suite.energy.meter import RAPL_FACTOR, Means, MeterInfo, Unavailable
from suite.energy.rapl import POWERCAP, TICK_SECONDS, Counters, memories


class RaplDram:
    """Energy of the memory behind all sockets of the machine, whoever uses it."""

    info: ClassVar = MeterInfo(
        name="rapl-dram",
        component="ram",
        tier="measured",
        summary="the memory's energy counters (RAPL dram), of Intel's processors for servers",
        factor=RAPL_FACTOR,
        tick_seconds=TICK_SECONDS,
        whole_machine=True,
    )

    def __init__(self, means: Means, root: Path = POWERCAP, clock: Callable[[], int] = time.monotonic_ns) -> None:
        zones = memories(root)
        self.source = f"RAPL counters of {', '.join(zone.name for zone in zones)}"
        self._counters = Counters(zones, clock)

    def microjoules(self) -> int:
        return self._counters.microjoules()


class RamWatts:
    """Declared watts of the memory x elapsed time."""

    info: ClassVar = MeterInfo(
        name="ram-watts",
        component="ram",
        tier="estimated",
        summary="declared watts of the memory (--ram-watts) x elapsed time",
    )

    def __init__(self, means: Means, clock: Callable[[], int] = time.monotonic_ns) -> None:
        if means.ram_watts is None:
            raise Unavailable(
                "nobody declares the power of the memory; do so with --ram-watts, from its data sheet or a measurement"
            )
        self._watts = means.ram_watts
        self.source = f"seconds x {self._watts:g} W, declared"
        self._clock = clock
        self._start_ns = clock()

    def microjoules(self) -> int:
        return int((self._clock() - self._start_ns) * self._watts / 1000)  # 1 W x 1 ns = 1 nJ
