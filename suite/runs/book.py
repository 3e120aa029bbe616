"""The book of a run: ledger, charge and log kept in step, so that every record carries the energy since the last."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from suite.energy.ledger import Gaps, Label, Phase, PhaseChanges, Segment
from suite.runs.log import Charge, LogWriter

HEARTBEAT_SECONDS = 10.0
SYNC_SECONDS = 1.0  # what a power cut may cost; a kill costs nothing
REPORT_SECONDS = 0.2


class Accounts(Protocol):
    """What a run's energy is kept in: ``suite.energy.ledger.Ledger``, or one that takes recorded energy."""

    @property
    def total_microjoules(self) -> int: ...

    def window(self, phase: Phase, trial: int | None = None) -> AbstractContextManager[None]: ...

    def open_lane(self, pid: int, label: Label, changes: PhaseChanges) -> None: ...

    def assign(self, pid: int, label: Label) -> None: ...

    def relabel(self, pid: int, label: Label, cpu_ns: int | None = None) -> None: ...

    def close_lane(self, pid: int) -> None: ...

    def declare(self, label: Label, microjoules: Mapping[str, int], wall_ns: int) -> None: ...

    def cut(self) -> None: ...

    def drain(self) -> list[Segment]: ...

    def drain_gaps(self) -> Gaps: ...


class Book:
    """Writes records with the segments since the last record, and knows what the run was charged so far."""

    def __init__(
        self,
        ledger: Accounts,
        charge: Charge,
        log: LogWriter,
        total_microjoules: int = 0,
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        """``report`` is told now and then of the microjoules that the run was charged, and of all that this session
        spent."""
        self.ledger = ledger
        self._charge = charge
        self._log = log
        self._total_before = total_microjoules
        self._report = report
        self._unwritten: list[Segment] = []
        self._written_at = time.monotonic()
        self._synced_at = self._reported_at = -1.0

    @property
    def total_microjoules(self) -> int:
        """All energy of the run, earlier sessions included."""
        return self._total_before + self.ledger.total_microjoules

    def charged(self) -> int:
        """Microjoules charged up to the ledger's last cut."""
        self._collect()
        return self._charge.microjoules

    def of_trial(self, number: int) -> int:
        """Microjoules that trial ``number`` was charged up to the ledger's last cut."""
        self._collect()
        return self._charge.of_trial(number)

    def lose(self, number: int) -> None:
        self._charge.lose(number)

    def write(self, kind: str, sync: bool = False, **fields: Any) -> None:
        """Append a record. ``sync``: have it on the disk too, unless that was done within the last second."""
        self._collect()
        segments = [segment.to_record() for segment in self._unwritten]
        now = time.monotonic()
        sync = sync and now - self._synced_at >= SYNC_SECONDS
        gaps = self.ledger.drain_gaps()
        unseen = {"gaps": gaps._asdict()} if gaps else {}
        energy = {"segments": segments, "total": self.total_microjoules}
        self._log.append({"record": kind, **fields, **energy, **unseen}, sync)
        self._unwritten.clear()
        self._written_at = now
        self._synced_at = now if sync else self._synced_at
        if now - self._reported_at >= REPORT_SECONDS:
            self.report()

    def heartbeat(self) -> None:
        """Cut the ledger, say how far the run is, and write it down where nothing was written for a while."""
        self.ledger.cut()
        if time.monotonic() - self._written_at >= HEARTBEAT_SECONDS:
            self.write("heartbeat", sync=True)
        else:
            self._collect()
            self.report()

    def report(self) -> None:
        """Say how far the run is."""
        self._reported_at = time.monotonic()
        if self._report:
            self._report(self._charge.microjoules, self.ledger.total_microjoules)

    def _collect(self) -> None:
        segments = self.ledger.drain()
        self._charge.add(segments)
        self._unwritten += segments
