"""What the ends of a log tell without reading all of it: boards have thousands."""

from pathlib import Path
from typing import Any, Final, NamedTuple

from suite.runs.lines import decode, is_record, read_lines
from suite.runs.log import LOG_NAME, LogError

BLOCK_BYTES: Final = 1 << 14


class Glance(NamedTuple):
    """ended: why the run ended, None while it may go on. microjoules: all that it took so far, charged or not."""

    ended: str | None
    microjoules: int


def glance(directory: Path) -> Glance | None:
    """What the log of the run in ``directory`` ends with; None where there is no whole record. Raises ``LogError``."""
    path = directory / LOG_NAME
    try:
        line = _last_line(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror}") from error
    if line is None:
        return None
    record: dict[str, Any] = decode(path, "end", line)
    return Glance(record["reason"] if record["record"] == "end" else None, record.get("total", 0))


def has_ended(directory: Path) -> bool:
    """Whether the run in ``directory`` has ended. One whose log is damaged has not: going on with it says why."""
    path = directory / LOG_NAME
    try:
        found = glance(directory)
        return found is not None and found.ended is not None and all(map(is_record, read_lines(path)[0]))
    except LogError:
        return False


def _last_line(path: Path) -> bytes | None:
    """The last whole line, in whatever number of blocks from the end it takes."""
    with path.open("rb") as file:
        start = file.seek(0, 2)
        tail = b""
        while start:
            begin = max(0, start - BLOCK_BYTES)
            file.seek(begin)
            tail = file.read(start - begin) + tail
            start = begin
            *lines, _ = tail.split(b"\n")
            if len(lines) > 1 or (lines and not start):
                return lines[-1]
    return None
