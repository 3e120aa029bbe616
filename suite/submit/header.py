"""What the header of each log must say: the task as it is installed here, the settings of the board, one machine."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, Final

import orjson

from suite.catalog import STRATEGIES, load_meter, load_strategy, load_task, task_names, task_spec
from suite.energy.meter import Means as MeterMeans
from suite.energy.meter import MeterInfo
from suite.energy.processes import ProcessTree
from suite.runs.board import Reference, Settings, budget_of, training_only
from suite.runs.plan import RunPlan
from suite.runs.program import declared_spec
from suite.submit.layout import Metadata
from suite.submit.power import Means
from suite.submit.rules import RELEASE
from suite.task import TaskSpec

#: The meters of the suite; a recorded trace is no meter of a submission.
METERS: Final = ("cpu-time", "nvml", "nvml-power", "ram-watts", "rapl", "rapl-dram")
_DECLARED: Final = ("cpu-time", "ram-watts")  # whose source is a sentence of declared figures


@dataclass(frozen=True)
class BoardFile:
    """What ``board.json`` says: the settings, the meters and why these, and each task's reference."""

    settings: Settings
    meters: tuple[str, ...]
    reasons: Mapping[str, str]
    references: Mapping[str, Reference]

    @cached_property
    def _infos(self) -> list[MeterInfo]:
        return [load_meter(name).info for name in self.meters]

    def means(self, machine: Mapping[str, Any], workers: int) -> Means:
        cores = machine.get("cores")
        return Means(
            components=frozenset(info.component for info in self._infos),
            watts_per_core=self.settings.watts_per_core if "cpu-time" in self.meters else None,
            idle_watts=self.settings.idle_watts / self.settings.jobs,
            cores=cores if type(cores) is int and 0 < cores < 10_000 else 1,
            workers=workers,
        )

    @cached_property
    def meter_records(self) -> list[dict[str, Any]]:
        """What a header says of the meters; what only the machine itself can say is left out."""
        ram = None if self.settings.ram_watts is None else self.settings.ram_watts / self.settings.jobs
        means = MeterMeans(
            ProcessTree(), self.settings.watts_per_core, self.settings.idle_watts / self.settings.jobs, ram
        )
        records = []
        for name in self.meters:
            factory = load_meter(name)
            info = factory.info
            known = {"component": info.component, "meter": info.name, "tier": info.tier, "factor": info.factor}
            declared = {"source": factory(means).source} if name in _DECLARED else {}
            records.append(
                {**known, "tick_seconds": info.tick_seconds, "reason": self.reasons.get(info.component), **declared}
            )
        return records


class Installed:
    """Tasks and strategies as they are installed here, looked up once. Nothing is loaded from a submission."""

    def __init__(self) -> None:
        self._tasks = set(task_names())
        self._specs: dict[tuple[str, bool], TaskSpec] = {}
        self._strategies: dict[str, dict[str, Any] | None] = {}

    def has(self, task: str) -> bool:
        return task in self._tasks

    def spec(self, task: str, program: bool) -> TaskSpec:
        if (task, program) not in self._specs:
            self._specs[task, program] = _declared(task) if program else task_spec(task)
        return self._specs[task, program]

    def strategy(self, name: str) -> dict[str, Any] | None:
        """How the suite's own strategy ``name`` presents itself; None where it has none of that name."""
        if name not in self._strategies:
            self._strategies[name] = _own(name)
        return self._strategies[name]


def _declared(task: str) -> TaskSpec:
    return declared_spec(load_task(task))


def _own(name: str) -> dict[str, Any] | None:
    own = [each for each in entry_points(group=STRATEGIES, name=name) if each.module.startswith("suite.search.")]
    if len(own) != 1:
        return None
    info = load_strategy(name).info
    return {
        "name": info.name,
        "family": info.family,
        "version": info.version,
        "library": info.library,
        "capabilities": sorted(info.capabilities),
        "file_sha256": None,
        "default": None,
    }


def of_a_run(metadata: Metadata, board: BoardFile, spec: TaskSpec, seed: int) -> dict[str, Any]:
    """The header of a ranked run, as far as it is known beforehand."""
    settings = board.settings
    reference = board.references[spec.name]
    return {
        **_of_any(metadata, board, spec, seed),
        "role": "ranked",
        "budget": asdict(budget_of(settings, reference, spec)),
        "workers": settings.workers,
        "time_limit_seconds": reference.time_limit_seconds * (10 if settings.program else 1),
        "default_mix": dict(reference.mix),
        "program": settings.program,
    }


def of_a_calibration(metadata: Metadata, board: BoardFile, spec: TaskSpec, seed: int) -> dict[str, Any]:
    plan = RunPlan(spec.name, "default", seed, training_only(1))
    return {
        **_of_any(metadata, board, replace(spec, constants=None), seed),
        "role": "calibration",
        "budget": asdict(plan.budget),
        "workers": plan.workers,
        "time_limit_seconds": plan.time_limit_seconds,
        "default_mix": {},
        "program": False,
    }


def _of_any(metadata: Metadata, board: BoardFile, spec: TaskSpec, seed: int) -> dict[str, Any]:
    return {
        "task": json.loads(json.dumps(spec.to_record())),
        "memory_gib": board.settings.memory_gib,
        "seed": seed,
        "variant": 0,
        "jobs": board.settings.jobs,
        "device": board.settings.device,
        "machine": metadata.environment,
        "meters": board.meter_records,
    }


def differences(found: Any, expected: Any, where: str = "") -> Iterator[str]:
    """Where ``found`` differs from ``expected``: path, what must be, what is. ``found`` may hold more at its top."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        if _spelt(found) == _spelt(expected):
            return
        names = list(expected) if not where or where.endswith("]") else sorted({*expected, *found}, key=str)
        for name in names:
            yield from differences(found.get(name), expected.get(name), f"{where}.{name}" if where else str(name))
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (theirs, ours) in enumerate(zip(found, expected, strict=True)):
            yield from differences(theirs, ours, f"{where}[{number}]")
    elif found != expected or isinstance(found, bool) != isinstance(expected, bool):
        yield f"{where} must be {_short(expected)}, got {_short(found)}"


def strategy_problems(record: Mapping[str, Any], known: Mapping[str, Any] | None, program: bool) -> Iterator[str]:
    """What is wrong with the strategy of a header; ``known``: as the suite's own of that name presents itself."""
    needed = {"name", "family", "version", "library", "library_version", "capabilities", "file_sha256", "default"}
    if set(record) != needed or not isinstance(record["capabilities"], list):
        yield f"strategy must have the fields {', '.join(sorted(needed))}"
        return
    if record["default"] is not None:
        yield "strategy.default must be null: a ranked run is given the task's own default"
    for name in ("name", "family", "version"):
        if not isinstance(record[name], str):
            yield f"strategy.{name} must be a text"
    if known is not None:
        yield from differences(
            {"strategy": {**record, "library_version": None}}, {"strategy": {**known, "library_version": None}}
        )
    elif "program" in record["capabilities"] and not program:
        yield "a program runs on program boards only"


def release_of(version: Any) -> str | None:
    """Major.Minor of a version of the suite."""
    return ".".join(version.split(".")[:2]) if isinstance(version, str) else None


def is_this_release(version: Any) -> bool:
    return release_of(version) == RELEASE


def _spelt(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:80] + "..."
