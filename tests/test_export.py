"""What is exported leads back to the log, byte for byte, and the exported model is the one that the search found."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from suite.catalog import load_task
from suite.cli import cli
from suite.energy.ledger import JOULES_PER_KWH
from suite.export import ExportError, from_mlflow, from_parquet, to_csv, to_mlflow, to_parquet
from suite.models import ModelError, export_model, incumbent, load_model
from suite.runs.log import PACKED_NAME, RunLog, packed
from suite.score.curve import curve
from suite.score.runs import from_csv, rows
from tests.conftest import CLIMBER, HERE, VALLEY, budget
from tests.score.make import run as ranked

MakeRun = Callable[..., RunLog]


@pytest.fixture
def log(make_run: MakeRun) -> RunLog:
    return make_run(VALLEY, CLIMBER, budget=budget(trials=5, v0=16.0))


def test_parquet_and_back_loses_nothing(log: RunLog, tmp_path: Path) -> None:
    import pandas as pd

    to_parquet(log.path.parent, tmp_path / "run.parquet")
    from_parquet(tmp_path / "run.parquet", tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == log.path.read_bytes()
    frame = pd.read_parquet(tmp_path / "run.parquet")
    ends = frame[frame.record == "trial"]
    assert list(ends.validation) == [end.validation for end in log.trials]
    asks = frame[(frame.record == "ask") & frame.trial.notna()]
    assert [json.loads(each) for each in asks.configuration] == [dict(end.proposal.configuration) for end in log.trials]


def test_parquet_refuses_what_it_did_not_write(log: RunLog, tmp_path: Path) -> None:
    import pandas as pd

    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ExportError, match="is no log"):
        from_parquet(tmp_path / "other.parquet", tmp_path / "log.jsonl")
    to_parquet(log.path, tmp_path / "run.parquet")
    with pytest.raises(ExportError, match="is there already"):
        from_parquet(tmp_path / "run.parquet", log.path)


@pytest.mark.filterwarnings("ignore")  # of MLflow and what it brings
def test_mlflow_and_back_loses_nothing(log: RunLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.chdir(tmp_path)  # where its artifacts go
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    run = to_mlflow(log.path, uri)
    from_mlflow(run, uri, tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == log.path.read_bytes()
    client = tracking.MlflowClient(tracking_uri=uri)
    history = {each.step: each.value for each in client.get_metric_history(run, "validation")}
    assert history == {end.number: end.validation for end in log.trials if end.validation is not None}
    assert client.get_run(run).data.params["seed"] == "0"


@pytest.mark.slow  # seconds to make the tables of the store
@pytest.mark.filterwarnings("ignore")  # of MLflow and what it brings
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_database_of_mlflow_holds_all_of_a_log(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_packed: bool
) -> None:
    """As in docs/report.md, by the command. More metrics than MLflow takes in one request; a second run beside it."""
    tracking = pytest.importorskip("mlflow.tracking")
    log = make_run(VALLEY, CLIMBER, budget=budget(trials=300, v0=16.0))
    source = log.path.parent
    if is_packed:
        source = tmp_path / PACKED_NAME
        source.write_bytes(packed(log.path.read_bytes()))
    monkeypatch.chdir(tmp_path)  # where the database is made, and the artifacts beside it
    uri = "sqlite:///mlflow.db"
    printed = [CliRunner().invoke(cli, ["export", str(source), uri, "--to", "mlflow"], catch_exceptions=False).output]
    printed += [CliRunner().invoke(cli, ["export", str(source), uri, "--to", "mlflow"], catch_exceptions=False).output]
    run, other = (re.findall(r"wrote run (\w+) to sqlite", each)[0] for each in printed)
    assert run != other
    from_mlflow(run, uri, tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == log.path.read_bytes()

    client = tracking.MlflowClient(tracking_uri=uri)
    kept = client.get_run(run)

    def history(metric: str) -> dict[int, float]:
        return {each.step: each.value for each in client.get_metric_history(run, metric)}

    ok = [end for end in log.trials if end.validation is not None]
    assert history("validation") == {end.number: end.validation for end in ok}
    assert history("test") == {end.number: end.test for end in ok if end.test is not None}
    assert history("trial_joules") == {end.number: end.microjoules / 1e6 for end in log.trials}
    kwh = 1 / 1e6 / JOULES_PER_KWH
    assert history("charged_kwh") == pytest.approx({end.number: end.charged_microjoules * kwh for end in log.trials})
    phases = {name: value for name, value in kept.data.metrics.items() if name.startswith("kwh_")}
    assert sum(phases.values()) == pytest.approx(kept.data.metrics["total_kwh"]) == log.total_microjoules * kwh
    assert kept.data.params["seed"] == str(log.header.seed)
    assert kept.data.params["strategy"] == f"{log.header.strategy['name']} {log.header.strategy['version']}"
    assert (kept.data.tags["carbon-suite.ended"], kept.info.status) == ("trials", "FINISHED")


@pytest.fixture
def sinusoid(make_run: MakeRun) -> RunLog:
    """A search whose default is bad, so that something beats it."""
    return make_run("few_shot/sinusoid", "hyperband", budget=budget(trials=2, v0=1e6), time_limit_seconds=300.0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_exported_model_is_the_incumbent(sinusoid: RunLog, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    found = incumbent(sinusoid)
    out = export_model(sinusoid, tmp_path / "model")
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["validation"]["log"] == metrics["validation"]["retrained"] == found.validation
    assert metrics["test"]["log"] == metrics["test"]["retrained"] == found.test
    task = load_task("few_shot/sinusoid")
    checkpoint = load_model(out)
    assert checkpoint.fidelity == found.proposal.fidelity
    assert float(task.evaluate(task.load(), checkpoint, "test")) == found.test
    kept = json.loads((out / "configuration.json").read_text())
    assert kept["configuration"] == dict(found.proposal.configuration)
    assert kept["data"][0]["digest"] == task.spec.data[0].digest
    card = (out / "README.md").read_text()
    for words in (task.spec.data[0].digest, "kWh", "Estimated", "mean squared error on test tasks", "torch"):
        assert words in card


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_kind_of_value_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    import torch
    from safetensors.torch import load_file, save_file

    from suite.models import _joined, _split

    shared = torch.arange(6.0)
    state: Mapping[str, Any] = {
        "layers": [{"w": shared.view(2, 3).t(), "step": 3}, (shared, None)],
        "moments": {0: torch.zeros(()), 1: torch.ones(2, dtype=torch.int64)},
        "done": True,
        "empty": {},
    }
    tensors: dict[str, torch.Tensor] = {}
    split = json.loads(json.dumps(_split(state, "", tensors)))
    save_file(tensors, tmp_path / "x.safetensors")
    again = _joined(split, load_file(tmp_path / "x.safetensors"))
    assert torch.equal(again["layers"][0]["w"], state["layers"][0]["w"])
    assert isinstance(again["layers"][1], tuple)
    assert list(again["moments"]) == [0, 1]
    assert again["moments"][1].dtype == torch.int64
    assert (again["done"], again["empty"], again["layers"][1][1]) == (True, {}, None)


def test_what_has_no_model_is_refused(log: RunLog, make_run: MakeRun, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    with pytest.raises(ModelError, match="no search"):
        incumbent(make_run(VALLEY, "default", into="other", budget=budget(trials=1, v0=None)))
    (tmp_path / "there").mkdir()
    with pytest.raises(ModelError, match="is there already"):
        export_model(log, tmp_path / "there")


def test_the_default_is_the_model_where_nothing_beat_it(make_run: MakeRun) -> None:
    log = make_run(VALLEY, CLIMBER, budget=budget(trials=2, v0=-1.0))
    found = incumbent(log)
    assert (found.trial, found.test) == (0, None)
    assert dict(found.proposal.configuration) == dict(log.header.task.default)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_incumbent_that_went_on_from_others_is_trained_through_all_its_stages(
    make_run: MakeRun, tmp_path: Path
) -> None:
    pytest.importorskip("safetensors")
    log = make_run(
        "few_shot/sinusoid",
        f"{HERE / 'examples' / 'promoted.py'}:Promoted",
        budget=budget(trials=2, v0=1e6),
        time_limit_seconds=300.0,
    )
    found = incumbent(log)
    assert [stage.fidelity for stage in found.stages] == [40, 80]
    metrics = json.loads((export_model(log, tmp_path / "model") / "metrics.json").read_text())
    assert metrics["test"]["retrained"] == found.test


def test_a_board_is_written_run_by_run(tmp_path: Path) -> None:
    import pandas as pd

    log = ranked((0.1, 0.2), (0.3, 0.7))
    assert to_csv([log], tmp_path / "new" / "runs.csv") == 1
    text = (tmp_path / "new" / "runs.csv").read_text()
    assert from_csv(text.splitlines()) == list(rows([log]))
    (row,) = pd.read_csv(tmp_path / "new" / "runs.csv").itertuples()
    assert (row.s, row.area) == (curve(log).final_s, curve(log).area)
    assert row.kwh_total * JOULES_PER_KWH * 1e6 == pytest.approx(log.total_microjoules)


def test_what_cannot_be_scored_is_no_row(log: RunLog, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="has no curve"):
        to_csv([log], tmp_path / "runs.csv")
    with pytest.raises(ExportError, match="no ranked runs"):
        to_csv([], tmp_path / "runs.csv")
    assert not (tmp_path / "runs.csv").exists()
