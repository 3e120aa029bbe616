"""Runs side by side under a counter of the whole machine: it is counted once."""

import json
from pathlib import Path

from suite.runs.board import Settings
from suite.runs.jobs import Job, Silent, run_jobs
from suite.runs.log import RunLog, read_log
from suite.runs.metering import NODE_NAME, node_of, write_node
from suite.runs.plan import RunPlan
from suite.runs.processes import LocalRuns
from tests.conftest import HERE, SCRIPTED, budget, script

WALL = f"{HERE / 'runs' / 'shared_counter.py'}:Wall"


def test_shares_of_all_runs_and_the_remainder_sum_to_the_counter(tmp_path: Path) -> None:
    selection = Settings(meters=(WALL,), jobs=2).select_meters()
    plans = [
        RunPlan(SCRIPTED, script("Works"), seed, budget(trials=5), jobs=2, meters=selection.names, crosscheck=False)
        for seed in range(2)
    ]
    jobs = [Job(f"run {plan.seed}", plan, tmp_path / str(plan.seed)) for plan in plans]
    node = node_of(selection, jobs=2)
    results = run_jobs(jobs, LocalRuns(2, node), Silent())
    assert all(result.ok for result in results), [result.message for result in results]
    write_node(node, tmp_path)
    logs: list[RunLog] = [read_log(job.directory) for job in jobs]
    found = json.loads((tmp_path / NODE_NAME).read_text())["microjoules"]
    assert found["taken"]["cpu"] + found["remainder"]["cpu"] == found["counted"]["cpu"]
    # What a run counts starts with its ledger's first reading, and ends with its last.
    assert 0.3 * found["taken"]["cpu"] < sum(log.total_microjoules for log in logs) <= found["taken"]["cpu"]
    assert all(log.total_microjoules == log.recorded_total_microjoules > 0 for log in logs)
    assert all("shared with the runs beside this one by CPU seconds" in log.header.meters[0]["source"] for log in logs)
    assert all(log.header.tier == "measured" for log in logs)


def test_one_run_at_a_time_and_meters_of_processes_need_no_sharing() -> None:
    assert node_of(Settings(meters=(WALL,)).select_meters(), jobs=1) is None
    assert node_of(Settings(meters=("cpu-time",), jobs=2).select_meters(), jobs=2) is None
