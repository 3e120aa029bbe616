"""Versioned data sets: what a task was trained on, provable by a digest, and the files of the download tier.

A fetched file lies in ``<cache>/<data set>/<file>``. The cache is the folder that ``CARBON_SUITE_DATA`` names, else the
user's cache folder. A file that is already there, whoever put it there, is used as it is once its digest is right; it
is never replaced, and nothing is written, so the folder may be read-only. With ``CARBON_SUITE_OFFLINE`` set, nothing is
fetched.
"""

import gzip
import hashlib
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from textwrap import shorten
from typing import Final

import numpy as np

from suite.task import DataRef

CACHE_VARIABLE: Final = "CARBON_SUITE_DATA"
OFFLINE_VARIABLE: Final = "CARBON_SUITE_OFFLINE"


class DataError(ValueError):
    """A task's data cannot be used; the message says what to do."""


class DataMismatch(DataError):
    """The arrays made here, or the file found here, are not those that the task was published with."""


class DataUnavailable(DataError):
    """A file of the download tier is not here and cannot be fetched."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set that is fetched, not shipped: ``size`` in bytes, and digests in hexadecimal.

    md5: as published upstream, where it is; the SHA-256 is what the file is recognised by.
    """

    data_set: str
    name: str
    url: str
    size: int
    sha256: str
    md5: str | None = None


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the names, shapes, types and bytes of ``arrays``, in the order of their names."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def files_digest(files: Sequence[RemoteFile]) -> str:
    """``files:`` and the SHA-256 over the names and digests of ``files``: for a ``DataRef`` whose arrays follow from
    its files by reading bytes alone."""
    lines = sorted(f"{file.name}|{file.sha256}\n" for file in files)
    return "files:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def verified(ref: DataRef, arrays: Mapping[str, np.ndarray], variant: int = 0) -> Mapping[str, np.ndarray]:
    """``arrays``, once their digest is that of ``ref``, which is of variant 0; raises ``DataMismatch`` otherwise."""
    if variant == 0 and (found := digest(arrays)) != ref.digest:
        raise DataMismatch(
            f"data set {ref.name} {ref.version} must have digest {ref.digest}, but the arrays made here have {found}; "
            f"install the releases of its source that this version names ({ref.source}), or publish a new task version"
        )
    return arrays


def cache() -> Path:
    """The folder of all fetched data sets; it need not exist."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("carbon-suite"))


def fetch(file: RemoteFile) -> Path:
    """Where ``file`` lies, its digests checked; downloaded first if it is not there.

    Raises ``DataMismatch`` for a present file with other content, which is left as it is, and ``DataUnavailable`` where
    the download fails.
    """
    path = cache() / file.data_set / file.name
    with _readable(path):
        here = path.exists()
    if not here:
        _download(file, path)
    _check(file, path)
    return path


def _download(file: RemoteFile, path: Path) -> None:
    """pooch writes to a temporary file beside ``path`` and moves it there once its digest is right."""
    import pooch

    try:
        if os.environ.get(OFFLINE_VARIABLE):
            raise OSError(f"{OFFLINE_VARIABLE} is set")
        pooch.retrieve(file.url, f"sha256:{file.sha256}", fname=path.name, path=path.parent)
    except (OSError, ValueError) as error:  # no network, no such page, no place to write; another file than expected
        reason = shorten(f"{type(error).__name__}: {error}", 160, placeholder=" ...")
        raise DataUnavailable(
            f"data set {file.data_set} needs its file {file.name} ({file.size} bytes, SHA-256 {file.sha256}), which is "
            f"not at {path} and could not be fetched from {file.url} ({reason}). Fetch it where there is a network, "
            f"and put it there; {CACHE_VARIABLE} names the folder of all data sets"
        ) from error


def _check(file: RemoteFile, path: Path) -> None:
    for kind, expected in (("sha256", file.sha256), ("md5", file.md5)):
        with _readable(path), path.open("rb") as content:
            found = hashlib.file_digest(content, kind).hexdigest()
        if expected and found != expected:
            raise DataMismatch(
                f"{path} must have {kind} {expected} and {file.size} bytes, but has {found} and {path.stat().st_size}: "
                f"it is not the {file.name} of data set {file.data_set} from {file.url}. It is left as it is; move it "
                "away, and the right one will be fetched, or put that one there"
            )


def gunzipped(path: Path, largest: int) -> bytes:
    """The content of the gzip file at ``path``, of ``largest`` bytes at most; raises ``DataMismatch``."""
    with _readable(path), gzip.open(path) as content:
        return _bounded(path, content.read(largest + 1), largest)


def members(path: Path, suffix: str, largest: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in the zip or tar archive at ``path`` whose names end in ``suffix``.

    They come in its order and are read into memory, together ``largest`` bytes at most; nothing is unpacked to disk.
    Raises ``DataMismatch`` for an archive that is damaged, larger, or has an absolute path, a ``..`` or a link in it.
    """
    with _readable(path):
        reader = _zip_members if zipfile.is_zipfile(path) else _tar_members
        yield from reader(path, suffix, largest)


def _zip_members(path: Path, suffix: str, largest: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            _require_plain(path, member.filename, stat.S_ISLNK(member.external_attr >> 16))
            if not member.is_dir() and member.filename.endswith(suffix):
                with archive.open(member) as content:
                    taken = _bounded(path, content.read(largest + 1), largest)
                largest -= len(taken)
                yield member.filename, taken


def _tar_members(path: Path, suffix: str, largest: int) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            _require_plain(path, member.name, not (member.isfile() or member.isdir()))
            if member.isfile() and member.name.endswith(suffix):
                content = archive.extractfile(member)
                assert content is not None  # as for any plain file
                taken = _bounded(path, content.read(largest + 1), largest)
                largest -= len(taken)
                yield member.name, taken


def _require_plain(path: Path, name: str, link: bool) -> None:
    inside = PurePosixPath(name.replace("\\", "/"))
    if link or inside.is_absolute() or ".." in inside.parts:
        raise DataMismatch(f"{path} must hold plain files with paths inside it, but has {name!r}; it was not unpacked")


def _bounded(path: Path, content: bytes, largest: int) -> bytes:
    if len(content) > largest:
        raise DataMismatch(f"{path} must hold {largest} more bytes at most, but holds more; it was not unpacked")
    return content


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever a damaged file makes a reader raise becomes ``DataMismatch``."""
    try:
        yield
    except (EOFError, OSError, RuntimeError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise DataMismatch(
            f"{path} cannot be read ({type(error).__name__}: {error}); put a whole file there"
        ) from error
