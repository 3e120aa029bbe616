"""The shape of each record of a trial log, to the last field: what a run writes and nothing else."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, get_args

from suite.energy.ledger import PHASES
from suite.runs.log import SCHEMA, Budget, RunHeader
from suite.search.strategy import Signal, Status

#: Says what a value must be where it is not, else nothing.
Shape = Callable[[Any], str | None]

_MOST_NS: Final = 10**18  # thirty years
_MOST_MICROJOULES: Final = 10**18


def problems(record: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the shape of ``record``, field by field."""
    kind = record.get("record")
    shapes = _KINDS.get(kind) if isinstance(kind, str) else None
    if shapes is None:
        yield f"{kind!r} is no kind of record; there are {', '.join(_KINDS)}"
        return
    for name in sorted(set(record) - set(shapes) - {"record", "gaps"}):
        yield f"a record {kind!r} has no field {name!r}"
    for name in sorted(set(shapes) - set(record)):
        yield f"a record {kind!r} lacks its field {name!r}"
    for name, shape in {**shapes, "gaps": _gaps}.items():
        if name in record and (must := shape(record[name])):
            yield f"{name} must be {must}"


def integer(lowest: int, highest: int) -> Shape:
    def check(value: Any) -> str | None:
        if type(value) is int and lowest <= value <= highest:
            return None
        return f"a whole number from {lowest} to {highest}, got {value!r}"

    return check


def number(lowest: float = -math.inf, highest: float = math.inf) -> Shape:
    def check(value: Any) -> str | None:
        if type(value) in (int, float) and math.isfinite(value) and lowest <= value <= highest:
            return None
        return f"a number from {lowest:g} to {highest:g}, got {value!r}"

    return check


def text(most: int) -> Shape:
    def check(value: Any) -> str | None:
        return None if isinstance(value, str) and len(value) <= most else f"a text of at most {most} characters"

    return check


def one_of(*values: Any) -> Shape:
    def check(value: Any) -> str | None:
        hit = any(type(value) is type(each) and value == each for each in values)
        return None if hit else f"one of {', '.join(map(repr, values))}, got {value!r}"

    return check


def optional(shape: Shape) -> Shape:
    return lambda value: None if value is None else shape(value)


def mapping(shape: Shape, most: int = 20) -> Shape:
    def check(value: Any) -> str | None:
        if not isinstance(value, dict) or len(value) > most:
            return f"an object of at most {most} entries"
        return next(
            (f"an object, in which {key} is {must}" for key, each in value.items() if (must := shape(each))), None
        )

    return check


def listing(shape: Shape, most: int) -> Shape:
    def check(value: Any) -> str | None:
        if not isinstance(value, list) or len(value) > most:
            return f"a list of at most {most}"
        return next((f"a list, in which each is {must}" for each in value if (must := shape(each))), None)

    return check


def exactly(**shapes: Shape) -> Shape:
    def check(value: Any) -> str | None:
        if not isinstance(value, dict) or set(value) != set(shapes):
            return f"an object of {', '.join(shapes)}"
        return next(
            (f"an object, in which {n} is {must}" for n, shape in shapes.items() if (must := shape(value[n]))), None
        )

    return check


def _started(value: Any) -> str | None:
    try:
        if isinstance(value, str) and len(value) <= 40 and datetime.fromisoformat(value).tzinfo is not None:
            return None
    except ValueError:
        pass
    return f"a time with its zone, such as 2026-01-31T12:00:00+00:00, got {value!r}"


def _scalar(value: Any) -> str | None:
    if value is None or type(value) in (bool, int, float) or (isinstance(value, str) and len(value) <= 2000):
        return None
    return "a text of at most 2000 characters, a number, true, false or null"


def _versions(machine: Any) -> str | None:
    must = mapping(text(60), 40)(machine.get("versions"))
    return f"an object, in which versions is {must}" if must else None


def _answer(value: Any) -> str | None:
    return _signal(value) if isinstance(value, dict) and "signal" in value else _proposal(value)


def _segments(value: Any) -> str | None:
    if not isinstance(value, list):
        return "a list of segments"
    return next((f"a list, in which each is {must}" for each in value if (must := _segment(each))), None)


def _segment(value: Any) -> str | None:
    if not isinstance(value, list) or len(value) != 5:
        return "a segment: phase, trial, microjoules by component, CPU and wall nanoseconds"
    phase, trial, microjoules, cpu_ns, wall_ns = value
    if phase not in PHASES:
        return f"a segment of one of the phases {', '.join(PHASES)}, got {phase!r}"
    return _trial_or_none(trial) or _microjoules(microjoules) or _ns(cpu_ns) or _ns(wall_ns)


_flat = mapping(_scalar, 5000)
_ns, _trial = integer(0, _MOST_NS), integer(1, 10**9)
_trial_or_none = optional(_trial)
_microjoules = mapping(integer(0, _MOST_MICROJOULES), 8)
_value = optional(number())
_signal = exactly(signal=one_of(*(signal.value for signal in Signal)))
_proposal = exactly(configuration=_flat, fidelity=integer(1, 10**12), parent=_trial_or_none)
_gaps = exactly(uncovered_ns=mapping(_ns), reasons=mapping(text(500)), suspended_ns=_ns)
_watts = mapping(number(0.0, 1e6), 8)
_energy: Final = {"segments": _segments, "total": integer(0, _MOST_MICROJOULES)}

#: The header's own fields are compared with what they must be, field by field (``suite.submit.header``).
_HEADER: Final[Mapping[str, Shape]] = {
    **{each.name: (lambda value: None) for each in fields(RunHeader)},
    "schema": one_of(SCHEMA),
    "suite": text(40),
    "seed": integer(0, 2**31 - 1),
    "strategy": mapping(lambda value: _scalar(value) and listing(text(60), 20)(value), 20),
    "budget": exactly(
        **{
            **dict.fromkeys((each.name for each in fields(Budget)), _value),
            "default_microjoules": integer(0, _MOST_MICROJOULES),
            "default_trainings": integer(0, 10**4),
        }
    ),
    "meters": listing(_flat, 8),
    "machine": lambda value: mapping(lambda each: _scalar(each) and _flat(each), 20)(value) or _versions(value),
    "unmetered": mapping(text(2000), 8),
    "default_mix": mapping(number(0.0, 1.0), 8),
}
_KINDS: Final[Mapping[str, Mapping[str, Shape]]] = {
    "run": {**_HEADER, **_energy},
    "session": {"started": _started, "resumed": one_of(True, False), "rest_watts": _watts, **_energy},
    "ask": {"trial": _trial_or_none, "answer": _answer, **_energy},
    "trial": {
        "trial": _trial,
        "attempt": integer(0, 10**6),
        "status": one_of(*get_args(Status)),
        "validation": _value,
        "test": _value,
        "reason": text(20_000),
        "seconds": number(0.0, 1e9),
        "joules": number(0.0, 1e12),
        "returned": one_of(True, False),
        **_energy,
    },
    "lost": {"trial": _trial, "attempt": integer(0, 10**6), **_energy},
    "heartbeat": dict(_energy),
    "end": {"reason": one_of("budget", "trials", "exhausted"), "crosscheck": _flat, "rest_watts": _watts, **_energy},
}
