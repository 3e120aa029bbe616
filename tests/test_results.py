"""Everything below ``results`` is a submission that validates, the register of nonces, the logs of a recording, or a
board that is what its logs and runs say; scores come from logs."""

import functools
import json
import random
import tarfile
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from suite.catalog import load_strategy, task_spec
from suite.cli import cli
from suite.energy.carbon import REFERENCE, REFERENCE_PUE
from suite.export import to_csv
from suite.report.tables import write
from suite.runs.log import logs_below, read_log
from suite.runs.machine import machine_facts, package_version
from suite.score.board import score
from suite.score.runs import Row, from_csv, rows
from suite.score.standing import standings
from suite.submit import register
from suite.submit.findings import as_text
from suite.submit.layout import SUBMISSION
from suite.submit.register import NONCES
from suite.submit.validate import validate

RESULTS = Path(__file__).parents[1] / "results"
RECORDINGS = RESULTS / "recordings"
PUBLISHED = sorted(path.parent for path in RESULTS.glob(f"*/*/*/*/{SUBMISSION}"))
BOARDS = sorted(path.parent for path in RESULTS.glob("*/*/table.csv"))
PACKED = [board for board in BOARDS if (board / "logs.tar.xz").exists()]
REPLAYED = [board for board in BOARDS if board not in PACKED]
SHIPPED = files("suite").joinpath("published.csv")  # the runs of the replayed board
OF_A_BOARD = {"table.csv", "table.md", "table.tex", "machine.json", "overview.png", "paradigms.png"}
AGAIN = 3  # runs of a replay board that are made again


def name(board: Path) -> str:
    return f"{board.parent.name}/{board.name}"


def runs_that_ship() -> list[Row]:
    return from_csv(SHIPPED.read_text().splitlines())


@functools.cache
def is_here(strategy: str) -> bool:
    """Not where it needs an extra that is not installed."""
    library = load_strategy(strategy).info.library
    return library is None or package_version(library) is not None


def test_nothing_else_lies_there() -> None:
    files = {path for path in RESULTS.rglob("*") if path.is_file()}
    inside = {path for path in files if any(folder in path.parents for folder in PUBLISHED)}
    packed = set(RECORDINGS.glob("*.tar.xz"))
    boards = {board / each for board in BOARDS for each in (*OF_A_BOARD, "runs.csv", "logs.tar.xz", "agreement.txt")}
    others = {"README.md", NONCES, "pack.sh", "make.sh", "trace.csv", "schedule.txt"}
    assert {path.name for path in files - inside - packed - boards} <= others


@pytest.mark.parametrize("path", sorted(RESULTS.glob(f"*/{NONCES}")))
def test_the_register_can_be_read(path: Path) -> None:
    assert register.read(path)


@pytest.mark.parametrize("folder", PUBLISHED)
def test_a_published_result_is_what_its_logs_say(folder: Path) -> None:
    report = validate(folder, folder.parents[2] / NONCES)
    assert report.passed, as_text(report)
    assert "Pi" in report.figures


@pytest.mark.parametrize("board", BOARDS, ids=name)
def test_a_board_is_whole(board: Path) -> None:
    assert {path.name for path in board.iterdir()} >= OF_A_BOARD


@pytest.mark.parametrize("board", PACKED, ids=name)
def test_a_board_is_what_its_logs_say(board: Path, tmp_path: Path) -> None:
    with tarfile.open(board / "logs.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    logs = [read_log(path) for path in logs_below(tmp_path)]
    scored = score(logs)
    for style, file in (("csv", "table.csv"), ("latex", "table.tex")):
        assert write(scored, REFERENCE, REFERENCE_PUE, style) == (board / file).read_text()
    assert (board / "table.md").read_text().startswith(write(scored, REFERENCE, REFERENCE_PUE, "md"))
    to_csv(logs, tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").read_bytes() == (board / "runs.csv").read_bytes()


@pytest.mark.parametrize("board", REPLAYED, ids=name)
def test_a_replayed_board_is_what_its_runs_say(board: Path) -> None:
    runs = runs_that_ship()
    constants = {task: task_spec(task).constants for task in {row.task for row in runs}}
    found = standings(runs, [], {task: each.kappa_t for task, each in constants.items() if each})
    table = pd.read_csv(board / "table.csv").set_index("strategy")
    assert {each.strategy for each in found} == set(table.index)
    for each in found:
        published = tuple(table.loc[each.strategy, ["Pi low", "Pi high"]])
        assert each.pi_interval == pytest.approx(published, rel=1e-12)


@pytest.mark.parametrize("board", REPLAYED, ids=name)
def test_runs_drawn_at_random_come_to_the_same_again(board: Path, tmp_path: Path) -> None:
    made_on, here = json.loads((board / "machine.json").read_text()), machine_facts()
    made_on["versions"]["carbon-suite"] = here["versions"]["carbon-suite"]  # whichever: it has to give the same
    if any(made_on[fact] != here[fact] for fact in ("cpu", "python", "versions")):
        pytest.skip(f"made on {made_on['cpu']} with {made_on['versions']}: elsewhere the last digits differ")
    for run in random.sample([each for each in runs_that_ship() if is_here(each.strategy)], AGAIN):
        print(run)  # pytest shows it where this fails
        assert again(run, tmp_path / run.digest).digest == run.digest


def again(run: Row, directory: Path) -> Row:
    """The run, replayed once more."""
    which = ["--task", run.task, "--strategy", run.strategy, "--seeds", str(run.seed)]
    made = CliRunner().invoke(cli, ["run", "--replay", *which, "--out", str(directory)])
    assert made.exit_code == 0, made.output
    (row,) = rows(read_log(path) for path in logs_below(directory))
    return row
