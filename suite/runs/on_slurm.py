"""Runs on a SLURM cluster, through submitit: one job a run, in arrays, each on a node of its own.

The board's directory must be on a file system that all nodes see, and the project installed on each. What submitit
keeps of its jobs lies in DIR/.submitit until they have ended.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from suite.runs.jobs import BROKEN, KILLED, Advance, EngineError, Job, Maker, Result, elsewhere, of_job

MOST_IN_HAND: Final = 1000  # clusters bound their arrays
WAIT_SECONDS: Final = 1.0
STOP_SECONDS: Final = 10.0
#: A run may take days, and needs a node to itself for its energy to be its own.
DEFAULTS: Final[Mapping[str, Any]] = {
    "name": "carbon-suite",
    "timeout_min": 7 * 24 * 60,
    "slurm_array_parallelism": 256,
}


class SlurmRuns:
    """Makes runs by ``make``, at the nodes of a SLURM cluster.

    exclusive: each has a node to itself. options: parameters of submitit (``slurm_partition``, ``timeout_min``, ...),
    and ``cluster``: "slurm", or "local" and "debug" for trying out without one.
    """

    name = "slurm"

    def __init__(
        self, make: Maker, directory: Path, exclusive: bool = True, options: Mapping[str, Any] | None = None
    ) -> None:
        """Raises ``EngineError``."""
        try:
            import submitit
        except ImportError as error:
            raise EngineError("the engine slurm needs the extra: pip install 'carbon-suite[slurm]'") from error
        self._make, self._submitit, self._folder = make, submitit, directory / ".submitit"
        given = {**DEFAULTS, **({"slurm_exclusive": True} if exclusive else {}), **(options or {})}
        cluster = given.pop("cluster", "slurm")
        try:
            self._executor = submitit.AutoExecutor(folder=self._folder, cluster=cluster)
            self._executor.update_parameters(**given)
        except (RuntimeError, ValueError, NameError, TypeError) as error:
            raise EngineError(f"SLURM cannot be used here: {error}") from error
        self._waiting: list[Job] = []
        self._in_hand: list[tuple[Any, Job]] = []

    def room(self) -> int:
        return MOST_IN_HAND - len(self._in_hand) - len(self._waiting)

    def start(self, job: Job) -> None:
        """It is submitted with the others that are started before the next wait, as one array."""
        self._waiting.append(job)

    def wait(self) -> Sequence[Advance | Result]:
        if self._waiting:
            tasks = self._executor.map_array(self._make, [elsewhere(job) for job in self._waiting])
            self._in_hand += zip(tasks, self._waiting, strict=True)
            self._waiting = []
        done = [(task, job) for task, job in self._in_hand if task.done()]
        if not done:
            time.sleep(WAIT_SECONDS)
        self._in_hand = [each for each in self._in_hand if each not in done]
        return [event for task, job in done for event in self._came_of(task, job)]

    def stop(self) -> None:
        for task, _ in self._in_hand:
            task.cancel(check=False)
        until = time.monotonic() + STOP_SECONDS
        while any(not task.done() for task, _ in self._in_hand) and time.monotonic() < until:
            time.sleep(0.1)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _came_of(self, task: Any, job: Job) -> Sequence[Advance | Result]:
        try:
            events: Sequence[Advance | Result] = task.result()
        except self._submitit.core.utils.UncompletedJobError as error:
            lines = str(error).strip().splitlines() or [""]
            if isinstance(error, self._submitit.core.utils.FailedJobError):
                return [Result(job, BROKEN, f"the run could not be made at its node: {lines[-1]}")]
            return [Result(job, KILLED, f"the job of this run was lost: {lines[0]}")]
        return of_job(job, events)
