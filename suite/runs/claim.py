"""Who works on a directory: one process at a time. The system lets go of a lock however its holder ends."""

import fcntl
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self

LOCK_NAME = "lock"
RELEASE_SECONDS = 3.0  # for a process that was just killed to be gone with its children


class Busy(RuntimeError):
    """Another process works on this run."""


class BoardBusy(ValueError):
    """Another process works on this board; the message says which."""


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of the run in ``directory``. Raises ``Busy``."""
    with (directory / LOCK_NAME).open("w") as file:
        until = time.monotonic() + RELEASE_SECONDS
        while not _taken(file):
            if time.monotonic() > until:
                raise Busy(f"{directory}: another process works on this run")
            time.sleep(0.05)
        yield


class Claim:
    """The claim of this process on the board in ``directory``. Who enters again has it already."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_NAME
        self._depth = 0
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Raises ``BoardBusy``."""
        if not self._depth:
            self._file = self._take()
        self._depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if not self._depth and self._file:
            self._file.truncate(0)
            self._file.close()

    def _take(self) -> IO[str]:
        file = self._path.open("a+")  # what another holder wrote stays until the lock is ours
        if not _taken(file):
            with file:
                raise BoardBusy(f"{self._path.parent}: {_told(_read(file))}")
        file.truncate(0)
        file.write(json.dumps(_holder()) + "\n")
        file.flush()
        return file


def holder(directory: Path) -> dict[str, Any] | None:
    """Who works on the board in ``directory``: pid, node, command, since. None if nobody does."""
    try:
        file = (directory / LOCK_NAME).open()
    except OSError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(file)
    return None


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder() -> dict[str, Any]:
    words = [Path(sys.argv[0]).name, *sys.argv[1:2]]
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "node": platform.node(), "command": " ".join(words), "since": since}


def _read(file: IO[str]) -> dict[str, Any]:
    file.seek(0)
    try:
        found = json.loads(file.read())
    except ValueError:  # it has only just taken the lock
        return {}
    return found if isinstance(found, dict) else {}


def _told(found: dict[str, Any]) -> str:
    who = "another process"
    if found:
        who = f"process {found['pid']} on {found['node']} ({found['command']}, since {found['since']})"
    return f"{who} works on this board; wait until it has ended, or stop it: what was completed is kept"
