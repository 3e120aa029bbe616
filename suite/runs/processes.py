"""Runs side by side, each in a process of its own, watched until all have ended."""

import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Protocol

from suite.energy.node import SHARE_SECONDS, Node
from suite.runs.engine import PINNED
from suite.runs.plan import RunPlan


@dataclass(frozen=True)
class Job:
    """A run to make in ``directory``."""

    name: str
    plan: RunPlan
    directory: Path


@dataclass(frozen=True)
class Result:
    """How a job went: its process's exit status, and what it said of it."""

    job: Job
    status: int
    message: str

    @property
    def ok(self) -> bool:
        return self.status == 0


class Listener(Protocol):
    """Is told how jobs come along, in microjoules: charged to the run so far, and spent since the job was started."""

    def started(self, job: Job) -> None: ...

    def advanced(self, job: Job, charged_microjoules: int, spent_microjoules: int) -> None: ...

    def ended(self, result: Result) -> None: ...


class Silent:
    """Listens, and says nothing."""

    def started(self, job: Job) -> None: ...

    def advanced(self, job: Job, charged_microjoules: int, spent_microjoules: int) -> None: ...

    def ended(self, result: Result) -> None: ...


def run_jobs(
    jobs: Sequence[Job],
    side_by_side: int,
    listener: Listener,
    node: Node | None = None,
    until_monotonic: float = math.inf,
) -> list[Result]:
    """Make all ``jobs``, ``side_by_side`` at a time. However this ends, no process of theirs is left behind.

    node: shares the machine's counters among them, where they count for all. until_monotonic: after this second of the
    monotonic clock no more are started.
    """
    waiting, results = list(reversed(jobs)), []
    running: dict[int, tuple[Job, subprocess.Popen[bytes]]] = {}
    slots: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                if time.monotonic() > until_monotonic:
                    waiting.clear()
                    if not running:
                        break
                while waiting and len(running) < side_by_side:
                    job = waiting.pop()
                    slot = node.open() if node else None
                    process = _start(job, node, slot)
                    if slot is not None:
                        slots[process.pid] = slot
                    running[process.pid] = (job, process)
                    selector.register(_stdout(process), selectors.EVENT_READ, process.pid)
                    listener.started(job)
                events = selector.select(SHARE_SECONDS if node else None)
                if node:
                    node.divide()
                for key, _ in events:
                    job, process = running[key.data]
                    if not _hear(job, process, listener):
                        selector.unregister(_stdout(process))
                        del running[key.data]
                        results.append(_finish(job, process))
                        if node:
                            node.close(slots.pop(process.pid))
                        listener.ended(results[-1])
        finally:
            _stop([process for _, process in running.values()])
    return results


def _start(job: Job, node: Node | None, slot: int | None) -> subprocess.Popen[bytes]:
    plan = job.plan
    if node:
        plan = replace(plan, share={"descriptor": node.descriptor, "slot": slot, "sources": node.sources})
    arguments = [plan.to_json(), str(job.directory), str(os.getpid())]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "suite.runs.session", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **PINNED},
        pass_fds=[node.descriptor] if node else [],
        start_new_session=True,  # Ctrl-C reaches only this process, which then stops the runs
    )


def _stdout(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _hear(job: Job, process: subprocess.Popen[bytes], listener: Listener) -> bool:
    """Take in the lines that have come; False at the end of them."""
    chunk = os.read(_stdout(process).fileno(), 1 << 16)
    lines = [line.split() for line in chunk.splitlines()]
    if lines and len(lines[-1]) == 2:
        listener.advanced(job, int(lines[-1][0]), int(lines[-1][1]))
    return bool(chunk)


def _finish(job: Job, process: subprocess.Popen[bytes]) -> Result:
    _, errors = process.communicate()
    return Result(job, process.returncode, errors.decode(errors="replace").strip())


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask the runs to stop, which takes them a moment; kill those that do not."""
    for process in processes:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
