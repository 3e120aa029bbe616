"""Runs a process with less: no network, a folder of its own, limits on memory, CPU time and files, an end.

On Linux. Without network it runs in a network namespace of its own (``unshare``), where the system lets an ordinary
user make one; ``has_namespaces`` tells. This keeps mistakes and greed in, and a stranger's code from calling out; it is
no wall against an attacker who breaks out of Linux, and files that the user may read can be read. RULES.md says what a
strategy is run with, and the workflows in ``.github`` never run one with rights to write.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Final

#: What of the environment is handed on: no credential, no proxy, no home.
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "CARBON_SUITE_DATA", "CARBON_SUITE_OFFLINE")
_GIB: Final = 2**30


@dataclass(frozen=True)
class Limits:
    """memory_bytes: of data of one process. cpu_seconds: of one process. seconds: until the whole is ended. file_bytes:
    of one file that it writes. network: whether it has any."""

    memory_bytes: int = 4 * _GIB
    cpu_seconds: int = 3600
    seconds: float = 3600.0
    file_bytes: int = _GIB
    network: bool = False


class OutOfTime(RuntimeError):
    """A confined process was ended because its time was over."""


@cache
def has_namespaces() -> bool:
    """Whether this user may make a namespace without network here."""
    unshare = shutil.which("unshare")
    if sys.platform != "linux" or unshare is None:
        return False
    made = subprocess.run([unshare, "--map-root-user", "--net", "true"], capture_output=True, check=False)
    return made.returncode == 0


def command_of(command: Sequence[str], limits: Limits) -> list[str]:
    """``command`` as it is started: without network where that can be."""
    if limits.network or not has_namespaces():
        return list(command)
    return ["unshare", "--map-root-user", "--net", "--", *command]


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a confined process finds in its environment: ``folder`` as its home and for temporary files."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    own = {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}  # what is read stays as it is
    return {**kept, **own, **(more or {})}


def start(
    command: Sequence[str],
    folder: Path,
    limits: Limits,
    more: Mapping[str, str] | None = None,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start ``command`` in ``folder``, confined, in a process group of its own; its input and output are pipes."""
    return subprocess.Popen(
        command_of(command, limits),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        cwd=folder,
        env=environment(folder, more),
        start_new_session=True,
        preexec_fn=lambda: _limit(limits),
    )


def run(
    command: Sequence[str], limits: Limits, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run ``command`` confined, in a folder that is gone afterwards. Raises ``OutOfTime``."""
    with tempfile.TemporaryDirectory(prefix="carbon-suite-") as folder:
        process = start(command, Path(folder), limits, more)
        try:
            output, errors = process.communicate(timeout=limits.seconds)
        except subprocess.TimeoutExpired:
            raise OutOfTime(f"it took more than {limits.seconds:g} s and was ended") from None
        finally:
            end(process)
        return subprocess.CompletedProcess(command, process.returncode, output, errors)


def end(process: subprocess.Popen[bytes]) -> None:
    """End ``process`` with all that it started and that is still in its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _limit(limits: Limits) -> None:
    """In the new process, before its program starts."""
    for kind, amount in (
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (amount, amount))
