"""That the benchmarks' own machinery has kept up with what it measures; benchmarks themselves run apart."""

from pathlib import Path

from tests.benchmarks.test_overhead import Harness


def test_the_harness_makes_trials_that_do_nothing(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    try:
        harness.make(3)
    finally:
        harness.engine.close()
    assert harness.strategy.cpu_ns > 0
