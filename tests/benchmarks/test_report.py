"""CPU time of the site of a scored board, beside matplotlib alone drawing as many pictures in the same run.

There is no peer that writes such a site: reports of other benchmarks leave the drawing to a script in the browser.

    tox -e bench -- tests/benchmarks/test_report.py
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from suite.report.boards import separate
from suite.report.site import write_site
from tests.benchmarks.paired import Peer, beside
from tests.report.boards import TASKS, make_logs, write_logs
from tests.report.conftest import GRID

STRATEGIES, SEEDS = 12, 10
POINTS = 40  # of a line
DOTS_PER_INCH = 200  # as on the site
ROUNDS = 3


def plain_picture(width: float, height: float) -> None:
    """A line a strategy, in inches, in the formats of the site."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    axes = figure.subplots()
    for line in np.random.default_rng(0).random((STRATEGIES, POINTS)).cumsum(axis=1):
        axes.plot(line, marker="o")
    for suffix in ("png", "pdf", "svg"):
        figure.savefig(io.BytesIO(), format=suffix)


def sizes(site: Path) -> list[tuple[float, float]]:
    """Of its pictures, in inches."""
    found = []
    for path in sorted(site.rglob("*.png")):
        with Image.open(path) as picture:
            found.append((picture.width / DOTS_PER_INCH, picture.height / DOTS_PER_INCH))
    return found


def test_a_site(benchmark: Any, tmp_path: Path) -> None:
    names = ["random", *(f"strategy-{number}" for number in range(1, STRATEGIES))]
    gains = {name: 0.02 + 0.002 * number for number, name in enumerate(names)}
    boards = separate(write_logs(make_logs(directory=tmp_path / "logs", gains=gains, tasks=TASKS, seeds=SEEDS)))

    def site() -> None:
        write_site(boards, GRID, 1.5, tmp_path / "site")

    site()
    plain = sizes(tmp_path / "site")
    differs = f"the peer: {len(plain)} plain pictures of these sizes, no pages"
    peer = Peer("matplotlib", lambda: [plain_picture(*size) for size in plain], differs)
    what = f"the site of a board: {STRATEGIES} strategies, {len(TASKS)} tasks, {SEEDS} seeds"
    assert beside(benchmark, what, site, peer, ROUNDS).ratio > 0.1
