"""The run plan on disk: what is to run, what has, what failed and why, and who works on it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from suite.runs.agenda import PLAN_NAME, Attempts, Entry, add_runs, read_agenda
from suite.runs.claim import BoardBusy, Claim, holder
from suite.runs.jobs import KILLED, MOST_ATTEMPTS, Advance, Job, Result, Silent, run_jobs
from suite.runs.log import LogError
from suite.runs.plan import RunPlan
from suite.runs.status import board_status
from tests.conftest import VALLEY, budget
from tests.runs.boards import log_of, write_board, write_run

RUN = "runs/toy/valley/random/seed-{}"
HOLD = """
import sys, time
from pathlib import Path
from suite.runs.claim import Claim
with Claim(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def attempt(directory: Path, seed: int, status: int | None, message: str = "") -> None:
    """An attempt at a run as an engine makes it; status None: its process was killed."""
    job = Job(str(seed), RunPlan(VALLEY, "random", seed, budget()), directory / RUN.format(seed))
    attempts = Attempts(directory, "local", Silent())
    attempts.started(job)
    if status is not None:
        attempts.ended(Result(job, status, message))
    attempts.close()


def test_runs_are_planned_once_and_can_be_added(tmp_path: Path) -> None:
    add_runs(tmp_path, [VALLEY], ["random"], [0, 1])
    again = add_runs(tmp_path, [VALLEY], ["random", "tpe"], [1, 2])
    assert [entry.run for entry in again] == [
        f"runs/toy/valley/{strategy}/seed-{seed}" for seed in (1, 2) for strategy in ("random", "tpe")
    ]
    planned = list(read_agenda(tmp_path).entries.values())
    assert [(entry.strategy, entry.seed) for entry in planned] == [
        ("random", 0),
        ("random", 1),
        ("tpe", 1),
        ("random", 2),
        ("tpe", 2),
    ]
    assert planned[0] == Entry(RUN.format(0), VALLEY, "random", 0)


def test_a_plan_cut_at_every_byte_keeps_its_whole_lines_and_is_gone_on_with(tmp_path: Path) -> None:
    add_runs(tmp_path, [VALLEY], ["random"], range(3))
    path = tmp_path / PLAN_NAME
    content = path.read_bytes()
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        whole = max(0, content[:cut].count(b"\n") - 1)
        assert [entry.seed for entry in read_agenda(tmp_path).entries.values()] == list(range(whole))
        add_runs(tmp_path, [VALLEY], ["random"], range(3))
        assert path.read_bytes() == content


def test_a_changed_byte_of_a_plan_is_found_and_named(tmp_path: Path) -> None:
    add_runs(tmp_path, [VALLEY], ["random"], range(2))
    path = tmp_path / PLAN_NAME
    content = path.read_bytes()
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        line = content[:position].count(b"\n") + 1
        with pytest.raises(LogError, match=rf"plan\.jsonl:{line}: this line is not a record of a run plan"):
            read_agenda(tmp_path)


def test_status_tells_every_state_apart(tmp_path: Path) -> None:
    board = write_board(tmp_path)
    add_runs(board, [VALLEY], ["random"], range(6))
    for seed in (0, 1):
        write_run(board, RUN.format(seed), log_of(seed))
        attempt(board, seed, 0)
    attempt(board, 2, 1, "strategy random broke in ask: ValueError: no")
    attempt(board, 2, 1, "strategy random broke in ask: ValueError: again")
    attempt(board, 3, None)
    write_run(board, RUN.format(4), log_of(4, trials=1, ended=False) + b'{"record":"tri')
    write_run(board, "runs/toy/valley/person/seed-0", log_of(0, trials=3, ended=False))
    found = board_status(board)
    states = {run.run: run.state for run in found.runs}
    assert [states[RUN.format(seed)] for seed in range(6)] == [
        "ended",
        "ended",
        "failed",
        "interrupted",
        "interrupted",
        "waiting",
    ]
    assert states["runs/toy/valley/person/seed-0"] == "interrupted"
    (failed,) = found.failed
    assert (failed.attempts, failed.message) == (2, "strategy random broke in ask: ValueError: again")
    assert found.kwh * 3.6e6 == pytest.approx(2 + 2 + 1 + 3)
    assert found.holder is None
    with Claim(board):
        assert [run.state for run in board_status(board).runs].count("running") == 1


def test_time_left_is_that_of_the_runs_that_ended_on_the_same_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = write_board(tmp_path)
    add_runs(board, [VALLEY], ["random"], range(5))
    assert board_status(board).seconds_left is None
    clock = iter([0.0, 10.0, 10.0, 30.0])
    monkeypatch.setattr("suite.runs.agenda.time.monotonic", lambda: next(clock))
    for seed in (0, 1):
        write_run(board, RUN.format(seed), log_of(seed))
        attempt(board, seed, 0)
    assert board_status(board).seconds_left == pytest.approx(3 * 15.0)


def test_a_damaged_log_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    board = write_board(tmp_path)
    write_run(board, RUN.format(0), log_of(0)[:-20] + b"x" * 19 + b"\n")
    (run,) = board_status(board).runs
    assert run.state == "failed"
    assert "its checksum does not match" in run.message


def test_the_second_process_is_told_who_works_on_a_board_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert first.stdout
    assert first.stdout.readline() == "held\n"
    found = holder(tmp_path)
    assert found is not None
    assert found["pid"] == first.pid
    with pytest.raises(BoardBusy, match=f"process {first.pid} on .* works on this board; wait until it has ended"):
        Claim(tmp_path).__enter__()
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert holder(tmp_path) is None
    with Claim(tmp_path) as claim, claim:  # who has it may take it again
        found = holder(tmp_path)
        assert found is not None
        assert found["pid"] == os.getpid()
    assert holder(tmp_path) is None


class Kills:
    """An engine whose runs are killed ``times`` times before they end. ``status``: what else becomes of them."""

    name = "kills"

    def __init__(self, times: int, status: int = 0) -> None:
        self.times, self.status = times, status
        self.starts: list[str] = []
        self.in_hand: list[Job] = []
        self.stopped = False

    def room(self) -> int:
        return 1 - len(self.in_hand)

    def start(self, job: Job) -> None:
        self.starts.append(job.name)
        self.in_hand.append(job)

    def wait(self) -> list[Advance | Result]:
        job = self.in_hand.pop()
        killed = self.starts.count(job.name) <= self.times
        return [Result(job, KILLED if killed else self.status, "")]

    def stop(self) -> None:
        self.stopped = True


JOBS = [Job(str(seed), RunPlan(VALLEY, "random", seed, budget()), Path(str(seed))) for seed in range(3)]


def test_what_was_killed_from_outside_is_made_again_so_often_and_no_oftener() -> None:
    engine = Kills(times=MOST_ATTEMPTS - 1)
    assert [result.ok for result in run_jobs(JOBS, engine, Silent())] == [True] * 3
    assert len(engine.starts) == 3 * MOST_ATTEMPTS
    engine = Kills(times=MOST_ATTEMPTS)
    assert [result.status for result in run_jobs(JOBS, engine, Silent())] == [KILLED] * 3
    assert len(engine.starts) == 3 * MOST_ATTEMPTS
    assert engine.stopped


@pytest.mark.parametrize(("status", "started"), [(1, 3), (2, 3), (74, 1)])
def test_a_failure_stops_only_its_own_run_but_a_disk_stops_all(status: int, started: int) -> None:
    engine = Kills(0, status)
    assert {result.status for result in run_jobs(JOBS, engine, Silent())} == {status}
    assert len(engine.starts) == started
