"""What a submission could try against whoever looks at it. Nothing is executed, unpickled, unpacked or followed, within
1 GiB of memory and a minute; what is wrong is a finding."""

import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.runs.log import packed
from suite.submit.findings import Report, as_text
from suite.submit.layout import problems
from suite.submit.reading import Unreadable, parse
from suite.submit.rules import LARGEST_LOG, MEMORY_BYTES, MOST_FILES, SECONDS
from tests.submit import forge
from tests.submit.conftest import Published, command, document, rules

Check = Callable[..., Report]


def log_of(root: Path) -> Path:
    return forge.logs(root, "climbing")[0]


def line(body: bytes) -> bytes:
    """``body``, an object, as a line with a right checksum."""
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def with_line(path: Path, body: bytes) -> None:
    """The second record of the log is ``body``."""
    first, _, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, line(body), *rest]))


def rejected(root: Path, *words: str) -> None:
    """By the command, in its confined process, in time, with a message that has ``words``."""
    began = time.monotonic()
    text = command("submit", "validate", root, expect=1)
    assert time.monotonic() - began < SECONDS + 10
    for word in words:
        assert word in text, text
    assert "Traceback" not in text


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside.json", "."])
def test_links_are_not_followed(mutant: Path, target: str) -> None:
    for path in (log_of(mutant), mutant / "board.json", mutant / "strategy" / "more"):
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    rejected(mutant, "is a link", "board.json", "strategy/more")


def test_a_folder_behind_a_link_is_not_entered(mutant: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    (mutant / "runs").rename(hidden)
    (mutant / "runs").symlink_to(hidden, target_is_directory=True)
    rejected(mutant, "runs: layout: is a link")


def test_pipes_and_devices_are_not_opened(mutant: Path) -> None:
    (mutant / "board.json").unlink()
    os.mkfifo(mutant / "board.json")
    rejected(mutant, "board.json: layout: is no regular file")


@pytest.mark.parametrize("path", ["../outside.json", "/etc/passwd", "runs/../../x", "C:\\x"])
def test_paths_in_the_manifest_lead_nowhere(mutant: Path, check: Check, path: str) -> None:
    forge.write_manifest(mutant)
    forge.edit(mutant / "manifest.json", lambda record: record.update({path: {"sha256": "0" * 64, "bytes": 1}}))
    (finding,) = check(mutant, manifest=False).findings
    assert (finding.rule, finding.message) == ("manifest", "is in the manifest and not here")


@pytest.mark.parametrize(
    "name", ["../up", "/etc/cron.d/x", "few_shot/../../x", "a/b/c", "curves/polynomial\n", "x.py:TASK"]
)
def test_names_of_tasks_are_no_paths(mutant: Path, check: Check, name: str) -> None:
    forge.edit(mutant / "submission.json", lambda record: record.update(tasks=[name]))
    assert rules(check(mutant)) == {"schema"}


def test_archives_are_not_unpacked(mutant: Path) -> None:
    """Not even those that would expand a thousandfold."""
    with zipfile.ZipFile(mutant / "runs.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(64 * 2**20))
    with tarfile.open(mutant / "strategy" / "code.tar.gz", "w:gz") as archive:
        archive.add(log_of(mutant), arcname="../../../escaped")
    log_of(mutant).with_suffix(".jsonl.gz").write_bytes(packed(bytes(64 * 2**20)))  # rank would read one
    assert (mutant / "runs.zip").stat().st_size * 500 < 64 * 2**20
    rejected(
        mutant, "log.jsonl.gz: layout", "runs.zip: layout", "strategy/code.tar.gz: layout", "archives are not unpacked"
    )


@pytest.mark.parametrize(
    "name", ["strategy/weights.pkl", "strategy/model.pt", "strategy/run.sh", "strategy/a.so", "x.html"]
)
def test_only_text_of_known_kinds_has_a_place(mutant: Path, check: Check, name: str) -> None:
    (mutant / name).write_bytes(b"cos\nsystem\n(S'touch /tmp/was-here'\ntR.")
    assert {each.file for each in check(mutant).findings} == {name}


def test_submitted_code_is_not_executed(mutant: Path, check: Check, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    for name in ("sitecustomize.py", "conftest.py", "suite.py", "__init__.py"):
        (mutant / "strategy" / name).write_text(f"open({str(witness)!r}, 'w')\n")
    assert check(mutant).passed
    command("submit", "validate", mutant)
    assert not witness.exists()


def test_a_line_of_ten_gigabytes(mutant: Path) -> None:
    """A sparse file, which takes no room on the disk."""
    with log_of(mutant).open("r+b") as file:
        file.truncate(10 * 2**30)
    rejected(mutant, "10737418240 bytes")


def test_a_line_that_just_fits_into_a_log(mutant: Path) -> None:
    log_of(mutant).write_bytes(line(b'{"record":"run","x":"' + b"x" * (LARGEST_LOG - 100) + b'"}'))
    rejected(mutant, "a line has at most")


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_json_without_bottom(mutant: Path, opening: bytes) -> None:
    deep = opening * 100_000
    with_line(log_of(mutant), b'{"record":"session","started":' + deep + b"}")
    (mutant / "board.json").write_bytes(deep)
    (mutant / "submission.json").write_bytes(deep)
    rejected(mutant, "board.json: schema", "submission.json: schema")


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n"])
def test_logs_without_a_record(mutant: Path, check: Check, content: bytes) -> None:
    log_of(mutant).write_bytes(content)
    assert rules(check(mutant)) == {"log"}
    assert "Pi" not in check(mutant).figures


def test_json_without_bottom_in_a_log(mutant: Path, check: Check) -> None:
    with_line(log_of(mutant), b'{"record":' + b"[" * 5000 + b"]" * 5000 + b"}")
    assert rules(check(mutant)) == {"log"}


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999", b"-1e999", b"123456789012345678901234567890"])
def test_numbers_that_are_none(mutant: Path, check: Check, number: bytes) -> None:
    with_line(log_of(mutant), b'{"record":"heartbeat","segments":[],"total":' + number + b"}")
    text = (mutant / "board.json").read_text()
    (mutant / "board.json").write_text(text.replace('"budget": 8.0', f'"budget": {number.decode()}'))
    assert {each.rule for each in check(mutant).findings if each.file == "board.json"} == {"schema"}
    (mutant / "board.json").write_text(text)
    assert rules(check(mutant)) == {"log"}


def test_keys_that_come_twice(mutant: Path, check: Check) -> None:
    with_line(log_of(mutant), b'{"record":"heartbeat","segments":[],"total":0,"total":1}')
    assert "a key comes twice" in as_text(check(mutant))
    text = (mutant / "submission.json").read_text()
    (mutant / "submission.json").write_text(text.replace("{", '{"seeds": 9,', 1))
    assert "'seeds' comes twice" in as_text(check(mutant))


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', "[1e999]", "[NaN]", "[" * 10**6, "\ufeff{}", "{", "nul"])
def test_parse_is_strict(text: str) -> None:
    with pytest.raises(Unreadable):
        parse(text.encode())


def test_bytes_that_are_no_text(mutant: Path, check: Check) -> None:
    with_line(log_of(mutant), b'{"record":"\xff\xfe"}')
    (mutant / "board.json").write_bytes(b"\xff\xfe{}")
    assert {each.rule for each in check(mutant).findings} == {"log", "schema"} or rules(check(mutant)) == {"schema"}


INJECTED = [
    "<script>alert(1)</script>",
    "=HYPERLINK(1)",
    "+1+1",
    "-1",
    "@SUM(A1)",
    "a\x1b[31mred",
    "a\u202eb",
    "a\tb",
    "![x](y)",
]


@pytest.mark.parametrize("text", INJECTED)
def test_html_formulas_and_control_characters_have_no_place(published: Published, text: str) -> None:
    record = document(published.root, "submission.json")
    for name in ("licence", "strategy", "version", "link", "commit", "nonce", "board"):
        assert problems({**record, name: text}), name
    assert problems({**record, "authors": ["Ada", text]})
    assert problems({**record, "tasks": [text]})


def test_the_report_prints_no_control_characters(mutant: Path, check: Check) -> None:
    (mutant / "strategy" / "a\x1b]0;title\x07\n.py").write_text("")
    forge.edit(mutant / "submission.json", lambda record: record.update(licence="\x1b[2J" + "x" * 10**5))
    text = as_text(check(mutant))
    assert all(each.isprintable() or each == "\n" for each in text)
    assert max(map(len, text.splitlines())) < 1000


def test_html_in_a_log_is_escaped_on_the_site(mutant: Path, tmp_path: Path) -> None:
    """What a log may hold as free text, the reason of a failure, say, stands on no page as markup."""
    path = log_of(mutant)
    records = forge.load(path)
    records[-1]["crosscheck"] = {"reason": "<script>alert(1)</script>"}
    forge.save(path, records)
    command("report", mutant, "--out", tmp_path / "site")
    pages = [page.read_text() for page in (tmp_path / "site").rglob("*.html")]
    assert pages
    assert not any("<script>alert(1)" in page for page in pages)


def test_too_many_files(mutant: Path) -> None:
    folder = mutant / "strategy" / "many"
    folder.mkdir()
    for number in range(MOST_FILES + 1):
        (folder / f"{number}.py").touch()
    rejected(mutant, f"at most {MOST_FILES} files")


def test_folders_without_bottom(mutant: Path) -> None:
    folder = mutant / "strategy"
    for _ in range(200):
        folder = folder / "d"
        folder.mkdir()
    (folder / "x.py").touch()
    rejected(mutant, "deep")


def test_the_dearest_log_that_is_read(mutant: Path) -> None:
    """As many objects as fit into the bytes that are read: within memory and time, whatever comes of it."""
    body = b'{"record":"heartbeat","segments":[' + b",".join([b'["idle",null,{},0,0]'] * 190_000) + b'],"total":0}'
    for path in forge.logs(mutant):
        first, second, *_ = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([first, second, *[line(body)] * 4])[:LARGEST_LOG])
    command = [sys.executable, "-P", "-m", "suite.cli", "submit", "validate", str(mutant)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "rejected" in process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)  # of it and of what it started
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 1
    assert usage.ru_maxrss * 1024 < MEMORY_BYTES
    assert usage.ru_utime + usage.ru_stime < SECONDS


def test_findings_are_bounded(mutant: Path, check: Check) -> None:
    log_of(mutant).write_bytes(b"x\n" * 100_000)
    report = check(mutant)
    assert len(report.findings) <= 2000
    assert report.dropped > 90_000
    assert len(json.dumps(report.to_record())) < 10**6


def test_a_submission_that_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file.tar.gz"
    file.write_bytes(b"\x1f\x8b")
    assert command("submit", "validate", file, expect=2) == ""
    empty = tmp_path / "empty"
    empty.mkdir()
    rejected(empty, "submission.json: layout: is missing")
