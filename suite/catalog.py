"""Finds tasks, strategies and meters by name: entry points, or ``path/to/file.py:OBJECT`` while you develop one.

A package adds to the catalogue by declaring entry points in the groups below; nothing registers itself on import.
Listing reads the card beside a task's module, so that it needs no torch.
"""

import importlib.util
import json
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from suite.energy.meter import MeterFactory, Unavailable
from suite.energy.replay import PREFIX as REPLAY
from suite.energy.replay import ReplayFile
from suite.search.strategy import Program, Strategy, StrategyInfo, is_program
from suite.task import Task, TaskSpec, card_path

TASKS: Final = "carbon_suite.tasks"
STRATEGIES: Final = "carbon_suite.strategies"
METERS: Final = "carbon_suite.meters"

#: The one strategy that no process can run by itself: a person's, by `carbon-suite manual`.
PERSON: Final = "person"

_KIND = {TASKS: "task", STRATEGIES: "strategy", METERS: "meter"}
#: What the patterns of a group stand for, where that is not everything in it.
_ONLY = {
    TASKS: "embedded tasks only, and these download data or need an extra",
    STRATEGIES: "strategies that ask and tell only, and these are programs",
}
_HOME = Path(__file__).resolve().parent.parent  # where this distribution's own packages lie, `suite` and `tasks`


class CatalogError(ValueError):
    """A name that stands for nothing usable; the message says what there is."""


def task_names() -> list[str]:
    return _names(TASKS)


def strategy_names() -> list[str]:
    return _names(STRATEGIES)


def meter_names() -> list[str]:
    return _names(METERS)


def select(group: str, patterns: Sequence[str]) -> list[str]:
    """Names in ``group`` that match one of the glob ``patterns`` at least, in the catalogue's order, each once.

    A name, or a reference to a file (``file.py:OBJECT``, ``replay:FILE``), stands for itself. Of tasks a glob matches
    those that are embedded only: what downloads data or needs an extra is named in full. Of strategies, those that run
    by themselves; programs, whose boards are others, are named in full. Raises ``CatalogError`` for a pattern that
    matches nothing.
    """
    names = [name for name in _names(group) if (group, name) != (STRATEGIES, PERSON)]
    chosen: dict[str, None] = {}
    for pattern in patterns:
        if _is_reference(pattern) or pattern in names or (group == METERS and pattern.startswith(REPLAY)):
            chosen[pattern] = None
            continue
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches and (group, pattern) == (STRATEGIES, PERSON):
            raise CatalogError("a person searches by hand: start such a run with `carbon-suite manual start`")
        if not matches:
            raise CatalogError(f"no {_KIND[group]} is called {pattern!r}; there are: {', '.join(names) or 'none'}")
        ready = [name for name in matches if _in_patterns(group, name)]
        if not ready:
            raise CatalogError(
                f"a pattern such as {pattern!r} stands for {_ONLY[group]}; name in full those that you want: "
                f"{', '.join(matches)}"
            )
        chosen.update(dict.fromkeys(ready))
    return list(chosen)


def _in_patterns(group: str, name: str) -> bool:
    if group == TASKS:
        return task_spec(name).embedded
    return group != STRATEGIES or not is_program(load_strategy(name).info)


def load_task(name: str) -> Task:
    """The task called ``name``. Imports its module, and torch with it. Raises ``CatalogError``."""
    task: Task = _load(TASKS, name)
    if not isinstance(task, Task):
        raise CatalogError(f"task {name}: {task!r} lacks spec, load, train or evaluate (suite.task.Task)")
    if not _is_reference(name) and task.spec.name != name:
        raise CatalogError(f"task {name}: its own specification calls it {task.spec.name!r}; the two must agree")
    return task


def task_spec(name: str) -> TaskSpec:
    """What the task called ``name`` is: from the card beside its module, without torch, else from the module."""
    if not _is_reference(name):
        card = _card(_entry(TASKS, name))
        if card.exists():
            return TaskSpec.from_record(json.loads(card.read_text()))
    return load_task(name).spec


def task_card(name: str) -> Path:
    """Where the card of the task called ``name`` lies, or will."""
    if _is_reference(name):
        return card_path(str(Path(name.rpartition(":")[0]).resolve()))
    return _card(_entry(TASKS, name))


def load_strategy(name: str) -> type[Strategy] | type[Program]:
    """The class of the strategy called ``name``: a program where it declares so. Raises ``CatalogError``."""
    strategy: type[Strategy] | type[Program] = _load(STRATEGIES, name)
    info = getattr(strategy, "info", None)
    program = isinstance(info, StrategyInfo) and is_program(info)
    missing = [
        part for part in (("run",) if program else ("ask", "tell")) if not callable(getattr(strategy, part, None))
    ]
    if not isinstance(strategy, type) or missing or not isinstance(info, StrategyInfo):
        needed = "info and run, as a program" if program else "info, ask and tell"
        raise CatalogError(f"strategy {name}: {strategy!r} is not a class with {needed} (suite.search.strategy)")
    return strategy


def load_meter(name: str) -> MeterFactory:
    """What builds the meter called ``name`` from ``Means``; ``replay:FILE`` plays a recorded trace back.

    Raises ``CatalogError``; the call, ``Unavailable``.
    """
    if name.startswith(REPLAY):
        return ReplayFile(Path(name.removeprefix(REPLAY)).resolve())
    factory: MeterFactory = _load(METERS, name)
    return factory


def _names(group: str) -> list[str]:
    return list(dict.fromkeys(entry.name for entry in entry_points(group=group)))


def _is_reference(name: str) -> bool:
    path, colon, _ = name.rpartition(":")
    return bool(colon) and path.endswith(".py")


def _entry(group: str, name: str) -> EntryPoint:
    found = [entry for entry in entry_points(group=group) if entry.name == name]
    if not found:
        raise CatalogError(f"no {_KIND[group]} is called {name!r}; there are: {', '.join(_names(group)) or 'none'}")
    origins = {entry.value for entry in found}
    if len(origins) > 1:
        raise CatalogError(
            f"{len(origins)} packages bring a {_KIND[group]} {name!r} ({sorted(origins)}): uninstall all but one"
        )
    return found[0]


def _load(group: str, name: str) -> Any:
    try:
        if _is_reference(name):
            return _load_reference(name)
        entry = _entry(group, name)
        loaded = entry.load()
        _check_origin(entry)
        return loaded
    except (CatalogError, Unavailable):
        raise
    except Exception as error:
        _check_shadow()
        raise CatalogError(f"{_KIND[group]} {name} cannot be loaded: {type(error).__name__}: {error}") from error


def _load_reference(reference: str) -> Any:
    file, _, attribute = reference.rpartition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise CatalogError(f"{reference}: there is no file {path}")
    module = _import_file(path)
    if not hasattr(module, attribute):
        raise CatalogError(f"{reference}: {path} defines no {attribute}")
    return getattr(module, attribute)


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"carbon_suite_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise CatalogError(f"{path}: is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def _is_own(entry: EntryPoint) -> bool:
    return (
        entry.module.partition(".")[0] in ("suite", "tasks")
        and (_HOME / Path(*entry.module.split("."))).parent.is_dir()
    )


def _card(entry: EntryPoint) -> Path:
    if _is_own(entry):  # by its place, since a user's own tasks.py may stand in the way of an import
        return card_path(str(_HOME.joinpath(*entry.module.split("."))) + ".py")
    spec = importlib.util.find_spec(entry.module)
    if spec is None or spec.origin is None:
        raise CatalogError(f"task {entry.name}: its module {entry.module} cannot be found")
    return card_path(spec.origin)


def _check_origin(entry: EntryPoint) -> None:
    if _is_own(entry):
        _check_shadow()


def _check_shadow() -> None:
    """Raise where something else called ``tasks`` (a user's own file, say) was imported in our stead."""
    loaded = sys.modules.get("tasks")
    origin = getattr(loaded, "__file__", None)
    if origin and Path(origin).resolve().parent != _HOME / "tasks":
        raise CatalogError(
            f"the module 'tasks' was imported from {origin}, which hides carbon-suite's own package {_HOME / 'tasks'}; "
            "rename that file, or start Python from another folder"
        )
