"""Replayed boards: deterministic, in simulated time, scored like live ones, refused where they cannot be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from suite import demonstration
from suite.cli import cli
from suite.replay.board import ReplayBoard, ReplaySettings
from suite.runs.board import Board, BoardError, Settings, find_logs
from suite.runs.jobs import Silent
from suite.runs.log import read_log
from suite.score.board import score

SMALL = ReplaySettings(budget=8.0, search_watts=0.0)
STRATEGIES = ["random", "tpe", "hyperband", "default"]


def logs_of(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in find_logs([directory])}


@pytest.fixture(scope="module")
def board(noisy: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("replayed")
    results = ReplayBoard(directory, SMALL).run([noisy], STRATEGIES, [0, 1], Silent())
    assert [result.message for result in results if not result.ok] == []
    return directory


def test_logs_are_the_same_byte_for_byte(
    noisy: str, board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    again = ReplayBoard(tmp_path, ReplaySettings(budget=8.0, search_watts=0.0, jobs=2))
    again.run([noisy], STRATEGIES, [0, 1], Silent())
    assert logs_of(tmp_path) == logs_of(board)
    assert len(logs_of(board)) == 8


def test_it_is_scored_like_a_live_board(board: Path) -> None:
    scored = score([read_log(path) for path in find_logs([board])])
    assert scored.tier == "replay"
    by_name = {entry.strategy: entry for entry in scored.entries}
    assert by_name["random"].pi == 0.5
    assert by_name["default"].pi == 0.0
    assert by_name["tpe"].pi > 0.0


def test_every_log_sums_and_keeps_its_budget(board: Path) -> None:
    for path in find_logs([board]):
        log = read_log(path)
        assert log.total_microjoules == log.recorded_total_microjoules
        assert log.ended in ("budget", "exhausted")
        dearest = max((trial.microjoules for trial in log.trials), default=0)
        assert log.charged_microjoules <= (log.header.budget.microjoules or 0) + dearest


def test_promotions_pay_only_the_rest(board: Path) -> None:
    (path,) = [path for path in find_logs([board]) if "hyperband/seed-0" in str(path)]
    log = read_log(path)
    ends = {trial.number: trial for trial in log.trials if trial.status == "ok"}
    promoted = [trial for trial in ends.values() if trial.proposal.parent]
    assert promoted
    for trial in promoted:
        parent = ends[trial.proposal.parent or 0]
        assert parent.proposal.configuration == trial.proposal.configuration
        share = (trial.proposal.fidelity - parent.proposal.fidelity) / trial.proposal.fidelity
        alone = trial.microjoules / share  # what it would cost from the beginning, were validation free
        assert trial.microjoules < alone


def test_workers_work_side_by_side_in_simulated_time(noisy: str, board: Path, tmp_path: Path) -> None:
    ReplayBoard(tmp_path, ReplaySettings(budget=8.0, search_watts=0.0, workers=4)).run(
        [noisy], ["random"], [0], Silent()
    )
    (parallel,) = [read_log(path) for path in find_logs([tmp_path])]
    (alone,) = [read_log(path) for path in find_logs([board]) if "random/seed-0" in str(path)]
    values = {trial.number: (trial.proposal, trial.validation) for trial in alone.trials}
    ended = [trial for trial in parallel.trials if trial.status == "ok"]  # those that the budget cut off aside
    shared = [trial for trial in ended if trial.number in values]
    assert len(shared) > 4
    assert all(values[trial.number] == (trial.proposal, trial.validation) for trial in shared)
    assert [trial.number for trial in parallel.trials] != sorted(trial.number for trial in parallel.trials)


def test_the_search_itself_is_charged(noisy: str, board: Path, tmp_path: Path) -> None:
    ReplayBoard(tmp_path, ReplaySettings(budget=8.0, search_watts=1e-3)).run([noisy], ["tpe"], [0], Silent())
    (charged,) = [read_log(path) for path in find_logs([tmp_path])]
    (free,) = [read_log(path) for path in find_logs([board]) if "tpe/seed-0" in str(path)]
    assert charged.microjoules_by_phase()["ask"] > 0
    assert "ask" not in free.microjoules_by_phase()
    assert [trial.validation for trial in charged.trials[:3]] == [trial.validation for trial in free.trials[:3]]


def test_a_run_that_was_killed_is_made_again(noisy: str, board: Path, tmp_path: Path) -> None:
    kept = logs_of(board)
    (name,) = [name for name in kept if "tpe/seed-1" in name]
    there = ReplayBoard(tmp_path, SMALL)
    torn = tmp_path / name
    torn.parent.mkdir(parents=True)
    torn.write_bytes(kept[name][: len(kept[name]) // 2])
    assert all(result.ok for result in there.run([noisy], ["tpe"], [1], Silent()))
    assert torn.read_bytes() == kept[name]


def test_boards_are_not_mixed(noisy: str, board: Path, tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"budget is 8\.0 there and 4\.0 here"):
        ReplayBoard(board, ReplaySettings(budget=4.0, search_watts=0.0))
    live = Settings(meters=("cpu-time",), crosscheck=False)
    with pytest.raises(BoardError):
        Board(board, live)
    Board(tmp_path, live)
    with pytest.raises(BoardError, match="holds a board with other settings"):
        ReplayBoard(tmp_path, SMALL)


def test_a_task_without_a_table_is_refused_by_name(tmp_path: Path) -> None:
    code = "from suite.cli import main; main()"
    options = ["--task", "supervised/cifar10", "--strategy", "random", "--out", str(tmp_path / "x"), "--replay"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "run", *options], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 2
    assert "task supervised/cifar10 has no recorded table" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("wrong", [{"budget": 0.0}, {"workers": 0}, {"search_watts": -1.0}, {"jobs": 0}])
def test_settings_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(BoardError, match=next(iter(wrong))):
        ReplaySettings(**wrong)  # type: ignore[arg-type]


def test_board_json_says_that_it_is_a_replay(board: Path) -> None:
    assert json.loads((board / "board.json").read_text())["settings"]["replay"] is True


@pytest.mark.slow  # the README's demo is run by `tox -e demo`
def test_the_demo_shows_the_replayed_board_beside_the_live_one(
    noisy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demonstration, "TASKS", (noisy,))
    monkeypatch.setattr(demonstration, "STRATEGIES", ("random",))
    monkeypatch.setattr(demonstration, "SEEDS", (0,))
    monkeypatch.setattr(demonstration, "REPLAYED_STRATEGIES", ("random", "hyperband"))
    monkeypatch.setattr(demonstration, "REPLAYED_SEEDS", (0, 1))
    monkeypatch.setattr(demonstration, "replayed_tasks", lambda: [noisy])
    out = tmp_path / "demo"
    shown = CliRunner().invoke(cli, ["demo", "--out", str(out)])
    assert shown.exit_code == 0, shown.output
    assert shown.output.index("(estimated)") < shown.output.index("(replay)")
    assert "4 of 4 replayed runs ended" in shown.output
    page = (out / "report" / "index.html").read_text()
    assert "Replay energy" in page
    assert "Estimated energy" in page
