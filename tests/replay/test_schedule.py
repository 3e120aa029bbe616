"""The scheduling board of a replayed one."""

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from suite.cli import cli
from suite.replay.board import ReplayBoard, ReplaySettings
from suite.runs.processes import Silent


def test_the_command_ranks_replayed_runs(noisy: str, tmp_path: Path) -> None:
    ReplayBoard(tmp_path / "board", ReplaySettings(budget=8.0, search_watts=0.0)).run(
        [noisy], ["random", "tpe"], [0, 1], Silent()
    )
    hours = np.arange(24 * 5)
    grams = 300 - 200 * np.sin(hours * np.pi / 12)
    starts = [f"2026-03-{1 + hour // 24:02d}T{hour % 24:02d}:00:00+00:00" for hour in hours]
    rows = [f"{start},{each:.1f}" for start, each in zip(starts, grams, strict=True)]
    (tmp_path / "grid.csv").write_text("\n".join(["start,average_g_per_kwh", *rows]) + "\n")
    given = ["schedule", str(tmp_path / "board"), "--trace", str(tmp_path / "grid.csv"), "--stretch", "3600"]
    shown = CliRunner().invoke(cli, given)
    assert shown.exit_code == 0, shown.output
    assert "3600 times as long" in shown.output
    found = json.loads(CliRunner().invoke(cli, [*given, "--json"]).output)
    of = {(each["strategy"], each["policy"]): each for each in found["outcomes"]}
    assert len(of) == 8
    assert of["tpe", "pause"]["of_at_once"] < 0.9
    assert of["tpe", "pause"]["s"] == of["tpe", "at once"]["s"]
    assert CliRunner().invoke(cli, [*given, "--within", "-1"]).exit_code == 2
