"""The workflow files: least rights, no secrets, and no submitted code or text in a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from suite.submit.rules import RELEASE
from tests.submit import forge
from tests.submit.conftest import Published

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION = ROOT / "action.yml"


def read(path: Path) -> dict[Any, Any]:
    record: dict[Any, Any] = yaml.safe_load(path.read_text())
    return record


def steps(path: Path) -> list[dict[str, Any]]:
    record = read(path)
    jobs = record["jobs"].values() if "jobs" in record else [record["runs"]]
    return [step for job in jobs for step in job["steps"]]


def events(path: Path) -> Any:
    return read(path)[True]  # YAML 1.1 reads the key `on` as true


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_unless_it_deploys(path: Path) -> None:
    record = read(path)
    assert record["permissions"] == {"contents": "read"}
    writing = {name: job["permissions"] for name, job in record["jobs"].items() if "permissions" in job}
    assert writing == ({"deploy": {"pages": "write", "id-token": "write"}} if path.name == "site.yml" else {})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_has_secrets_or_runs_for_forks_with_rights(path: Path) -> None:
    text = path.read_text()
    assert "secrets." not in text
    assert "pull_request_target" not in events(path)
    assert "workflow_run" not in events(path)
    assert all(job["timeout-minutes"] <= 60 for job in read(path)["jobs"].values())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_checkouts_leave_no_token_behind(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.name)
def test_nothing_is_written_into_a_shell(path: Path) -> None:
    """Expressions go through the environment: a branch's name or an input is no command."""
    for step in steps(path):
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.name)
def test_actions_are_of_fixed_versions(path: Path) -> None:
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


def test_the_job_that_deploys_runs_nothing_of_the_repository() -> None:
    (step,) = read(ROOT / ".github" / "workflows" / "site.yml")["jobs"]["deploy"]["steps"]
    assert step["uses"].startswith("actions/deploy-pages@")


def test_submissions_are_validated_by_the_suite_of_the_base_branch() -> None:
    path = ROOT / ".github" / "workflows" / "submission.yml"
    assert set(events(path)) == {"pull_request"}
    first, second = [step["with"] for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert (first["path"], "base.sha" in first["ref"]) == ("suite", True)
    assert (second["path"], "head.sha" in second["ref"]) == ("handed-in", True)
    installs = [step["run"] for step in steps(path) if "pip install" in step.get("run", "")]
    assert all("handed-in" not in run for run in installs)
    assert not any("verify" in step.get("run", "") for step in steps(path))


def script(name: str, *arguments: object, names: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, "-P", ROOT / ".github" / name, *map(str, arguments)],
        input=names,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path, **environment},
    )


def test_a_pull_request_is_validated_and_summed_up(published: Published, tmp_path: Path) -> None:
    checkout, summary = published.register.parents[2], tmp_path / "summary.md"
    names = f"results/{RELEASE}/practice/climbing/1.0/submission.json\0"
    made = script("validate_submissions.py", checkout, checkout, names=names, GITHUB_STEP_SUMMARY=str(summary))
    assert made.returncode == 0, made.stdout + made.stderr
    assert "accepted" in summary.read_text()
    without = script("validate_submissions.py", checkout, tmp_path, names=names, GITHUB_STEP_SUMMARY=str(summary))
    assert without.returncode == 1  # the register of the base branch counts, and there is none


@pytest.mark.parametrize("name", ["results/1.0/nonces.csv", "results/../suite/cli.py", "results/1.0/practice/x"])
def test_a_pull_request_that_changes_more_than_submissions_is_not_accepted(name: str, tmp_path: Path) -> None:
    assert script("validate_submissions.py", tmp_path, tmp_path, names=f"{name}\0").returncode == 1


def test_the_site_is_built_from_published_results_and_not_from_practice(published: Published, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for board in ("practice", "estimated-cold-black-box"):
        folder = results / "0.1" / board / "climbing"
        folder.mkdir(parents=True)
        (folder / "1.0").symlink_to(published.root, target_is_directory=True)
    made = script("build_sites.py", results, tmp_path / "site")
    assert made.returncode == 0, made.stderr
    page = (tmp_path / "site" / "index.html").read_text()
    assert "0.1/estimated-cold-black-box/climbing/1.0/index.html" in page
    assert "practice" not in page
    assert (tmp_path / "site" / "0.1" / "estimated-cold-black-box" / "climbing" / "1.0" / "index.html").exists()


def test_the_action_says_what_changed(published: Published, tmp_path: Path) -> None:
    """Its shell, run here: the summary is written and the status is the check's, which fails here."""
    (run,) = [step["run"] for step in steps(ACTION) if "carbon-suite check" in step["run"]]
    baseline = tmp_path / "baseline.json"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    given = {"LOGS": str(published.root), "BASELINE": str(baseline), "RUNNER_TEMP": str(tmp_path), "PATH": path}
    given |= {"GITHUB_OUTPUT": str(tmp_path / "output"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}

    def bash(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-c", command], env={**os.environ, **given}, capture_output=True, text=True, check=False
        )

    assert bash(run).returncode == 2  # there is no baseline yet
    assert not (tmp_path / "summary.md").exists()
    assert bash('carbon-suite check "$LOGS" --baseline "$BASELINE" --update').returncode == 0
    forge.edit(baseline, lambda record: record.update(runs=[]))  # all runs are more than it has
    assert bash(run).returncode == 1
    assert (tmp_path / "summary.md").read_text() == (tmp_path / "carbon-suite.md").read_text()
    assert (tmp_path / "carbon-suite.xml").exists()
    assert "carbon-suite.xml" in (tmp_path / "output").read_text()
