"""Verification catches what validation cannot see, with the probability that it states."""

import json
import math
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from suite.submit.compare import Made, cost_problem, mean_cost_problem, tolerances, value_problems
from suite.submit.draw import caught, draw, power
from suite.submit.findings import Report, as_text
from suite.submit.verify import Verification
from tests.score.make import end, spec
from tests.submit import forge, mutations
from tests.submit.conftest import ABOUT, Published, command, edit_log

Check = Callable[..., Report]


def test_a_real_submission_is_verified(published: Published) -> None:
    record = json.loads(
        command("submit", "verify", published.root, "--strategy", published.code, "--trials", 4, "--json")
    )
    assert record["passed"]
    assert record["figures"]["made again"] == 4
    assert record["figures"]["searches asked again"] == "4 of 4"
    assert any(note.startswith("tolerance of values: 1e-09 of the value") for note in record["notes"])
    assert any("tolerance of costs" in note and "a factor of 4 and 0.2 trainings" in note for note in record["notes"])
    pool = record["figures"]["trials"]
    stated = record["figures"]["a forgery is caught with probability"]
    assert stated["one trial"] == pytest.approx(4 / pool)


def test_without_code_it_says_what_would_not_show(published: Published, installed: Path) -> None:
    verification = Verification(published.root)
    verification.ask_strategies_again()
    assert verification.figures["searches asked again"] == "2 of 4"
    assert any("its code is not at hand" in note for note in verification.notes)


@pytest.mark.slow
def test_a_program_of_ones_own_is_verified_with_its_code_and_without_it_that_is_said(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(
        "from dataclasses import replace\nfrom suite.search.gradient import T1T2\n\n"
        "class Mine(T1T2):\n    info = replace(T1T2.info, name='mine')\n"
    )
    register, board = tmp_path / "results" / "nonces.csv", tmp_path / "board"
    named = ("--board", "practice", "--strategy", "mine")
    nonce = command("submit", "nonce", *named, "--version", "1", "--register", register).strip()
    means = ("--task", "semi_supervised/mean-teacher-digits", "--seeds", 1, "--budget", 1, "--no-crosscheck")
    command("submit", "run", "--nonce", nonce, "--strategy", f"{code}:Mine", *means, "--out", board)
    about = [word for name, value in ABOUT.items() for word in (f"--{name}", value)]
    folder = command("submit", "package", board, *named, "--nonce", nonce, *about, "--code", code, "--out", tmp_path)
    root = Path(folder.splitlines()[0].removeprefix("wrote "))
    record = json.loads(
        command("submit", "verify", root, "--strategy", f"{root}/strategy/mine.py:Mine", "--trials", 4, "--json")
    )
    assert record["passed"], record
    assert (record["figures"]["made again"], record["figures"]["searches asked again"]) == (4, "2 of 2")
    verification = Verification(root, count=4)
    verification.make_trials_again()
    assert verification.report().passed
    assert verification.figures["trials"] < len(verification.pool())
    assert any("no trial of the submitted program" in note for note in verification.notes)


def test_forged_test_values_are_caught_where_they_are_drawn(mutant: Path, check: Check) -> None:
    """All of one strategy's are forged, by a little; validation, which runs nothing, cannot know."""

    def forge_values(records: forge.Records) -> None:
        for trial in forge.trials(records, "ok"):
            trial["test"] *= 1 - 1e-6

    for path in forge.logs(mutant, "climbing"):
        edit_log(path, forge_values)
    assert check(mutant).passed
    verification = Verification(mutant, count=10)
    verification.make_trials_again()
    found = [each for each in verification.report().findings if " cost" not in each.message]  # trials of milliseconds
    assert found, as_text(verification.report())
    assert all("/climbing/" in each.file for each in found)
    assert all("test value" in each.message for each in found)


def test_a_trial_that_was_left_out_is_missed_by_the_strategy(mutant: Path, published: Published, check: Check) -> None:
    path = forge.logs(mutant, "climbing")[0]
    records = forge.load(path)
    answers = {each["trial"]: each["answer"] for each in records if each["record"] == "ask"}
    numbers = [trial["trial"] for trial in forge.trials(records)]
    # how many trials a budget of joules holds differs from run to run, and climbing may propose the same again
    gone = next(number for number, later in pairwise(numbers) if answers[number] != answers[later])
    records = forge.without_trials(records, {gone})
    records[-1]["segments"].append(["idle", None, {"cpu": 20_000_000}, 10**9, 5 * 10**9])  # the budget is used up
    forge.save(path, forge.settle(records))
    assert check(mutant).passed, as_text(check(mutant))
    verification = Verification(mutant, reference=published.code)
    verification.ask_strategies_again()
    (finding,) = verification.report().findings
    assert finding.file == path.relative_to(mutant).as_posix()
    assert "asked again, the strategy answers" in finding.message


def test_random_search_made_worse_is_asked_again_too(mutant: Path, check: Check) -> None:
    path = forge.logs(mutant, "random")[0]
    records = forge.load(path)
    asks = [each for each in records if each["record"] == "ask"]
    asks[0]["answer"], asks[-1]["answer"] = asks[-1]["answer"], asks[0]["answer"]
    forge.save(path, records)
    verification = Verification(mutant)
    verification.ask_strategies_again()
    assert [each.file for each in verification.report().findings] == [path.relative_to(mutant).as_posix()]


@pytest.mark.slow
def test_it_runs_on_data_drawn_after_the_submission(published: Published) -> None:
    given = ("--strategy", published.code, "--trials", 2, "--variant-seeds", 2, "--draw", "key", "--json")
    figures = json.loads(command("submit", "verify", published.root, *given))["figures"]
    assert [name for name in figures if name.startswith("Pi on variant")]
    assert figures["draw"] == "key"


def test_the_same_key_draws_the_same_and_another_does_not() -> None:
    pool = list(range(1000))
    assert draw(pool, 30, "a") == draw(pool, 30, "a")
    assert draw(pool, 30, "a") != draw(pool, 30, "b")
    assert sorted(draw(pool[:5], 30, "a")) == pool[:5]


def test_forgeries_are_caught_as_often_as_is_stated() -> None:
    total, forged, drawn, times = 120, 6, 30, 4000
    hits = sum(not set(range(forged)).isdisjoint(draw(range(total), drawn, str(key))) for key in range(times))
    stated = caught(total, forged, drawn)
    assert stated == pytest.approx(1 - math.comb(114, 30) / math.comb(120, 30))
    assert abs(hits / times - stated) < 4 * math.sqrt(stated * (1 - stated) / times)
    assert power(total, drawn)["5% of the trials"] == stated
    assert caught(10, 1, 10) == 1.0


def test_values_must_be_the_same_on_the_same_machine_and_within_seed_noise_elsewhere() -> None:
    task, trial = spec(), end(1, 0.1, 0.5, validation=0.6)
    alike = Made("ok", 0.6, 0.5, 1.0)
    near = Made("ok", 0.6 + 1e-6, 0.5, 1.0)
    far = Made("ok", 0.6, 0.5 + 4 * 0.1, 1.0)
    assert value_problems(task, trial, alike, same=True) == []
    assert len(value_problems(task, trial, near, same=True)) == 1
    assert value_problems(task, trial, near, same=False) == []
    assert len(value_problems(task, trial, far, same=False)) == 1
    assert len(value_problems(task, trial, Made("failed", None, None, 1.0), same=False)) == 1
    assert tolerances(task, trial, same=False)[1] == pytest.approx(0.3)


def test_costs_have_a_wide_factor_for_one_trial_and_a_narrow_one_for_many() -> None:
    assert cost_problem(1.0, 1.0) is None
    assert cost_problem(1.0, 4.5) is not None
    assert cost_problem(4.5, 1.0) is not None
    assert cost_problem(0.15, 0.01) is None  # a short trial, and a checkpoint that was kept
    noise = random.Random(0)
    honest = [noise.lognormvariate(0.0, 0.2) for _ in range(30)]
    assert mean_cost_problem(honest) is None
    assert mean_cost_problem([0.6 * each for each in honest]) is not None
    assert mean_cost_problem([0.6, 0.6]) is None  # too few to tell


def test_every_mutant_is_rejected_or_scores_the_same_or_is_caught(published: Published, tmp_path: Path) -> None:
    """The short form of ``python -m tests.submit.mutations SUBMISSION --count 2000``."""
    judge, rng = mutations.Judge(published.root), random.Random(7)
    fates = [mutations.mutate(published.root, tmp_path, rng, judge) for _ in range(120)]
    assert [fate for fate in fates if fate.verdict == "missed"] == []
    assert {"rejected", "score unchanged", "caught for sure"} <= {fate.verdict for fate in fates}
    assert all(fate.probability > 0.3 for fate in fates if fate.verdict == "caught with a probability")
    # with two seeds, a trial that the budget had just left out weighs much (docs/submissions.md)
    assert all(fate.gain < 0.15 for fate in fates if fate.verdict == "tolerated")
