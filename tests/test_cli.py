"""The command: what it prints, what it leaves behind, and that bad input ends in one clear message and status 2."""

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

import suite
from suite.cli import main
from suite.runs.board import Board, BoardError, Settings
from suite.runs.claim import Claim
from suite.runs.log import LOG_NAME, read_log
from tests.conftest import CLIMBER, HERE, SCRIPTED, VALLEY, WITHOUT_TORCH, script
from tests.runs.task_without_data import CONTENT, FILE

MEASURED = f"{HERE / 'runs' / 'measured.py'}:TASK"
RUINS = f"{HERE / 'runs' / 'task_without_data.py'}:TASK"
BUDGET = "300"  # in trainings of about a millisecond


class Made(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def carbon_suite(*arguments: str) -> Made:
    """The command, in this process; the runs that it makes have processes of their own."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(arguments)
    return Made(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def run_arguments(out: Path | str, *more: str, task: str = MEASURED) -> list[str]:
    common = ["--seeds", "0-1", "--budget", BUDGET, "--no-crosscheck", "--jobs", "2", "--out", str(out)]
    return ["run", "--task", task, "--strategy", "random", "--strategy", "hyperband", *common, *more]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small board of real runs."""
    out = tmp_path_factory.mktemp("board")
    made = carbon_suite(*run_arguments(out, "--strategy", CLIMBER, "--json"))
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["runs"] == 6
    return out


def refused(made: Made, *parts: str) -> None:
    assert made.returncode == 2, made.stderr
    assert "Traceback" not in made.stderr
    assert made.stdout == ""
    for part in parts:
        assert part in made.stderr


@pytest.mark.parametrize(
    "command",
    [
        "",
        "list",
        "describe",
        "doctor",
        "estimate",
        "run",
        "status",
        "merge",
        "rank",
        "report",
        "check",
        "demo",
        "constants",
    ],
)
def test_help_has_an_example(command: str) -> None:
    made = carbon_suite(*([command] if command else []), "--help")
    assert made.returncode == 0
    assert f"carbon-suite {command or 'demo'}" in made.stdout


@pytest.mark.parametrize("kind", ["tasks", "strategies", "meters"])
def test_list_for_programs_and_for_people(kind: str) -> None:
    records = json.loads(carbon_suite("list", kind, "--json").stdout)
    text = carbon_suite("list", kind).stdout
    assert records
    assert all(record["name"] in text for record in records)
    for record in records:
        assert json.loads(carbon_suite("describe", record["name"], "--json").stdout)["name"] == record["name"]


def test_list_tasks_tells_what_they_are() -> None:
    for record in json.loads(carbon_suite("list", "tasks", "--json").stdout):
        assert {"version", "fidelity", "validation", "test", "data", "paper", "headroom_sigmas"} <= set(record)
        assert all(ref["digest"] and ref["licence"] for ref in record["data"])


def test_the_command_says_what_all_its_trainings_took(tmp_path: Path) -> None:
    arguments = run_arguments(tmp_path, "--json", task=VALLEY)
    spent = json.loads(carbon_suite(*arguments).stdout)["kwh"]
    logs = [read_log(path.parent) for path in tmp_path.rglob("log.jsonl")]
    assert {log.header.role for log in logs} == {"ranked", "calibration"}
    assert spent == pytest.approx(sum(log.total_microjoules for log in logs) / 3.6e12, rel=1e-9)
    assert json.loads(carbon_suite(*arguments).stdout)["kwh"] == 0  # nothing was left to do


def test_rank_in_every_format(board: Path) -> None:
    for style in ("table", "md", "csv", "latex", "json"):
        made = carbon_suite("rank", str(board), "--format", style)
        assert made.returncode == 0, made.stderr
        assert "climber" in made.stdout
    assert "local random search" in carbon_suite("rank", str(board), "--format", "json").stdout


def test_the_grid_changes_kg_and_no_rank(board: Path) -> None:
    dirty, clean = suite.rank(board, grid="POL", pue=1.2), suite.rank(board, grid="FRA", pue=1.2)
    assert list(dirty["strategy"]) == list(clean["strategy"])
    kg = next(column for column in dirty.columns if "kg CO2e" in column)
    assert (dirty[kg] > 5 * clean[kg]).all()


def test_rank_from_python_is_a_data_frame(board: Path) -> None:
    table = suite.rank(board)
    assert isinstance(table, pd.DataFrame)
    assert set(table["strategy"]) == {"random", "hyperband", "climber"}


def test_rank_on_several_grids_says_whether_the_order_survives(board: Path) -> None:
    arguments = ["rank", str(board), "--grid", "FRA", "--grid", "US-CA", "--grid", "300"]
    made = carbon_suite(*arguments)
    assert made.returncode == 0, made.stderr
    assert "The order survives" in made.stdout
    record = json.loads(carbon_suite(*arguments, "--sci", "--format", "json").stdout)
    assert [each["grid"]["zone"] for each in record["grids"]] == ["FRA", "US-CA", "fixed"]
    assert record["embodied"] == "excluded"
    assert record["grid"]["zone"] == "FRA"


def test_rank_on_a_trace_that_does_not_cover_the_runs_is_refused(board: Path, tmp_path: Path) -> None:
    trace = tmp_path / "old.csv"
    trace.write_text("start,average_g_per_kwh\n1999-01-01T00:00:00Z,50\n1999-01-01T01:00:00Z,50\n")
    refused(carbon_suite("rank", str(board), "--grid", str(trace)), "give a trace of that time")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--embodied-kg", "1000"], "--embodied-kg and --lifetime-years go together"),
        (["--equivalent", "km by car,0.17"], "who says so"),
        (["--grid", "0.056"], "in grams CO2e per kWh"),
        (["--sci", "--format", "csv"], "not csv"),
    ],
)
def test_bad_requests_beside_the_ranking_are_refused(board: Path, arguments: list[str], message: str) -> None:
    refused(carbon_suite("rank", str(board), *arguments), message)


def test_the_doctor_tells_what_is_metered_and_passes() -> None:
    made = carbon_suite("doctor", "--meter", "cpu-time", "--no-crosscheck", "--json")
    found = json.loads(made.stdout)
    assert made.returncode == 0, found["checks"]
    assert found["ok"] is True
    assert (found["metered"][0]["meter"], found["metered"][0]["tier"]) == ("cpu-time", "estimated")
    assert set(found["unmetered"]) == {"ram", "gpu"}
    assert found["cut_microseconds"] > 0
    assert {"rapl", "nvml", "ram-watts"} <= {source["name"] for source in found["sources"]}


def test_an_estimate_is_made_before_a_run() -> None:
    arguments = [
        "estimate",
        "--task",
        "few_shot/sinusoid",
        "--strategy",
        "random",
        "--strategy",
        "tpe",
        "--seeds",
        "0-4",
    ]
    record = json.loads(carbon_suite(*arguments, "--json").stdout)
    assert record["total"]["runs"] == 10
    assert record["total"]["kwh"]["low"] < record["total"]["kwh"]["middle"] < record["total"]["kwh"]["high"]
    assert "kg CO2e [" in carbon_suite(*arguments, "--grid", "FRA").stdout
    refused(carbon_suite(*arguments[:3], "--strategy", "magic"), "no strategy is called 'magic'")


def test_report_writes_a_site_with_the_logs(board: Path, tmp_path: Path) -> None:
    made = carbon_suite("report", str(board), "--out", str(tmp_path / "report"))
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"wrote {tmp_path / 'report' / 'index.html'}\n"
    assert "climber" in (tmp_path / "report" / "index.html").read_text()
    logs = sorted((board / "runs").rglob(LOG_NAME))
    copies = sorted((tmp_path / "report").rglob("*.jsonl.gz"))
    assert {gzip.decompress(path.read_bytes()) for path in copies} == {path.read_bytes() for path in logs}
    assert len(copies) == len(logs)
    assert {path.suffix for path in (tmp_path / "report").rglob("*.*")} >= {".html", ".png", ".pdf", ".svg", ".csv"}


def test_a_board_is_ranked_and_reported_without_torch(board: Path, tmp_path: Path) -> None:
    commands = [["rank", str(board), "--details"], ["report", str(board), "--out", str(tmp_path / "report")]]
    code = f"import suite.cli\nfor each in {commands}: suite.cli.cli(each, standalone_mode=False)\n"
    made = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT_TORCH + code], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert "climber" in made.stdout
    assert "climber" in (tmp_path / "report" / "index.html").read_text()


def test_running_again_changes_nothing(board: Path) -> None:
    before = {path: path.read_bytes() for path in sorted((board / "runs").rglob(LOG_NAME))}
    assert carbon_suite(*run_arguments(board, "--strategy", CLIMBER)).returncode == 0
    assert {path: path.read_bytes() for path in sorted((board / "runs").rglob(LOG_NAME))} == before


def test_runs_can_be_added(board: Path, tmp_path: Path) -> None:
    shutil.copytree(board, tmp_path / "board")
    more = run_arguments(tmp_path / "board", "--strategy", "sobol")
    assert carbon_suite(*more).returncode == 0
    assert len(suite.rank(tmp_path / "board")) == 4


def test_what_is_planned_is_made_later_and_status_tells_how_far_it_is(tmp_path: Path) -> None:
    board = tmp_path / "board"
    options = ["--strategy", "random", "--seeds", "0-1", "--budget", BUDGET, "--no-crosscheck", "--out", str(board)]
    planned = carbon_suite("run", "--task", MEASURED, *options, "--plan-only")
    assert "2 runs are planned. Make them with: carbon-suite run --out" in planned.stdout
    assert not (board / "runs").exists()
    told = carbon_suite("status", str(board)).stdout
    assert "0 of 2 runs ended; 2 waiting." in told
    assert "Time left: known once a run has ended." in told
    made = carbon_suite("run", "--out", str(board))
    assert made.returncode == 0, made.stderr
    assert "2 of 2 runs ended." in made.stdout
    told = carbon_suite("status", str(board), "--grid", "FRA").stdout
    assert "2 of 2 runs ended." in told
    assert "kg CO2e" in told
    record = json.loads(carbon_suite("status", str(board), "--json").stdout)
    assert record["counts"]["ended"] == 2
    assert record["seconds_left"] == 0
    assert record["kwh"] > 0
    assert [run["attempts"] for run in record["runs"]] == [1, 1]
    refused(carbon_suite("run", "--out", str(board), "--budget", "3"), "--budget", "by the settings that it has")
    refused(carbon_suite("run", "--out", str(board), "--task", MEASURED), "--task and --strategy go together")


def test_a_failure_is_in_the_status_with_its_reason(tmp_path: Path) -> None:
    board = tmp_path / "board"
    options = ["--seeds", "0", "--budget", BUDGET, "--no-crosscheck", "--out", str(board)]
    made = carbon_suite("run", "--task", SCRIPTED, "--strategy", script("Illegal"), *options)
    assert made.returncode == 1
    told = carbon_suite("status", str(board)).stdout
    assert "0 of 1 runs ended; 1 failed." in told
    assert "(1 attempts): strategy illegal proposed an illegal configuration" in told
    assert "Nobody works on it. Go on with: carbon-suite run --out" in told


def test_a_second_command_on_a_board_is_told_who_works_on_it(board: Path) -> None:
    with Claim(board):
        refused(carbon_suite(*run_arguments(board)), f"process {os.getpid()} on", "works on this board")


def test_boards_are_merged(board: Path, tmp_path: Path) -> None:
    made = carbon_suite("merge", str(board), str(board), "--out", str(tmp_path / "merged"))
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("6 runs in ")
    one, other = (carbon_suite("rank", str(each), "--format", "csv") for each in (board, tmp_path / "merged"))
    assert one.stdout == other.stdout
    refused(carbon_suite("merge", str(tmp_path / "none"), "--out", str(tmp_path / "out")), "holds no board")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "ray"], "--jobs 2 puts as many runs on one node at a time"),
        (["--engine-option", "address=auto"], "has no meaning for processes on this machine"),
        (
            ["--engine", "ray", "--shared-metering", "--engine-option", "port=1"],
            "ray has the options address and listen",
        ),
        (["--engine", "slurm", "--shared-metering", "--engine-option", "partition"], "an engine option is NAME=VALUE"),
    ],
)
def test_engines_that_cannot_be_had_are_refused(board: Path, arguments: list[str], message: str) -> None:
    refused(carbon_suite(*run_arguments(board, *arguments)), message)


def test_runs_share_no_node_where_a_meter_sees_all_of_it(tmp_path: Path) -> None:
    wall = f"{HERE / 'runs' / 'shared_counter.py'}:Wall"
    arguments = run_arguments(tmp_path / "board", "--meter", wall, "--engine", "ray", "--shared-metering")
    refused(carbon_suite(*arguments), "wall sees all that a node does", "leave --shared-metering out")


def test_other_settings_are_refused(board: Path) -> None:
    arguments = run_arguments(board)
    arguments[arguments.index(BUDGET)] = "7"
    refused(carbon_suite(*arguments), "holds a board with other settings: budget is 300.0 there and 7.0 here")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "vision/*"], "no task is called 'vision/*'; there are: "),
        (["--strategy", "magic"], "no strategy is called 'magic'; there are: "),
        (["--seeds", "4-0"], "seeds are numbers and ranges such as 0-4"),
        (["--seeds", "all"], "seeds are numbers and ranges such as 0-4"),
        (["--budget", "0"], "budget must be greater than 0, got 0"),
        (["--budget", "-3"], "budget must be greater than 0, got -3"),
        (["--budget", "much"], "'much' is not a valid float"),
        (["--budget", "nan"], "budget must be greater than 0, got nan"),
        (["--jobs", "0"], "jobs must be greater than 0, got 0"),
        (["--meter", "crystal-ball"], "no meter is called 'crystal-ball'; there are: cpu-time"),
        (["--watts-per-core", "-1"], "watts_per_core must be at least 0 and finite, got -1"),
        (["--out", "/proc/board"], "/proc/board"),
        (["--out", __file__], "test_cli.py"),
    ],
)
def test_bad_input_to_run_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    given = ["--task", VALLEY, "--strategy", "random", "--seeds", "0", "--out", str(tmp_path / "out"), *arguments]
    refused(carbon_suite("run", *given), message)


@pytest.mark.parametrize("command", ["rank", "report"])
def test_bad_input_to_rank_and_report_is_refused(board: Path, tmp_path: Path, command: str) -> None:
    out = ["--out", str(tmp_path / "report")] if command == "report" else []
    refused(carbon_suite(command, str(board), *out, "--grid", "Atlantis"), "Atlantis")
    refused(carbon_suite(command, str(board), *out, "--pue", "0.5"), "PUE")
    refused(carbon_suite(command, str(tmp_path / "nothing"), *out), "there is no trial log")


def test_unmeasured_tasks_are_not_ranked(tmp_path: Path) -> None:
    assert carbon_suite(*run_arguments(tmp_path / "out", task=VALLEY)).returncode == 0
    refused(carbon_suite("rank", str(tmp_path / "out")), "has no constants; measure them with `carbon-suite constants`")


@pytest.mark.parametrize("damage", ["flip", "foreign"])
def test_a_damaged_log_is_named_and_left_as_it_is(board: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(board, tmp_path / "board")
    path = next((tmp_path / "board" / "runs").rglob(LOG_NAME))
    content = b"not a log\n" if damage == "foreign" else path.read_bytes().replace(b'"trial"', b'"trail"', 1)
    path.write_bytes(content)
    refused(carbon_suite("rank", str(tmp_path / "board")), f"{path}:", "is not a record of a trial log")
    again = carbon_suite(*run_arguments(tmp_path / "board", "--strategy", CLIMBER))
    assert again.returncode == 2
    assert "is not a record of a trial log" in again.stderr
    assert "Traceback" not in again.stderr
    assert path.read_bytes() == content


def test_a_directory_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("do not lose me")
    refused(carbon_suite(*run_arguments(tmp_path)), "is not empty and holds no board")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_damaged_board_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "board.json").write_text("{")
    with pytest.raises(BoardError, match="is not the description of a board"):
        Board(tmp_path, Settings())


def test_a_strategy_that_breaks_fails_its_runs_and_no_others(tmp_path: Path) -> None:
    arguments = run_arguments(tmp_path / "out", "--strategy", script("Breaks"), task=SCRIPTED)
    arguments[arguments.index(BUDGET)] = "5"
    made = carbon_suite(*arguments)
    assert made.returncode == 1
    assert "strategy breaks broke in tell: ZeroDivisionError" in made.stderr
    assert "4 of 6 runs ended" in made.stdout
    assert "Traceback" not in made.stderr


def test_data_that_cannot_be_had_are_named_once_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARBON_SUITE_DATA", str(tmp_path / "data"))
    command = ["run", "--task", RUINS, "--strategy", "random", "--seeds", "0", "--budget", "99", "--no-crosscheck"]
    made = carbon_suite(*command, "--out", str(tmp_path / "out"))
    path = tmp_path / "data" / "ruins" / "plan.bin"
    assert made.returncode == 2
    assert "Traceback" not in made.stderr
    for part in (str(path), "http://127.0.0.1:9/plan.bin", "3 bytes, SHA-256 " + FILE.sha256, "put it there"):
        assert made.stderr.count(part) == 1
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    made = carbon_suite(*command, "--out", str(tmp_path / "out"))
    assert made.returncode == 0, made.stderr


def test_an_interrupt_stops_cleanly_and_the_same_command_goes_on(tmp_path: Path) -> None:
    arguments = [
        "run",
        "--task",
        SCRIPTED,
        "--strategy",
        "random",
        "--seeds",
        "0",
        "--budget",
        "300",
        "--no-crosscheck",
    ]
    command = [sys.executable, "-P", "-m", "suite.cli", *arguments, "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "runs" / "toy" / "scripted" / "random" / "seed-0" / LOG_NAME
    end = time.monotonic() + 60
    while time.monotonic() < end and not (log.exists() and b'"record":"trial"' in log.read_bytes()):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=15)
    assert process.returncode == 130, errors
    assert "run the same command again to go on" in errors
    completed = len(read_log(log).trials)
    assert completed
    assert carbon_suite(*arguments, "--out", str(tmp_path)).returncode == 0
    assert len(read_log(log).trials) >= completed
    assert read_log(log).ended == "budget"


def test_from_python(tmp_path: Path) -> None:
    settings = Settings(budget=300, crosscheck=False, default_trainings=1)
    logs = suite.run(MEASURED, ["random", CLIMBER], seeds=[0], out=tmp_path / "out", settings=settings)
    assert [log.header.strategy["name"] for log in logs] == ["random", "climber"]
    assert suite.load_task("few_shot/sinusoid").spec.paradigm == "few_shot"


def test_the_public_names() -> None:
    assert suite.__all__ == ["__version__", "load_task", "rank", "run"]
    assert all(hasattr(suite, name) for name in suite.__all__)


def test_rank_with_details_in_every_format(board: Path) -> None:
    for style in ("table", "md", "latex"):
        made = carbon_suite("rank", str(board), "--details", "--format", style)
        assert made.returncode == 0, made.stderr
        assert "Break-even" in made.stdout
    record = json.loads(carbon_suite("rank", str(board), "--details", "--format", "json").stdout)
    assert set(record["details"]["details"][0]["targets"]) == {f"0.{tenth}" for tenth in range(1, 10)}
    refused(carbon_suite("rank", str(board), "--details", "--format", "csv"), "not csv")


def test_check_ends_in_0_1_or_2(board: Path, tmp_path: Path) -> None:
    baseline, xml, markdown = (tmp_path / name for name in ("baseline.json", "check.xml", "check.md"))
    refused(carbon_suite("check", str(board), "--baseline", str(baseline)), "no such baseline", "--update")
    made = carbon_suite("check", str(board), "--baseline", str(baseline), "--update")
    assert (made.returncode, made.stdout) == (0, f"wrote 6 runs to {baseline}\n")
    refused(carbon_suite("check", str(board), "--baseline", str(baseline)), "fewer than 11")  # two live seeds
    content = json.loads(baseline.read_text())
    baseline.write_text(json.dumps({**content, "runs": _replayed(content["runs"])[:-1]}))
    refused(carbon_suite("check", str(board), "--baseline", str(baseline)), "replayed on one side only")
    baseline.write_text(json.dumps({**content, "runs": []}))
    arguments = ["check", str(board), "--baseline", str(baseline), "--junit", str(xml), "--markdown", str(markdown)]
    made = carbon_suite(*arguments, "--json")
    assert (made.returncode, json.loads(made.stdout)["passed"]) == (1, False)
    assert 'failures="3"' in xml.read_text()
    assert markdown.read_text().startswith("### Regression check")
    assert "extra" in markdown.read_text()
    baseline.write_text("[")
    refused(carbon_suite(*arguments), f"{baseline}: a baseline is JSON")
    refused(carbon_suite(*arguments, "--update"), "--update checks nothing")


def _replayed(runs: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{**run, "replayed": True} for run in runs]


def test_constants_are_measured_somewhere() -> None:
    refused(carbon_suite("constants", "few_shot/sinusoid"), "--out DIR is needed")


def test_an_entry_has_no_variant() -> None:
    entry = ("--nonce", "00112233445566778899aabbccddeeff", "--strategy", "tpe", "--task", "*", "--out", "none")
    refused(carbon_suite("submit", "run", *entry, "--variant", "1"), "No such option", "--variant")
