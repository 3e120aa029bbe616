"""Processes on this machine that make replayed runs, each forking one run after another."""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import IO, Final

from suite.runs.engine import PINNED
from suite.runs.jobs import KILLED, Advance, Job, Result

WAIT_SECONDS: Final = 1.0


class Server:
    """A process that makes one replayed run at a time, and has the tables of the earlier ones at hand."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "suite.replay.session", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **PINNED},
            start_new_session=True,  # Ctrl-C reaches only this process, which then stops it
        )

    def give(self, job: Job) -> None:
        """Have ``job`` made. If the process is gone, its answer says so."""
        assert self._process.stdin is not None
        line = json.dumps({"plan": job.plan.to_json(), "directory": str(job.directory)})
        with suppress(BrokenPipeError):
            self._process.stdin.write(line.encode() + b"\n")

    @property
    def answers(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def answer(self, job: Job) -> list[Advance | Result]:
        """What became of ``job``; waits for it."""
        line = self.answers.readline()
        if not line.endswith(b"\n"):
            return [Result(job, KILLED, "the process that makes replayed runs was ended from outside")]
        status, charged, spent, *message = line.decode().strip().split(" ", 3)
        return [Advance(job, int(charged), int(spent)), Result(job, int(status), " ".join(message))]

    def close(self) -> None:
        """End it, and the run that it has in hand."""
        self._process.kill()
        self._process.communicate()


class ReplayRuns:
    """Replayed runs on this machine, in at most ``side_by_side`` processes."""

    name = "local"

    def __init__(self, side_by_side: int) -> None:
        self._side_by_side = side_by_side
        self._free: list[Server] = []
        self._busy: dict[Server, Job] = {}
        self._selector = selectors.DefaultSelector()

    def room(self) -> int:
        return self._side_by_side - len(self._busy)

    def start(self, job: Job) -> None:
        server = self._free.pop() if self._free else Server()
        server.give(job)
        self._busy[server] = job
        self._selector.register(server.answers, selectors.EVENT_READ, server)

    def wait(self) -> Sequence[Advance | Result]:
        events: list[Advance | Result] = []
        for key, _ in self._selector.select(WAIT_SECONDS):
            server: Server = key.data
            self._selector.unregister(server.answers)
            answer = server.answer(self._busy.pop(server))
            events += answer
            if len(answer) == 1:
                server.close()
            else:
                self._free.append(server)
        return events

    def stop(self) -> None:
        for server in (*self._free, *self._busy):
            server.close()
        self._free.clear()
        self._busy.clear()
        self._selector.close()


def make_replay_here(job: Job) -> Sequence[Advance | Result]:
    """Make ``job`` in a process that this one keeps for the next."""
    server = _kept_server()
    server.give(job)
    answer = server.answer(job)
    if len(answer) == 1:  # it is gone
        server.close()
        _kept_server.cache_clear()
    return answer


@cache
def _kept_server() -> Server:
    return Server()
