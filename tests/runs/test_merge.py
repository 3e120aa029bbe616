"""Boards of several machines become one: every run once, nothing lost, whatever the order and how often."""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from suite.runs.agenda import add_runs, read_agenda
from suite.runs.board import BoardError, find_logs
from suite.runs.log import LOG_NAME
from suite.runs.merge import merge_boards
from suite.runs.status import board_status
from tests.conftest import VALLEY
from tests.runs.boards import SETTINGS, log_of, write_board, write_run

RUN = "runs/toy/valley/random/seed-{}"


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two boards: seeds 0 and 1, and 2 and 3."""
    boards = []
    for name, seeds in (("one", (0, 1)), ("two", (2, 3))):
        board = write_board(tmp_path / name)
        add_runs(board, [VALLEY], ["random"], seeds)
        for seed in seeds:
            write_run(board, RUN.format(seed), log_of(seed))
        boards.append(board)
    return boards[0], boards[1]


def contents(board: Path) -> dict[str, bytes]:
    return {path.relative_to(board).as_posix(): path.read_bytes() for path in sorted(board.rglob(LOG_NAME))}


def test_all_runs_are_there_once_in_whatever_order_and_merged_again(two: tuple[Path, Path], tmp_path: Path) -> None:
    merged = merge_boards(two, tmp_path / "out")
    assert (merged.runs, merged.new, merged.apart) == (4, 4, ())
    assert contents(tmp_path / "out") == {**contents(two[0]), **contents(two[1])}
    assert sorted(read_agenda(tmp_path / "out").entries) == [RUN.format(seed) for seed in range(4)]
    before = contents(tmp_path / "out")
    again = merge_boards([*reversed(two), tmp_path / "out"], tmp_path / "out")
    assert (again.runs, again.new) == (4, 0)
    assert contents(tmp_path / "out") == before
    assert board_status(tmp_path / "out").counts()["ended"] == 4


def test_of_copies_of_one_run_the_longest_stays(two: tuple[Path, Path], tmp_path: Path) -> None:
    whole = log_of(0, trials=5)
    cuts = [whole[:300], whole[: len(whole) // 2], whole]
    for number, order in enumerate(itertools.permutations(cuts)):
        boards = [write_board(tmp_path / f"{number}-{place}") for place in range(3)]
        for board, content in zip(boards, order, strict=True):
            write_run(board, RUN.format(0), content)
        merged = merge_boards(boards, tmp_path / f"out-{number}")
        assert contents(tmp_path / f"out-{number}") == {f"{RUN.format(0)}/{LOG_NAME}": whole}
        assert merged.apart == ()


@pytest.mark.parametrize(
    ("stays", "apart"),
    [
        (log_of(0, started="2026-01-01T00:00:00+00:00"), log_of(0, trials=4, started="2026-01-02T00:00:00+00:00")),
        (log_of(0, started="2026-01-02T00:00:00+00:00"), log_of(0, 4, False, started="2026-01-01T00:00:00+00:00")),
    ],
    ids=["the first to be started", "one that has ended"],
)
def test_of_different_runs_one_counts_and_the_other_is_laid_apart(tmp_path: Path, stays: bytes, apart: bytes) -> None:
    for number, order in enumerate(itertools.permutations((stays, apart))):
        boards = [write_board(tmp_path / f"{number}-{place}") for place in range(2)]
        for board, content in zip(boards, order, strict=True):
            write_run(board, RUN.format(0), content)
        out = tmp_path / f"out-{number}"
        for _ in range(2):  # the second time finds nothing to do
            merged = merge_boards(boards, out)
            assert len(merged.apart) == 1
            assert (out / RUN.format(0) / LOG_NAME).read_bytes() == stays
            assert (Path(merged.apart[0]) / LOG_NAME).read_bytes() == apart
        assert [path.parent for path in find_logs([out])] == [out / RUN.format(0)]
        assert board_status(out).kwh * 3.6e6 == pytest.approx(2 + 4)


def test_checkpoints_come_along_and_locks_do_not(two: tuple[Path, Path], tmp_path: Path) -> None:
    run = write_run(two[0], RUN.format(0), log_of(0, ended=False))
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "1.pt").write_text("weights")
    (run / "lock").write_text("")
    merge_boards(two, tmp_path / "out")
    assert (tmp_path / "out" / RUN.format(0) / "checkpoints" / "1.pt").read_text() == "weights"
    assert not (tmp_path / "out" / RUN.format(0) / "lock").exists()
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_merge_that_was_killed_is_made_whole(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, left, rename = tmp_path / "out", [], Path.replace

    def killed_at(stop: int) -> Callable[[Path, Path], Path]:
        calls = itertools.count(1)

        def replace_until(path: Path, target: Path) -> Path:
            if next(calls) == stop:
                raise KeyboardInterrupt
            return rename(path, target)

        return replace_until

    for stop in range(1, 40):
        shutil.rmtree(out, ignore_errors=True)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", killed_at(stop))
            try:
                merge_boards(two, out)
                break
            except KeyboardInterrupt:
                left.append(len(contents(out)))
        merge_boards(two, out)
        assert contents(out) == {**contents(two[0]), **contents(two[1])}
    assert left == [0, 0, 1, 2, 3]  # board.json, then a log after the other


def test_boards_of_other_settings_are_not_mixed(two: tuple[Path, Path], tmp_path: Path) -> None:
    write_board(two[1], replace(SETTINGS, budget=2.0))
    with pytest.raises(BoardError, match=r"budget is 2\.0 there and 40\.0 here"):
        merge_boards(two, tmp_path / "out")
    with pytest.raises(BoardError, match="holds no board"):
        merge_boards([tmp_path / "nothing"], tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    with pytest.raises(BoardError, match="is not empty and holds no board"):
        merge_boards([two[0]], tmp_path / "full")


def test_calibrations_of_the_first_board_stay(two: tuple[Path, Path], tmp_path: Path) -> None:
    for board, trials in zip(two, (1, 2), strict=True):
        write_run(board, "calibration/toy/valley/seed-0", log_of(0, trials))
    write_board(two[0], tasks={"toy/valley": {"v0": 1.0}})
    write_board(two[1], tasks={"toy/valley": {"v0": 2.0}, "toy/hill": {"v0": 3.0}})
    merged = merge_boards(two, tmp_path / "out")
    assert len(merged.apart) == 1
    kept = contents(tmp_path / "out")
    assert kept[f"calibration/toy/valley/seed-0/{LOG_NAME}"] == log_of(0, 1)
    assert '"v0": 1.0' in (tmp_path / "out" / "board.json").read_text()
    assert '"v0": 3.0' in (tmp_path / "out" / "board.json").read_text()
