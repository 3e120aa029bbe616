"""Runs made up for the score's tests: completions at given charges with given values, no files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ConfigSpace import ConfigurationSpace, Float

from suite.energy.ledger import Segment
from suite.runs.log import Budget, RunHeader, RunLog, TrialEnd
from suite.search.strategy import Proposal
from suite.task import Constants, Fidelity, Metric, TaskSpec

BUDGET = 1_000_000  # microjoules; charges below are shares of it

CONSTANTS = Constants(
    a0=0.0,
    a1=1.0,
    v0=0.0,
    m_t=1.0,
    kappa_t=2 / 3,
    sigma_seed=0.1,
    default_joules=1.0,
    default_cpu_seconds=1.0,
    longest_over_default=3.0,
    median_test=0.5,
    failed_configurations=0,
    seeds=20,
    configurations=64,
    provisional=False,
    tier="estimated",
    measured_on={},
)


def spec(name: str = "toy/one", comparable: bool = True, constants: Constants | None = CONSTANTS) -> TaskSpec:
    space = ConfigurationSpace()
    space.add(Float("x", (0.0, 1.0), default=0.5))
    return TaskSpec(
        name=name,
        version="1",
        summary="",
        paper="",
        space=space,
        fidelity=Fidelity("steps", 1, 9),
        validation=Metric("v", "maximize", -1e9, comparable),
        test=Metric("t", "maximize", -1e9),
        constants=constants,
    )


def end(
    number: int,
    charge: float,
    test: float | None,
    validation: float | None = None,
    fidelity: int = 9,
    returned: bool = False,
) -> TrialEnd:
    """A trial that ended at ``charge`` (in budgets) with s = ``test``; failed where that is None."""
    value = test if validation is None else validation
    return TrialEnd(
        number=number,
        attempt=0,
        proposal=Proposal({"x": number / 1000}, fidelity),
        status="failed" if value is None else "ok",
        validation=value,
        test=test,
        reason="",
        seconds=1.0,
        microjoules=1,
        charged_microjoules=round(charge * BUDGET),
        returned=returned,
    )


def run(
    *completions: tuple[float, float | None] | TrialEnd,
    strategy: str = "a",
    seed: int = 0,
    task: TaskSpec | None = None,
    multiple: float = 40.0,
    ended: str | None = "budget",
) -> RunLog:
    """A run with ``completions`` of (charge, s), in that order."""
    ends = [each if isinstance(each, TrialEnd) else end(n, *each) for n, each in enumerate(completions, 1)]
    task = task or spec()
    header = RunHeader(
        role="ranked",
        suite="0",
        task=task,
        strategy={"name": strategy, "family": "made up", "version": "1"},
        seed=seed,
        budget=Budget(multiple, BUDGET, None, 25_000, 3, 0.0),
        variant=0,
        workers=1,
        jobs=1,
        device="cpu",
        time_limit_seconds=60.0,
        meters=({"component": "cpu", "meter": "cpu-time", "tier": "estimated", "source": "declared"},),
        machine={"cpu": "made up", "python": "3.11", "versions": {}},
    )
    segments = (Segment("train", 1, {"cpu": BUDGET}, 10, 10), Segment("test", 1, {"cpu": 5}, 10, 10))
    path = Path(f"{task.name}/{strategy}/seed-{seed}/log.jsonl")
    return RunLog(path, header, tuple(ends), segments, ended, BUDGET + 5, 0, 0, {})


def several(
    strategy: str, runs: Sequence[Sequence[tuple[float, float | None]]], task: TaskSpec | None = None, **given: float
) -> list[RunLog]:
    """Runs with seeds 0, 1, ..."""
    return [run(*each, strategy=strategy, seed=seed, task=task, **given) for seed, each in enumerate(runs)]  # type: ignore[arg-type]


def provisional(task: TaskSpec) -> TaskSpec:
    return replace(task, constants=replace(CONSTANTS, provisional=True))
