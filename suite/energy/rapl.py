"""RAPL: the energy counters of Intel and AMD processors, as Linux shows them under /sys/class/powercap.

A zone ``package-N`` is a socket (``package-N-die-M`` a die of it), and a zone ``dram`` inside it the memory behind that
socket. The zones ``core`` and ``uncore`` are parts of a package and ``psys`` holds packages, so that none of them is
added. A package may be shown twice, by the drivers intel-rapl and intel-rapl-mmio: it counts once.

A counter wraps at its range (262 kJ for most: 44 minutes at 100 W), hence it is read once a minute at least.
Source: Linux kernel documentation, power/powercap/powercap.rst; Khan et al. 2018, doi:10.1145/3177754.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from suite.energy.meter import RAPL_FACTOR, Means, MeterInfo, Unavailable
from suite.energy.sampler import Sampler

POWERCAP: Final = Path("/sys/class/powercap")
LONGEST_GAP_SECONDS: Final = 60.0
TICK_SECONDS: Final = 0.001  # how often the counters are renewed (Khan et al. 2018)
#: No package draws more. What a counter seems to have gained beyond it was a reset, not a wrap.
MOST_WATTS: Final = 1000.0


@dataclass(frozen=True)
class Zone:
    """A counter: its directory, its name with that of the zone around it, and where it wraps (microjoules)."""

    path: Path
    name: str
    range_microjoules: int


def packages(root: Path = POWERCAP) -> list[Zone]:
    """The packages of this machine, each once. Raises ``Unavailable``."""
    found = _zones(root, lambda name: name.startswith("package"))
    if not found:
        raise Unavailable(
            f"{root} has no package: this processor or its driver counts no energy; --meter cpu-time estimates, with "
            "the --watts-per-core that you declare"
        )
    return found


def memories(root: Path = POWERCAP) -> list[Zone]:
    """The dram zones of this machine, each once. Raises ``Unavailable``."""
    found = _zones(root, lambda name: name == "dram")
    if not found:
        raise Unavailable(
            f"{root} has no dram zone, which few processors but Intel's for servers have; declare the power of the "
            "memory with --ram-watts"
        )
    return found


class Counters:
    """Several counters as one that never wraps: their energy in microjoules since this was made.

    A counter that fell back has wrapped where the gain that follows is one that a package can draw, else it was reset,
    and what it counts since then is all that is known. After a reset, or where more than one wrap may have passed, the
    reading raises ``Unavailable`` once: energy may be missing.
    """

    def __init__(self, zones: Sequence[Zone], clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._zones: list[tuple[Zone, int]] = []
        for zone in zones:  # one by one, so that those that are open get closed where another cannot be opened
            self._zones.append((zone, _open(zone.path / "energy_uj")))
        self._clock = clock
        self._lock = threading.Lock()  # the sampler reads too
        self._doubts: list[str] = []
        self._total = 0
        self._time = clock()
        self._last = [_number(descriptor, zone) for zone, descriptor in self._zones]
        soonest = min(zone.range_microjoules for zone in zones) / 1e6 / MOST_WATTS  # a wrap takes that long at least
        self._sampler = Sampler(self._sample, min(LONGEST_GAP_SECONDS, soonest) / 2)

    def __del__(self) -> None:
        for _, descriptor in self._zones:
            os.close(descriptor)

    def microjoules(self) -> int:
        self._sampler.start()
        with self._lock:
            self._advance()
            if self._doubts:
                reason = "; ".join(self._doubts)
                self._doubts.clear()
                raise Unavailable(reason)
            return self._total

    def _sample(self) -> None:
        with self._lock:
            try:
                self._advance()
            except Unavailable as gap:
                self._doubts.append(str(gap))

    def _advance(self) -> None:
        now = self._clock()
        most = MOST_WATTS * (now - self._time) / 1000 + 1e6  # microjoules: watts x nanoseconds, and some for rounding
        readings = [_number(descriptor, zone) for zone, descriptor in self._zones]
        for position, (zone, _) in enumerate(self._zones):
            self._total += self._gain(zone, self._last[position], readings[position], most)
        self._last, self._time = readings, now

    def _gain(self, zone: Zone, before: int, now: int, most: float) -> int:
        gain = now - before
        if gain < 0 and gain + zone.range_microjoules <= most:
            gain += zone.range_microjoules
        elif gain < 0:
            self._doubts.append(f"{zone.name}: its counter was reset")
            return min(now, int(most))
        if most > zone.range_microjoules:
            self._doubts.append(f"{zone.name}: it was not read for so long that its counter may have wrapped unseen")
        return gain


class Rapl:
    """Energy of all processor packages of the machine, whoever uses them."""

    info: ClassVar = MeterInfo(
        name="rapl",
        component="cpu",
        tier="measured",
        summary="the processor's own energy counters (RAPL), whole packages",
        factor=RAPL_FACTOR,
        tick_seconds=TICK_SECONDS,
        whole_machine=True,
    )

    def __init__(self, means: Means, root: Path = POWERCAP, clock: Callable[[], int] = time.monotonic_ns) -> None:
        zones = packages(root)
        self.source = f"RAPL counters of {', '.join(zone.name for zone in zones)}"
        self._counters = Counters(zones, clock)

    def microjoules(self) -> int:
        return self._counters.microjoules()


def _zones(root: Path, wanted: Callable[[str], bool]) -> list[Zone]:
    """The wanted zones below ``root``, the first of those with one name; intel-rapl comes before intel-rapl-mmio."""
    zones = (path for path in _listed(root) if ":" in path.name)
    directories = sorted(zones, key=lambda path: ("mmio" in path.name, path.name))
    names = {path.name: _name(path) for path in directories}
    found: dict[str, Zone] = {}
    for path in directories:
        around = names.get(path.name.rpartition(":")[0])
        name = f"{around} {names[path.name]}" if around else names[path.name]
        if wanted(names[path.name]) and name not in found:
            found[name] = Zone(path, name, _range(path))
    return list(found.values())


def _listed(root: Path) -> list[Path]:
    try:
        return list(root.iterdir())
    except OSError:
        raise Unavailable(
            f"there is no {root}: a virtual machine or container without RAPL, or its driver is not loaded (try "
            f"`sudo modprobe intel_rapl_msr`, for AMD too); else --meter cpu-time estimates"
        ) from None


def _name(path: Path) -> str:
    try:
        return (path / "name").read_text().strip()
    except OSError:
        return ""  # no zone


def _range(path: Path) -> int:
    file = path / "max_energy_range_uj"
    try:
        return int(file.read_text())
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"{file} cannot be read ({_reason(error)}), and without it a wrap of the counter would be lost; "
            f"make it readable: `sudo chmod a+r {file}`"
        ) from error


def _open(file: Path) -> int:
    try:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise Unavailable(
            f"{file} may be read by root alone (Linux 5.10 and later, CVE-2020-8694). Until the next boot: "
            f"`sudo chmod a+r /sys/class/powercap/*/energy_uj`; for good: the udev rule in docs/how-to/rapl.md"
        ) from error
    except OSError as error:
        raise Unavailable(f"{file} cannot be read ({_reason(error)})") from error


def _number(descriptor: int, zone: Zone) -> int:
    try:
        return int(os.pread(descriptor, 32, 0))
    except (OSError, ValueError) as error:
        raise Unavailable(f"{zone.name}: its counter cannot be read ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
