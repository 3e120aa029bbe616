"""A replayed board: the same directory, logs and scores as a live one, from recorded tables in place of trainings."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from suite.energy.cpu_time import WATTS_PER_CORE
from suite.replay.servers import ReplayRuns
from suite.replay.session import load_recorded, meter_record
from suite.replay.table import TableError
from suite.runs.agenda import Entry, add_runs
from suite.runs.board import (
    BOARD_NAME,
    FULL_BUDGET,
    BoardError,
    check_new,
    check_settings,
    job_of,
    make_recorded,
    require_positive,
)
from suite.runs.claim import Claim
from suite.runs.files import write_whole
from suite.runs.jobs import EngineFactory, Listener, Result
from suite.runs.log import Budget
from suite.runs.plan import RunPlan


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
        self.claim = Claim(directory)
        path = directory / BOARD_NAME
        if not path.exists():
            check_new(directory)
            with self.claim:
                if not path.exists():  # another process may have begun it just now
                    write_whole(path, json.dumps({"settings": settings.fixed()}, indent=2).encode() + b"\n")
        _check(path, settings)

    @classmethod
    def reopen(cls, directory: Path, jobs: int = 1) -> Self:
        """The replayed board in ``directory``, with the settings that it was made with. Raises ``BoardError``."""
        kept = _kept(directory / BOARD_NAME)
        given = {name: value for name, value in kept.items() if name != "replay"}
        return cls(directory, ReplaySettings(**given, jobs=jobs))

    def plan(self, tasks: Sequence[str], strategies: Sequence[str], seeds: Sequence[int]) -> list[Entry]:
        """Write down that each strategy is to be run on each task with each seed. Returns these runs."""
        with self.claim:
            return add_runs(self.directory, tasks, strategies, seeds)

    def make(self, entries: Sequence[Entry], listener: Listener, engine: EngineFactory | None = None) -> list[Result]:
        """Make the planned runs that have not ended, by ``engine``, or by processes on this machine where it is None.

        Raises ``BoardError`` where a task's table cannot be used.
        """
        try:
            plans = {task: _plan(task, self.settings) for task in dict.fromkeys(entry.task for entry in entries)}
        except TableError as error:
            raise BoardError(str(error)) from error
        jobs = [job_of(self.directory, plans[entry.task], entry) for entry in entries]
        with self.claim:
            return make_recorded(jobs, engine or (lambda: ReplayRuns(self.settings.jobs)), self.directory, listener)

    def run(
        self, tasks: Sequence[str], strategies: Sequence[str], seeds: Sequence[int], listener: Listener
    ) -> list[Result]:
        """Plan runs, and make those that have not ended."""
        with self.claim:
            return self.make(self.plan(tasks, strategies, seeds), listener)


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


def is_replay(directory: Path) -> bool:
    """Whether the board in ``directory`` is a replayed one; false where there is none."""
    path = directory / BOARD_NAME
    return path.exists() and bool(_kept(path).get("replay"))


def _check(path: Path, settings: ReplaySettings) -> None:
    check_settings(path.parent, _kept(path), settings.fixed())


def _kept(path: Path) -> dict[str, Any]:
    """The settings that the board of ``path`` was made with. Raises ``BoardError``."""
    try:
        kept: dict[str, Any] = json.loads(path.read_text())["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise BoardError(f"{path} is not the description of a board; choose another directory") from error
    return kept
