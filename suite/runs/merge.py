"""One board of several, as from several machines: every run once, nothing lost.

    DIR/apart/...      runs that another board has made too, where they differ: not ranked, and their energy counts

Of copies of one run, at different moments, the longest stays. Of two different runs of one strategy, task and seed, one
that has ended comes before one that has not, then the one that was started first: so nobody chooses by what came of it.
Of calibrations the first board's stay, which its budgets rest on.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final

from suite.runs.agenda import CALIBRATION, RUNS, open_plan, plan_records
from suite.runs.board import BOARD_NAME, BoardError, check_new, check_settings
from suite.runs.claim import LOCK_NAME, Claim
from suite.runs.files import write_whole
from suite.runs.glance import has_ended
from suite.runs.lines import decode, encode
from suite.runs.log import LOG_NAME
from suite.runs.metering import NODE_NAME

APART: Final = "apart"


@dataclass(frozen=True)
class Merged:
    """runs: ranked ones in the merged board; new: of them, those that came or grew; apart: what was laid apart."""

    runs: int
    new: int
    apart: tuple[str, ...]


def merge_boards(sources: Sequence[Path], out: Path) -> Merged:
    """Bring the boards in ``sources`` together in ``out``, which may hold some of them already.

    ``sources`` are left as they are, and may be in use. A merge that was killed is made whole by the same command.
    Raises ``BoardError``, ``BoardBusy``, ``LogError`` and ``OSError``.
    """
    boards = [_board(source) for source in sources]
    out.mkdir(parents=True, exist_ok=True)
    if (out / BOARD_NAME).exists():
        boards.insert(0, _board(out))
    else:
        check_new(out)
    for source, board in zip(sources, boards[-len(sources) :], strict=True):
        check_settings(source, board["settings"], boards[0]["settings"])
    with Claim(out):
        tasks = {name: each for board in reversed(boards) for name, each in board.get("tasks", {}).items()}
        whole = {**boards[0], **({"tasks": tasks} if "tasks" in boards[0] else {})}
        write_whole(out / BOARD_NAME, json.dumps(whole, indent=2).encode() + b"\n")
        new: set[str] = set()
        for source in sources:
            new |= {run for run in _runs(source) if _take_in(source, out, run) and run.startswith(RUNS)}
            _add_plan(source, out)
            _add_node(source, out)
        runs = sum(run.startswith(RUNS) for run in _runs(out))
        apart = sorted(str(path.parent) for path in (out / APART).rglob(LOG_NAME))
    return Merged(runs, len(new), tuple(apart))


def _board(directory: Path) -> Mapping[str, Any]:
    path = directory / BOARD_NAME
    if not path.exists():
        raise BoardError(f"{directory} holds no board: there is no {BOARD_NAME}")
    try:
        found: Mapping[str, Any] = json.loads(path.read_text())
        return {**found, "settings": found["settings"]}
    except (ValueError, KeyError, TypeError) as error:
        raise BoardError(f"{path} is not the description of a board") from error


def _runs(directory: Path) -> Iterator[str]:
    """The directories of runs and calibrations with a log, below ``directory``."""
    for part in (RUNS, CALIBRATION):
        for path in sorted((directory / part).rglob(LOG_NAME)):
            yield path.parent.relative_to(directory).as_posix()


def _take_in(source: Path, out: Path, run: str) -> bool:
    """Bring one run of ``source`` to its place in ``out``. Returns whether its place there holds more than before."""
    theirs, ours = source / run, out / run
    if _is_copy(theirs, ours):
        return False
    if not (ours / LOG_NAME).exists() or _is_copy(ours, theirs):
        _copy(theirs, ours)
        return True
    if run.startswith(CALIBRATION) or _order(ours) < _order(theirs):
        _lay_apart(theirs, out / APART / run)
        return False
    _lay_apart(ours, out / APART / run)
    _copy(theirs, ours)
    return True


def _is_copy(one: Path, other: Path) -> bool:
    """Whether ``other`` holds all that ``one`` does, a torn last line aside."""
    return (other / LOG_NAME).exists() and _whole(other).startswith(_whole(one))


def _whole(directory: Path) -> bytes:
    content = (directory / LOG_NAME).read_bytes()
    return content[: content.rfind(b"\n") + 1]


def _order(directory: Path) -> tuple[bool, str, str]:
    """What decides between two runs: the lesser stays."""
    path = directory / LOG_NAME
    with path.open("rb") as file:
        records = [decode(path, number, line.rstrip(b"\n")) for number, line in enumerate(islice(file, 2), 1)]
    started = next((str(record["started"]) for record in records if record["record"] == "session"), "")
    return not has_ended(directory), started, sha256(_whole(directory)).hexdigest()


def _lay_apart(directory: Path, place: Path) -> None:
    """Keep ``directory`` below ``place``, once, under a name that its content gives."""
    for other in sorted(path.parent for path in place.glob(f"*/{LOG_NAME}")):
        if _is_copy(directory, other):
            return
        if _is_copy(other, directory):
            _copy(directory, other)
            return
    _copy(directory, place / sha256(_whole(directory)).hexdigest()[:12])


def _copy(source: Path, place: Path) -> None:
    """Copy a run's directory beside ``place``, then put it there. Its log comes last: without it there is no run."""
    part = place.with_name(place.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part, ignore=shutil.ignore_patterns(LOCK_NAME, LOG_NAME))
    place.mkdir(parents=True, exist_ok=True)
    shutil.copytree(part, place, dirs_exist_ok=True)
    write_whole(place / LOG_NAME, _whole(source))
    shutil.rmtree(part)


def _add_plan(source: Path, out: Path) -> None:
    known = {encode(record) for record in plan_records(out)}
    with closing(open_plan(out)) as plan:
        plan.extend(record for record in plan_records(source) if encode(record) not in known)


def _add_node(source: Path, out: Path) -> None:
    if not (source / NODE_NAME).exists():
        return
    place = out / NODE_NAME
    kept = place.read_bytes().splitlines() if place.exists() else []
    lines = dict.fromkeys([*kept, *(source / NODE_NAME).read_bytes().splitlines()])
    write_whole(place, b"".join(line + b"\n" for line in lines))
