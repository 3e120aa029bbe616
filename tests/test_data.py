"""Data sets are recognised by their digests; the files of the download tier are fetched, checked and read with care."""

import gzip
import hashlib
import io
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from suite import data
from suite.data import DataMismatch, DataUnavailable, RemoteFile, fetch, files_digest, gunzipped, members

CONTENT = b"seven wonders"
NOBODY = "http://127.0.0.1:9/wonders.bin"  # the discard port, where nothing listens


def remote(url: str, content: bytes = CONTENT) -> RemoteFile:
    sha256, md5 = hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest()
    return RemoteFile("wonders", "wonders.bin", url, len(content), sha256, md5)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(data.CACHE_VARIABLE, str(tmp_path / "cache"))
    for name in (data.OFFLINE_VARIABLE, "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a web site on this machine with one file, wonders.bin."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "wonders.bin").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "site"))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def put(cache: Path, content: bytes = CONTENT) -> Path:
    path = cache / "wonders" / "wonders.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_a_file_is_fetched_once(site: str, cache: Path, tmp_path: Path) -> None:
    file = remote(f"{site}/wonders.bin")
    assert fetch(file).read_bytes() == CONTENT
    (tmp_path / "site" / "wonders.bin").unlink()
    assert fetch(file) == cache / "wonders" / "wonders.bin"


def test_a_present_file_needs_neither_network_nor_write_access(cache: Path) -> None:
    path = put(cache)
    for each in (path, path.parent, cache):
        each.chmod(each.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    before = sorted(cache.rglob("*"))
    try:
        assert fetch(remote(NOBODY)).read_bytes() == CONTENT
        assert sorted(cache.rglob("*")) == before
    finally:
        for each in (cache, path.parent):
            each.chmod(each.stat().st_mode | stat.S_IWUSR)


@pytest.mark.parametrize("changed", [b"seven blunders", CONTENT[:-1], b""])
def test_a_present_file_with_other_content_is_refused_and_left_as_it_is(site: str, cache: Path, changed: bytes) -> None:
    path, file = put(cache, changed), remote(f"{site}/wonders.bin")
    with pytest.raises(DataMismatch, match="left as it is; move it away") as refusal:
        fetch(file)
    for part in (str(path), file.sha256, hashlib.sha256(changed).hexdigest()):
        assert part in str(refusal.value)
    assert path.read_bytes() == changed


def test_a_file_that_is_not_what_upstream_published_is_refused(cache: Path) -> None:
    put(cache)
    with pytest.raises(DataMismatch, match=f"must have md5 {'0' * 32}"):
        fetch(replace(remote(NOBODY), md5="0" * 32))


def test_a_directory_in_the_place_of_a_file_is_refused(cache: Path) -> None:
    (cache / "wonders" / "wonders.bin").mkdir(parents=True)
    with pytest.raises(DataMismatch, match="cannot be read"):
        fetch(remote(NOBODY))


def told(error: DataUnavailable, file: RemoteFile, path: Path) -> None:
    """The message names all that one needs to put the file there by hand."""
    for part in (file.name, file.url, file.sha256, str(file.size), str(path), data.CACHE_VARIABLE):
        assert part in str(error)


def test_without_network_it_is_said_what_to_put_where(cache: Path) -> None:
    with pytest.raises(DataUnavailable) as refusal:
        fetch(remote(NOBODY))
    told(refusal.value, remote(NOBODY), cache / "wonders" / "wonders.bin")


def test_offline_nothing_is_fetched(site: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(data.OFFLINE_VARIABLE, "1")
    with pytest.raises(DataUnavailable, match="CARBON_SUITE_OFFLINE is set"):
        fetch(remote(f"{site}/wonders.bin"))
    assert not cache.exists()
    put(cache)
    assert fetch(remote(f"{site}/wonders.bin")).read_bytes() == CONTENT


def test_a_missing_page_and_a_changed_download_leave_nothing_behind(site: str, cache: Path) -> None:
    for file, reason in (
        (remote(f"{site}/atlantis.bin"), "404"),
        (remote(f"{site}/wonders.bin", b"eight wonders"), "does not match the known hash"),
    ):
        with pytest.raises(DataUnavailable, match=reason) as refusal:
            fetch(file)
        told(refusal.value, file, cache / "wonders" / "wonders.bin")
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_cache_that_cannot_be_written_is_said(site: str, cache: Path) -> None:
    cache.write_text("not a folder")
    with pytest.raises(DataUnavailable, match=data.CACHE_VARIABLE):
        fetch(remote(f"{site}/wonders.bin"))


def test_without_the_variable_files_go_to_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(data.CACHE_VARIABLE)
    assert data.cache().name == "carbon-suite"
    assert data.cache().is_absolute()


def test_digest_of_files_depends_on_each_file_and_on_no_order() -> None:
    one, two = remote(NOBODY), replace(remote(NOBODY), name="more.bin")
    assert files_digest([one, two]) == files_digest([two, one])
    assert files_digest([one]) != files_digest([one, two]) != files_digest([replace(one, sha256="0" * 64), two])


def test_digest_of_arrays_depends_on_names_types_shapes_and_bytes() -> None:
    array = np.arange(6, dtype=np.int32)
    variants = [
        {"x": array},
        {"y": array},
        {"x": array.reshape(2, 3)},
        {"x": array.astype(np.uint32)},
        {"x": array[::-1]},
    ]
    assert len({data.digest(variant) for variant in variants}) == len(variants)
    assert data.digest({"x": array, "y": array}) == data.digest({"y": array.copy(), "x": array})


def zipped(path: Path, files: dict[str, bytes], link: str | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if link:
            entry = zipfile.ZipInfo(link)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, "/etc/passwd")
    return path


def tarred(path: Path, files: dict[str, bytes], link: str | None = None) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        if link:
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry)
    return path


Archive = Callable[..., Path]
both = pytest.mark.parametrize("archive", [zipped, tarred])


@both
def test_members_are_read_into_memory(tmp_path: Path, archive: Archive) -> None:
    path = archive(tmp_path / "set", {"set/a.bin": b"aa", "set/b.txt": b"bb", "set/c.bin": b"c"})
    assert list(members(path, ".bin", largest=3)) == [("set/a.bin", b"aa"), ("set/c.bin", b"c")]
    assert list(tmp_path.iterdir()) == [path]


@both
@pytest.mark.parametrize("name", ["/etc/passwd", "../a.bin", "set/../../a.bin", "..\\a.bin"])
def test_paths_that_lead_outside_are_refused(tmp_path: Path, archive: Archive, name: str) -> None:
    path = archive(tmp_path / "set", {"a.bin": b"a", name: b"b"})
    with pytest.raises(DataMismatch, match="plain files with paths inside it"):
        list(members(path, ".bin", largest=100))


@both
def test_links_are_refused(tmp_path: Path, archive: Archive) -> None:
    with pytest.raises(DataMismatch, match=r"but has 'a\.bin'"):
        list(members(archive(tmp_path / "set", {}, link="a.bin"), ".bin", largest=100))


@both
def test_more_than_expected_is_not_unpacked(tmp_path: Path, archive: Archive) -> None:
    path = archive(tmp_path / "set", {"a.bin": bytes(1000), "b.bin": bytes(1000)})
    with pytest.raises(DataMismatch, match="holds more"):
        list(members(path, ".bin", largest=1999))


@both
def test_a_truncated_archive_is_refused(tmp_path: Path, archive: Archive) -> None:
    path = archive(tmp_path / "set", {"a.bin": np.random.default_rng(0).bytes(10_000)})
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataMismatch, match="cannot be read"):
        list(members(path, ".bin", largest=100_000))


def test_a_gzip_file_is_read_whole_or_refused(tmp_path: Path) -> None:
    path, content = tmp_path / "a.gz", np.random.default_rng(0).bytes(1000)
    path.write_bytes(gzip.compress(content))
    assert gunzipped(path, largest=1000) == content
    with pytest.raises(DataMismatch, match="holds more"):
        gunzipped(path, largest=999)
    for damaged in (gzip.compress(content)[:-100], gzip.compress(content)[:500], b"no gzip at all"):
        path.write_bytes(damaged)
        with pytest.raises(DataMismatch, match="cannot be read"):
            gunzipped(path, largest=1000)
