"""What a run promises: every trial ends, is charged and logged; a strategy pays for what it does, not for the test."""

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.energy.processes import own_cpu_ns
from suite.runs.log import RunLog
from suite.runs.plan import RunPlan
from tests.conftest import CLIMBER, SCRIPTED, VALLEY, budget, script, session
from tests.runs.scripts import ACTS
from tests.runs.tasks_that_fail import BUSY_SECONDS

MakeRun = Callable[..., RunLog]


def test_every_way_to_fail_is_logged_charged_and_survived(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, script("Acts"))
    by_act = dict(zip(ACTS, log.trials, strict=False))
    assert [trial.number for trial in log.trials] == list(range(1, len(ACTS) + 1))
    assert log.ended == "exhausted"
    reasons = {
        "raise": "RuntimeError: this trial was told to raise",
        "nan": "diverged: the validation value is nan",
        "diverge": "FloatingPointError: the loss is inf",
        "exit": "the worker ended by exit code 3",
        "segfault": "the worker ended by signal SIGSEGV",
        "short": "the training ended before 9 steps",
        "linger": "1 process(es) outlived the trial; a trial must end what it starts",
    }
    assert {act: trial.reason for act, trial in by_act.items() if trial.status != "ok"} == reasons
    assert all(trial.microjoules > 0 for trial in log.trials)
    assert log.trials[-1].status == "ok"
    assert log.trials[-1].validation == pytest.approx(0.1 + 0.01 * (len(ACTS) - 1))


@pytest.mark.parametrize("act", ["busy", "child", "orphan"])
def test_a_trial_is_charged_for_whatever_it_starts(make_run: MakeRun, act: str) -> None:
    """The worker itself, a child that ends within the trial, and a grandchild in a session of its own: within 5 %."""
    log = make_run(SCRIPTED, script("Acts"), idle_watts=0.0)
    quiet, trial = log.trials[ACTS.index("work")], log.trials[ACTS.index(act)]
    assert trial.status == "ok"
    cpu_seconds = (trial.microjoules - quiet.microjoules) / 1e6 / 10.0  # at 10 W a core
    assert cpu_seconds == pytest.approx(BUSY_SECONDS, rel=0.05)


def test_a_trial_over_its_time_limit_is_stopped_and_charged(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, script("Hangs"), time_limit_seconds=0.5)
    assert [(trial.status, trial.reason) for trial in log.trials] == [("timeout", "took more than 0.5 s"), ("ok", "")]
    assert log.trials[0].microjoules > 0


def test_test_evaluation_is_metered_and_not_charged(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, script("SlowTest"))
    phases = log.microjoules_by_phase()
    assert phases["test"] / 1e6 >= 10.0  # a second of CPU time at 10 W
    assert log.charged_microjoules / 1e6 < 5.0
    assert log.trials[0].test == pytest.approx(log.trials[0].validation + 1)


def test_a_strategys_own_computation_is_charged(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, script("Thinks"))
    phases = log.microjoules_by_phase()
    assert phases["ask"] / 1e6 >= 3 * 0.2 * 10.0
    assert phases["tell"] / 1e6 >= 3 * 0.1 * 10.0
    assert log.charged_microjoules >= phases["ask"] + phases["tell"]


def test_segments_sum_to_the_ledgers_total_exactly(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, script("Acts"))
    assert log.total_microjoules == log.recorded_total_microjoules
    assert sum(log.microjoules_by_phase().values()) == log.total_microjoules


@pytest.mark.parametrize("workers", [1, 2])
def test_no_cpu_time_is_counted_twice_and_little_is_missed(make_run: MakeRun, workers: int) -> None:
    before = own_cpu_ns()
    log = make_run(SCRIPTED, script("SlowTest"), workers=workers)
    used = own_cpu_ns() - before  # of the run with all that it started, by the kernel's own account
    counted = sum(segment.cpu_ns for segment in log.segments)
    assert counted <= 1.02 * used
    assert counted >= 0.5 * used  # Python starts, and imports what the ledger is made of, before there is a ledger


def test_setup_is_metered_and_not_charged(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, "default")
    phases = log.microjoules_by_phase()
    assert phases["setup"] > 0
    assert log.charged_microjoules == log.total_microjoules - phases["setup"] - phases.get("test", 0)


def test_the_default_again_is_trial_zero(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, script("DefaultForever"))
    assert len(log.trials) == 40
    assert all(trial.returned and trial.validation == 0.5 and trial.microjoules == 0 for trial in log.trials)
    assert "train" not in log.microjoules_by_phase()


def test_a_run_stops_at_its_budget(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, script("Works"), budget=budget(joules=1.0))
    assert log.ended == "budget"
    assert 1.0 <= log.charged_microjoules / 1e6 < 1.5
    assert all(trial.charged_microjoules < 1_000_000 for trial in log.trials[:-1])


def test_a_training_in_hand_is_cut_short_when_the_budget_is_used_up(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, script("Hangs"), budget=budget(joules=0.5))
    assert log.ended == "budget"
    assert [(trial.status, trial.reason) for trial in log.trials] == [("timeout", "the budget was used up")]


def test_a_promotion_goes_on_from_its_checkpoint_and_pays_for_the_rest(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, script("Climbs"))
    assert [trial.proposal.fidelity for trial in log.trials] == list(range(1, 10))
    assert all(trial.status == "ok" for trial in log.trials)
    trained = log.microjoules_by_phase()["train"] / 1e6
    assert trained < 45 * 0.002 * 10.0 * 0.9  # nine steps in all, not 1 + 2 + ... + 9
    assert not (log.path.parent / "checkpoints").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Waits", "answered WAIT though nothing is outstanding"),
        ("Breaks", "broke in tell: ZeroDivisionError: a bug in the strategy"),
        ("Illegal", "proposed an illegal configuration"),
        ("FromNowhere", "go on from trial 17, which is not a completed trial"),
    ],
)
def test_a_strategy_that_breaks_the_contract_is_told_how(tmp_path: Path, name: str, message: str) -> None:
    plan = RunPlan(SCRIPTED, script(name), seed=0, budget=budget(trials=9), crosscheck=False)
    process = session(plan, tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert message in errors
    assert "Traceback" not in errors


def test_a_strategy_is_not_given_what_it_does_not_declare(tmp_path: Path) -> None:
    plan = RunPlan(SCRIPTED, script("Works"), seed=0, budget=budget(trials=9), workers=2, crosscheck=False)
    process = session(plan, tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "strategy works does not declare the capability 'asynchronous'" in errors
    assert "Traceback" not in errors


def test_a_strategy_whose_library_is_missing_names_its_extra(tmp_path: Path) -> None:
    plan = RunPlan(SCRIPTED, script("Optional"), seed=0, budget=budget(trials=9), crosscheck=False)
    process = session(plan, tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "No module named 'not_installed'; it needs the extra: pip install 'carbon-suite[optional]'" in errors
    assert "Traceback" not in errors


def test_workers_side_by_side(make_run: MakeRun) -> None:
    log = make_run(VALLEY, "random", workers=3, budget=budget(trials=30))
    assert sorted(trial.number for trial in log.trials) == list(range(1, 31))
    assert all(trial.status == "ok" for trial in log.trials)
    assert log.total_microjoules == log.recorded_total_microjoules


def test_trials_side_by_side_are_charged_what_each_of_them_used(make_run: MakeRun) -> None:
    log = make_run(SCRIPTED, script("Pairs"), workers=2, idle_watts=0.0)
    acts = {trial.number: trial.proposal.configuration["act"] for trial in log.trials}
    for trial in log.trials:
        cpu_seconds = trial.microjoules / 1e6 / 10.0  # at 10 W a core
        assert trial.status == "ok"
        if acts[trial.number] == "busy":
            assert cpu_seconds == pytest.approx(BUSY_SECONDS, rel=0.2)
        else:
            assert cpu_seconds < 0.2 * BUSY_SECONDS


def test_the_smallest_strategy_improves_on_the_smallest_task(make_run: MakeRun) -> None:
    log = make_run(VALLEY, CLIMBER, budget=budget(trials=40, v0=7.13))
    assert min(trial.validation for trial in log.trials if trial.validation is not None) < 0.01


def test_codecarbon_stands_beside_the_ledger(make_run: MakeRun) -> None:
    log = make_run(VALLEY, "default", crosscheck=True)
    assert log.crosscheck["ledger_kwh"] > 0
    assert log.crosscheck["cpu_kwh"] >= 0
    assert log.crosscheck["codecarbon"]


def test_a_mutation_goes_on_from_anothers_checkpoint(make_run: MakeRun) -> None:
    log = make_run(VALLEY, "pbt", budget=budget(trials=60))
    configurations = {trial.number: dict(trial.proposal.configuration) for trial in log.trials}
    mutations = [
        trial
        for trial in log.trials
        if trial.proposal.parent and configurations[trial.proposal.parent] != configurations[trial.number]
    ]
    assert mutations
    assert all(trial.status == "ok" for trial in log.trials)
    for trial in mutations:
        assert trial.proposal.parent is not None
        assert configurations[trial.proposal.parent]["start"] == configurations[trial.number]["start"]


def test_energy_is_an_objective_for_those_who_declare_it(make_run: MakeRun) -> None:
    log = make_run(VALLEY, "nsga2", budget=budget(trials=25))
    assert len(log.trials) == 25
