"""The trial log is whole at every moment: a torn line is left out, a changed one is found and named."""

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.energy.ledger import Segment
from suite.runs import lines
from suite.runs.board import find_logs
from suite.runs.lines import LogWriter, encode, packed
from suite.runs.log import (
    PACKED_NAME,
    Charge,
    LogError,
    RunHeader,
    proposal_from_record,
    proposal_to_record,
    read_log,
    read_records,
)
from suite.runs.machine import machine_facts
from suite.search.strategy import EXHAUSTED, WAIT, Proposal
from tests.conftest import budget
from tests.examples.valley import TASK

HEADER = RunHeader(
    role="ranked",
    suite="0",
    task=TASK.spec,
    strategy={"name": "hand-made", "version": "1"},
    seed=0,
    budget=budget(joules=1.0),
    variant=0,
    workers=1,
    jobs=1,
    device="cpu",
    time_limit_seconds=60.0,
    meters=({"component": "cpu", "meter": "cpu-time", "tier": "estimated", "source": "declared"},),
    machine=machine_facts(),
)


def segment(phase: str, trial: int | None, microjoules: int) -> list[Any]:
    return [phase, trial, {"cpu": microjoules}, 1, 1]


def ask(trial: int) -> dict[str, Any]:
    answer = {"configuration": {"step_size": 0.1, "start": 1.0}, "fidelity": 20, "parent": None}
    return {"record": "ask", "trial": trial, "answer": answer, "segments": [segment("ask", None, 5)], "total": 0}


def end(trial: int, status: str = "ok", segments: list[Any] | None = None) -> dict[str, Any]:
    value = 0.25 if status == "ok" else None
    return {
        "record": "trial",
        "trial": trial,
        "attempt": 0,
        "status": status,
        "validation": value,
        "test": value,
        "reason": "",
        "seconds": 0.1,
        "joules": 0.1,
        "returned": False,
        "segments": segments or [segment("train", trial, 100), segment("test", trial, 1000)],
        "total": 0,
    }


RECORDS: list[dict[str, Any]] = [
    {"record": "run", "schema": 1, **HEADER.to_record(), "segments": [segment("setup", None, 10**6)], "total": 0},
    {"record": "session", "started": "2026-01-01T00:00:00+00:00", "resumed": False, "segments": [], "total": 0},
    ask(1),
    end(1),
    ask(2),
    end(2, "failed"),
]


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(encode(record) for record in records))
    return path


def test_a_log_reads_back(tmp_path: Path) -> None:
    log = read_log(write(tmp_path / "log.jsonl", RECORDS))
    assert log.header == HEADER
    assert [(trial.number, trial.status, trial.validation) for trial in log.trials] == [
        (1, "ok", 0.25),
        (2, "failed", None),
    ]
    assert [trial.charged_microjoules for trial in log.trials] == [105, 210]
    assert [trial.microjoules for trial in log.trials] == [100, 100]
    assert log.charged_microjoules == 210
    assert log.microjoules_by_phase() == {"setup": 10**6, "ask": 10, "train": 200, "test": 2000}


@pytest.mark.parametrize("whole", range(1, len(RECORDS)))
def test_a_log_cut_at_every_byte_reads_to_its_last_whole_record(tmp_path: Path, whole: int) -> None:
    path = tmp_path / "log.jsonl"
    before = b"".join(encode(record) for record in RECORDS[:whole])
    line = encode(RECORDS[whole])
    for cut in range(len(line)):
        path.write_bytes(before + line[:cut])
        records, torn = read_records(path)
        assert len(records) == whole
        assert torn == cut


def test_a_changed_byte_anywhere_is_found_and_its_line_named(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", RECORDS)
    content = path.read_bytes()
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        line = content[:position].count(b"\n") + 1
        with pytest.raises(LogError, match=rf"log\.jsonl:{line}: this line is not a record"):
            read_records(path)


def test_a_torn_log_reads_to_its_last_whole_record_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", RECORDS)
    content = path.read_bytes()
    first = len(encode(RECORDS[0]))
    for cut in range(first, len(content), 7):
        path.write_bytes(content[:cut])
        log = read_log(path)
        whole = content[:cut].count(b"\n")
        assert len(log.trials) == sum(record["record"] == "trial" for record in RECORDS[:whole])
        assert log.torn == cut - sum(len(encode(record)) for record in RECORDS[:whole])


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, position: int, change: int) -> None:
    path = write(tmp_path_factory.mktemp("flip") / "log.jsonl", RECORDS)
    content = bytearray(path.read_bytes())
    position %= len(content)
    content[position] ^= change
    path.write_bytes(bytes(content))
    with pytest.raises(LogError, match=r"log\.jsonl:\d+: this line is not a record"):
        read_records(path)


def test_a_packed_log_reads_as_what_it_was_packed_from(tmp_path: Path) -> None:
    """Where both are there, the log that a run may go on from is the one that counts."""
    plain = write(tmp_path / "log.jsonl", RECORDS)
    plain.write_bytes(plain.read_bytes() + b'{"record":"tri')
    (tmp_path / PACKED_NAME).write_bytes(packed(plain.read_bytes()))
    assert find_logs([tmp_path]) == [plain]
    expected = read_log(plain)
    plain.unlink()
    assert find_logs([tmp_path]) == [tmp_path / PACKED_NAME]
    found = read_log(tmp_path)
    assert found.torn == len(b'{"record":"tri')
    assert replace(found, path=plain) == expected
    assert read_records(tmp_path / PACKED_NAME)[0] == RECORDS


def test_the_same_content_is_packed_to_the_same_bytes() -> None:
    """Without name and time (RFC 1952: no flag set, MTIME 0)."""
    content = b"".join(map(encode, RECORDS))
    assert packed(content) == packed(content)
    assert packed(content)[:8] == b"\x1f\x8b\x08" + bytes(5)


def test_a_packed_log_that_was_cut_or_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / PACKED_NAME
    whole = packed(b"".join(map(encode, RECORDS)))
    for cut in range(1, len(whole), 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(LogError, match="cannot be unpacked"):
            read_log(path)
    for place in range(10, len(whole), 7):  # after the header, which says nothing of the content
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(LogError, match=r"cannot be unpacked"):
            read_log(path)


def test_a_packed_log_is_unpacked_no_further_than_a_log_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = packed(bytes(2**24))
    assert 900 * len(bomb) < 2**24
    (tmp_path / PACKED_NAME).write_bytes(bomb)
    monkeypatch.setattr(lines, "LARGEST_UNPACKED", 2**16)
    tracemalloc.start()
    with pytest.raises(LogError, match="unpacks to more than 65536 bytes"):
        read_log(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


@pytest.mark.parametrize("content", [b"hello\n", b"{}\n", b"\x00\xff\n", b'{"record":"run"}\n'])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)
    with pytest.raises(LogError, match="is not a record of a trial log"):
        read_log(path)


def test_a_log_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", [{**RECORDS[0], "schema": 99}])
    with pytest.raises(LogError, match="schema 99; it was written by another release"):
        read_log(path)


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"")
    with pytest.raises(LogError, match="holds no whole record"):
        read_log(path)


def test_a_record_without_what_its_kind_needs_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", [*RECORDS[:3], {"record": "trial", "trial": 1}])
    with pytest.raises(LogError, match="a record lacks what its kind needs"):
        read_log(path)


def test_writing_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", RECORDS[:3])
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes() + b'{"record":"tri')
    writer = LogWriter(path, keep_bytes=whole)
    writer.append(RECORDS[3])
    writer.close()
    assert read_records(path) == (RECORDS[:4], 0)


def test_a_lost_attempt_is_taken_back_from_the_charge(tmp_path: Path) -> None:
    lost = [
        {"record": "heartbeat", "segments": [segment("train", 1, 70)], "total": 0},
        {"record": "lost", "trial": 1, "attempt": 0, "total": 0},
    ]
    log = read_log(write(tmp_path / "log.jsonl", [*RECORDS[:3], *lost, end(1)]))
    assert log.lost_microjoules == 70
    assert log.trials[0].microjoules == 100
    assert log.charged_microjoules == 105


def test_only_charged_phases_are_charged() -> None:
    charge = Charge()
    phases = ("setup", "ask", "train", "validate", "test", "tell", "resume", "idle")
    charge.add(Segment(phase, None, {"cpu": 10**position}, 0, 0) for position, phase in enumerate(phases))
    assert charge.microjoules == 10_101_110  # idle, tell, validate, train, ask


@pytest.mark.parametrize("answer", [WAIT, EXHAUSTED, Proposal({"a": 1, "b": True, "c": "x", "d": 0.1}, 3, 2)])
def test_answers_read_back(answer: Any) -> None:
    assert proposal_from_record(proposal_to_record(answer)) == answer


def with_gaps(record: dict[str, Any], uncovered_ns: dict[str, int], suspended_ns: int = 0) -> dict[str, Any]:
    gaps = {
        "uncovered_ns": uncovered_ns,
        "reasons": dict.fromkeys(uncovered_ns, "silent"),
        "suspended_ns": suspended_ns,
    }
    return {**record, "gaps": gaps}


def test_gaps_of_all_records_add_up_and_widen_the_interval(tmp_path: Path) -> None:
    records = [*RECORDS[:4], with_gaps(RECORDS[4], {"cpu": 2}), with_gaps(RECORDS[5], {"cpu": 1}, 7 * 10**9)]
    log = read_log(write(tmp_path / "log.jsonl", records))
    assert (log.gaps, log.suspended_ns) == ({"cpu": 3}, 7 * 10**9)
    assert log.coverage() == {"cpu": 1 - 3 / log.elapsed_ns}
    (whole,) = log.energy().values()
    assert whole.microjoules == log.total_microjoules
    assert whole.low == log.total_microjoules / 3  # a model, right within a factor of 3
    assert whole.high == pytest.approx(log.total_microjoules * 3 / log.coverage()["cpu"])


def test_a_short_segment_of_a_slow_counter_is_uncertain(tmp_path: Path) -> None:
    meter = {"component": "gpu", "meter": "nvml", "tier": "measured", "source": "", "factor": 1.05, "tick_seconds": 0.1}
    header = {**RECORDS[0], "meters": [meter], "segments": []}
    short = ["train", 1, {"gpu": 30_000_000}, 10**8, 10**8]  # 30 J in 0.1 s
    long = ["train", 2, {"gpu": 3_000_000_000}, 10**10, 10**10]
    log = read_log(
        write(
            tmp_path / "log.jsonl", [header, *RECORDS[1:3], end(1, segments=[short]), ask(2), end(2, segments=[long])]
        )
    )
    errors = {s.trial: log.energy_of(s)["gpu"].high / s.total_microjoules for s in log.segments if s.phase == "train"}
    assert errors[1] > 1.9
    assert errors[2] == pytest.approx(1.05 * 1.01)


def test_power_at_rest_gives_the_net_energy(tmp_path: Path) -> None:
    session = {**RECORDS[1], "rest_watts": {"cpu": 1.0}}
    final = {"record": "end", "reason": "budget", "crosscheck": {}, "rest_watts": {"cpu": 3.0}, "total": 0}
    second = ["train", 1, {"cpu": 5_000_000}, 10**9, 10**9]
    log = read_log(write(tmp_path / "log.jsonl", [RECORDS[0], session, ask(1), end(1, segments=[second]), final]))
    assert log.rest_watts == {"cpu": 2.0}
    assert log.net_microjoules() == pytest.approx(log.total_microjoules - 2_000_000, abs=1)
    assert read_log(write(tmp_path / "none.jsonl", RECORDS)).net_microjoules() is None


def test_energy_is_told_by_the_hour(tmp_path: Path) -> None:
    session = {**RECORDS[1], "started": "2026-01-01T00:30:00+00:00"}
    two_hours = ["train", 1, {"cpu": 4000}, 1, 2 * 3600 * 10**9]
    slept = with_gaps(end(1, segments=[["train", 1, {"cpu": 50}, 1, 10**9]]), {}, 3600 * 10**9)
    log = read_log(write(tmp_path / "log.jsonl", [RECORDS[0], session, ask(1), end(1, segments=[two_hours]), slept]))
    first = 1767225600 // 3600  # 2026-01-01T00 in UTC
    assert log.hours == {first: 10**6 + 5 + 1000, first + 1: 2000, first + 2: 1000, first + 3: 50}
    assert sum(log.hours.values()) == log.total_microjoules


def test_charges_are_told_by_component(tmp_path: Path) -> None:
    both = ["train", 1, {"cpu": 30, "gpu": 70}, 1, 1]
    log = read_log(write(tmp_path / "log.jsonl", [*RECORDS[:3], end(1, segments=[both])]))
    assert log.trials[0].charged == {"cpu": 35, "gpu": 70}


def test_a_log_from_before_a_field_was_added_reads_with_its_default(tmp_path: Path) -> None:
    older = {key: value for key, value in RECORDS[0].items() if key not in ("unmetered", "default_mix")}
    assert read_log(write(tmp_path / "log.jsonl", [older, *RECORDS[1:]])).header == HEADER
