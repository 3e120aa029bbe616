"""Trial logs in the formats of other tools, and back: nothing is lost on the way.

Parquet: one row a record, with columns to compute with and the record's own line, from which the log is written again
byte for byte. MLflow: one run a log, with parameters and metrics to look at, and the log itself as an artifact.

A board's runs are written as one CSV file, from which it can be scored anew, and no log.
"""

import csv
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from suite.energy.ledger import JOULES_PER_KWH
from suite.runs.log import LOG_NAME, RunLog, log_file, read_content, read_log, read_records
from suite.score.runs import Row, rows

_EXPERIMENT: Final = "carbon-suite"
_LONGEST_PARAMETER: Final = 500


class ExportError(ValueError):
    """What cannot be exported or read back; the message says why and what to do."""


def to_parquet(path: Path, out: Path) -> None:
    """Write the log at ``path`` as a Parquet file. Raises ``LogError``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    log = log_file(path)
    records, torn = read_records(log)
    if torn:
        raise ExportError(f"{log} ends within a line; go on with its run first")
    lines = read_content(log).decode().split("\n")[: len(records)]  # other ends of lines may stand within a text
    rows = [{**_columns(record), "line": line} for record, line in zip(records, lines, strict=True)]
    numbers = {name: pa.float64() for name in ("validation", "test", "seconds", "joules")}
    whole = {name: pa.int64() for name in ("trial", "fidelity", "parent", "total_microjoules")}
    texts = {name: pa.string() for name in ("record", "status", "configuration", "line")}
    order = ("record", "trial", "status", "fidelity", "parent", "configuration", *numbers, "total_microjoules", "line")
    types = {**numbers, **whole, **texts}
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([(name, types[name]) for name in order])), out)


def from_parquet(path: Path, out: Path) -> None:
    """Write the log again that ``to_parquet`` made ``path`` from. Raises ``ExportError`` and ``LogError``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        lines = pq.read_table(path, columns=["line"]).column("line").to_pylist()
    except (pa.ArrowInvalid, KeyError) as error:
        raise ExportError(f"{path}: is no log that `carbon-suite export --to parquet` wrote: {error}") from error
    if out.exists():
        raise ExportError(f"{out} is there already; choose a new file")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes("".join(f"{line}\n" for line in lines).encode())
    read_log(out)  # it is whole


def to_mlflow(path: Path, uri: str) -> str:
    """Write the log at ``path`` as a run of the MLflow store at ``uri``; return its id. Raises ``ExportError``."""
    try:
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise ExportError("MLflow is not installed: pip install 'carbon-suite[mlflow]'") from error
    log = read_log(path)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(_EXPERIMENT)
    number = experiment.experiment_id if experiment else client.create_experiment(_EXPERIMENT)
    run = client.create_run(number, run_name=f"{log.header.task.name} {log.header.strategy['name']} {log.header.seed}")
    name = run.info.run_id
    params = [Param(key, value[:_LONGEST_PARAMETER]) for key, value in _parameters(log).items()]
    metrics = [Metric(key, value, 0, step) for key, value, step in _metrics(log)]
    tags = [RunTag("carbon-suite.tier", log.header.tier), RunTag("carbon-suite.ended", str(log.ended))]
    for start in range(0, max(len(metrics), 1), 900):  # a request takes a thousand at most
        client.log_batch(name, metrics=metrics[start : start + 900], params=params if not start else (), tags=tags)
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / LOG_NAME  # by this name, and unpacked
        artifact.write_bytes(read_content(log.path))
        client.log_artifact(name, str(artifact))
    client.set_terminated(name, "FINISHED" if log.ended else "RUNNING")
    return str(name)


def from_mlflow(run: str, uri: str, out: Path) -> None:
    """Write the log again that ``to_mlflow`` made ``run`` from."""
    from mlflow.artifacts import download_artifacts

    if out.exists():
        raise ExportError(f"{out} is there already; choose a new file")
    kept = Path(download_artifacts(run_id=run, artifact_path=LOG_NAME, tracking_uri=uri))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(kept.read_bytes())


def to_csv(logs: Iterable[RunLog], out: Path) -> int:
    """Write a row for each ranked run in ``logs``. Returns how many. Raises ``ExportError``."""
    try:
        found = [asdict(row) for row in rows(logs)]
    except ValueError as error:
        raise ExportError(str(error)) from error
    if not found:
        raise ExportError("there are no ranked runs to write; make some with `carbon-suite run`")
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    return len(found)


def _columns(record: Mapping[str, Any]) -> dict[str, Any]:
    proposal = record.get("answer", {})
    configuration = proposal.get("configuration")
    return {
        **{name: record.get(name) for name in ("record", "trial", "status", "validation", "test", "seconds", "joules")},
        "fidelity": proposal.get("fidelity"),
        "parent": proposal.get("parent"),
        "configuration": None if configuration is None else json.dumps(configuration),
        "total_microjoules": record["total"],
    }


def _parameters(log: RunLog) -> dict[str, str]:
    header = log.header
    given = {
        "task": f"{header.task.name} {header.task.version}",
        "strategy": f"{header.strategy['name']} {header.strategy.get('version')}",
        "seed": header.seed,
        "budget": header.budget.multiple,
        "workers": header.workers,
        "device": header.device,
        "suite": header.suite,
        "cpu": header.machine.get("cpu"),
    }
    return {name: str(value) for name, value in given.items()}


def _metrics(log: RunLog) -> Iterator[tuple[str, float, int]]:
    """Name, value and step: the number of the trial."""
    for end in log.trials:
        for name, value in (("validation", end.validation), ("test", end.test)):
            if value is not None:
                yield name, value, end.number
        yield "trial_joules", end.microjoules / 1e6, end.number
        yield "charged_kwh", end.charged_microjoules / 1e6 / JOULES_PER_KWH, end.number
    yield "total_kwh", log.total_microjoules / 1e6 / JOULES_PER_KWH, 0
    for phase, microjoules in log.microjoules_by_phase().items():
        yield f"kwh_{phase}", microjoules / 1e6 / JOULES_PER_KWH, 0
