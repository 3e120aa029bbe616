"""The evidence that a table's answers are worth something: it must tell good tables from worthless ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from suite.catalog import task_spec
from suite.replay.evidence import Agreement, Evidence, evidence
from suite.replay.recorded import Curves
from suite.replay.session import load_recorded, meter_record
from suite.replay.table import Facts, read_table, write_table
from suite.task import TaskSpec


@pytest.fixture(scope="module")
def spec(noisy: str) -> TaskSpec:
    return task_spec(noisy)


@pytest.fixture
def rows(table: Path, spec: TaskSpec) -> pd.DataFrame:
    return read_table(table, spec)[0]


def test_a_smooth_task_is_answered_nearly_as_well_as_by_another_seed(table: Path, spec: TaskSpec) -> None:
    rows, facts = read_table(table, spec)
    found = Evidence.from_record(facts.evidence)
    assert found == evidence(Curves(rows, spec), spec)
    assert found.overall.configurations >= 30
    assert 0.7 < (found.overall.ceiling or 0) < 1
    assert found.overall.ratio is not None
    assert found.overall.ratio > 0.9
    assert 8 <= found.best.configurations < found.overall.configurations


def test_values_that_have_nothing_to_do_with_the_configuration_are_no_evidence(
    rows: pd.DataFrame, spec: TaskSpec
) -> None:
    draw = np.random.default_rng(0)
    order = {name: place for place, name in enumerate(draw.permutation(rows["configuration"].unique()))}
    shuffled = rows.copy()
    noise = draw.standard_normal(len(rows)) / 1000
    shuffled["validation"] = shuffled["test"] = rows["configuration"].map(order).astype(float) + noise
    shuffled.loc[rows["validation"].isna(), ["validation", "test"]] = np.nan
    found = evidence(Curves(shuffled, spec), spec)
    assert (found.overall.ceiling or 0) > 0.95  # the recorded ones agree
    assert (found.overall.ratio or 0) < 0.5
    assert not found.enough


def test_values_that_no_two_seeds_agree_on_are_no_evidence(rows: pd.DataFrame, spec: TaskSpec) -> None:
    drawn = np.random.default_rng(0).standard_normal((2, len(rows)))
    random = rows.assign(validation=np.where(rows["validation"].isna(), np.nan, drawn[0]), test=drawn[1])
    assert not evidence(Curves(random, spec), spec).overall.enough


def test_energy_is_ordered_well_or_all_take_nearly_the_same() -> None:
    good, poor = Agreement(40, 0.75, 0.8), Agreement(40, 0.6, 0.8)
    assert Evidence(good, good, good, energy=0.9, energy_error=0.5).enough
    assert Evidence(good, good, good, energy=0.1, energy_error=0.05).enough
    assert not Evidence(good, good, good, energy=0.1, energy_error=0.2).enough
    assert not Evidence(good, poor, good, energy=0.9, energy_error=0.05).enough
    assert not Evidence(poor, good, good, energy=0.9, energy_error=0.05).enough
    assert not Evidence(Agreement(40, 0.1, -0.1), good, good, energy=0.9, energy_error=0.05).enough


def test_a_table_without_evidence_replays_what_was_recorded_and_says_so(
    noisy: str, table: Path, tmp_path: Path, spec: TaskSpec
) -> None:
    task = tmp_path / "noisy.py"
    task.write_text(Path(noisy.rpartition(":")[0]).read_text())
    rows, facts = read_table(table, spec)
    nothing = Agreement(0, None, None)
    poor = Evidence(nothing, nothing, nothing, None, None).to_record()
    write_table(rows, Facts(**{**vars(facts), "evidence": poor}), tmp_path / "noisy.parquet")
    _, recorded, found, _ = load_recorded(f"{task}:TASK")
    known = recorded.energies([*Curves(rows, spec).configurations])
    unseen = recorded.energies([{"rate": 0.0123, "shift": 0.4567, "kind": "plain"}])
    assert unseen[0].tolist() in known.tolist()
    assert "the nearest recorded one" in meter_record(found, 0.0)["source"]
