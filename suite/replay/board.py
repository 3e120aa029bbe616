"""A replayed board: the same directory, logs and scores as a live one, from recorded tables in place of trainings."""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

from suite.catalog import load_strategy, task_spec
from suite.energy.cpu_time import WATTS_PER_CORE
from suite.replay.session import load_recorded, meter_record
from suite.replay.table import TableError
from suite.runs.board import BOARD_NAME, FULL_BUDGET, BoardError, check_settings, require_positive
from suite.runs.engine import PINNED
from suite.runs.log import Budget
from suite.runs.plan import RunPlan
from suite.runs.processes import Job, Listener, Result


@dataclass(frozen=True)
class ReplaySettings:
    """What all runs of a replayed board have in common.

    budget: in random trainings. workers: simulated, within a run. search_watts: power that the strategies' own CPU time
    is charged at; 0 leaves it out, and makes the logs the same on every machine. jobs: runs side by side; of no
    consequence to what they give.
    """

    budget: float = FULL_BUDGET
    workers: int = 1
    search_watts: float = WATTS_PER_CORE
    jobs: int = 1

    def __post_init__(self) -> None:
        require_positive(self, "budget", "workers", "jobs")
        if not 0 <= self.search_watts < float("inf"):
            raise BoardError(f"search_watts must be at least 0 and finite, got {self.search_watts}")

    def fixed(self) -> dict[str, Any]:
        """What a board is made with once and for all."""
        return {"replay": True, **{name: value for name, value in asdict(self).items() if name != "jobs"}}


class ReplayBoard:
    """The directory of a replayed board. Opening it fixes the settings, or checks that they are those it has."""

    tier: Final = "replay"

    def __init__(self, directory: Path, settings: ReplaySettings) -> None:
        self.directory, self.settings = directory, settings
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / BOARD_NAME
        if path.exists():
            _check(path, settings)
        elif any(directory.iterdir()):
            raise BoardError(f"{directory} is not empty and holds no board; choose a new directory")
        else:
            path.write_text(json.dumps({"settings": settings.fixed()}, indent=2) + "\n")

    def run(
        self, tasks: Sequence[str], strategies: Sequence[str], seeds: Sequence[int], listener: Listener
    ) -> list[Result]:
        """Make the runs that have not ended. Raises ``BoardError`` where a task has no table that can be used."""
        try:
            plans = {task: _plan(task, self.settings) for task in tasks}
        except TableError as error:
            raise BoardError(str(error)) from error
        jobs = [self._job(plans[task], strategy, seed) for seed in seeds for task in tasks for strategy in strategies]
        return run_replays(jobs, self.settings.jobs, self.settings.search_watts, listener)

    def _job(self, plan: RunPlan, strategy: str, seed: int) -> Job:
        task, name = task_spec(plan.task).name, load_strategy(strategy).info.name
        given = replace(plan, strategy=strategy, seed=seed)
        return Job(f"{task} {name} {seed}", given, self.directory / "runs" / task / name / f"seed-{seed}")


def _plan(task: str, settings: ReplaySettings) -> RunPlan:
    """A run on ``task``, whose budget is counted in recorded trainings of its default. Raises ``TableError``."""
    spec, recorded, facts, _ = load_recorded(task)
    if spec.constants is None:
        raise TableError(f"task {task} has no constants, which a budget needs: carbon-suite constants {task} --out DIR")
    energy = recorded.energy(spec.default, 0, spec.fidelity.maximum)
    default = energy.train_microjoules + energy.validate_microjoules
    budget = Budget(
        multiple=settings.budget,
        microjoules=round(settings.budget * spec.constants.m_t * default),
        trials=None,
        default_microjoules=default,
        default_trainings=spec.constants.seeds,
        v0=spec.constants.v0,
    )
    meter = meter_record(facts, settings.search_watts)
    return RunPlan(
        task,
        "",
        0,
        budget,
        workers=settings.workers,
        meters=("recorded",),
        reasons={meter["component"]: meter["reason"]},
        watts_per_core=settings.search_watts,
        default_mix={meter["component"]: 1.0},
        crosscheck=False,
    )


def run_replays(jobs: Sequence[Job], side_by_side: int, search_watts: float, listener: Listener) -> list[Result]:
    """Make all ``jobs``, in ``side_by_side`` processes that fork one run after another."""
    waiting, results = list(reversed(jobs)), []
    servers = [_server() for _ in range(min(side_by_side, len(jobs)))]
    with selectors.DefaultSelector() as selector:
        try:
            busy: dict[int, Job] = {}
            for number, server in enumerate(servers):
                selector.register(_out(server), selectors.EVENT_READ, number)
                busy[number] = _give(server, waiting.pop(), search_watts, listener)
            while busy:
                for key, _ in selector.select():
                    number = key.data
                    results.append(_result(busy.pop(number), _out(servers[number]).readline(), listener))
                    if waiting:
                        busy[number] = _give(servers[number], waiting.pop(), search_watts, listener)
        finally:
            for server in servers:
                server.kill()
                server.communicate()
    return results


def _server() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "suite.replay.session"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, **PINNED},
    )


def _out(server: subprocess.Popen[bytes]) -> IO[bytes]:
    assert server.stdout is not None
    return server.stdout


def _give(server: subprocess.Popen[bytes], job: Job, search_watts: float, listener: Listener) -> Job:
    assert server.stdin is not None
    line = json.dumps({"plan": job.plan.to_json(), "directory": str(job.directory), "search_watts": search_watts})
    server.stdin.write(line.encode() + b"\n")
    listener.started(job)
    return job


def _result(job: Job, line: bytes, listener: Listener) -> Result:
    if not line:
        result = Result(job, 1, "the process that makes replayed runs ended")
    else:
        status, charged, spent, *message = line.decode().strip().split(" ", 3)
        listener.advanced(job, int(charged), int(spent))
        result = Result(job, int(status), " ".join(message))
    listener.ended(result)
    return result


def _check(path: Path, settings: ReplaySettings) -> None:
    try:
        kept = json.loads(path.read_text())["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise BoardError(f"{path} is not the description of a board; choose another directory") from error
    check_settings(path.parent, kept, settings.fixed())
