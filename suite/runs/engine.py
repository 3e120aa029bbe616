"""The local engine: worker processes of one run, what they are doing, and what they say."""

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal, NamedTuple, Protocol

import orjson

from suite.energy.ledger import PhaseChanges
from suite.energy.marks import BYTES, Marks
from suite.energy.processes import reap
from suite.runs.plan import RunPlan
from suite.runs.trial import Order

#: Threads are pinned, and hashes do not depend on the process, in every worker and every run.
PINNED = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB")},
    "PYTHONHASHSEED": "0",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


class Event(NamedTuple):
    """Something that worker ``pid`` said, or that it died. ``message`` holds what came with it."""

    pid: int
    kind: Literal["ready", "error", "unavailable", "outcome", "died"]
    message: Any = None
    cpu_ns: int | None = None


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: socket.socket
    marks: Marks
    received: bytes = b""
    order: Order | None = None
    since: float = 0.0


class Engine(Protocol):
    """Where a run's trials are made: workers by pid, each with one order at a time."""

    def start(self) -> int: ...

    def submit(self, pid: int, order: Order) -> None: ...

    def wait(self, seconds: float) -> list[Event]: ...

    def marks_of(self, pid: int) -> PhaseChanges: ...

    def finish(self, pid: int) -> float: ...

    def overdue(self, limit_seconds: float) -> list[int]: ...

    def kill(self, pid: int, died: bool = False) -> str: ...

    def pids(self) -> list[int]: ...

    def close(self) -> None: ...


class LocalEngine:
    """Starts worker processes for one task, hands them orders and listens to them.

    Each worker leads a process group of its own, so that killing it leaves nothing behind. Workers start as
    ``python -P``: modules in the working folder do not hide installed ones. ``program``: the plan of a run on a program
    board, which poses the task in a way of its own.
    """

    def __init__(
        self,
        task: str,
        device: str,
        output: Path,
        keeps_checkpoints: bool = False,
        variant: int = 0,
        program: RunPlan | None = None,
    ) -> None:
        self._task = task
        self._variant = variant
        self._device = device
        self._keeps = keeps_checkpoints
        self._output = output
        self._program = program.to_json() if program else ""
        self._workers: dict[int, _Worker] = {}
        self._selector = selectors.DefaultSelector()

    def start(self) -> int:
        """Start one worker and return its pid. It is ready once it says so."""
        ours, theirs = socket.socketpair()
        with theirs, TemporaryFile() as shared, self._output.open("ab") as output:
            shared.truncate(BYTES)
            descriptors = [theirs.fileno(), shared.fileno()]
            kept = "keep" if self._keeps else ""
            arguments = [*map(str, descriptors), self._task, self._device, kept, str(self._variant), str(os.getpid())]
            arguments.append(self._program)
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "suite.runs.worker", *arguments],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **PINNED},
                start_new_session=True,
            )
            self._workers[process.pid] = _Worker(process, ours, Marks(shared.fileno()))
        self._selector.register(ours, selectors.EVENT_READ, process.pid)
        return process.pid

    def submit(self, pid: int, order: Order) -> None:
        worker = self._workers[pid]
        worker.order, worker.since = order, time.monotonic()
        worker.marks.clear()
        with suppress(BrokenPipeError):  # the worker has died; the next wait says so
            worker.connection.sendall(orjson.dumps(order._asdict()) + b"\n")

    def wait(self, seconds: float) -> list[Event]:
        """What the workers say within ``seconds``, at least one event unless the time runs out."""
        return [event for key, _ in self._selector.select(seconds) for event in self._receive(key.data)]

    def marks_of(self, pid: int) -> Marks:
        """Where worker ``pid`` marks its changes of phase."""
        return self._workers[pid].marks

    def finish(self, pid: int) -> float:
        """Worker ``pid`` is free again. Returns the seconds that its order took."""
        worker = self._workers[pid]
        worker.order = None
        return time.monotonic() - worker.since

    def overdue(self, limit_seconds: float) -> list[int]:
        now = time.monotonic()
        return [pid for pid, worker in self._workers.items() if worker.order and now - worker.since > limit_seconds]

    def kill(self, pid: int, died: bool = False) -> str:
        """End worker ``pid`` with all that it started, and wait for it. Returns how it ended.

        ``died``: it hung up by itself, so give it a moment to leave its own exit status.
        """
        worker = self._workers.pop(pid)
        self._selector.unregister(worker.connection)
        worker.connection.close()
        if died:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(timeout=2)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        code = worker.process.wait()
        reap(group=pid)
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def pids(self) -> list[int]:
        return list(self._workers)

    def close(self) -> None:
        for pid in self.pids():
            self.kill(pid)
        self._selector.close()

    def _receive(self, pid: int) -> list[Event]:
        worker = self._workers[pid]
        try:
            chunk = worker.connection.recv(65536)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            return [Event(pid, "died")]
        *lines, worker.received = (worker.received + chunk).split(b"\n")
        return [_event(pid, line) for line in lines]


def _event(pid: int, line: bytes) -> Event:
    message = orjson.loads(line)
    cpu_ns = message.pop("cpu_ns")
    ((kind, content),) = message.items()
    return Event(pid, kind, content, cpu_ns)
