"""One site on made-up boards, for all tests that read it."""

from pathlib import Path

import pytest

from suite.energy.carbon import Grid
from suite.report.boards import separate
from suite.report.site import write_site
from tests.report.boards import HOSTILE, PATH, make_logs, write_logs

GRID = Grid("XYZ", "Nowhere", 0.1, 2020, "made up")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one board, with names that would do harm if they could."""
    root = tmp_path_factory.mktemp("site")
    gains = {"random": 0.02, HOSTILE: 0.03, PATH: 0.01}
    logs = write_logs(make_logs(directory=root / "logs", gains=gains))
    write_site(separate(logs), GRID, 1.5, root / "site")
    return root / "site"
