"""A person as a strategy: what is told is trained, charged and ranked like any other's, and no answer is lost."""

import fcntl
import json
import shutil
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest

import suite
from suite.commands.manual import ask_minutes
from suite.energy.ledger import CHARGED
from suite.manual import Run
from suite.runs.log import RunLog, encode, read_log, read_records
from suite.runs.plan import ByHand, RunPlan
from suite.runs.session import watts_while_thinking
from suite.search.strategy import Proposal
from suite.task import Fidelity, Metric, TaskSpec
from suite.testing import mixed
from suite.written import WrittenError, fill_in, one_line, read_file, read_pairs, template
from tests.conftest import SCRIPTED, VALLEY
from tests.test_cli import MEASURED, Made, carbon_suite, refused

SETTINGS = ("--budget", "1000", "--no-crosscheck", "--idle-watts", "3")  # in trainings of about a millisecond
MIXED = TaskSpec("toy/mixed", "1", "", "", mixed(), Fidelity("steps", 1, 2), *2 * [Metric("loss", "minimize", 1.0)])


def manual(command: str, out: Path, *more: str, task: str = MEASURED) -> Made:
    return carbon_suite("manual", command, task, "--out", str(out), *more)


def told(out: Path, *more: str, task: str = MEASURED) -> dict[str, Any]:
    """What ``tell --json`` says."""
    made = manual("tell", out, *more, "--json", task=task)
    assert made.returncode == 0, made.stderr
    said: dict[str, Any] = json.loads(made.stdout)
    return said


def log_of(out: Path, task: str = "toy/valley", strategy: str = "person-bo") -> RunLog:
    return read_log(out / "runs" / task / strategy / "seed-0")


def holds(log: RunLog) -> None:
    """The segments sum to the total exactly."""
    assert log.total_microjoules == log.recorded_total_microjoules


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has been started, and told nothing. Tests look at it, or take a copy."""
    out = tmp_path_factory.mktemp("begun") / "board"
    made = manual("start", out, *SETTINGS, "--name", "bo")
    assert made.returncode == 0, made.stderr
    assert "Started person-bo on toy/valley" in made.stdout
    return out


@pytest.fixture(scope="module")
def under_way(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The same once it was told something, and what that said. Tests look at it, or take a copy."""
    out = Path(shutil.copytree(begun, tmp_path_factory.mktemp("under_way") / "board"))
    return out, told(out, "step_size=0.2", "--minutes", "0.001")


@pytest.fixture
def board(under_way: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(under_way[0], tmp_path / "board"))


@pytest.mark.parametrize("command", ["", "start", "ask", "tell", "status"])
def test_help_has_an_example(command: str) -> None:
    made = carbon_suite("manual", *([command] if command else []), "--help")
    assert made.returncode == 0
    assert f"carbon-suite manual {command or 'start'} few_shot/sinusoid --out board" in made.stdout


def test_what_is_told_is_trained_and_charged_exactly_as_declared(under_way: tuple[Path, dict[str, Any]]) -> None:
    out, said = under_way
    (trial,) = said["trials"]
    assert trial["configuration"] == {"step_size": 0.2, "start": 4.0}  # what is not set has its default
    assert (trial["trial"], trial["status"], trial["fidelity"]) == (1, "ok", 20)
    assert trial["joules"] > 0
    assert said["thinking"]["joules"] == 0.06 * 3  # seconds x watts
    log = log_of(out)
    holds(log)
    (thought,) = [segment for segment in log.segments if segment.phase == "ask" and segment.wall_ns >= 60_000_000]
    assert 180_000 <= thought.microjoules["cpu"] < 280_000
    assert log.thinking_microjoules == 180_000
    assert log.charged_microjoules == sum(each.total_microjoules for each in log.segments if each.phase in CHARGED)
    assert log.trials[0].charged_microjoules >= 180_000 + log.trials[0].microjoules


def test_a_run_is_told_over_several_sessions(board: Path, tmp_path: Path) -> None:
    several = tmp_path / "several.yaml"
    several.write_text("- step_size: 4e-1  # text to YAML 1.1\n- {step_size: 0.3, start: 1}\n")
    said = told(board, "--file", str(several), "--fidelity", "5", "--minutes", "0.001")
    configurations = [{"step_size": 0.4, "start": 4.0}, {"step_size": 0.3, "start": 1.0}]
    assert [trial["configuration"] for trial in said["trials"]] == configurations
    assert said["trials"][0]["validation"] == pytest.approx((4.0 * 0.2**5) ** 2)
    assert said["thinking"]["joules"] == 0.18  # once for all of them
    text = manual("tell", board, "--from", "2", "step_size=0.45").stdout
    for part in ("step_size=0.45", "Nothing was charged for thinking", "Best so far: trial 4", "Left: "):
        assert part in text
    log = log_of(board)
    holds(log)
    assert (log.header.role, log.ended, log.thinking_microjoules) == ("ranked", None, 360_000)
    assert (log.trials[-1].proposal.parent, log.trials[-1].proposal.fidelity) == (2, 20)
    assert log.trials[-1].validation == pytest.approx((4.0 * 0.2**5 * 0.1**15) ** 2)
    status = json.loads(manual("status", board, "--json").stdout)
    assert [trial["validation"] for trial in status["trials"]] == [end.validation for end in log.trials]
    assert status["charged"]["joules"] + status["left"]["joules"] == pytest.approx(status["budget"]["joules"])
    assert sum(each["joules"] for each in status["phases"].values()) == pytest.approx(log.total_microjoules / 1e6)
    text = manual("status", board).stdout
    for part in ("step_size=0.2", "Best so far: trial 4", "resume", "Thinking, as declared: 0.002 minutes", "Left: "):
        assert part in text
    records, _ = read_records(log.path)
    assert [record["resumed"] for record in records if record["record"] == "session"] == [False, *3 * [True]]


def test_of_a_file_all_is_told_or_nothing(board: Path, tmp_path: Path) -> None:
    content, several = log_of(board).path.read_bytes(), tmp_path / "several.json"
    for last, message in (
        ("7", "step_size must be a number of kind float in [0.001, 2.0]"),
        ("0.4", "trial 2 is this"),
    ):
        several.write_text(f'[{{"step_size": 0.4}}, {{"step_size": {last}}}]')
        refused(manual("tell", board, "--file", str(several)), message)
    assert log_of(board).path.read_bytes() == content


def test_the_test_value_is_logged_and_never_shown(board: Path) -> None:
    path, test = log_of(board).path, 0.123454321
    records, _ = read_records(path)
    changed = [{**record, "test": test} if record["record"] == "trial" else record for record in records]
    path.write_bytes(b"".join(encode({name: each[name] for name in each if name != "crc"}) for each in changed))
    assert log_of(board).trials[0].test == test
    for command in ("ask", "status"):
        assert "0.1234" not in manual(command, board).stdout
        assert "0.1234" not in manual(command, board, "--json").stdout


def test_a_budget_spent_on_thinking_ends_the_run(board: Path) -> None:
    said = told(board, "step_size=0.3", "--minutes", "10")
    assert said["trials"] == []
    sessions = [each for each in read_records(log_of(board).path)[0] if each["record"] == "session"]
    assert time.time() - datetime.fromisoformat(sessions[-1]["started"]).timestamp() >= 600  # it began with thinking
    assert (said["run"]["ended"], said["run"]["left"]["joules"]) == ("budget", 0)
    content = log_of(board).path.read_bytes()
    refused(manual("tell", board, "step_size=0.3"), "this run has ended (budget); nothing more can be told to it")
    assert log_of(board).path.read_bytes() == content
    assert "The run has ended: budget." in manual("status", board).stdout


def test_power_at_rest_is_measured_where_a_counter_measures_it(begun: Path) -> None:
    plan = replace(RunPlan("t", "s", 0, log_of(begun).header.budget), idle_watts=3.0, ram_watts=5.0)
    meters = ({"component": "cpu", "tier": "measured"}, {"component": "ram", "tier": "estimated"})
    header = replace(log_of(begun).header, meters=meters)
    assert watts_while_thinking(plan, header, {"cpu": 20.0, "ram": 5.1}) == {"cpu": 20.0, "ram": 5.0}
    assert watts_while_thinking(plan, log_of(begun).header, {"cpu": 3.4}) == {"cpu": 3.0}


@pytest.mark.parametrize(("answer", "minutes"), [("", 2.0), ("n", None), ("y", 2.0)])
def test_on_a_terminal_thinking_is_asked_for(
    under_way: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, answer: str, minutes: float | None
) -> None:
    run = Run.find(under_way[0], MEASURED, None, None)
    run = replace(run, log=replace(run.log, rest_watts={"cpu": 1e9 if answer else 0.0}))  # asks where it ends the run
    given = iter(["2", answer])
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: next(given))
    if minutes is None:
        with pytest.raises(click.Abort):
            ask_minutes(run)
    else:
        assert ask_minutes(run) == minutes


def test_a_person_is_ranked_and_reported_beside_random(board: Path, tmp_path: Path) -> None:
    random = ["run", "--task", MEASURED, "--strategy", "random", "--seeds", "0", "--out", str(board), *SETTINGS]
    assert carbon_suite(*random).returncode == 0
    assert set(suite.rank(board)["strategy"]) == {"person-bo", "random"}
    record = carbon_suite("rank", str(board), "--format", "json").stdout
    assert "0.18 J of its charge are declared thinking time" in record
    assert "person-bo on toy/valley with seed 0 has not ended" in record
    made = carbon_suite("report", str(board), "--out", str(tmp_path / "report"))
    assert made.returncode == 0, made.stderr
    assert "person-bo" in (tmp_path / "report" / "index.html").read_text()
    others = board / "runs" / "toy" / "valley"
    shutil.copytree(others / "person-bo", others / "person")
    refused(manual("tell", board, "step_size=0.3"), "several runs by hand", "choose by --name and --seed")
    assert len(json.loads(manual("status", board, "--name", "bo", "--json").stdout)["trials"]) == 1


def cut(log: RunLog, record: str) -> None:
    """Leave of ``log`` what a kill leaves just after ``record`` was last written: a part of the next one."""
    content = log.path.read_bytes()
    log.path.write_bytes(content[: content.index(b"\n", content.rindex(f'"record":"{record}"'.encode())) + 30])


@pytest.mark.parametrize("record", ["session", "ask"])
def test_a_killed_tell_loses_nothing_and_is_charged_once(board: Path, record: str) -> None:
    cut(log_of(board), record)
    said = told(board, "step_size=0.2", "--minutes", "0.001")
    assert [(each["trial"], each["status"]) for each in said["trials"]] == [(1, "ok")]
    log = log_of(board)
    holds(log)
    assert (len(log.told), log.thinking_microjoules) == (1, 180_000)


def test_another_answer_after_a_kill_does_not_replace_the_first(board: Path) -> None:
    cut(log_of(board), "told")
    status = manual("status", board).stdout
    assert "Trial 1 was interrupted: start=4.0 step_size=0.2" in status
    assert "Finish with: carbon-suite manual tell" in status
    assert Run.find(board, MEASURED, None, None).checked([]) == ()  # which finishes it too
    assert [each["trial"] for each in told(board, "step_size=0.125")["trials"]] == [1, 2]
    assert [end.proposal.configuration["step_size"] for end in log_of(board).trials] == [0.2, 0.125]


def test_a_log_cut_at_any_byte_holds_all_of_what_was_told_or_nothing(begun: Path, board: Path) -> None:
    whole, content, seen = log_of(board), log_of(board).path.read_bytes(), set()
    ends = [at + shift for at, byte in enumerate(content) if byte == ord("\n") for shift in (-1, 0, 1)]
    before = len(log_of(begun).path.read_bytes())
    for length in sorted({*range(before, len(content), 7), *(end for end in ends if end >= before)}):
        whole.path.write_bytes(content[:length])
        log = log_of(board)
        holds(log)
        assert (log.told, log.thinking_microjoules) in (((), 0), (whole.told, 180_000))
        seen.add(len(log.told))
    assert seen == {0, 1}


def test_two_tells_at_once_are_one_and_a_refusal(board: Path) -> None:
    content = log_of(board).path.read_bytes()
    with (log_of(board).path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as a tell that is at work holds it
        refused(manual("tell", board, "step_size=0.3"), "another process works on this run")
    assert log_of(board).path.read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stepsize=0.1"], "toy/valley has no hyper-parameter 'stepsize'; it has: start, step_size"),
        (["step_size=7"], "step_size must be a number of kind float in [0.001, 2.0], got 7.0"),
        (["step_size=nan"], "step_size must be a number of kind float in [0.001, 2.0], got nan"),
        (["step_size=fast"], "step_size must be a number from 0.001 to 2, got 'fast'"),
        (["step_size"], "set as name=value, got 'step_size'"),
        (["step_size=0.1", "step_size=0.2"], "step_size is set twice"),
        (["start=4"], "trial 0 (the default) is this very training"),
        ([], "there is nothing to train: set hyper-parameters (name=value)"),
        (["--fidelity", "21"], "training must be from 1 to 20 steps, got fidelity 21"),
        (["--fidelity", "0"], "fidelity 0"),
        (["--from", "3"], "trial 3 cannot be gone on from: it is no completed trial of this run"),
        (["step_size=1", "--minutes", "-1"], "thinking time must be at least 0 and finite, got -1 minutes"),
        (["step_size=1", "--minutes", "nan"], "thinking time must be at least 0 and finite, got nan minutes"),
        (["--file", "nowhere.json"], "nowhere.json"),
        (["--name", "carol"], "called carol; start one with `carbon-suite manual start"),
        (["--name", "../x"], "a name is made of letters, digits, - and _"),
        (["--seed", "4"], "with seed 4"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_bad_input_is_refused_and_changes_nothing(begun: Path, arguments: list[str], message: str) -> None:
    before = log_of(begun).path.read_bytes()
    refused(manual("tell", begun, *arguments), message)
    assert log_of(begun).path.read_bytes() == before


def test_what_was_not_started_and_what_was_is_told_apart(begun: Path, tmp_path: Path) -> None:
    for command in ("ask", "tell", "status"):
        refused(manual(command, tmp_path), "there is no run by hand on", "start one with `carbon-suite manual start")
        refused(manual(command, begun, task="vision/imagenet"), "no task is called 'vision/imagenet'")
        refused(manual(command, begun, task=SCRIPTED), "there is no run by hand on")
    for arguments, message in (
        ((*SETTINGS, "--name", "bo"), "this run has been started; go on with `carbon-suite manual tell`"),
        (
            (*SETTINGS, "--name", "bo", "--budget", "7"),
            "holds a board with other settings: budget is 1000.0 there and 7.0 here",
        ),
    ):
        made = manual("start", begun, *arguments)
        assert (made.returncode, made.stdout) == (2, "")
        assert message in made.stderr
    refused(manual("start", tmp_path / "new", task="vision/imagenet"), "no task is called 'vision/imagenet'")
    assert not (tmp_path / "new").exists()


def test_a_task_of_another_version_is_refused(board: Path, tmp_path: Path) -> None:
    source = Path(MEASURED.rpartition(":")[0]).read_text()
    other = tmp_path / "measured.py"
    other.write_text(source.replace("constants=CONSTANTS", 'version="2", constants=CONSTANTS'))
    content = log_of(board).path.read_bytes()
    refused(manual("tell", board, "step_size=0.3", task=f"{other}:TASK"), "version 2")
    assert log_of(board).path.read_bytes() == content


def test_a_person_is_in_the_catalogue_and_in_no_pattern(tmp_path: Path) -> None:
    assert "person" in [each["name"] for each in json.loads(carbon_suite("list", "strategies", "--json").stdout)]
    arguments = ["run", "--task", VALLEY, "--seeds", "0", "--out", str(tmp_path / "out")]
    refused(carbon_suite(*arguments, "--strategy", "person"), "`carbon-suite manual start`")
    refused(carbon_suite(*arguments, "--strategy", "pers*"), "no strategy is called 'pers*'")


def test_ask_shows_what_may_be_set(begun: Path) -> None:
    text = manual("ask", begun).stdout
    for part in (
        "step_size",
        "0.001 to 2, log",
        "1 to 20 steps",
        "Best so far: the default",
        "carbon-suite manual tell",
    ):
        assert part in text
    record = json.loads(manual("ask", begun, "--random", "--json").stdout)
    assert [row["name"] for row in record["space"]] == ["start", "step_size"]
    assert record["best"] == {"start": 4.0, "step_size": 0.01}
    assert record["random"] != record["best"]
    refused(manual("ask", begun, "--template", "--json"), "choose one")
    assert "A minute of thinking is charged about" in text


def test_a_template_is_told_as_it_was_printed(begun: Path, tmp_path: Path) -> None:
    made = manual("ask", begun, "--random", "--template")
    path = tmp_path / "next.yaml"
    path.write_text(made.stdout)
    drawn = json.loads(manual("ask", begun, "--random", "--json").stdout)["random"]
    (given,) = read_file(path)
    assert fill_in(log_of(begun).header.task, given, {}) == drawn


@pytest.mark.parametrize("seed", range(8))
def test_configurations_are_read_as_they_are_written(tmp_path: Path, seed: int) -> None:
    MIXED.space.seed(seed)
    configuration = fill_in(MIXED, dict(MIXED.space.sample_configuration()), {})
    path = tmp_path / "next.yaml"
    path.write_text(template(MIXED, configuration))
    (given,) = read_file(path)
    assert fill_in(MIXED, given, {}) == configuration
    assert fill_in(MIXED, read_pairs(one_line(configuration).split()), {}) == configuration


def test_a_plan_by_hand_reads_back_as_it_was_written(begun: Path) -> None:
    hand = ByHand("person-bo", (Proposal({"x": 1.5, "kind": "a"}, 3), Proposal({"x": 2.0}, 9, parent=1)), 60.0)
    plan = RunPlan("t", "person", 0, log_of(begun).header.budget, by_hand=hand)
    assert RunPlan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["momentum=0.5"], "momentum does not apply here: it is active only if nesterov == True; leave it out"),
        (["optimiser=rmsprop"], "optimiser must be one of adam, sgd, got 'rmsprop'"),
        (["kernel=4"], "kernel must be one of 3, 5, 7, got '4'"),
        (["width=1.5"], "width must be a number of kind int in"),
    ],
)
def test_what_does_not_apply_or_does_not_fit_is_refused(pairs: list[str], message: str) -> None:
    with pytest.raises(WrittenError) as raised:
        fill_in(MIXED, read_pairs(pairs), {})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", "{"), ("a.json", "[1]"), ("a.json", "[]"), ("a.yaml", "x: : 1"), ("a.yaml", "depth 2"), ("b.yaml", "")],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(WrittenError):
        read_file(tmp_path / name)
