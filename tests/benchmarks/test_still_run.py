"""That the benchmarks' own machinery has kept up with what it measures; benchmarks themselves run apart."""

from contextlib import closing
from pathlib import Path

from tests.benchmarks.test_overhead import Harness


def test_the_harness_makes_trials_that_do_nothing(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    with closing(harness.engine):
        before = harness.cpu_seconds()
        harness.make(3)
        assert harness.trials.asked == 3
        assert harness.cpu_seconds() > before
