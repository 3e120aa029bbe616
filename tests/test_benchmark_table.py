"""The page of the benchmarks says what their results say."""

import json
import runpy
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.conftest import pytest_benchmark_update_machine_info
from tests.benchmarks.paired import PAIR, Pair, Peer, beside
from tests.benchmarks.table import HEAD, duration, page, rounded

QUICK = Pair("a look-up", "optuna", "5.0.0", ours_seconds=4.2e-6, peer_seconds=6.3e-5, n=7, differs="no energy")
SLOW = replace(QUICK, what="a trial", ours_seconds=0.002, peer_seconds=0.0005, n=20, differs="ours logs")
ALIKE = Pair("a log", "the module `json`", None, ours_seconds=12.34, peer_seconds=11.9, n=3)
FACTS = {
    "cpu": "Example 9000",
    "cores": 2,
    "memory_gib": 23.5,
    "virtual": True,
    "load": 1.2,
    "python": "3.11.7",
    "versions": {"torch": "2.13.0", "numpy": "2.4.6"},
}


def results(*pairs: Pair) -> dict[str, Any]:
    """As pytest-benchmark writes them: with benchmarks that have no peer, and figures of its own."""
    alone = {"name": "test_alone", "extra_info": {"microseconds_per_cut": 5.0}}
    paired = [{"name": "test_pair", "extra_info": {"gib": 0.5, PAIR: asdict(pair)}} for pair in pairs]
    facts = {"node": "secret", "facts": FACTS}
    return {"datetime": "2026-03-04T05:06:07+00:00", "machine_info": facts, "benchmarks": [alone, *paired]}


def test_each_pair_has_its_row() -> None:
    lines = page(results(QUICK, SLOW, ALIKE)).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert rows == [
        "| what | ours | peer | peer's | peer / ours | n | what differs |",
        "|---|---:|---|---:|---:|---:|---|",
        "| a look-up | 4.20 µs | optuna 5.0.0 | 63.0 µs | 15.0 | 7 | no energy |",
        "| a trial | 2.00 ms | optuna 5.0.0 | 500 µs | 0.250 | 20 | ours logs |",
        "| a log | 12.3 s | the module `json` | 11.9 s | 0.964 | 3 |  |",
    ]


def test_what_is_slower_is_said_and_why() -> None:
    assert "- a trial: 4.00 times as long as optuna (ours logs)" in page(results(QUICK, SLOW, ALIKE)).splitlines()
    quick = page(results(QUICK, ALIKE))
    assert "times as long" not in quick
    assert "slower at none" in quick


def test_machine_versions_date_and_command_are_told_and_no_host() -> None:
    text = page(results(QUICK))
    assert (
        "On 2026-03-04, on a virtual machine with 2 cores of Example 9000 and 23.5 GiB, at a load of 1.2, benchmarks "
        "included; one thread; Python 3.11.7, torch 2.13.0, numpy 2.4.6."
    ) in text
    assert "    tox -e bench\n" in text
    assert "secret" not in text


def test_the_published_page_is_such_a_page() -> None:
    text = (Path(__file__).parents[1] / "docs" / "benchmarks.md").read_text()
    assert text.startswith(HEAD)
    assert "| what | ours | peer |" in text


def test_the_command_prints_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results.json").write_text(json.dumps(results(QUICK, SLOW)))
    monkeypatch.setattr(sys, "argv", ["table", str(tmp_path / "results.json")])
    runpy.run_path(str(Path(__file__).parent / "benchmarks" / "table.py"), run_name="__main__")
    assert capsys.readouterr().out == page(results(QUICK, SLOW))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(75.04, "75.0 s"), (1.0, "1.00 s"), (0.0999, "99.9 ms"), (123.4, "123 s"), (2e-8, "0.0200 µs")],
)
def test_durations_have_a_unit_that_suits_them(seconds: float, told: str) -> None:
    assert duration(seconds) == told


@pytest.mark.parametrize(("number", "told"), [(1234.5, "1,234"), (99.96, "100"), (9.996, "10.0"), (0.0123, "0.0123")])
def test_numbers_have_three_digits(number: float, told: str) -> None:
    assert rounded(number) == told


def test_facts_of_this_machine_are_those_that_the_page_tells(pytestconfig: pytest.Config) -> None:
    info: dict[str, Any] = {}
    pytest_benchmark_update_machine_info(pytestconfig, info)
    assert set(FACTS) <= set(info["facts"])
    assert page({**results(QUICK), "machine_info": info})


class Fixture:
    """pytest-benchmark's, as far as it is used here."""

    def __init__(self) -> None:
        self.group: str | None = None
        self.extra_info: dict[str, Any] = {}

    def pedantic(self, target: Any, setup: Any, rounds: int) -> None:
        for _ in range(rounds):
            setup(), target()


def test_a_pair_is_the_medians_of_a_unit_by_the_clock_that_is_given() -> None:
    now, ours, theirs = [0.0], iter([4.0, 40.0, 2.0]), iter([9.0, 90.0, 3.0])

    def spend(seconds: float) -> None:
        now[0] += seconds

    fixture = Fixture()
    peer = Peer("numpy", lambda: spend(next(theirs)), "nothing", units=3)
    pair = beside(fixture, "a thing", lambda: spend(next(ours)), peer, 3, units=2, clock=lambda: now[0])
    assert (pair.ours_seconds, pair.peer_seconds, pair.ratio, pair.n) == (2.0, 3.0, 1.5, 3)
    assert pair.version
    assert (fixture.group, fixture.extra_info) == ("a thing", {PAIR: asdict(pair)})
