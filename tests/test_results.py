"""Everything below ``results`` is a submission that validates, the register of nonces, or the logs of a recording;
scores come from logs."""

from pathlib import Path

import pytest

from suite.submit import register
from suite.submit.findings import as_text
from suite.submit.layout import SUBMISSION
from suite.submit.register import NONCES
from suite.submit.validate import validate

RESULTS = Path(__file__).parents[1] / "results"
RECORDINGS = RESULTS / "recordings"
PUBLISHED = sorted(path.parent for path in RESULTS.glob(f"*/*/*/*/{SUBMISSION}"))


def test_nothing_else_lies_there() -> None:
    files = {path for path in RESULTS.rglob("*") if path.is_file()}
    inside = {path for path in files if any(folder in path.parents for folder in PUBLISHED)}
    packed = set(RECORDINGS.glob("*.tar.xz"))
    assert {path.name for path in files - inside - packed} <= {"README.md", NONCES, "pack.sh"}


@pytest.mark.parametrize("path", sorted(RESULTS.glob(f"*/{NONCES}")))
def test_the_register_can_be_read(path: Path) -> None:
    assert register.read(path)


@pytest.mark.parametrize("folder", PUBLISHED)
def test_a_published_result_is_what_its_logs_say(folder: Path) -> None:
    report = validate(folder, folder.parents[2] / NONCES)
    assert report.passed, as_text(report)
    assert "Pi" in report.figures
