"""The recorded table of a task: learning curves with energy, one Parquet file beside the task's card.

One row for each step of the fidelity that a training reached: what it was worth there, and what led there from the step
before. A training that failed ends in a row without values, which holds what the failure took.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from suite.runs.log import RunHeader, RunLog, TrialEnd
from suite.space import canonical
from suite.task import TaskSpec

SCHEMA: Final = 2
LICENCE: Final = "CC-BY-4.0"
_KEY: Final = b"carbon-suite"

#: Columns and their types. Energies are microjoules, times CPU nanoseconds, both since the step before.
COLUMNS: Final[Mapping[str, str]] = {
    "configuration": "string",  # canonical JSON, inactive hyper-parameters left out
    "origin": "string",  # "default", "sobol", or "near" the best of those before
    "seed": "int32",  # of the run; the training's own seed follows from it and the configuration
    "fidelity": "int32",
    "validation": "float64",
    "test": "float64",
    "train_microjoules": "int64",
    "validate_microjoules": "int64",
    "test_microjoules": "int64",
    "train_cpu_ns": "int64",
    "validate_cpu_ns": "int64",
}


class TableError(ValueError):
    """A table that cannot be used; the message names the file and says what to do."""


@dataclass(frozen=True)
class Facts:
    """Where a table comes from. Energies hold for ``machine`` and ``meters`` alone.

    data: digests by name of the task's data sets. failed: reasons for failures, with their counts. fitted: see
    ``suite.replay.recorded.Fitted``. evidence: see ``suite.replay.evidence``; it decides how unseen configurations are
    answered.
    """

    task: str
    task_version: str
    data: Mapping[str, str]
    suite: str
    tier: str
    meters: Sequence[Mapping[str, Any]]
    machine: Mapping[str, Any]
    failed: Mapping[str, int]
    fitted: Mapping[str, Any]
    evidence: Mapping[str, Any]
    schema: int = SCHEMA
    licence: str = LICENCE

    @classmethod
    def of(
        cls, header: RunHeader, failed: Mapping[str, int], fitted: Mapping[str, Any], evidence: Mapping[str, Any]
    ) -> "Facts":
        return cls(
            task=header.task.name,
            task_version=header.task.version,
            data=digests(header.task),
            suite=header.suite,
            tier=header.tier,
            meters=[
                {key: meter.get(key) for key in ("component", "meter", "tier", "factor")} for meter in header.meters
            ],
            machine=dict(header.machine),
            failed=dict(failed),
            fitted=dict(fitted),
            evidence=dict(evidence),
        )


def digests(spec: TaskSpec) -> dict[str, str]:
    """The digest of each data set of a task, by name and version."""
    return {f"{ref.name} {ref.version}": ref.digest for ref in spec.data}


def table_path(card: Path) -> Path:
    """Where the table of the task with this card lies."""
    return card.with_suffix(".parquet")


def frame(logs: Sequence[RunLog], origins: Mapping[str, str], idle_watts: float = 0.0) -> pd.DataFrame:
    """The rows of recorded trials, in the order of configuration (as first met), seed and fidelity.

    origins: by configuration, in its canonical spelling. idle_watts: what the estimate of a CPU's energy charges by the
    second; it is left out of the seconds in which a training did not compute.
    """
    rows = []
    for log in logs:
        waited_ns = _waited(log)
        for trial in log.trials:
            if trial.curve is not None:
                microjoules = trial.microjoules - round(waited_ns[trial.number] / 1000 * idle_watts)
                rows += _rows(log, trial, microjoules, origins)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict(COLUMNS))


def failures(logs: Sequence[RunLog]) -> dict[str, int]:
    """How often trials failed, by reason."""
    reasons = [trial.reason for log in logs for trial in log.trials if trial.status != "ok"]
    return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}


def _waited(log: RunLog) -> dict[int | None, int]:
    """Nanoseconds in which a trial had no core, by its number."""
    waited: dict[int | None, int] = defaultdict(int)
    for segment in log.segments:
        if segment.phase in ("ask", "train", "validate"):  # what a trial is charged for
            waited[segment.trial] += max(0, segment.wall_ns - segment.cpu_ns)
    return waited


def _rows(log: RunLog, trial: TrialEnd, microjoules: int, origins: Mapping[str, str]) -> list[tuple[Any, ...]]:
    """The ledger knows the energy of the whole trial; the CPU times of its steps divide it."""
    assert trial.curve is not None  # of a recorded trial
    spelt = canonical(trial.proposal.configuration)
    steps = [[int(value) for value in point[3:]] for point in trial.curve]
    values = [(int(point[0]), *map(float, point[1:3])) for point in trial.curve]
    if trial.status != "ok":
        fidelity = log.header.task.fidelity
        reached = values[-1][0] if values else fidelity.minimum - fidelity.step
        values.append((min(fidelity.maximum, reached + fidelity.step), np.nan, np.nan))
        steps.append([trial.lost_cpu_ns, 0, 0])
    energies = _shares(microjoules, steps)
    return [
        (spelt, origins[spelt], log.header.seed, *value, *energy, *step[:2])
        for value, energy, step in zip(values, energies, steps, strict=True)
    ]


def _shares(microjoules: int, steps: Sequence[Sequence[int]]) -> list[list[int]]:
    """``microjoules`` in proportion to CPU times, in whole numbers that sum to it."""
    flat = np.cumsum([cpu_ns for step in steps for cpu_ns in step], dtype=float)
    edges = np.rint(flat / max(flat[-1], 1.0) * microjoules).astype(np.int64)
    amounts: list[int] = np.diff(edges, prepend=0).tolist()
    return [amounts[start : start + 3] for start in range(0, len(amounts), 3)]


def write_table(rows: pd.DataFrame, facts: Facts, path: Path) -> None:
    """Write the table, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(rows, preserve_index=False)
    table = table.replace_schema_metadata({_KEY: json.dumps(asdict(facts), sort_keys=True).encode()})
    part = path.with_suffix(".part")
    pq.write_table(table, part, compression="zstd", compression_level=19)
    part.replace(path)


def read_table(path: Path, spec: TaskSpec) -> tuple[pd.DataFrame, Facts]:
    """The rows and facts of the table of ``spec``. Raises ``TableError`` where it is damaged, another task's, or of
    another version of the task, its data or the schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        record = json.loads(table.schema.metadata[_KEY])
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: cannot be read as a recorded table: {error}; restore the file") from error
    except (KeyError, TypeError, ValueError) as error:
        raise TableError(f"{path}: is no recorded table of this project: it lacks its description") from error
    if record.get("schema") != SCHEMA:
        raise TableError(f"{path}: has schema {record.get('schema')!r}, this release reads {SCHEMA}; {_again(spec)}")
    facts = Facts(**record)
    for what, found, expected in (
        ("task", facts.task, spec.name),
        ("version of the task", facts.task_version, spec.version),
        ("data", dict(facts.data), digests(spec)),
    ):
        if found != expected:
            raise TableError(f"{path}: was recorded with {what} {found}, installed is {expected}; {_again(spec)}")
    if list(table.column_names) != list(COLUMNS):
        raise TableError(f"{path}: has columns {table.column_names}, expected {list(COLUMNS)}; {_again(spec)}")
    return table.to_pandas().astype(dict(COLUMNS)), facts


def _again(spec: TaskSpec) -> str:
    return f"record it again: carbon-suite record {spec.name} --out DIR"
