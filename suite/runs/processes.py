"""The default engine: runs on this machine, side by side, each in a process of its own."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import IO, Final

from suite.energy.node import SHARE_SECONDS, Node
from suite.runs.engine import PINNED
from suite.runs.jobs import Advance, Job, Result, ending

STOP_SECONDS: Final = 8.0  # what runs are given to stop by themselves
WAIT_SECONDS: Final = 1.0


class LocalRuns:
    """``side_by_side`` runs at a time. node: shares the machine's counters among them, where they count for all."""

    name = "local"

    def __init__(self, side_by_side: int, node: Node | None = None) -> None:
        self._side_by_side, self._node = side_by_side, node
        self._running: dict[int, tuple[Job, subprocess.Popen[bytes]]] = {}
        self._slots: dict[int, int] = {}
        self._selector = selectors.DefaultSelector()

    def room(self) -> int:
        return self._side_by_side - len(self._running)

    def start(self, job: Job) -> None:
        plan, node, descriptors = job.plan, self._node, []
        slot = node.open() if node else 0
        if node:
            plan = replace(plan, share={"descriptor": node.descriptor, "slot": slot, "sources": node.sources})
            descriptors = [node.descriptor]
        process = start_session(replace(job, plan=plan), descriptors)
        self._running[process.pid] = (job, process)
        self._slots[process.pid] = slot
        self._selector.register(_stdout(process), selectors.EVENT_READ, process.pid)

    def wait(self) -> Sequence[Advance | Result]:
        events: list[Advance | Result] = []
        ready = self._selector.select(SHARE_SECONDS if self._node else WAIT_SECONDS)
        if self._node:
            self._node.divide()
        for key, _ in ready:
            job, process = self._running[key.data]
            chunk = os.read(_stdout(process).fileno(), 1 << 16)
            events += _advances(job, chunk)
            if not chunk:
                events.append(self._finish(job, process))
        return events

    def stop(self) -> None:
        """Ask the runs to stop, which takes them a moment; kill those that do not."""
        stop_processes([process for _, process in self._running.values()])
        self._running.clear()
        self._selector.close()

    def _finish(self, job: Job, process: subprocess.Popen[bytes]) -> Result:
        self._selector.unregister(_stdout(process))
        del self._running[process.pid]
        _, errors = process.communicate()
        result = _result(job, process, errors)
        slot = self._slots.pop(process.pid)
        if self._node:
            self._node.close(slot)
        return result


def make_here(job: Job) -> Sequence[Advance | Result]:
    """Make ``job`` on this machine, and wait for its end. If this is interrupted, the run stops too."""
    process = start_session(job)
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                said, errors = process.communicate(timeout=WAIT_SECONDS)  # an interrupt is heard in between
                return [*_advances(job, said), _result(job, process, errors)]
    finally:
        stop_processes([process])


def start_session(job: Job, descriptors: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start the process that makes ``job``. It inherits ``descriptors``, and dies with the thread that called this."""
    arguments = [job.plan.to_json(), str(job.directory), str(os.getpid())]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "suite.runs.session", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **PINNED},
        pass_fds=descriptors,
        start_new_session=True,  # Ctrl-C reaches only this process, which then stops the runs
    )


def stop_processes(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask them to stop, all at once; kill those that have not within ``STOP_SECONDS``."""
    for process in processes:
        process.send_signal(signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.communicate(timeout=max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _stdout(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _advances(job: Job, chunk: bytes) -> list[Advance]:
    """The last of the lines that have come, if it is whole."""
    lines = [line.split() for line in chunk.splitlines()]
    return [Advance(job, int(lines[-1][0]), int(lines[-1][1]))] if lines and len(lines[-1]) == 2 else []


def _result(job: Job, process: subprocess.Popen[bytes], errors: bytes) -> Result:
    said = errors.decode(errors="replace").strip()
    return Result(job, process.returncode, said or (ending(process.returncode) if process.returncode else ""))
