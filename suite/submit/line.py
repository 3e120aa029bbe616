"""A line to a confined process that answers each line of its input with one of its own."""

import select
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import orjson

from suite.runs.engine import PINNED
from suite.submit.confine import Limits, OutOfTime, end, start

_LONGEST = 64 * 2**20


class HungUp(RuntimeError):
    """The process ended, or said what is no answer; the message has its last words."""


class Line:
    """Starts ``command`` in ``folder``, confined, and talks to it; ends it at the end of ``with``."""

    def __init__(self, command: Sequence[str], folder: Path, limits: Limits) -> None:
        self._errors = (folder / "stderr").open("w+b")
        self._process = start(command, folder, limits, PINNED, self._errors)
        self._seconds = limits.seconds
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end(self._process)
        self._errors.close()

    def ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Say ``message`` and wait for the answer. Raises ``HungUp`` and ``OutOfTime``."""
        try:
            _pipe(self._process.stdin).write(orjson.dumps(message) + b"\n")
            _pipe(self._process.stdin).flush()
        except BrokenPipeError:
            raise HungUp(self._last_words()) from None
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line that the process says."""
        until = time.monotonic() + self._seconds
        output = _pipe(self._process.stdout)
        while b"\n" not in self._received:
            if not select.select([output], [], [], max(0.0, until - time.monotonic()))[0]:
                raise OutOfTime(f"no answer within {self._seconds:g} s")
            chunk = output.read1(1 << 16) if hasattr(output, "read1") else output.read(1 << 16)
            self._received += chunk
            if not chunk or len(self._received) > _LONGEST:
                raise HungUp(self._last_words())
        line, _, self._received = self._received.partition(b"\n")
        try:
            answer: dict[str, Any] = orjson.loads(line)
        except ValueError as error:
            raise HungUp(f"it answered what is no JSON: {error}") from error
        return answer

    def _last_words(self) -> str:
        code = self._process.wait(timeout=10)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with exit status {code}"


def _pipe(stream: IO[bytes] | None) -> Any:
    assert stream is not None  # all its streams are pipes
    return stream
