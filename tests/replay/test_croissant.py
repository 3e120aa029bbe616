"""The description of a table, by the format's own library."""

import hashlib
import json
import warnings
from pathlib import Path

import pytest

from suite.catalog import task_spec
from suite.replay.table import COLUMNS, read_table


def test_it_describes_the_table_beside_it(noisy: str, table: Path) -> None:
    described = json.loads(table.with_suffix(".croissant.json").read_text())
    (file,) = described["distribution"]
    assert file["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    assert file["contentUrl"] == table.name
    assert [field["name"] for field in described["recordSet"][0]["field"]] == list(COLUMNS)
    assert "toy/noisy 1" in described["description"]


@pytest.mark.filterwarnings("ignore")  # of the library's own dependencies
def test_the_formats_own_library_reads_it(noisy: str, table: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="needs the dependency group oracles")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = mlcroissant.Dataset(jsonld=str(table.with_suffix(".croissant.json")))
        first = next(iter(dataset.records(record_set="steps")))
    rows, _ = read_table(table, task_spec(noisy))
    assert not dataset.metadata.ctx.issues.errors
    assert first["steps/fidelity"] == rows["fidelity"].iloc[0]
    assert first["steps/configuration"].decode() == rows["configuration"].iloc[0]
