"""The trial log is whole at every moment: a torn line is left out, a changed one is found and named."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.energy.ledger import Segment
from suite.runs.log import (
    Charge,
    LogError,
    LogWriter,
    RunHeader,
    encode,
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


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, position: int, change: int) -> None:
    path = write(tmp_path_factory.mktemp("flip") / "log.jsonl", RECORDS)
    content = bytearray(path.read_bytes())
    position %= len(content) - 1
    content[position] ^= change
    path.write_bytes(bytes(content))
    with pytest.raises(LogError, match=r"log\.jsonl:\d+: this line is not a record"):
        read_records(path)


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
