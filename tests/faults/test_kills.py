"""The short form of ``kill_rounds``: a few kills at random moments, and nothing is lost."""

from pathlib import Path

import pytest

from tests.faults.kill_rounds import kill_rounds


@pytest.mark.parametrize("seed", [0])
def test_nothing_is_lost_to_kills_at_random_moments(tmp_path: Path, seed: int) -> None:
    said: list[str] = []
    kinds = kill_rounds(tmp_path, 6, seed, said.append)
    assert len(said) == 6
    assert all(kind.boards == 1 for kind in kinds)
