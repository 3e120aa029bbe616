"""Reads what strangers hand in. Nothing is executed, unpickled, unpacked or followed, and no more is read than fits.

Folders are walked without following links; only regular files of bounded size are opened, and only those that the
layout knows. JSON must be what a strict reader makes of it: no key twice, no NaN, no infinity, no depth without end.
A line of a log must be, byte for byte, what the suite writes.
"""

import hashlib
import json
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from suite.submit.findings import Findings
from suite.submit.layout import allowed, is_log
from suite.submit.rules import (
    DEEPEST,
    LARGEST_DOCUMENT,
    LARGEST_IN_ALL,
    LARGEST_LOG,
    LONGEST_LINE,
    MOST_FILES,
)

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z")
_CHECKSUM_BYTES = len(',"crc":"01234567"}')


class Unreadable(ValueError):
    """A file that is not read; the message says why."""


@dataclass(frozen=True)
class Found:
    """A regular file of a submission: its path there, and its size in bytes."""

    path: str
    size: int


def walk(root: Path, findings: Findings) -> dict[str, Found]:
    """The files below ``root`` that may be read, by path. What else is there is a finding."""
    found: dict[str, Found] = {}
    total = seen = 0
    for path, status in _entries(root, "", 0, findings):
        seen += 1
        if seen > MOST_FILES:
            findings.add("layout", "", f"a submission has at most {MOST_FILES} files; the rest is not looked at")
            break
        if reason := _refusal(path, status):
            findings.add("layout", path, reason)
            continue
        total += status.st_size
        if total > LARGEST_IN_ALL:
            findings.add(
                "layout", path, f"all files together have at most {LARGEST_IN_ALL} bytes; the rest is not read"
            )
            break
        found[path] = Found(path, status.st_size)
    return found


def _entries(root: Path, below: str, depth: int, findings: Findings) -> Iterator[tuple[str, os.stat_result]]:
    """Every entry that is no folder, in order of names, never through a link."""
    with os.scandir(root / below) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        path = f"{below}/{entry.name}" if below else entry.name
        if not entry.is_dir(follow_symlinks=False):
            yield path, entry.stat(follow_symlinks=False)
        elif depth >= DEEPEST:
            findings.add("layout", path, f"folders are at most {DEEPEST} deep")
        else:
            yield from _entries(root, path, depth + 1, findings)


def _refusal(path: str, status: os.stat_result) -> str | None:
    if stat.S_ISLNK(status.st_mode):
        return "is a link; a submission holds files only, and no link is followed"
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    if not allowed(path):
        why = "; archives are not unpacked" if path.endswith(_ARCHIVES) else ""
        return f"has no place in the layout of a submission (docs/submissions.md){why}"
    largest = LARGEST_LOG if is_log(path) else LARGEST_DOCUMENT
    if status.st_size > largest:
        return f"has {status.st_size} bytes; at most {largest} are read"
    return None


def read_bytes(root: Path, file: Found) -> bytes:
    """The content of ``file``. Raises ``Unreadable`` where it is no longer what ``walk`` found."""
    try:
        descriptor = os.open(root / file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Unreadable(f"cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unreadable("is no regular file")
        content = opened.read(file.size + 1)
    if len(content) != file.size:
        raise Unreadable("changed while it was read")
    return content


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def parse(content: bytes) -> Any:
    """A JSON document. Raises ``Unreadable`` on what is not strictly JSON."""
    try:
        return json.loads(
            content.decode(), object_pairs_hook=_no_key_twice, parse_constant=_no_constant, parse_float=_finite
        )
    except RecursionError:
        raise Unreadable("is nested too deep") from None
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8: {error.reason}") from error
    except ValueError as error:  # JSONDecodeError is one
        raise Unreadable(f"is not JSON as it must be: {error}") from error


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} comes twice")
    return record


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is infinite")
    return value


def records(content: bytes, file: str, findings: Findings) -> list[dict[str, Any]] | None:
    """The records of a log, without their checksums; None where a line is none, and then every such line is a finding.

    A line must be what ``suite.runs.log.encode`` writes, so that no key comes twice and no number is unusual.
    """
    *lines, rest = content.split(b"\n")
    before = len(findings)
    if rest:
        findings.add("log", file, "ends within a line: a log that is handed in is whole", len(lines) + 1)
    if not lines:
        findings.add("log", file, "holds no whole record", 1)
    decoded = []
    for number, line in enumerate(lines, 1):
        try:
            decoded.append(_record(line))
        except Unreadable as error:
            findings.add("log", file, str(error), number)
    return decoded if len(findings) == before else None


def _record(line: bytes) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise Unreadable(f"has {len(line)} bytes; a line has at most {LONGEST_LINE}")
    body = line[:-_CHECKSUM_BYTES] + b"}"
    if line[-_CHECKSUM_BYTES:] != b',"crc":"%08x"}' % zlib.crc32(body):
        raise Unreadable("does not check: its checksum is not that of the line")
    try:
        record = orjson.loads(body)
        again = orjson.dumps(record)
    except (ValueError, TypeError) as error:  # nested too deep, not UTF-8, NaN, infinite
        raise Unreadable(f"is not JSON as it must be: {error}") from error
    if not isinstance(record, dict) or again != body:
        raise Unreadable("is not written as the suite writes it: a key comes twice, or a value is spelt another way")
    return record
