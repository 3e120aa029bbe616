"""Programs in the harness: each yield an evaluation, metered, logged, charged when it fails, resumed when it is killed.

And strategies that ask and tell on the same board, over the same declared space.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from suite.runs.board import Board, BoardError, Settings, for_strategies
from suite.runs.log import LOG_NAME, RunLog, read_log
from suite.runs.plan import RunPlan
from tests.conftest import HERE, VALLEY, budget, session, slow
from tests.runs.programs import SEARCH_SECONDS, TRAIN_SECONDS
from tests.runs.test_resume import kill_after

MakeRun = Callable[..., RunLog]
DIGITS = f"{HERE / 'examples' / 'noisy_digits.py'}:TASK"
HUNDRED = budget(joules=100.0, v0=0.5)
SEEDS = 3
WALK = f"{HERE / 'runs' / 'programs.py'}:TASK"


def program(name: str) -> str:
    return f"{HERE / 'runs' / 'programs.py'}:{name}"


@pytest.fixture
def run(make_run: MakeRun) -> MakeRun:
    """A run on a program board."""

    def make(task: str, strategy: str, trials: int, **plan: object) -> RunLog:
        return make_run(task, strategy, budget=budget(trials=trials, v0=5.0), program=True, **plan)

    return make


def refused(tmp_path: Path, task: str, strategy: str, **changes: object) -> str:
    plan = RunPlan(task, strategy, seed=0, budget=budget(trials=3), crosscheck=False, program=True)
    process = session(replace(plan, **changes), tmp_path / "refused")  # type: ignore[arg-type]
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert not (tmp_path / "refused" / LOG_NAME).exists() or "worker" in errors
    return errors


def test_each_yield_is_an_evaluation_that_goes_on_from_the_one_before(run: MakeRun) -> None:
    log = run(WALK, program("Walks"), 4)
    assert [trial.validation for trial in log.trials] == pytest.approx([4.9, 4.8, 4.7, 4.6])
    assert [trial.test for trial in log.trials] == [trial.validation for trial in log.trials]
    assert [(trial.proposal.fidelity, trial.proposal.parent) for trial in log.trials] == [
        (1, None),
        (2, 1),
        (3, 2),
        (4, 3),
    ]
    assert log.header.program
    assert list(log.header.task.space) == ["shift[0]", "shift[1]"]


def test_outer_steps_are_search_and_inner_steps_training(run: MakeRun) -> None:
    log = run(WALK, program("Walks"), 3)
    cpu = dict.fromkeys(("ask", "train", "test"), 0.0)
    for segment in log.segments:
        if segment.trial and segment.phase in cpu:
            cpu[segment.phase] += segment.cpu_ns / 1e9
    assert cpu["ask"] == pytest.approx(3 * SEARCH_SECONDS, rel=0.1)
    assert cpu["train"] == pytest.approx(3 * TRAIN_SECONDS, rel=0.3)
    assert cpu["test"] >= 0.3  # off the clock
    assert log.total_microjoules == log.recorded_total_microjoules
    phases = log.microjoules_by_phase()
    assert log.charged_microjoules == log.total_microjoules - phases["setup"] - phases["test"]
    assert log.trials[0].microjoules >= (SEARCH_SECONDS + TRAIN_SECONDS) * 10e6


def test_the_budget_ends_it(make_run: MakeRun) -> None:
    log = make_run(WALK, program("Walks"), budget=budget(joules=15.0, v0=5.0), program=True)
    assert log.ended == "budget"
    assert 1 <= len(log.trials) <= 4
    assert log.charged_microjoules >= 15_000_000


@pytest.mark.parametrize(
    ("name", "completed", "reason"),
    [
        ("Fails", 2, "diverged: the validation value is nan"),
        ("Raises", 0, "FloatingPointError: the loss is inf"),
        ("Exits", 0, "the worker ended by exit code 3"),
        ("Ends", 1, "the training ended before 2 evaluations"),
    ],
)
def test_an_evaluation_without_a_value_is_charged_and_the_last(
    run: MakeRun, name: str, completed: int, reason: str
) -> None:
    log = run(WALK, program(name), 9)
    assert [trial.status for trial in log.trials] == ["ok"] * completed + ["failed"]
    assert log.trials[-1].reason == reason
    assert log.trials[-1].microjoules > 0
    assert log.ended == "exhausted"


@pytest.mark.slow  # a minute of trainings
def test_a_killed_program_goes_on_bit_for_bit(tmp_path: Path, make_run: MakeRun) -> None:
    plan = RunPlan(DIGITS, "implicit-cg", seed=0, budget=budget(trials=8, v0=0.3), crosscheck=False, program=True)
    given = {"budget": plan.budget, "program": True}
    undisturbed = make_run(DIGITS, "implicit-cg", into="undisturbed", **given)
    for trials in (2, 5):
        kill_after(plan, tmp_path / "killed", trials)
    before = read_log(tmp_path / "killed")
    resumed = make_run(DIGITS, "implicit-cg", into="killed", **given)
    assert before.ended is None
    assert 5 <= len(before.trials) < 8
    values = [(trial.number, trial.validation, trial.test) for trial in undisturbed.trials]
    assert [(trial.number, trial.validation, trial.test) for trial in resumed.trials] == values
    assert len({value for _, value, _ in values}) > 3
    assert not (tmp_path / "killed" / "checkpoints").exists()


@pytest.mark.parametrize(
    "strategy",
    ["random", "hyperband", *map(slow, ("random-common", "cma-es"))],
)
def test_strategies_that_ask_and_tell_search_the_declared_space(run: MakeRun, strategy: str) -> None:
    log = run(DIGITS, strategy, 3)
    assert all(trial.status == "ok" for trial in log.trials), log.trials
    configuration = log.trials[0].proposal.configuration
    assert len(configuration) == 864
    assert {name.partition("[")[0] for name in configuration} == {"log_penalties", "weight_logits"}
    common = {name.partition("[")[0]: value for name, value in configuration.items()}
    tied = all(value == common[name.partition("[")[0]] for name, value in configuration.items())
    assert tied == (strategy == "random-common")
    assert log.trials[0].validation != log.trials[1].validation


def test_a_board_is_of_the_kind_that_its_strategies_need(tmp_path: Path) -> None:
    assert not for_strategies(Settings(), ["random"]).program
    assert for_strategies(Settings(program=True), ["random"]).program
    given = for_strategies(Settings(), ["random", "unrolled"])
    assert given.program
    Board(tmp_path, given)
    with pytest.raises(BoardError, match="program is True there and False here"):
        Board(tmp_path, Settings())


def test_all_entrants_have_the_same_declared_space(run: MakeRun) -> None:
    one, other = run(DIGITS, "unrolled", 1, into="one"), run(DIGITS, "random", 1, into="other")
    assert one.header.task == other.header.task


@pytest.mark.slow
def test_hypergradients_find_the_wrong_labels_at_equal_energy(make_run: MakeRun) -> None:
    """On 864 hyper-parameters, beside one value for each vector and CMA-ES: medians over seeds, 100 J each."""
    accuracies = {}
    for strategy in ("implicit-cg", "unrolled", "random-common", "cma-es"):
        logs = [
            make_run(DIGITS, strategy, into=f"{strategy}-{seed}", seed=seed, variant=seed, program=True, budget=HUNDRED)
            for seed in range(SEEDS)
        ]
        accuracies[strategy] = median(1 - best(log) for log in logs)
    assert min(accuracies["implicit-cg"], accuracies["unrolled"]) >= 0.93, accuracies
    assert accuracies["random-common"] <= 0.925, accuracies
    assert accuracies["cma-es"] < accuracies["random-common"], accuracies


def best(log: RunLog) -> float:
    """The test error of the incumbent."""
    completed = [trial for trial in log.trials if trial.validation is not None and trial.test is not None]
    return float(min(completed, key=lambda trial: (trial.validation, trial.number)).test or 0.0)


def test_what_has_no_place_on_a_board_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert "task toy/valley has no place on a program board" in refused(tmp_path, VALLEY, "random")
    assert "not posed as a differentiable problem" in refused(tmp_path, VALLEY, "unrolled")
    assert "runs on program boards only" in refused(tmp_path, VALLEY, "unrolled", program=False)
    assert "whose architectures share their weights" in refused(tmp_path, DIGITS, "darts")
    assert "run it with one worker" in refused(tmp_path, DIGITS, "unrolled", workers=2)
