"""Whatever becomes of a trial: it fails with the reason, is charged, and the run goes on."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.runs import worker
from suite.runs.log import RunLog
from suite.runs.plan import RunPlan
from suite.runs.trial import Outcome
from tests.conftest import SCRIPTED, budget, script, session
from tests.runs.scripts import Fails

MakeRun = Callable[..., RunLog]


def test_limits_of_memory_and_time_and_kills_fail_one_trial_each(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, script("Fails"), memory_gib=2.0, time_limit_seconds=3.0)
    trials = list(zip(Fails.acts, log.trials, strict=True))
    reasons = {act: trial.reason for act, trial in trials if trial.status != "ok"}
    assert re.fullmatch(r".*Unable to allocate 4\.00 GiB .* \(memory limit: 2 GiB\)", reasons.pop("allocate"))
    assert reasons == {
        "killed": "the worker ended by signal SIGKILL, from outside or for want of memory",
        "freeze": "took more than 3 s",
        "cuda": "RuntimeError: CUDA error: device-side assert triggered",
    }
    assert [trial.status for act, trial in trials if act == "work"] == ["ok"] * 3
    assert all(trial.microjoules > 0 for trial in log.trials)
    assert log.header.memory_gib == 2.0
    assert log.total_microjoules == log.recorded_total_microjoules


def test_a_full_disk_is_no_fault_of_the_trial_that_meets_it(tmp_path: Path) -> None:
    """Every such attempt is listed as lost, and none as a failure of its configuration."""
    plan = RunPlan(SCRIPTED, script("Fills"), seed=0, budget=budget(trials=9), crosscheck=False)
    for attempts in range(2):
        process = session(plan, tmp_path)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 74
        assert "a trial met a disk that is full or out of order: [Errno 28] No space left on device" in errors
        assert "Traceback" not in errors
        content = (tmp_path / "log.jsonl").read_bytes()
        assert content.count(b'{"record":"trial"') == 1
        assert content.count(b'{"record":"lost"') == attempts


def test_an_error_that_a_gpu_reports_late_is_the_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels run on after a trial has its values; the worker hears of what became of them when it waits for them."""

    def synchronize(device: str) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(worker, "synchronize", synchronize)
    late = worker.settled(Outcome("ok", 0.5, 1.5), "cuda")
    assert late == Outcome("failed", reason="RuntimeError: CUDA error: an illegal memory access was encountered")
    assert late.spoils_the_worker
    known = Outcome("failed", reason="RuntimeError: CUDA error: device-side assert triggered")
    assert worker.settled(known, "cuda") is known
