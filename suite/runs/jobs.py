"""Runs to be made, and the contract of what makes them: processes on this machine, Ray, SLURM.

An engine is given one job after another while it has room, and says how they come along. It makes a run by
``suite.runs.session`` in a process of its own, which keeps the run's log whole; so an engine may lose a run's process
or its node at any moment, and the run goes on from its log in another attempt.
"""

import math
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from suite.runs.plan import RunPlan

MOST_ATTEMPTS: Final = 3  # at one run by one command, where the attempts before were killed from outside
ENDED, BROKEN, UNUSABLE, DISK, BUSY, STOPPED = 0, 1, 2, 74, 75, 143
KILLED: Final = -signal.SIGKILL


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
        return self.status == ENDED


class Advance(NamedTuple):
    """How far a job is, in microjoules: charged to the run so far, and spent since the job was started."""

    job: Job
    charged_microjoules: int
    spent_microjoules: int


class Listener(Protocol):
    """Is told how jobs come along. What has ended already when it is asked for is not started."""

    def started(self, job: Job) -> None: ...

    def advanced(self, job: Job, charged_microjoules: int, spent_microjoules: int) -> None: ...

    def ended(self, result: Result) -> None: ...


class Silent:
    """Listens, and says nothing."""

    def started(self, job: Job) -> None: ...

    def advanced(self, job: Job, charged_microjoules: int, spent_microjoules: int) -> None: ...

    def ended(self, result: Result) -> None: ...


class RunEngine(Protocol):
    """Where runs are made. ``name``: what it is called in the record of a run's attempts."""

    name: str

    def room(self) -> int:
        """For how many more jobs there is room now."""
        ...

    def start(self, job: Job) -> None: ...

    def wait(self) -> Sequence[Advance | Result]:
        """What has come of the jobs that were started; waits for a moment if nothing has."""
        ...

    def stop(self) -> None:
        """Stop the runs in hand, within seconds, and leave no process behind."""
        ...


#: Makes one job to its end where it is called: what engines send to the nodes of a cluster. The result comes last.
Maker = Callable[[Job], Sequence["Advance | Result"]]


#: Starts the engine, once there is something to be made.
EngineFactory = Callable[[], RunEngine]


class EngineError(ValueError):
    """An engine that cannot be used here; the message says what to do."""


def run_jobs(
    jobs: Sequence[Job], engine: RunEngine, listener: Listener, until_monotonic: float = math.inf
) -> list[Result]:
    """Make all ``jobs``. However this ends, no process of theirs is left behind.

    A job whose process was killed from outside is made again, up to ``MOST_ATTEMPTS`` times. No more are started once
    one could not write, or after the second ``until_monotonic`` of the monotonic clock.
    """
    waiting, in_hand, results = deque(jobs), 0, []
    attempts: Counter[str] = Counter()
    try:
        while waiting or in_hand:
            if time.monotonic() > until_monotonic:
                waiting.clear()
                if not in_hand:
                    break
            while waiting and engine.room() > 0:
                job = waiting.popleft()
                listener.started(job)
                engine.start(job)
                in_hand += 1
            for event in engine.wait():
                if isinstance(event, Advance):
                    listener.advanced(*event)
                    continue
                in_hand -= 1
                attempts[event.job.name] += 1
                listener.ended(event)
                if event.status == KILLED and attempts[event.job.name] < MOST_ATTEMPTS:
                    waiting.append(event.job)
                    continue
                results.append(event)
                if event.status == DISK:
                    waiting.clear()
    finally:
        engine.stop()
    return results


def elsewhere(job: Job) -> Job:
    """``job`` as a process in another folder finds it."""
    plan = replace(job.plan, task=absolute_reference(job.plan.task), strategy=absolute_reference(job.plan.strategy))
    return replace(job, plan=plan, directory=job.directory.resolve())


def absolute_reference(name: str) -> str:
    file, colon, attribute = name.rpartition(":")
    return f"{Path(file).resolve()}:{attribute}" if colon and file.endswith(".py") else name


def of_job(job: Job, events: Sequence[Advance | Result]) -> list[Advance | Result]:
    """What came from elsewhere, of ``job`` as it is known here."""
    return [replace(each, job=job) if isinstance(each, Result) else each._replace(job=job) for each in events]


def ending(status: int) -> str:
    """How a process ended that said nothing of it."""
    if status < 0:
        hint = ": killed from outside, or for want of memory" if status == KILLED else ""
        return f"the run's process was ended by signal {signal.Signals(-status).name}{hint}"
    return f"the run's process ended by exit code {status}"
