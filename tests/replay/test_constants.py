"""Constants from a table: anchors, costs, and what random search makes of it."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from suite import catalog, listing
from suite.cli import cli
from suite.replay.board import ReplayBoard, ReplaySettings
from suite.replay.constants import random_search, recorded_constants
from suite.replay.session import Loaded, load_recorded
from suite.runs.board import find_logs
from suite.runs.jobs import Silent
from suite.runs.log import read_log
from suite.score.curve import curve
from suite.score.efficiency import efficiency
from suite.space import canonical
from suite.task import Constants
from tests.replay.conftest import AMOUNTS


@pytest.fixture(scope="module")
def loaded(noisy: str) -> Loaded:
    return load_recorded(noisy)


@pytest.fixture(scope="module")
def constants(loaded: Loaded) -> Constants:
    return recorded_constants(loaded)


def test_anchors_are_medians_of_what_was_recorded(loaded: Loaded, constants: Constants) -> None:
    last = loaded.rows[loaded.rows["fidelity"] == loaded.spec.fidelity.maximum]
    default = last[last["configuration"] == canonical(loaded.spec.default)]
    assert len(default) == constants.seeds == AMOUNTS.anchors
    assert constants.a0 == pytest.approx(float(np.median(default["test"])))
    assert constants.v0 == pytest.approx(float(np.median(default["validation"])))
    assert constants.sigma_seed == pytest.approx(float(np.std(default["test"], ddof=1)))
    assert constants.a1 == pytest.approx(0.25, abs=0.05)  # the best that there is
    assert not constants.provisional
    assert constants.tier == "estimated"


def test_costs_are_of_one_validation_each(loaded: Loaded, constants: Constants) -> None:
    of_default = loaded.rows[loaded.rows["configuration"] == canonical(loaded.spec.default)]
    train = of_default["train_microjoules"].sum() / AMOUNTS.anchors
    validate = of_default["validate_microjoules"].mean()
    assert constants.default_joules == pytest.approx((train + validate) / 1e6)
    assert constants.configurations == AMOUNTS.rounds * AMOUNTS.sobol
    first = loaded.rows[(loaded.rows["origin"] == "sobol") & (loaded.rows["seed"] == 0)]
    assert constants.failed_configurations == first["validation"].isna().sum() > 0


def test_kappa_is_what_a_replayed_board_of_random_search_comes_to(
    noisy: str, loaded: Loaded, constants: Constants, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("random")
    given = ReplaySettings(budget=40.0, search_watts=0.0)
    assert all(result.ok for result in ReplayBoard(directory, given).run([noisy], ["random"], range(12), Silent()))
    logs = [read_log(path) for path in find_logs([directory])]
    curves, board, known = [curve(log) for log in logs], logs[0].header.budget, loaded.spec.constants
    u = float(efficiency(np.array([each.final_s for each in curves]), np.array([each.area for each in curves])))
    assert known
    assert board.microjoules
    found = random_search(loaded.spec, loaded.recorded, known.a0, known.a1, known.v0, board.microjoules)
    assert found == pytest.approx(u, rel=0.35)  # 200 searches beside 12
    assert constants.kappa_t > 0


def test_the_command_writes_table_and_constants(noisy: str, tmp_path: Path) -> None:
    """On with a recording that is whole: nothing is trained."""
    folder = tmp_path / "copy"
    shutil.copytree(Path(noisy.rpartition(":")[0]).parent, folder)
    (folder / "noisy.parquet").unlink()
    task, out = f"{folder / 'noisy.py'}:TASK", str(folder / "recordings")
    amounts = [text for name, amount in vars(AMOUNTS).items() for text in (f"--{name}", str(amount))]
    result = CliRunner().invoke(cli, ["record", task, "--out", out, *amounts, "--meter", "cpu-time"])
    assert result.exit_code == 0, result.output
    assert (folder / "noisy.parquet").exists()
    card = json.loads((folder / "noisy.json").read_text())
    assert card["constants"] == asdict(recorded_constants(load_recorded(task)))


def test_tables_are_listed_with_their_evidence(noisy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "task_names", lambda: [noisy])
    (record,) = listing.tables()
    assert record["configurations"] == 1 + AMOUNTS.rounds * (AMOUNTS.sobol + AMOUNTS.near)
    assert record["unseen"] in ("process", "nearest")
    page = listing.table_page([record])
    (line,) = [line for line in page.splitlines() if "noisy" in line]
    assert line.count("|") == 11
    assert f"{record['overall']:.3g}" in line
    monkeypatch.setattr(catalog, "task_names", list)
    said = CliRunner().invoke(cli, ["list", "tables"])
    assert said.exit_code == 0
    assert "carbon-suite record" in said.output
