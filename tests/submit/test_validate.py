"""A real submission is accepted; each way to break it is found, named by file and line, all at once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.catalog import load_meter
from suite.commands.submit import entered
from suite.runs.board import find_logs
from suite.runs.log import read_log
from suite.score.board import score
from suite.submit.findings import Report, as_markdown, as_text
from suite.submit.layout import problems, seeds_of
from suite.submit.validate import ranked_tasks
from tests.submit import forge
from tests.submit.conftest import Published, command, document, edit_log, rules

Check = Callable[..., Report]


def test_a_real_submission_is_accepted_and_scored_from_its_logs(published: Published, check: Check) -> None:
    report = check(published.root, manifest=False)
    assert report.passed, as_text(report)
    board = score([read_log(path) for path in find_logs([published.board])])
    (entry,) = [each for each in board.entries if each.strategy == "climbing"]
    assert report.figures["Pi"] == entry.pi
    assert report.figures["H (1/kg)"] == entry.headline


def test_the_command_says_so_in_words_json_and_markdown(published: Published, tmp_path: Path) -> None:
    text = command("submit", "validate", published.root)
    assert text.splitlines()[-1] == "accepted: nothing speaks against it"
    summary = tmp_path / "summary.md"
    record = json.loads(command("submit", "validate", published.root, "--json", "--markdown", summary))
    assert record["passed"]
    assert record["figures"]["nonces drawn"] == 1
    assert "accepted" in summary.read_text()


def test_a_submission_ranks_and_reports_like_a_board(published: Published, tmp_path: Path) -> None:
    assert "climbing" in command("rank", published.root)
    command("report", published.root, "--out", tmp_path / "site")
    assert (tmp_path / "site" / "index.html").exists()
    (logs,) = (tmp_path / "site").glob("*/logs")  # from which every figure is computed again
    assert command("rank", logs, "--format", "json") == command("rank", published.root, "--format", "json")


def test_exit_status_tells_rejected_from_unusable(mutant: Path, tmp_path: Path) -> None:
    (mutant / "board.json").unlink()
    assert "board.json: layout: is missing" in command("submit", "validate", mutant, expect=1)
    command("submit", "validate", tmp_path / "nothing", expect=2)
    link = tmp_path / "link"
    link.symlink_to(mutant)
    command("submit", "validate", link, expect=2)


def test_every_failure_is_listed_at_once_with_file_and_line(mutant: Path, check: Check) -> None:
    forge.edit(mutant / "submission.json", lambda record: record.update(licence="=cmd|' /C calc'!A0", seeds=0))
    report = check(mutant)
    assert {(each.file, each.rule) for each in report.findings} == {("submission.json", "schema")}
    assert len(report.findings) == 2
    forge.edit(mutant / "submission.json", lambda record: record.update(licence="MIT", seeds=2))
    first, second = forge.logs(mutant, "climbing")
    edit_log(first, lambda records: records[5].update(joules=-1.0) or records[5].update(trial="2"))
    edit_log(second, lambda records: records[0].update(device="cuda"))
    found = {(each.file, each.line, each.rule) for each in check(mutant).findings}
    names = [path.relative_to(mutant).as_posix() for path in (first, second)]
    assert (names[1], 1, "header") in found
    assert {line for file, line, _ in found if file == names[0]} == {6}


def test_counters_are_held_to_what_a_package_can_draw(mutant: Path, check: Check) -> None:
    """The same runs, as if a counter had metered them: nothing declared stands behind their energy."""
    info = load_meter("rapl").info
    meter = {"component": "cpu", "meter": "rapl", "tier": "measured", "source": "package-0", "reason": "asked for"}
    meter |= {"factor": info.factor, "tick_seconds": info.tick_seconds}
    forge.edit(
        mutant / "board.json", lambda record: record["sources"].update(meters=["rapl"], reasons={"cpu": "asked for"})
    )
    for path in [*forge.logs(mutant), *forge.calibrations(mutant)]:
        edit_log(path, lambda records: records[0].update(meters=[meter]))
    assert check(mutant).passed, as_text(check(mutant))
    path = forge.logs(mutant, LOG)[0]
    edit_log(path, lambda records: records[-1]["segments"].append(["idle", None, {"cpu": 900_000_000}, 0, 10**9]))
    assert rules(check(mutant)) == {"plausibility"}


def test_submitted_scores_are_ignored(mutant: Path, check: Check) -> None:
    forge.edit(mutant / "submission.json", lambda record: record.update(score=1.0))
    assert rules(check(mutant)) == {"schema"}


LOG = "climbing"


BROKEN: dict[str, tuple[Callable[[forge.Records], object], str]] = {
    "another data digest": (lambda r: r[0]["task"]["data"][0].update(digest="0" * 64), "header"),
    "another task version": (lambda r: r[0]["task"].update(version="2"), "header"),
    "a test value moved to the anchors": (lambda r: r[0]["task"]["constants"].update(a1=0.2), "header"),
    "another release": (lambda r: r[0].update(suite="0.0.9"), "header"),
    "another machine": (lambda r: r[0]["machine"].update(cpu="faster"), "header"),
    "another seed": (lambda r: r[0].update(seed=r[0]["seed"] + 1), "header"),
    "a variant of the data": (lambda r: r[0].update(variant=1), "header"),
    "a larger budget": (lambda r: r[0]["budget"].update(microjoules=2 * r[0]["budget"]["microjoules"]), "header"),
    "another version of the strategy": (lambda r: r[0]["strategy"].update(version="2"), "header"),
    "a trial without end": (lambda r: r.remove(forge.trials(r)[0]), "order"),
    "a trial with two ends": (lambda r: r.insert(-1, {**forge.trials(r)[0], "segments": []}), "order"),
    "records in another order": (lambda r: r.insert(3, r.pop(5)), "order"),
    "no end": (lambda r: r.pop(), "order"),
    "something after the end": (lambda r: r.append({"record": "heartbeat", "segments": [], "total": 0}), "order"),
    "an illegal configuration": (lambda r: _last_ask(r)["answer"]["configuration"].update(degree=99), "proposal"),
    "an end that the budget does not bear out": (lambda r: r[-1].update(reason="exhausted"), "budget"),
    "a test value of trial 0": (lambda r: _returned(r, test=0.1), "schema"),
    "power that no machine has": (lambda r: _segment(r).__setitem__(2, {"cpu": 10**12}), "plausibility"),
    "energy that CPU time does not bear out": (
        lambda r: _segment(r)[2].update(
            cpu=10**6 + 2 * _segment(r)[2]["cpu"]
        ),  # a short trial's own is within the slip
        "plausibility",
    ),
    "more CPU time than cores have": (lambda r: _segment(r).__setitem__(3, 10**13), "plausibility"),
    "search under setup": (lambda r: _segment(r, "tell").__setitem__(0, "setup"), "energy"),
    "telling that took nothing": (lambda r: _without(r, "tell"), "energy"),
    "asking that took nothing": (lambda r: _without(r, "ask"), "energy"),
    "a segment that took no time": (lambda r: _segment(r, "tell").__setitem__(slice(2, 5), [{"cpu": 0}, 0, 0]), "time"),
    "a component that is not metered": (lambda r: _segment(r)[2].update(gpu=1), "energy"),
    "a session before the one before it": (lambda r: r.insert(-1, _earlier_session(r)), "time"),
    "half an hour without a reading": (lambda r: r[-1].update(gaps=_gap(1800)), "energy"),
}


def _last_ask(records: forge.Records) -> dict[str, object]:
    return [each for each in records if each["record"] == "ask"][-1]


def _earlier_session(records: forge.Records) -> dict[str, object]:
    return {**records[1], "resumed": True, "segments": [], "started": "2020-01-01T00:00:00+00:00"}


def _segment(records: forge.Records, phase: str = "train") -> list[object]:
    return next(each for record in records for each in record["segments"] if each[0] == phase)


def _without(records: forge.Records, phase: str) -> None:
    """The last record but the end that has a segment of ``phase`` has none."""
    record = [each for each in records[:-1] if phase in [segment[0] for segment in each["segments"]]][-1]
    record["segments"] = [segment for segment in record["segments"] if segment[0] != phase]


def _returned(records: forge.Records, **values: object) -> None:
    forge.trials(records)[0].update(returned=1, **values)


def _gap(seconds: int) -> dict[str, object]:
    return {"uncovered_ns": {"cpu": seconds * 10**9}, "reasons": {"cpu": "asleep"}, "suspended_ns": 0}


@pytest.mark.parametrize("what", BROKEN)
def test_what_a_log_must_hold(what: str, mutant: Path, check: Check) -> None:
    change, rule = BROKEN[what]
    edit_log(forge.logs(mutant, LOG)[0], change)
    assert rule in rules(check(mutant)), as_text(check(mutant))


def test_segments_sum_to_the_total(mutant: Path, check: Check) -> None:
    path = forge.logs(mutant, LOG)[0]
    records = forge.load(path)
    records[-1]["total"] += 1
    forge.save(path, records)
    (finding,) = check(mutant).findings
    assert (finding.rule, finding.line) == ("energy", len(records))


def test_time_cut_out_of_a_trial_shows(mutant: Path, check: Check) -> None:
    """Segments are contiguous: what is not accounted for would be a gap."""
    path = forge.logs(mutant, LOG)[0]
    edit_log(path, lambda records: forge.trials(records)[0].update(seconds=500.0))
    assert "time" in rules(check(mutant))


def test_runs_that_overlap_were_not_made_one_at_a_time(mutant: Path, check: Check) -> None:
    first, second = forge.logs(mutant, LOG)
    started = forge.load(first)[1]["started"]
    edit_log(second, lambda records: records[1].update(started=started))
    minute = ["idle", None, {"cpu": 120_000_000}, 0, 60 * 10**9]  # long enough to overlap
    for path in (first, second):
        edit_log(path, lambda records: records[-1]["segments"].append(minute))
    assert "time" in rules(check(mutant))


def test_every_seed_and_the_reference_must_be_there(mutant: Path, check: Check) -> None:
    gone = [forge.logs(mutant, "climbing")[0], forge.logs(mutant, "random")[0]]
    for path in gone:
        path.unlink()
    missing = {each.file for each in check(mutant).findings if each.rule == "whole"}
    assert missing == {path.relative_to(mutant).as_posix() for path in gone}


def test_seeds_cannot_be_chosen(mutant: Path, check: Check) -> None:
    forge.edit(mutant / "submission.json", lambda record: record.update(nonce="ab" * 16))
    report = check(mutant)
    assert sum("is missing" in each.message for each in report.findings) == 4
    assert sum("none of the runs" in each.message for each in report.findings) == 4


def test_seeds_follow_from_nonce_and_task() -> None:
    assert seeds_of("ab" * 8, "curves/polynomial", 3) == seeds_of("ab" * 8, "curves/polynomial", 4)[:3]
    assert set(seeds_of("ab" * 8, "a/b", 50)).isdisjoint(seeds_of("ab" * 8, "a/c", 50))
    assert all(0 <= seed < 2**31 for seed in seeds_of("cd" * 8, "a/b", 100))


BOARDS: dict[str, tuple[Callable[[dict[str, dict[str, object]]], object], str]] = {
    "a field too many": (lambda r: r.update(extra={}), "schema"),
    "watts that no core has": (lambda r: r["settings"].update(watts_per_core=400.0), "schema"),
    "memory that nobody declared": (lambda r: r["sources"].update(meters=["cpu-time", "ram-watts"]), "schema"),
    "a recorded trace as a meter": (lambda r: r["sources"].update(meters=["replay:/etc/passwd"]), "schema"),
    "a variant": (lambda r: r["settings"].update(variant=3), "schema"),
    "more jobs than there were": (lambda r: r["settings"].update(jobs=2), "header"),
    "no reference": (lambda r: r.update(tasks={}), "task"),
}


@pytest.mark.parametrize("what", BOARDS)
def test_what_the_board_must_hold(what: str, mutant: Path, check: Check) -> None:
    change, rule = BOARDS[what]
    forge.edit(mutant / "board.json", change)
    assert rule in rules(check(mutant))


@pytest.mark.parametrize("versions", ["1.0", None, {"torch": 2}])
def test_a_machine_has_versions(mutant: Path, check: Check, versions: object) -> None:
    forge.edit(mutant / "submission.json", lambda record: record["environment"].update(versions=versions))
    for path in [*forge.logs(mutant), *forge.calibrations(mutant)]:
        edit_log(path, lambda records: records[0]["machine"].update(versions=versions))
    assert "schema" in rules(check(mutant))


def test_the_budget_is_that_of_the_trainings_of_the_default(mutant: Path, check: Check) -> None:
    for path in forge.calibrations(mutant):
        forge.save(path, forge.scale(forge.load(path), {"train"}, 2.0))
    assert "reference" in rules(check(mutant))


def test_a_file_that_is_not_what_the_manifest_says(mutant: Path, check: Check) -> None:
    path = mutant / "strategy" / "carbon_climber" / "climbing.py"
    path.write_text(path.read_text() + "\n# changed\n")
    (finding,) = check(mutant, manifest=False).findings
    assert (finding.rule, finding.file) == ("manifest", "strategy/carbon_climber/climbing.py")


def test_test_values_in_the_place_of_validation_values_are_found(mutant: Path, check: Check) -> None:
    def peek(records: forge.Records) -> None:
        for end in forge.trials(records, "ok"):
            end["validation"] = end["test"]

    edit_log(forge.logs(mutant, LOG)[0], peek)
    assert "test data" in rules(check(mutant))


def test_setup_beyond_random_searchs_is_not_free(mutant: Path, check: Check) -> None:
    path = forge.logs(mutant, LOG)[0]
    free = ["setup", None, {"cpu": 2_400_000_000}, 200 * 10**9, 200 * 10**9]
    edit_log(path, lambda records: records[1]["segments"].append(free))
    assert any("setup took" in each.message for each in check(mutant).findings)


def test_a_board_of_the_rules_asks_for_all_of_its_tasks_and_seeds(mutant: Path, check: Check) -> None:
    forge.edit(mutant / "submission.json", lambda record: record.update(board="estimated-cold-black-box"))
    messages = " ".join(each.message for each in check(mutant).findings if each.rule == "rules")
    assert "at least 10 seeds" in messages
    assert "40 random trainings" in messages
    assert "few_shot/sinusoid" in messages


def test_the_nonce_is_in_the_register_and_older_than_the_runs(
    published: Published, mutant: Path, check: Check, tmp_path: Path
) -> None:
    assert check(mutant, register_file=published.register).passed
    rows = published.register.read_text()
    late, other = tmp_path / "late.csv", tmp_path / "other.csv"
    late.write_text(rows.replace(rows.strip().rpartition(",")[2], "2999-01-01T00:00:00+00:00"))
    other.write_text(rows.replace(published.nonce, "ef" * 16))
    assert rules(check(mutant, register_file=late)) == {"register"}
    assert rules(check(mutant, register_file=other)) == {"register"}
    again = command(
        "submit", "nonce", "--board", "practice", "--strategy", "climbing", "--version", "1.1", "--register", other
    )
    assert again.strip() in other.read_text()
    assert check(mutant, register_file=other).figures["nonces drawn"] == 2


def test_package_refuses_what_validation_would(published: Published, tmp_path: Path) -> None:
    given = [
        "--strategy",
        "climbing",
        "--board",
        "practice",
        "--author",
        "A",
        "--licence",
        "MIT",
        "--commit",
        "0123456",
    ]
    given += ["--link", "https://example.org/x", "--out", tmp_path]
    command("submit", "package", published.board, *given, "--nonce", "ab" * 16, expect=2)
    command("submit", "package", published.board, *given, "--nonce", "nonsense", expect=2)
    command("submit", "package", published.board, *given, "--nonce", published.nonce)
    command("submit", "package", published.board, *given, "--nonce", published.nonce, expect=2)  # it is there already


@pytest.mark.parametrize("name", ["", "a/b", "..", "a..b", "A", "a b", "<b>", "=1+1", "a\n", "a" * 65])
def test_names_are_plain(published: Published, name: str) -> None:
    record = document(published.root, "submission.json")
    assert problems(record) == []
    assert problems({**record, "strategy": name}) != []


def test_the_summary_holds_nothing_that_a_page_would_run(mutant: Path, check: Check) -> None:
    forge.edit(mutant / "submission.json", lambda record: record.update(authors=["<img src=x onerror=alert(1)>`|"]))
    (row,) = [line for line in as_markdown(check(mutant)).splitlines() if "onerror" in line]
    assert row.count("`") == 4  # two code spans, which nothing gets out of


@pytest.mark.parametrize("program", [False, True])
def test_a_pattern_stands_for_the_tasks_that_a_board_is_made_of(
    program: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(entered(["*"], program)) == ranked_tasks(program)
    assert "self_supervised/vicreg-glyphs is left out: the boards do not rank it" in capsys.readouterr().err
    assert entered(["self_supervised/vicreg-glyphs"], program) == ["self_supervised/vicreg-glyphs"]  # for practice
