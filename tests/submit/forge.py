"""Forges submissions: the tools that a cheat would write. Logs are changed as records, and hashed anew."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from suite.runs.lines import encode
from suite.submit.package import write_manifest as write_manifest  # with all else

Records = list[dict[str, Any]]


def load(path: Path) -> Records:
    """The records of a log, without their checksums."""
    return [orjson.loads(line[: -len(b',"crc":"01234567"}')] + b"}") for line in path.read_bytes().splitlines() if line]


def save(path: Path, records: Records) -> None:
    path.write_bytes(b"".join(map(encode, records)))


def logs(root: Path, strategy: str = "*") -> list[Path]:
    return sorted((root / "runs").glob(f"*/*/{strategy}/seed-*/log.jsonl"))


def calibrations(root: Path) -> list[Path]:
    return sorted((root / "calibration").rglob("log.jsonl"))


def settle(records: Records) -> Records:
    """Every total, and every trial's joules, as the segments have them: what a careful cheat does last."""
    total = 0
    charged: dict[int, int] = {}
    default = records[0]["budget"]["default_microjoules"]
    for record in records:
        for phase, trial, microjoules, _, _ in record["segments"]:
            total += sum(microjoules.values())
            if trial is not None and phase in ("ask", "train", "validate"):
                charged[trial] = charged.get(trial, 0) + sum(microjoules.values())
        record["total"] = total
        if record["record"] == "trial":
            record["joules"] = (default if record["returned"] else charged.get(record["trial"], 0)) / 1e6
    return records


def scale(records: Records, phases: set[str], factor: float) -> Records:
    """Energy, CPU and wall time of ``phases`` times ``factor``, and the seconds of trials with them."""
    for record in records:
        for segment in record["segments"]:
            if segment[0] in phases:
                segment[2] = {name: round(factor * amount) for name, amount in segment[2].items()}
                segment[3], segment[4] = round(factor * segment[3]), max(1, round(factor * segment[4]))
        if record["record"] == "trial" and "train" in phases:
            record["seconds"] = round(factor * record["seconds"], 6)
    return settle(records)


def relabel(records: Records, old: str, new: str, of_trial: bool) -> Records:
    """Energy of phase ``old`` under ``new``."""
    for record in records:
        for segment in record["segments"]:
            if segment[0] == old:
                segment[0] = new
                segment[1] = segment[1] if of_trial else None
    return settle(records)


def without_trials(records: Records, dropped: set[int]) -> Records:
    """The log without these trials: their records and energy are gone, and the others are numbered anew."""
    numbers: dict[int, int] = {}
    kept = []
    for record in records:
        if record["record"] in ("ask", "trial") and record.get("trial") in dropped:
            continue
        if record["record"] == "ask" and record["trial"] is not None:
            numbers[record["trial"]] = len(numbers) + 1
        record["segments"] = [each for each in record["segments"] if each[1] not in dropped]
        kept.append(record)
    for record in kept:
        if record.get("trial") is not None:
            record["trial"] = numbers[record["trial"]]
        for segment in record["segments"]:
            segment[1] = numbers.get(segment[1])
    return settle(kept)


def trials(records: Records, status: str | None = None) -> list[dict[str, Any]]:
    """Ends of trials that were trained, with ``status`` where that is given."""
    ends = [each for each in records if each["record"] == "trial" and not each["returned"]]
    return [each for each in ends if status in (None, each["status"])]


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON document."""
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record, indent=1) + "\n")


def leaves(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values in a JSON document, inner ones included."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(*where, key) for key, _ in items]
    return found + [path for key, each in items for path in leaves(each, (*where, key))]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def other_value(value: Any, rng: random.Random) -> Any:
    """Something else in the place of ``value``, of its kind or of another."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        choices = [value + 1, value * 2, value * 0.5, -value - 1, 0, 1e300, str(value), None]
    elif isinstance(value, str):
        choices = [value + "x", value[:-1], "", "<script>alert(1)</script>", "=1+1", "../../etc", 7, None]
    elif value is None:
        choices = [0, "x", {}]
    else:
        choices = [{}, [], None, "x", value * 2 if isinstance(value, list) else {**value, "extra": 1}]
    different = [each for each in choices if each != value]
    return rng.choice(different)


def copy(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target
