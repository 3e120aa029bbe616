"""Stand-ins for hardware: a powercap tree in a folder, an NVML, and clocks that the test sets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.energy.meter import Means
from suite.energy.processes import ProcessTree

RANGE = 262_143_328_850  # microjoules, as most of Intel's counters have it


def means(ram_watts: float | None = None) -> Means:
    return Means(ProcessTree(), watts_per_core=10.0, idle_watts=1.0, ram_watts=ram_watts)


class Clock:
    """A monotonic clock that stands still unless it is told to go on."""

    def __init__(self) -> None:
        self.ns = 10**12

    def __call__(self) -> int:
        return self.ns

    def go_on(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


class Powercap:
    """A tree such as /sys/class/powercap: zones by the name of their directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def zone(self, directory: str, name: str, microjoules: int = 0, range_microjoules: int = RANGE) -> None:
        path = self.root / directory
        path.mkdir()
        (path / "name").write_text(f"{name}\n")
        (path / "max_energy_range_uj").write_text(f"{range_microjoules}\n")
        self.set(directory, microjoules)

    def set(self, directory: str, microjoules: int) -> None:
        (self.root / directory / "energy_uj").write_text(f"{microjoules}\n")


class NvmlError(Exception):
    pass


@dataclass
class Card:
    """A GPU that is not there. ``millijoules`` or ``milliwatts`` None: it cannot say."""

    uuid: str
    model: str = "NVIDIA Example"
    millijoules: int | None = 0
    milliwatts: int | None = 0
    mig: bool = False
    can_mig: bool = True
    asked: int = field(default=0)


class FakeNvml:
    """The few functions of pynvml that are used."""

    NVMLError = NvmlError

    def __init__(self, *cards: Card) -> None:
        self.cards = cards

    def nvmlInit(self) -> None: ...  # noqa: N802

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "550.54"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> Any:  # noqa: N802
        return number

    def nvmlDeviceGetUUID(self, number: int) -> str:  # noqa: N802
        return self.cards[number].uuid

    def nvmlDeviceGetName(self, number: int) -> str:  # noqa: N802
        return self.cards[number].model

    def nvmlDeviceGetMigMode(self, number: int) -> tuple[int, int]:  # noqa: N802
        if not self.cards[number].can_mig:
            raise NvmlError("Not Supported")
        return int(self.cards[number].mig), int(self.cards[number].mig)

    def nvmlDeviceGetTotalEnergyConsumption(self, number: int) -> int:  # noqa: N802
        self.cards[number].asked += 1
        return self._said(self.cards[number].millijoules)

    def nvmlDeviceGetPowerUsage(self, number: int) -> int:  # noqa: N802
        return self._said(self.cards[number].milliwatts)

    def _said(self, value: int | None) -> int:
        if value is None:
            raise NvmlError("Not Supported")
        return value
