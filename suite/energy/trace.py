"""Carbon intensities by the hour, from a file: electricity is not equally clean at all times.

    start,average_g_per_kwh
    2026-03-01T00:00:00+00:00,61.2
    2026-03-01T01:00:00+00:00,58.9

The second column is called average_g_per_kwh or marginal_g_per_kwh: what the grid emits per kWh, or what one kWh more
makes it emit. The two answer different questions and are not to be mixed. Steps are even; an hour that holds several
has their mean. Times carry their offset from UTC.
"""

import csv
import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from suite.energy.carbon import Kind

_COLUMNS: Final[Mapping[str, Kind]] = {"average_g_per_kwh": "average", "marginal_g_per_kwh": "marginal"}
_HOUR: Final = 3600


class TraceError(ValueError):
    """A trace that cannot be read, or that does not cover a run; the message says what to do."""


@dataclass(frozen=True)
class Trace:
    """kg CO2e per kWh by hours since the epoch (UTC)."""

    name: str
    kind: Kind
    kg_co2e_per_kwh: Mapping[int, float]
    source: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ``TraceError``, and ``OSError`` where there is no such file."""
        content = path.read_bytes()
        try:
            rows = list(csv.reader(content.decode().splitlines()))
        except UnicodeDecodeError as error:
            raise TraceError(f"{path}: is not text in UTF-8: {error}") from error
        kind = _kind(path, rows)
        digest = hashlib.sha256(content).hexdigest()
        return cls(path.stem, kind, _by_hour(path, rows[1:]), f"{path.name}, SHA-256 {digest[:12]}")

    def kg(self, kwh: float, hours: Mapping[int, float]) -> float:
        """Raises ``TraceError`` where the energy was used at hours that the trace does not have."""
        missing = [hour for hour in hours if hour not in self.kg_co2e_per_kwh]
        if missing or (kwh and not hours):
            used = (
                f"energy was used from {_moment(min(hours))} to {_moment(max(hours) + 1)}"
                if hours
                else "no run says when"
            )
            raise TraceError(f"{self.source} goes from {self._span()}, and {used}; give a trace of that time")
        return sum(amount * self.kg_co2e_per_kwh[hour] for hour, amount in hours.items())

    def describe(self) -> str:
        low, high = min(self.kg_co2e_per_kwh.values()), max(self.kg_co2e_per_kwh.values())
        span = f"{low:.4g} to {high:.4g} kg CO2e/kWh by the hour"
        return f"{self.name}, {self._span()}: {span}, {self.kind}, from {self.source}"

    def to_record(self) -> dict[str, Any]:
        first, last = min(self.kg_co2e_per_kwh), max(self.kg_co2e_per_kwh)
        return {"name": self.name, "kind": self.kind, "source": self.source, "first_hour": first, "last_hour": last}

    def _span(self) -> str:
        return f"{_moment(min(self.kg_co2e_per_kwh))} to {_moment(max(self.kg_co2e_per_kwh) + 1)}"


def _kind(path: Path, rows: list[list[str]]) -> Kind:
    header = [cell.strip() for cell in rows[0]] if rows else []
    if len(header) != 2 or header[0] != "start" or header[1] not in _COLUMNS:
        raise TraceError(
            f"{path}:1: a trace has the columns start and {' or '.join(_COLUMNS)}, got {','.join(header)!r}"
        )
    return _COLUMNS[header[1]]


def _by_hour(path: Path, rows: list[list[str]]) -> dict[int, float]:
    steps = list(_steps(path, rows))
    if len(steps) < 2:
        raise TraceError(f"{path}: a trace has two rows at least, or nobody knows how long one holds")
    length = steps[1][0] - steps[0][0]
    sums: dict[int, float] = {}
    counts: dict[int, int] = {}
    expected = steps[0][0]
    for line, (start, kg) in enumerate(steps, 2):
        if start != expected or length <= 0 or (_HOUR % length and length % _HOUR):
            raise TraceError(
                f"{path}:{line}: steps are even, and divide an hour or are hours; this one is at "
                f"{start - steps[0][0]} s after the first, and one at {expected - steps[0][0]} s was expected"
            )
        expected += length
        for hour in range(start // _HOUR, max(start // _HOUR + 1, (start + length) // _HOUR)):
            sums[hour] = sums.get(hour, 0.0) + kg
            counts[hour] = counts.get(hour, 0) + 1
    return {hour: kg / counts[hour] for hour, kg in sums.items()}


def _steps(path: Path, rows: list[list[str]]) -> Iterator[tuple[int, float]]:
    """Seconds since the epoch, and kg per kWh."""
    for line, row in enumerate(rows, 2):
        try:
            moment, grams = datetime.fromisoformat(row[0].strip()), float(row[1])
            if moment.tzinfo is None or not (math.isfinite(grams) and grams >= 0):
                raise ValueError
        except (ValueError, IndexError) as error:
            raise TraceError(
                f"{path}:{line}: a row is a time with its offset from UTC and grams per kWh, such as "
                f"2026-03-01T00:00:00+00:00,61.2; got {','.join(row)!r}"
            ) from error
        yield round(moment.timestamp()), grams / 1000


def _moment(hour: int) -> str:
    return datetime.fromtimestamp(hour * _HOUR, UTC).strftime("%Y-%m-%dT%H:%MZ")
