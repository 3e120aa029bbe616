"""What every task must keep (``suite.task.Task``), shown on every task that the catalogue finds."""

import functools
import hashlib
import io
import itertools
import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ConfigSpace import CategoricalHyperparameter

from suite.catalog import load_task, task_names, task_spec
from suite.data import DataUnavailable
from suite.space import Configuration, complete
from suite.task import Checkpoint, Split, Task, TaskSpec
from tests.conftest import made_once

SPLITS: tuple[Split, ...] = ("validation", "test")
RANDOM_CONFIGURATIONS, RESUMED_CONFIGURATIONS = 6, 3
EARLY, LATE = 2, 4  # checkpoints pulled before and after an interruption

pytestmark = pytest.mark.parametrize("name", task_names())


@dataclass(frozen=True)
class Loaded:
    task: Task
    data: Any

    def train(
        self, pulls: int, seed: int = 0, configuration: Configuration | None = None, start: Checkpoint | None = None
    ) -> list[Checkpoint]:
        """Snapshots of the next ``pulls`` checkpoints."""
        training = self.task.train(self.data, configuration or self.task.spec.default, seed, "cpu", start)
        return [snapshot(checkpoint) for checkpoint in itertools.islice(training, pulls)]

    def random_configurations(self, count: int, seed: int = 0) -> list[Configuration]:
        space = TaskSpec.from_record(self.task.spec.to_record()).space  # a copy, since sampling changes a space
        space.seed(seed)
        return [complete(space, dict(sample)) for sample in space.sample_configuration(count)]


@functools.cache
def loaded(name: str) -> Loaded:
    """The task and its data; the test is skipped where what the task needs beyond an ordinary install is not here."""
    try:
        task = load_task(name)
        return Loaded(task, task.load())
    except DataUnavailable as error:
        pytest.skip(f"{name}: {error}")
    except Exception as error:
        extra = task_spec(name).extra
        if extra and any(isinstance(each, ImportError) for each in (error, error.__cause__)):
            pytest.skip(f"{name} needs the extra {extra}: {error}")
        raise


def snapshot(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint as a worker gets it back from a file."""
    file = io.BytesIO()
    torch.save(dict(checkpoint.state), file)
    file.seek(0)
    return Checkpoint(checkpoint.fidelity, torch.load(file, weights_only=True))


def fingerprint(value: Any) -> str:
    """SHA-256 of nested mappings, sequences, tensors and plain values; equal for bitwise equal ones only."""
    sha = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            sha.update(f"{part.dtype}{tuple(part.shape)}".encode() + part.detach().cpu().contiguous().numpy().tobytes())
        elif isinstance(part, Mapping):
            for key in sorted(part, key=str):
                sha.update(f"{key}:".encode())
                add(part[key])
        elif isinstance(part, (list, tuple)):
            sha.update(f"[{len(part)}]".encode())
            for item in part:
                add(item)
        else:
            sha.update(f"{type(part).__name__} {part!r};".encode())

    add(value)
    return sha.hexdigest()


def fingerprints(checkpoints: list[Checkpoint]) -> list[tuple[int, str]]:
    return [(checkpoint.fidelity, fingerprint(checkpoint.state)) for checkpoint in checkpoints]


@pytest.fixture(scope="session")
def afresh(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Fingerprints of a first checkpoint of every task that can be loaded, made in the reverse order by a process of
    its own, once a session."""
    code = f"""
import json, runpy, pytest, torch
torch.set_num_threads(1)
helpers = runpy.run_path({__file__!r})
found = {{}}
for name in reversed(helpers["task_names"]()):
    try:
        (checkpoint,) = helpers["loaded"](name).train(1)
    except pytest.skip.Exception:
        continue
    found[name] = helpers["fingerprint"](checkpoint.state)
print(json.dumps(found))
"""

    def make(folder: Path) -> None:
        done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (folder / "fingerprints.json").write_text(done.stdout.splitlines()[-1])

    fingerprints: Mapping[str, str] = json.loads(
        (made_once(tmp_path_factory, "afresh", make) / "fingerprints.json").read_text()
    )
    return fingerprints


def test_specification_survives_json(name: str) -> None:
    spec = loaded(name).task.spec
    assert TaskSpec.from_record(json.loads(json.dumps(spec.to_record()))) == spec
    assert spec.name == name


def test_space_is_of_the_agreed_size_and_conditional(name: str) -> None:
    spec = loaded(name).task.spec
    assert 6 <= len(spec.space) <= 12
    fixed = [spec.space[each] for each in spec.space if each not in spec.mutable]
    architecture_alone = all(isinstance(each, CategoricalHyperparameter) for each in fixed)
    assert spec.space.conditions or architecture_alone  # every edge of a cell has an operation, whatever the others


def test_default_is_legal(name: str) -> None:
    spec = loaded(name).task.spec
    assert complete(spec.space, spec.default) == spec.default
    json.dumps(complete(spec.space, spec.default))


def test_load_twice_gives_the_same_data(name: str) -> None:
    assert fingerprint(loaded(name).task.load()) == fingerprint(loaded(name).data)


def test_same_seed_gives_the_same_training(name: str) -> None:
    assert fingerprints(loaded(name).train(1)) == fingerprints(loaded(name).train(1))


def test_same_seed_gives_the_same_training_in_a_fresh_process(name: str, afresh: Mapping[str, str]) -> None:
    (here,) = loaded(name).train(1)
    assert afresh[name] == fingerprint(here.state)


def test_another_seed_gives_another_training(name: str) -> None:
    (one,), (other,) = loaded(name).train(1, seed=0), loaded(name).train(1, seed=1)
    assert fingerprint(one.state["model"]) != fingerprint(other.state["model"])


def test_checkpoints_come_at_every_step(name: str) -> None:
    fidelity = loaded(name).task.spec.fidelity
    reached = [checkpoint.fidelity for checkpoint in loaded(name).train(3)]
    targets = [fidelity.minimum + number * fidelity.step for number in range(3)]
    assert all(target <= at < target + fidelity.step for target, at in zip(targets, reached, strict=True))


def test_resumed_training_is_the_uninterrupted_one(name: str) -> None:
    configurations = [loaded(name).task.spec.default, *loaded(name).random_configurations(RESUMED_CONFIGURATIONS)]
    for configuration in configurations:
        try:
            whole = loaded(name).train(LATE, configuration=configuration)
        except FloatingPointError:
            continue
        start = whole[EARLY - 1]
        untouched = fingerprint(start.state)
        rest = loaded(name).train(LATE - EARLY, configuration=configuration, start=start)
        assert fingerprints(rest) == fingerprints(whole[EARLY:]), configuration
        assert fingerprint(start.state) == untouched


def test_low_fidelity_is_a_prefix_of_a_high_one(name: str) -> None:
    assert fingerprints(loaded(name).train(LATE))[:EARLY] == fingerprints(loaded(name).train(EARLY))


def test_mutable_hyper_parameters_may_change_on_the_way(name: str) -> None:
    spec = loaded(name).task.spec
    start = loaded(name).train(1)[-1]
    changed = {**spec.default, "learning_rate": 0.5 * float(spec.default["learning_rate"])}
    assert "learning_rate" in spec.mutable
    (kept,), (mutated,) = loaded(name).train(1, start=start), loaded(name).train(1, start=start, configuration=changed)
    assert mutated.state["configuration"]["learning_rate"] == changed["learning_rate"]
    assert fingerprint(kept.state["model"]) != fingerprint(mutated.state["model"])


@pytest.mark.parametrize("split", SPLITS)
def test_evaluation_is_finite_and_repeats_itself(name: str, split: Split) -> None:
    (checkpoint,) = loaded(name).train(1)
    value = loaded(name).task.evaluate(loaded(name).data, checkpoint, split)
    assert isinstance(value, float)
    assert math.isfinite(value)
    assert value == loaded(name).task.evaluate(loaded(name).data, checkpoint, split)


def test_global_generators_are_left_alone(name: str) -> None:
    def states() -> str:
        numpy_state = np.random.get_state(legacy=False)
        return fingerprint([torch.get_rng_state(), random.getstate(), json.dumps(numpy_state, default=str)])

    def use_everything() -> str:
        data = loaded(name).task.load()
        (checkpoint,) = loaded(name).train(1)
        values = [loaded(name).task.evaluate(data, checkpoint, split) for split in SPLITS]
        return fingerprint([checkpoint.state, values])

    before = states()
    first = use_everything()
    assert states() == before
    torch.rand(1), np.random.rand(), random.random()
    assert use_everything() == first, "a task depends on a global generator"


def test_random_configurations_end_in_a_number_or_a_floating_point_error(name: str) -> None:
    spec = loaded(name).task.spec
    for configuration in loaded(name).random_configurations(RANDOM_CONFIGURATIONS):
        try:
            (checkpoint,) = loaded(name).train(1, configuration=configuration)
        except FloatingPointError:
            continue
        for split, metric in zip(SPLITS, (spec.validation, spec.test), strict=True):
            value = loaded(name).task.evaluate(loaded(name).data, checkpoint, split)
            assert math.isfinite(value), configuration
            assert not metric.better(metric.worst, value), configuration


def cpu_seconds(name: str, configuration: Configuration) -> float:
    """Of a full training, by its steps; a divergence ends it early."""
    begun = time.process_time()
    try:
        for _ in loaded(name).task.train(loaded(name).data, configuration, 0, "cpu", None):
            pass
    except FloatingPointError:
        pass
    return time.process_time() - begun


@pytest.mark.slow
def test_full_training_ends_at_the_maximum_and_beats_the_beginning(name: str) -> None:
    task, data = loaded(name).task, loaded(name).data
    checkpoints = [snapshot(checkpoint) for checkpoint in task.train(data, task.spec.default, 0, "cpu", None)]
    assert [c.fidelity for c in checkpoints] == sorted({c.fidelity for c in checkpoints})
    assert checkpoints[-1].fidelity >= task.spec.fidelity.maximum
    first, last = (task.evaluate(data, checkpoint, "test") for checkpoint in (checkpoints[0], checkpoints[-1]))
    assert task.spec.test.better(last, first)


@pytest.mark.slow
def test_time_of_a_training_is_bounded(name: str) -> None:
    default = cpu_seconds(name, loaded(name).task.spec.default)
    most = 16 if loaded(name).task.spec.embedded else 1200  # 8 s or ten minutes where measured; machines differ
    assert 0.25 <= default <= most
    longest = max(cpu_seconds(name, each) for each in loaded(name).random_configurations(RANDOM_CONFIGURATIONS))
    assert longest <= 8 * default
