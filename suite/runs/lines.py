"""Files of JSON lines that end in a checksum each: append-only, whole at every byte that a kill may leave."""

import os
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

_CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}')
_CHECKSUM_BYTES = len(',"crc":"01234567"}')


class LogError(ValueError):
    """A log that cannot be used; the message names file and line."""


class LogWriter:
    """Appends records to a log. Every record is handed to the operating system at once, so that a killed process loses
    none; ``sync`` also waits for the disk, so that a power cut loses none either.

    Raises ``OSError`` that names the file, where the disk is full or gone.
    """

    def __init__(self, path: Path, keep_bytes: int | None = None) -> None:
        """Opens ``path`` to append, and cuts a torn last line off: ``keep_bytes`` is the length of what is whole."""
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if keep_bytes is not None:
            os.ftruncate(self._file, keep_bytes)

    def append(self, record: Mapping[str, Any], sync: bool = False) -> None:
        self._write(encode(record), sync)

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Append several records, and wait for the disk."""
        self._write(b"".join(map(encode, records)), sync=True)

    def _write(self, lines: bytes, sync: bool) -> None:
        try:
            written = os.write(self._file, lines)
            while written < len(lines):  # a nearly full disk takes part of a line; the next write raises
                written += os.write(self._file, lines[written:])
            if sync:
                os.fsync(self._file)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def close(self) -> None:
        os.close(self._file)


def encode(record: Mapping[str, Any]) -> bytes:
    body = orjson.dumps(record)
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def read_lines(path: Path) -> tuple[list[bytes], int]:
    """The whole lines of the file at ``path``, and how many bytes an unfinished last one has. Raises ``LogError``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror}") from error
    *lines, rest = content.split(b"\n")
    if is_record(rest[:-1]):  # more than a kill can leave of a line: its end was changed
        return [*lines, rest], 0
    return lines, len(rest)


def decode(path: Path, number: int | str, line: bytes, of: str = "a trial log") -> dict[str, Any]:
    """The record in ``line``, at ``number`` of the file at ``path``. Raises ``LogError`` that names both."""
    if not is_record(line):
        raise LogError(
            f"{path}:{number}: this line is not a record of {of}, or was changed after it was written "
            "(its checksum does not match); restore the file or move it away"
        )
    record: dict[str, Any] = orjson.loads(line[:-_CHECKSUM_BYTES] + b"}")
    return record


def is_record(line: bytes) -> bool:
    """Whether the checksum of ``line`` is right."""
    found = _CHECKSUM.fullmatch(line[-_CHECKSUM_BYTES:])
    return found is not None and int(found[1], 16) == zlib.crc32(line[:-_CHECKSUM_BYTES] + b"}")
