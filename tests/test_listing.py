"""What is listed of a task: the figures that a reader chooses by, and what it needs."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from suite import catalog, listing
from suite.task import Constants, DataRef, TaskSpec
from tests.examples.valley import Valley
from tests.runs.measured import CONSTANTS

DATA = DataRef("plan", "1", "0" * 64, "MIT", "https://example.org", "all of it", download=True)
FIELDS = {
    "name",
    "paradigm",
    "version",
    "tier",
    "extra",
    "summary",
    "paper",
    "fidelity",
    "validation",
    "test",
    "data",
    "default_cpu_seconds",
    "default_test",
    "best_test",
    "sigma_seed",
    "headroom_sigmas",
}


def listed(monkeypatch: pytest.MonkeyPatch, *specs: TaskSpec) -> list[Mapping[str, Any]]:
    """The records of a catalogue that holds ``specs``."""
    known = {spec.name: spec for spec in specs}
    monkeypatch.setattr(catalog, "task_names", lambda: list(known))
    monkeypatch.setattr(catalog, "task_spec", known.__getitem__)
    return listing.tasks()


def test_every_task_of_the_catalogue_is_listed_with_all_fields() -> None:
    records = listing.tasks()
    assert [record["name"] for record in records] == catalog.task_names()
    for record in records:
        assert set(record) >= FIELDS
        assert {"unit", "minimum", "maximum", "step"} == set(record["fidelity"])
        assert record["validation"]["direction"] in ("minimize", "maximize")
        assert record["test"]["metric"]
        for ref in record["data"]:
            assert all(ref[name] for name in ("name", "version", "digest", "licence", "source", "splits"))
    json.dumps(records, allow_nan=False)


def test_every_strategy_of_the_catalogue_is_listed_with_all_fields() -> None:
    records = listing.strategies()
    assert [record["name"] for record in records] == catalog.strategy_names()
    for record in records:
        assert set(record) >= {"family", "summary", "capabilities", "library", "library_version", "extra", "paper"}
        assert record["paper"] or record["name"] == "default"
        assert record["library"] is None or record["library_version"] or record["extra"]
    json.dumps(records, allow_nan=False)


def test_the_page_of_tasks_is_that_of_their_cards() -> None:
    page = Path(__file__).parents[1] / "docs" / "tasks.md"
    assert page.read_text() == listing.task_page(listing.tasks()), "carbon-suite list tasks --md > docs/tasks.md"


def test_the_page_of_tables_is_that_of_those_that_ship() -> None:
    page = Path(__file__).parents[1] / "docs" / "tables.md"
    assert page.read_text() == listing.table_page(listing.tables()), "carbon-suite list tables --md > docs/tables.md"


def test_correlation_of_validation_and_test_is_over_whole_sobol_trainings_of_one_seed() -> None:
    spec = Valley().spec
    whole = [("sobol", 0, 20, value, value**2) for value in (1.0, 2.0, 3.0)]
    others = [("sobol", 1, 20, 9.0, 0.0), ("near", 0, 20, 9.0, 0.0), ("sobol", 0, 19, 9.0, 0.0)]
    rows = pd.DataFrame(whole + others, columns=["origin", "seed", "fidelity", "validation", "test"])
    assert listing._spearman(rows, spec) == 1
    assert listing._spearman(rows, replace(spec, test=replace(spec.test, goal="maximize"))) == -1
    assert listing._spearman(rows[:1], spec) is None


def test_measured_figures_have_plain_names(monkeypatch: pytest.MonkeyPatch) -> None:
    (record,) = listed(monkeypatch, replace(Valley().spec, constants=CONSTANTS))
    assert record["default_test"] == 7.0
    assert record["best_test"] == 0.0
    assert record["headroom_sigmas"] == pytest.approx(70.0)


@pytest.mark.parametrize("constants", [None, replace(CONSTANTS, sigma_seed=0.0)])
def test_what_is_not_measured_is_null(monkeypatch: pytest.MonkeyPatch, constants: Constants | None) -> None:
    (record,) = listed(monkeypatch, replace(Valley().spec, constants=constants))
    assert record["headroom_sigmas"] is None
    assert (record["default_test"] is None) == (constants is None)


def test_the_tier_is_marked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    spec = Valley().spec
    fetched = replace(spec, name="toy/fetched", data=(DATA,))
    optional = replace(spec, name="toy/optional", extra="mujoco")
    records = listed(monkeypatch, spec, fetched, optional)
    assert [(record["tier"], record["extra"]) for record in records] == [
        ("embedded", None),
        ("download", None),
        ("extra", "mujoco"),
    ]
    listing.show("tasks", records)
    lines = capsys.readouterr().out.splitlines()
    for name, tier in (("toy/valley", "embedded"), ("toy/fetched", "download"), ("toy/optional", "extra mujoco")):
        assert any(name in line and tier in line for line in lines)


def test_describe_shows_the_space(capsys: pytest.CaptureFixture[str]) -> None:
    kind, record = listing.describe("few_shot/sinusoid")
    listing.show_one(kind, record)
    text = capsys.readouterr().out
    assert {row["name"] for row in record["space"]} == set(catalog.task_spec("few_shot/sinusoid").space)
    assert all(row["name"] in text for row in record["space"])
    for row in record["space"]:
        assert {"values", "default", "active if"} <= set(row)
