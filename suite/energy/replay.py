"""A meter that plays a recorded trace back: tests and demonstrations need no hardware, and a rig that logs apart from
the run (a wattmeter at the plug) can be read in.

A trace is a text file of cumulative joules, one reading a line, with an empty line or one that begins with ``#`` left
out. Each reading of the meter takes the next one; after the last, nothing more is spent.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Final

from suite.energy.meter import Means, MeterInfo, Unavailable

PREFIX: Final = "replay:"


class Replay:
    """Answers each reading with the next one of ``trace`` (cumulative microjoules), and the last one ever after."""

    info: ClassVar = MeterInfo(
        name="replay", component="cpu", tier="replay", summary="plays back a recorded trace of readings", factor=1.0
    )

    def __init__(self, trace: Iterable[int], source: str = "a recorded trace") -> None:
        self._trace: Iterator[int] = iter(trace)
        self._source = source
        try:
            self._last = next(self._trace)
        except StopIteration:
            raise Unavailable(f"{source}: a recorded trace needs one reading at least, got none") from None

    @property
    def source(self) -> str:
        return self._source

    def microjoules(self) -> int:
        reading, self._last = self._last, next(self._trace, self._last)
        return reading


class ReplayFile:
    """Builds the meter that plays back the trace in ``path``: ``--meter replay:FILE``."""

    info = Replay.info

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, means: Means) -> Replay:
        """Raises ``Unavailable`` where the file cannot be read or is no cumulative trace."""
        try:
            lines = self._path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"{self._path}: the recorded trace cannot be read: {error}") from error
        return Replay(list(self._readings(lines)), f"a recorded trace, {self._path}")

    def _readings(self, lines: Iterable[str]) -> Iterator[int]:
        last = 0.0
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                joules = float(line)
            except ValueError:
                joules = math.nan
            if not last <= joules < math.inf:
                raise Unavailable(
                    f"{self._path}, line {number}: a trace holds cumulative joules, one number of at least {last:g} "
                    f"here, got {line.strip()!r}"
                )
            last = joules
            yield round(joules * 1e6)
