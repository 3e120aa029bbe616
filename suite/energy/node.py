"""Runs side by side on one machine whose counters see all of them: read once, and shared out by what each run used.

The process that starts the runs reads the counters ten times a second and gives each run its share, the CPU's and the
memory's by CPU seconds, the GPU's by the seconds for which the run was at trials on it. Runs read their shares from a
file that all have open, and leave in it what they used. What was used while no run was there, or after a run's last
reading, is the remainder, which is reported: shares and remainder sum to what the counters counted, exactly.
"""

import mmap
import os
from collections.abc import Sequence
from dataclasses import replace
from tempfile import TemporaryFile
from typing import Any, Final, Literal

from suite.energy.ledger import Label, Ledger, Phase
from suite.energy.meter import Meter, MeterInfo
from suite.energy.processes import ProcessTree

SHARE_SECONDS: Final = 0.1

Field = Literal["cpu_ns", "busy_ns", "given cpu", "given ram", "given gpu", "taken cpu", "taken ram", "taken gpu"]
_FIELDS: Final[tuple[Field, ...]] = (
    "cpu_ns",
    "busy_ns",
    "given cpu",
    "given ram",
    "given gpu",
    "taken cpu",
    "taken ram",
    "taken gpu",
)
_PLACE: Final = {field: place for place, field in enumerate(_FIELDS)}


class Slots:
    """A slot for each run, in a file that several processes have open as ``descriptor``."""

    def __init__(self, descriptor: int) -> None:
        self._cells = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size)).cast("q")

    def get(self, slot: int, field: Field) -> int:
        return self._cells[slot * len(_FIELDS) + _PLACE[field]]

    def set(self, slot: int, field: Field, value: int) -> None:
        self._cells[slot * len(_FIELDS) + _PLACE[field]] = value

    def clear(self, slot: int) -> None:
        for field in _FIELDS:
            self.set(slot, field, 0)


class SharedMeter:
    """One run's share of a counter that sees the whole machine. ``source``: what that counter says of itself."""

    def __init__(self, info: MeterInfo, source: str, slots: Slots, slot: int, processes: ProcessTree) -> None:
        self.info = replace(info, tick_seconds=max(info.tick_seconds, SHARE_SECONDS))
        by = "seconds at trials" if info.component == "gpu" else "CPU seconds"
        self.source = f"{source}, shared with the runs beside this one by {by}"
        self._slots, self._slot, self._processes = slots, slot, processes
        self._given: Any = f"given {info.component}"
        self._taken: Any = f"taken {info.component}"

    def microjoules(self) -> int:
        self._slots.set(self._slot, "cpu_ns", self._processes.cpu_ns())
        self._slots.set(self._slot, "busy_ns", self._processes.busy_ns)
        reading = self._slots.get(self._slot, self._given)
        self._slots.set(self._slot, self._taken, reading)
        return reading


class Node:
    """The counters of the machine, and who gets what of them. At most ``runs`` at a time."""

    def __init__(self, meters: Sequence[Meter], runs: int) -> None:
        self._file = TemporaryFile()  # noqa: SIM115  # open as long as this is
        self._file.truncate(8 * len(_FIELDS) * runs)
        self._slots = Slots(self._file.fileno())
        self._free = list(reversed(range(runs)))
        self.sources = {meter.info.name: meter.source for meter in meters}
        gpus = [meter for meter in meters if meter.info.component == "gpu"]
        others = [meter for meter in meters if meter not in gpus]
        self._ledgers = [
            Ledger(several, seconds)
            for several, seconds in (
                (others, _Seconds(self._slots, "cpu_ns")),
                (gpus, _Seconds(self._slots, "busy_ns")),
            )
            if several
        ]
        self._counted: dict[str, int] = {}
        self._taken: dict[str, int] = {}

    def __del__(self) -> None:
        self._file.close()

    @property
    def descriptor(self) -> int:
        return self._file.fileno()

    def open(self) -> int:
        """A slot for a run that starts now."""
        self.divide()
        slot = self._free.pop()
        self._slots.clear(slot)
        for ledger in self._ledgers:
            ledger.open_lane(slot, Label("train", slot), _NO_CHANGES)
        return slot

    def close(self, slot: int) -> None:
        """The run in ``slot`` has ended."""
        self.divide()
        for ledger in self._ledgers:
            ledger.close_lane(slot)
        self.divide()
        for component in self._counted:
            taken: Any = f"taken {component}"
            self._taken[component] = self._taken.get(component, 0) + self._slots.get(slot, taken)
        self._free.append(slot)

    def divide(self) -> None:
        """Give each run its share of what was counted since the last time."""
        for ledger in self._ledgers:
            ledger.cut()
            for segment in ledger.drain():
                for component, amount in segment.microjoules.items():
                    self._counted[component] = self._counted.get(component, 0) + amount
                    if segment.trial is not None:
                        field: Any = f"given {component}"
                        self._slots.set(segment.trial, field, self._slots.get(segment.trial, field) + amount)

    def report(self) -> dict[str, dict[str, int]]:
        """Microjoules by component: counted in all, taken by the runs that have ended, and the remainder."""
        self.divide()
        return {
            "counted": dict(self._counted),
            "taken": {component: self._taken.get(component, 0) for component in self._counted},
            "remainder": {
                component: counted - self._taken.get(component, 0) for component, counted in self._counted.items()
            },
        }


class _Seconds(ProcessTree):
    """What the runs say they used, in place of process clocks. A lane is a slot."""

    def __init__(self, slots: Slots, field: Field) -> None:
        super().__init__()
        self._slots, self._field = slots, field
        self._total_ns = self._ended_ns = 0

    def refresh(self, reported: int | None = None) -> None:
        for slot, latest in self._workers.items():
            self._workers[slot] = max(latest, self._slots.get(slot, self._field))
        self._total_ns = self._ended_ns + sum(self._workers.values())

    def forget(self, pid: int) -> None:
        self._ended_ns += self._workers[pid]
        super().forget(pid)


class _NoChanges:
    def entered(self) -> Sequence[tuple[Phase, int]]:
        return ()

    def searched_ns(self) -> int:
        return 0


_NO_CHANGES: Final = _NoChanges()
