"""Recording a task: what is trained, that it goes on where it stopped, and that energies sum."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace
from hypothesis import given
from hypothesis import strategies as st

from suite.catalog import task_spec
from suite.replay.record import Amounts, Recording, near, sobol
from suite.replay.table import Facts, TableError, _shares, frame, read_table, write_table
from suite.runs.board import BoardError, Settings
from suite.runs.jobs import Silent
from suite.runs.log import read_log
from suite.space import canonical, complete
from tests.conftest import HERE
from tests.replay.conftest import AMOUNTS

METERED = Settings(meters=("cpu-time",), crosscheck=False)


def test_a_table_has_what_was_asked_for(noisy: str, table: Path) -> None:
    spec = task_spec(noisy)
    rows, facts = read_table(table, spec)
    first = rows[rows["seed"] == 0]
    origins = first.groupby("configuration")["origin"].first().value_counts()
    assert dict(origins) == {
        "sobol": AMOUNTS.rounds * AMOUNTS.sobol,
        "near": AMOUNTS.rounds * AMOUNTS.near,
        "default": 1,
    }
    seeds = rows.groupby("configuration")["seed"].nunique()
    assert (seeds >= AMOUNTS.seeds).sum() >= AMOUNTS.rounds * AMOUNTS.repeated
    assert seeds[canonical(spec.default)] == AMOUNTS.anchors
    assert (seeds == AMOUNTS.anchors).sum() == 2  # the best too
    assert facts.tier == "estimated"
    assert sum(facts.failed.values()) == rows["validation"].isna().sum() > 0


def test_curves_are_whole_or_end_in_a_failure(noisy: str, table: Path) -> None:
    rows, _ = read_table(table, task_spec(noisy))
    for _, curve in rows.groupby(["configuration", "seed"]):
        steps = list(curve["fidelity"])
        assert steps == list(range(2, steps[-1] + 1, 2))
        failed = bool(curve["validation"].isna().iloc[-1])
        assert steps[-1] == (10 if failed else 20)
        assert curve["validation"].iloc[:-1].notna().all()


def test_the_rows_energies_are_those_of_the_logs_without_the_waiting(noisy: str, table: Path) -> None:
    """Trainings here wait for cores, as tests run side by side: the machine at rest is not charged for that."""
    rows, _ = read_table(table, task_spec(noisy))
    logs = [read_log(path) for path in table.parent.glob("recordings/**/log.jsonl")]
    recorded = rows[["train_microjoules", "validate_microjoules", "test_microjoules"]].to_numpy().sum()
    segments = [each for log in logs for each in log.segments if each.phase == "train" and each.trial]
    busy_ns = sum(each.cpu_ns for each in segments)
    rest_ns = sum(min(each.cpu_ns, each.wall_ns) for each in segments)
    expected = (busy_ns * METERED.watts_per_core + rest_ns * METERED.idle_watts / METERED.jobs) / 1000
    assert recorded == pytest.approx(expected, rel=0.01)  # clocks are read one after the other
    assert recorded < sum(trial.microjoules for log in logs for trial in log.trials)


def test_what_counters_read_is_left_as_it_is(noisy: str, table: Path) -> None:
    logs = [read_log(path) for path in table.parent.glob("recordings/**/log.jsonl")]
    origins = {canonical(trial.proposal.configuration): "sobol" for log in logs for trial in log.trials}
    columns = ["train_microjoules", "validate_microjoules", "test_microjoules"]
    charged = sum(trial.microjoules for log in logs for trial in log.trials)
    assert frame(logs, origins)[columns].to_numpy().sum() == charged


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    shutil.copy(HERE / "replay" / "noisy.py", tmp_path)
    small = Amounts(rounds=1, sobol=33, near=2, repeated=2, seeds=2, anchors=3)
    recording = Recording(f"{tmp_path / 'noisy.py'}:TASK", tmp_path / "out", METERED, small)
    with pytest.raises(BoardError, match="nothing has been recorded yet"):
        recording.write()
    assert not recording.make(Silent(), float("-inf"))
    assert not list(tmp_path.glob("out/**/log.jsonl"))
    assert recording.make(Silent(), float("inf"))
    logs = {path: path.read_bytes() for path in tmp_path.glob("out/**/log.jsonl")}
    assert len(logs) == small.parts
    assert recording.make(Silent(), float("inf"))
    assert {path: path.read_bytes() for path in tmp_path.glob("out/**/log.jsonl")} == logs
    more = Recording(f"{tmp_path / 'noisy.py'}:TASK", tmp_path / "out", METERED, replace(small, rounds=2))
    assert more.make(Silent(), float("inf"))
    after = {path: path.read_bytes() for path in tmp_path.glob("out/**/log.jsonl")}
    assert len(after) > len(logs)
    assert {path: after[path] for path in logs} == logs


def test_a_small_space_is_used_up(noisy: str) -> None:
    spec = replace(task_spec(noisy), space=ConfigurationSpace({"rate": [0.1, 0.2, 0.3]}))
    assert sorted(each["rate"] for each in sobol(spec, 10)) == [0.2, 0.3]
    known = [{"rate": 0.1}, {"rate": 0.2}]
    assert near(spec, known, known, 5, np.random.default_rng(0)) == [{"rate": 0.3}]


def test_new_configurations_are_legal_and_new(noisy: str) -> None:
    spec = task_spec(noisy)
    known = sobol(spec, 20)
    fresh = near(spec, known[:3], known, 40, np.random.default_rng(0))
    spelt = {canonical(each) for each in (*known, *fresh)}
    assert len(spelt) == 60
    assert all(complete(spec.space, each) == each for each in fresh)


@given(st.integers(0, 10**12), st.lists(st.tuples(*[st.integers(0, 10**10)] * 3), min_size=1, max_size=30))
def test_shares_sum_to_the_whole(microjoules: int, steps: list[tuple[int, int, int]]) -> None:
    shares = _shares(microjoules, steps)
    assert len(shares) == len(steps)
    assert all(amount >= 0 for share in shares for amount in share)
    if any(map(any, steps)):
        assert sum(map(sum, shares)) == microjoules


def test_a_table_that_does_not_fit_is_refused_by_name(noisy: str, table: Path, tmp_path: Path) -> None:
    spec = task_spec(noisy)
    rows, facts = read_table(table, spec)
    whole = table.read_bytes()
    damaged = tmp_path / "damaged.parquet"
    for content in (whole[: len(whole) // 2], whole[:-1], b"", b"no table at all" * 100):
        damaged.write_bytes(content)
        with pytest.raises(TableError, match=r"damaged\.parquet"):
            read_table(damaged, spec)
    foreign = tmp_path / "foreign.parquet"
    rows.to_parquet(foreign)
    with pytest.raises(TableError, match="lacks its description"):
        read_table(foreign, spec)
    for changed, said in (
        ({"task_version": "0"}, "version of the task 0, installed is 1"),
        ({"task": "toy/other"}, "task toy/other, installed is toy/noisy"),
        ({"data": {"other 1": "0"}}, "data"),
        ({"schema": 0}, "schema 0"),
    ):
        other = Facts(**{**vars(facts), **changed})
        write_table(rows, other, foreign)
        with pytest.raises(TableError, match=said):
            read_table(foreign, spec)
    write_table(rows.drop(columns="test"), facts, foreign)
    with pytest.raises(TableError, match="has columns"):
        read_table(foreign, spec)
