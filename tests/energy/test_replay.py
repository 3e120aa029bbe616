"""The meter that plays a recorded trace back."""

from pathlib import Path

import pytest

from suite.catalog import load_meter
from suite.energy.meter import Unavailable
from tests.energy.fakes import means


def played(path: Path, readings: int) -> list[int]:
    meter = load_meter(f"replay:{path}")(means())
    return [meter.microjoules() for _ in range(readings)]


def test_readings_are_those_of_the_file_and_the_last_one_stays(tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text("# a wattmeter\n0\n1.5\n\n1.5\n2.25\n")
    assert played(trace, 6) == [0, 1_500_000, 1_500_000, 2_250_000, 2_250_000, 2_250_000]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs one reading at least"),
        ("0\n2\n1\n", "line 3: a trace holds cumulative joules, one number of at least 2 here, got '1'"),
        ("0\nwatts\n", "line 2: .* got 'watts'"),
        ("0\nnan\n", "line 2"),
        ("-1\n", "line 1"),
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, text: str, message: str) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text(text)
    with pytest.raises(Unavailable, match=message):
        played(trace, 1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"nowhere\.txt: the recorded trace cannot be read"):
        played(tmp_path / "nowhere.txt", 1)
