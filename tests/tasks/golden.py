"""The first steps of every embedded task's default training, kept in ``golden.json``.

A changed task is a new version: bump ``TaskSpec.version``, re-measure its constants, then rewrite its record with

    python -m tests.tasks.golden NAME ...        (all embedded tasks without a name)
"""

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

from suite import catalog
from suite.task import Configuration, Task

FILE: Final = Path(__file__).with_name("golden.json")
CHECKPOINTS: Final = 2

Record = Mapping[str, Any]


def embedded() -> list[str]:
    return [name for name in catalog.task_names() if catalog.task_spec(name).embedded]


def kept() -> dict[str, Record]:
    """The records in the file, by the names of their tasks."""
    records: dict[str, Record] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return records


def definition(task: Task) -> Record:
    """What a record is of: the version of the task, and the digests of its data."""
    return {"version": task.spec.version, "data": {ref.name: ref.digest for ref in task.spec.data}}


def curve(task: Task, configuration: Configuration) -> Mapping[str, float]:
    """Validation values of a training with seed 0 at its first checkpoints, by their fidelities."""
    data = task.load()
    training = itertools.islice(task.train(data, configuration, 0, "cpu", None), CHECKPOINTS)
    return {str(checkpoint.fidelity): task.evaluate(data, checkpoint, "validation") for checkpoint in training}


def write(names: Sequence[str]) -> None:
    """Make the records of ``names`` anew, keep those of other embedded tasks, and drop the rest."""
    records = kept()
    for name in names:
        task = catalog.load_task(name)
        records[name] = {**definition(task), "validation": curve(task, task.spec.default)}
    ordered = {name: records[name] for name in embedded() if name in records}
    FILE.write_text(json.dumps(ordered, indent=2) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)  # as the harness trains
    write(sys.argv[1:] or embedded())
    print(f"wrote {FILE}")
