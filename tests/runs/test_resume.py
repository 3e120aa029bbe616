"""A run that was killed goes on to the same proposals, and loses no completed trial."""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from suite.runs.lines import encode
from suite.runs.log import LOG_NAME, RunLog, read_log, read_records
from suite.runs.plan import RunPlan
from tests.conftest import SCRIPTED, VALLEY, budget, script, session, slow

MakeRun = Callable[..., RunLog]


def proposals(log: RunLog) -> list[tuple[int, object, float | None, float | None]]:
    """What a run did, energy and time left out."""
    return [(trial.number, trial.proposal, trial.validation, trial.test) for trial in log.trials]


def kill_after(plan: RunPlan, directory: Path, trials: int) -> None:
    """Start the run and kill -9 it once its log holds so many ends of trials."""
    process = session(plan, directory)
    while process.poll() is None:
        path = directory / LOG_NAME
        if path.exists() and path.read_bytes().count(b'{"record":"trial"') >= trials:
            process.kill()
        time.sleep(0.002)
    process.communicate()


@pytest.mark.parametrize("strategy", ["hyperband", *map(slow, ("random", "sobol", "tpe"))])
def test_a_killed_run_goes_on_to_the_same_proposals(tmp_path: Path, make_run: MakeRun, strategy: str) -> None:
    plan = RunPlan(VALLEY, strategy, seed=0, budget=budget(trials=40, v0=7.1), crosscheck=False)
    undisturbed = make_run(VALLEY, strategy, into="undisturbed", budget=plan.budget)
    for trials in (3, 17):
        kill_after(plan, tmp_path / "killed", trials)
    before = read_log(tmp_path / "killed")
    resumed = make_run(VALLEY, strategy, into="killed", budget=plan.budget)
    assert before.ended is None
    assert len(before.trials) >= 17
    assert proposals(resumed)[: len(before.trials)] == proposals(before)
    assert proposals(resumed) == proposals(undisturbed)
    assert resumed.total_microjoules == resumed.recorded_total_microjoules
    assert resumed.microjoules_by_phase()["resume"] > 0


@pytest.mark.slow  # the board's, in tests/faults, is quicker
def test_kills_at_random_moments_lose_nothing(tmp_path: Path, make_run: MakeRun) -> None:
    plan = RunPlan(SCRIPTED, script("Works"), seed=0, budget=budget(trials=60), crosscheck=False)
    rng, ended = random.Random(1), 0
    for _ in range(8):
        process = session(plan, tmp_path / "killed")
        time.sleep(rng.uniform(0.2, 2.5))
        process.kill()
        process.communicate()
        path = tmp_path / "killed" / LOG_NAME
        if path.exists() and path.stat().st_size:
            log = read_log(tmp_path / "killed")
            assert len(log.trials) >= ended
            assert log.total_microjoules == log.recorded_total_microjoules
            ended = len(log.trials)
    final = make_run(SCRIPTED, script("Works"), into="killed", budget=plan.budget)
    assert [trial.number for trial in final.trials] == list(range(1, 61))
    assert final.ended == "trials"


def test_the_energy_of_a_lost_attempt_is_listed_apart(tmp_path: Path, make_run: MakeRun) -> None:
    plan = RunPlan(SCRIPTED, script("Hangs"), seed=0, budget=budget(trials=2), time_limit_seconds=1.0, crosscheck=False)
    process = session(replace(plan, time_limit_seconds=60.0), tmp_path / "run")
    wait_for(lambda: b'"record":"ask"' in (tmp_path / "run" / LOG_NAME).read_bytes())
    time.sleep(0.5)
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    log = make_run(SCRIPTED, script("Hangs"), budget=plan.budget, time_limit_seconds=1.0)
    assert [(trial.attempt, trial.status) for trial in log.trials] == [(1, "timeout"), (0, "ok")]
    assert log.lost_microjoules > 0
    phases = log.microjoules_by_phase()
    free = phases["setup"] + phases["resume"] + phases["test"]
    assert log.charged_microjoules == log.total_microjoules - free - log.lost_microjoules


def test_no_process_outlives_a_killed_run(tmp_path: Path) -> None:
    process = session(RunPlan(SCRIPTED, script("Hangs"), seed=0, budget=budget(trials=2), crosscheck=False), tmp_path)
    wait_for(lambda: b'"record":"ask"' in (tmp_path / LOG_NAME).read_bytes())
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive


def test_two_processes_do_not_work_on_one_run(tmp_path: Path) -> None:
    plan = RunPlan(SCRIPTED, script("Hangs"), seed=0, budget=budget(trials=2), crosscheck=False)
    first = session(plan, tmp_path)
    wait_for(lambda: b'"record":"ask"' in (tmp_path / LOG_NAME).read_bytes())
    second = session(plan, tmp_path)
    _, errors = second.communicate(timeout=30)
    first.kill()
    first.communicate()
    assert second.returncode == 75
    assert "another process works on this run" in errors


def test_a_lock_that_a_dead_process_left_stops_nobody(tmp_path: Path, make_run: MakeRun) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").write_text("4242")
    assert make_run(VALLEY, "default", budget=budget(trials=1)).ended


def test_a_strategy_that_is_not_deterministic_is_found_out(tmp_path: Path) -> None:
    plan = RunPlan(SCRIPTED, script("Forgetful"), seed=0, budget=budget(trials=400), crosscheck=False)
    kill_after(plan, tmp_path, 3)
    content = (tmp_path / LOG_NAME).read_bytes()
    process = session(plan, tmp_path)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "strategy forgetful is not deterministic, or has changed" in errors
    assert (tmp_path / LOG_NAME).read_bytes().startswith(content[: content.rindex(b"\n") + 1])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"strategy": "sobol"}, "strategy"),
        ({"budget": budget(trials=3)}, "budget"),
        ({"task": SCRIPTED}, "task"),
        ({"workers": 2}, "workers"),
    ],
)
def test_another_runs_log_is_refused_and_left_as_it_is(
    tmp_path: Path, make_run: MakeRun, change: dict[str, object], named: str
) -> None:
    log = make_run(VALLEY, "random", budget=budget(trials=2))
    records, _ = read_records(log.path)
    log.path.write_bytes(b"".join(encode(record) for record in records[:-1]))  # not ended
    content = log.path.read_bytes()
    plan = replace(RunPlan(VALLEY, "random", seed=0, budget=budget(trials=2), crosscheck=False), **change)  # type: ignore[arg-type]
    process = session(plan, tmp_path / "run")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert f"differs in {named}" in errors
    assert log.path.read_bytes() == content


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except FileNotFoundError:
            pass
        time.sleep(0.01)
    raise TimeoutError
