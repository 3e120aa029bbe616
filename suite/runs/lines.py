"""Files of JSON lines that end in a checksum each: append-only, whole at every byte that a kill may leave.

One that is no longer written to may be packed (``.gz``): it is read as what it was packed from.
"""

import gzip
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

_CHECKSUM_BYTES = len(',"crc":"01234567"}')

PACKED: Final = ".gz"
LARGEST_UNPACKED: Final = 4 * 2**30  # bytes; a log of a million trials has less than one GiB


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
    *lines, rest = read_content(path).split(b"\n")
    if is_record(rest[:-1]):  # more than a kill can leave of a line: its end was changed
        return [*lines, rest], 0
    return lines, len(rest)


def read_content(path: Path) -> bytes:
    """The bytes of the file at ``path``, unpacked where it is packed. Raises ``LogError``."""
    try:
        if path.suffix != PACKED:
            return path.read_bytes()
        with gzip.open(path) as file:  # no further than the limit: a small file may unpack to a thousand times its size
            content = file.read(LARGEST_UNPACKED + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise LogError(f"{path}: cannot be unpacked, it is cut short or was changed: {error}; copy it anew") from error
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_UNPACKED:
        raise LogError(f"{path}: unpacks to more than {LARGEST_UNPACKED} bytes, which no log has; it is not read")
    return content


def packed(content: bytes) -> bytes:
    """``content`` as a gzip file without name and time, so that the same content gives the same bytes."""
    return gzip.compress(content, mtime=0)


def decode(path: Path, number: int | str, line: bytes, of: str = "a trial log") -> dict[str, Any]:
    """The record in ``line``, at ``number`` of the file at ``path``. Raises ``LogError`` that names both."""
    body = _body(line)
    if not _checks(line, body):
        raise LogError(
            f"{path}:{number}: this line is not a record of {of}, or was changed after it was written "
            "(its checksum does not match); restore the file or move it away"
        )
    record: dict[str, Any] = orjson.loads(body)
    return record


def is_record(line: bytes) -> bool:
    """Whether the checksum of ``line`` is right."""
    return _checks(line, _body(line))


def _body(line: bytes) -> bytes:
    """What the checksum of ``line`` is of."""
    return line[:-_CHECKSUM_BYTES] + b"}"


def _checks(line: bytes, body: bytes) -> bool:
    return line[-_CHECKSUM_BYTES:] == b',"crc":"%08x"}' % zlib.crc32(body)
