"""On a real NVIDIA GPU: trainings repeat themselves, counters agree, errors stay with their trial. Skipped without."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from suite.catalog import load_task, task_names, task_spec
from suite.energy.ledger import JOULES_PER_KWH
from suite.energy.meter import SAMPLED_FACTOR
from suite.energy.nvml import Nvml, NvmlPower
from suite.runs.engine import PINNED
from suite.runs.log import RunLog, read_log
from suite.runs.plan import RunPlan
from tests.conftest import budget, session
from tests.energy.fakes import means

HERE = Path(__file__).parent
CUDA = "cuda"
LOAD_SECONDS = 10.0
CHECKPOINTS = 2

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU that torch can use")

EMBEDDED = [name for name in task_names() if not task_spec(name).extra and task_spec(name).tier == "embedded"]


@pytest.fixture(autouse=True)
def as_in_a_worker() -> Iterator[None]:
    """What ``suite.runs.worker.pin_threads`` sets in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PINNED.items():
            patch.setenv(name, value)
        torch.use_deterministic_algorithms(True, warn_only=True)
        yield
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_task_trains_on_a_gpu_and_twice_the_same(name: str) -> None:
    task = load_task(name)
    data = task.load()

    def values() -> list[float]:
        checkpoints = itertools.islice(task.train(data, task.spec.default, 0, CUDA, None), CHECKPOINTS)
        return [task.evaluate(data, each, split) for each in checkpoints for split in ("validation", "test")]

    first = values()
    assert len(first) == 2 * CHECKPOINTS
    assert values() == first


def test_the_energy_counter_and_the_integrated_power_agree() -> None:
    counter, power = Nvml(means()), NvmlPower(means())
    matrix = torch.randn(8192, 8192, device=CUDA)
    counter.microjoules(), power.microjoules()
    began = time.monotonic()
    while time.monotonic() - began < LOAD_SECONDS:
        matrix = torch.tanh(matrix @ matrix)
        torch.cuda.synchronize()
    counted, integrated = counter.microjoules(), power.microjoules()
    print(f"counter {counted / 1e6:.1f} J, integrated power {integrated / 1e6:.1f} J, {counter.source}")
    assert counted > 50e6 * LOAD_SECONDS / 2
    assert 1 / SAMPLED_FACTOR < integrated / counted < SAMPLED_FACTOR


def on_cuda(directory: Path, **plan: object) -> RunLog:
    given = RunPlan(
        f"{HERE / 'tasks_that_fail.py'}:TASK",
        f"{HERE / 'scripts.py'}:OnCuda",
        seed=0,
        budget=budget(trials=5),
        crosscheck=False,
        device=CUDA,
        meters=("cpu-time", "nvml"),
        **plan,  # type: ignore[arg-type]
    )
    process = session(given, directory)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return read_log(directory)


@pytest.mark.parametrize("memory_gib", [None, 16.0])
def test_an_error_of_the_gpu_fails_its_trial_and_the_run_goes_on(tmp_path: Path, memory_gib: float | None) -> None:
    log = on_cuda(tmp_path / "run", memory_gib=memory_gib)
    acts = {str(trial.proposal.configuration["act"]): trial for trial in log.trials}
    print({act: trial.reason for act, trial in acts.items()})
    assert [trial.status for trial in log.trials if trial.proposal.configuration["act"] == "multiply"] == ["ok"] * 3
    assert acts["allocate"].status != "ok"
    assert "out of memory" in str(acts["allocate"].reason)
    assert acts["assert"].status != "ok"
    assert "device-side assert" in str(acts["assert"].reason)
    assert log.total_microjoules == log.recorded_total_microjoules


def test_a_trial_is_charged_what_its_gpu_used(tmp_path: Path) -> None:
    """The same work thrice: the GPU's energy is the trial's, and is most of it."""
    log = on_cuda(tmp_path / "run")
    joules = [
        sum(each.microjoules.get("gpu", 0) for each in log.segments if each.trial == trial.number) / 1e6
        for trial in log.trials
        if trial.proposal.configuration["act"] == "multiply"
    ]
    print("J of the GPU by trial:", joules)
    assert min(joules) > 10
    assert max(joules) < 2 * min(joules)


def test_a_board_and_a_doctor_on_a_gpu(tmp_path: Path) -> None:
    def suite(*arguments: str) -> str:
        made = subprocess.run(
            [sys.executable, "-m", "suite.cli", *arguments], capture_output=True, text=True, env={**os.environ}
        )
        assert made.returncode == 0, made.stdout + made.stderr
        return made.stdout

    print(suite("doctor", "--device", CUDA))
    means_of_run = ("--seeds", "1", "--budget", "2", "--device", CUDA, "--no-crosscheck", "--out", str(tmp_path / "b"))
    suite("run", "--task", "few_shot/sinusoid", "--strategy", "random", *means_of_run)
    print(suite("rank", str(tmp_path / "b")))
    log = next(read_log(path.parent) for path in (tmp_path / "b").rglob("random/seed-*/log.jsonl"))
    gpu = sum(each.microjoules.get("gpu", 0) for each in log.segments)
    assert log.total_microjoules > gpu > 0.3 * log.total_microjoules
    print(f"GPU {gpu / 1e6 / JOULES_PER_KWH:.2g} kWh of {log.total_microjoules / 1e6 / JOULES_PER_KWH:.2g} kWh")
