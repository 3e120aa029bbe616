"""Validates the submissions that a pull request touches: ``python -P validate_submissions.py CHECKOUT BASE``.

Reads the names of changed files, each ended by NUL, and writes the reports to the job's summary. BASE is a checkout of
the base branch, whose register of nonces counts: a pull request does not bring its own. Exit status: 0 all are
accepted, 1 one is not, or a file is changed that no submission holds.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

REGISTER = "nonces.csv"


def folders_of(names: list[str]) -> tuple[set[str], list[str]]:
    """The folders (results/RELEASE/BOARD/STRATEGY/VERSION) that hold ``names``, and the names that are in none."""
    parts = {name: name.split("/") for name in names}
    inside = {name: each for name, each in parts.items() if len(each) > 5 and ".." not in each}
    return {"/".join(each[:5]) for each in inside.values()}, [name for name in names if name not in inside]


def validate(folder: Path, register: Path, summary: Path) -> bool:
    """Whether the submission in ``folder`` is accepted; its report is added to ``summary``."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.md"
        command = ["carbon-suite", "submit", "validate", str(folder), "--markdown", str(report)]
        made = subprocess.run([*command, "--register", str(register)], check=False)
        with summary.open("a") as file:
            file.write(report.read_text() if report.exists() else f"### {folder.name}: nothing to look at\n")
    return made.returncode == 0


def main(checkout: str, base: str) -> int:
    names = [name for name in sys.stdin.read().split("\0") if name]
    folders, others = folders_of(names)
    summary = Path(os.environ.get("GITHUB_STEP_SUMMARY", os.devnull))
    for name in others:
        print(f"{name!r} belongs to no submission; maintainers change it by a pull request of their own")
    results = [
        validate(Path(checkout, folder), Path(base, "results", folder.split("/")[1], REGISTER), summary)
        for folder in sorted(folders)
    ]
    return 0 if all(results) and not others else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
