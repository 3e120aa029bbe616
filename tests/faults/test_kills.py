"""The short form of ``kill_rounds``: a few kills at random moments, and nothing is lost."""

from pathlib import Path

from suite.replay.record import Amounts
from tests.faults.kill_rounds import Sizes, kill_rounds

SIZES = Sizes(
    Amounts(rounds=1, sobol=15, near=0, repeated=2, seeds=2, anchors=2),
    strategies=("random", "hyperband"),
    live=("--budget", "300", "--seeds", "0"),
    replayed=("--budget", "10", "--seeds", "0-1"),
)


def test_nothing_is_lost_to_kills_at_random_moments(tmp_path: Path) -> None:
    said: list[str] = []
    kinds = kill_rounds(tmp_path, 2, 0, said.append, SIZES)
    assert len(said) == 2
    assert all(kind.boards == 1 for kind in kinds)
