"""The register of nonces: ``results/RELEASE/nonces.csv``, in the project's repository.

A nonce is drawn by the maintainers, once for each strategy and version, before its runs are made. Seeds follow from it,
so nobody chooses seeds; and whoever asks for many nonces and hands in one result is seen to have done so.
"""

import csv
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from suite.submit.layout import BOARDS, Metadata, SubmissionError, is_name

NONCES: Final = "nonces.csv"
FIELDS: Final = ("nonce", "board", "strategy", "version", "registered")
_LARGEST = 2**20


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a register. Raises ``SubmissionError``."""
    try:
        if path.stat().st_size > _LARGEST:
            raise SubmissionError(f"{path}: a register has at most {_LARGEST} bytes")
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != FIELDS:
                raise SubmissionError(f"{path}: a register has the columns {', '.join(FIELDS)}")
            rows = list(reader)
            for row in rows:
                _time(row)
            return rows
    except (UnicodeDecodeError, csv.Error, ValueError, TypeError) as error:
        if isinstance(error, SubmissionError):
            raise
        raise SubmissionError(f"{path}: is not a register of nonces: {error}") from error


def draw(path: Path, board: str, strategy: str, version: str) -> str:
    """Add a fresh nonce for a strategy to the register at ``path``, which is made where it is not there."""
    if board not in BOARDS or not is_name(strategy) or not is_name(version):
        raise SubmissionError(
            f"a nonce is for one of the boards {', '.join(BOARDS)}, and a strategy and a version of a-z, 0-9, '.', '_' "
            f"and '-'; got {board!r}, {strategy!r}, {version!r}"
        )
    rows = read(path) if path.exists() else []
    nonce = secrets.token_hex(16)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows([*([row[name] for name in FIELDS] for row in rows), [nonce, board, strategy, version, now]])
    return nonce


def problems(rows: Sequence[Mapping[str, str]], metadata: Metadata, begun: datetime | None) -> list[str]:
    """What the register holds against a submission whose first run began at ``begun``."""
    found = [row for row in rows if row["nonce"] == metadata.nonce]
    if not found:
        return [f"nonce {metadata.nonce} is not in the register; ask for one before the runs are made"]
    (row, *_) = found
    wrong = [
        f"nonce {metadata.nonce} was drawn for {name} {row[name]}, not for {getattr(metadata, name)}"
        for name in ("board", "strategy", "version")
        if row[name] != getattr(metadata, name)
    ]
    if begun is not None and begun < _time(row):
        wrong.append(f"the first run began at {begun.isoformat()}, before the nonce was drawn ({row['registered']})")
    return wrong


def drawn(rows: Sequence[Mapping[str, str]], strategy: str, board: str) -> int:
    """How many nonces were drawn for a strategy on a board, whatever its version."""
    return sum((row["strategy"], row["board"]) == (strategy, board) for row in rows)


def _time(row: Mapping[str, str]) -> datetime:
    time = datetime.fromisoformat(row["registered"])
    return time if time.tzinfo else time.replace(tzinfo=UTC)
