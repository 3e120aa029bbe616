"""The board on other grids, per run with the machine's own carbon, and in everyday units."""

from dataclasses import replace

import pytest

from suite.energy.carbon import REFERENCE, Grid
from suite.energy.trace import Trace
from suite.report.elsewhere import Elsewhere, Embodied, Equivalent, grids_table, headline_at, sci, survival
from suite.score.board import Board
from tests.report.boards import make_board

CLEAN, DIRTY = Grid("CLN", "Clean", 0.05, 2023, "made up"), Grid("DRT", "Dirty", 0.8, 2023, "made up")


def at_two_hours() -> tuple[Board, Trace]:
    """The best strategy ran at a dirty hour, the others at a clean one."""
    board = make_board(strategies=("tpe", "random"))
    best, other = board.entries
    entries = (replace(best, hours={1: best.kwh_total}), replace(other, hours={2: other.kwh_total}))
    return replace(board, entries=entries), Trace("day", "marginal", {1: 0.9, 2: 0.01}, "day.csv")


def test_on_grids_of_one_intensity_the_order_survives() -> None:
    board = make_board()
    table = grids_table(board, [CLEAN, DIRTY], 1.5)
    assert table.notes == ("The order survives: it is the same on all of these grids.",)
    assert table.headers[:3] == ("Strategy", "kg on Clean (estimated)", "H on Clean")
    ratio = [float(row[3]) / float(row[1]) for row in table.rows]
    assert ratio == pytest.approx([16.0] * len(ratio), rel=0.01)


def test_performance_per_kg_is_of_the_place() -> None:
    entry = make_board().entries[0]
    assert headline_at(entry, REFERENCE) == entry.headline
    at_clean = headline_at(entry, CLEAN)
    assert at_clean is not None
    assert entry.headline is not None
    assert at_clean == pytest.approx(entry.headline * REFERENCE.kg_co2e_per_kwh / 0.05)
    assert headline_at(replace(entry, headline=None), CLEAN) is None


def test_who_ran_at_a_dirty_hour_may_lose_his_place() -> None:
    board, trace = at_two_hours()
    assert "random comes before tpe on day (none of them is separated anyway)" in survival(board, [CLEAN, trace])
    apart = replace(board, entries=tuple(replace(e, rank_interval=(n, n)) for n, e in enumerate(board.entries, 1)))
    assert "they are separated at the reference: tpe and random" in survival(apart, [CLEAN, trace])


def test_sci_adds_the_share_of_the_machine() -> None:
    entry = replace(make_board().entries[0], kwh_total=6.0, runs=3, seconds=3 * 3600.0)
    assert sci(entry, CLEAN, 1.5, None) == pytest.approx(2.0 * 0.05 * 1.5)
    embodied = Embodied(1314.9, lifetime_years=5.0)  # 0.03 kg an hour
    assert sci(entry, CLEAN, 1.5, embodied) == pytest.approx(0.15 + 0.03)


@pytest.mark.parametrize(("kg", "years"), [(0.0, 4.0), (-1.0, 4.0), (100.0, 0.0), (float("nan"), 4.0)])
def test_embodied_carbon_that_cannot_be_is_refused(kg: float, years: float) -> None:
    with pytest.raises(ValueError, match="embodied carbon needs"):
        Embodied(kg, years)


def test_an_everyday_unit_needs_a_source() -> None:
    assert Equivalent.parse("km by car, 0.17, DESNZ 2023, table 9").source == "DESNZ 2023, table 9"
    for text in ("km by car,0.17", "km by car,0.17,", "km,much,someone", "km,-1,someone", ""):
        with pytest.raises(ValueError, match="who says so"):
            Equivalent.parse(text)


@pytest.mark.parametrize("style", ["table", "md", "latex"])
def test_what_is_asked_for_is_written(style: str) -> None:
    board, equivalent = make_board(), Equivalent("km by car", 0.17, "DESNZ 2023")
    text = "".join(Elsewhere((CLEAN, DIRTY), True, None, (equivalent,)).texts(board, 1.5, style))
    assert "Clean" in text
    assert "excluded" in text
    assert "DESNZ 2023" in text
    assert Elsewhere().texts(board, 1.5, style) == []


def test_the_same_for_programs() -> None:
    found = Elsewhere((CLEAN, DIRTY), True, Embodied(1000.0, 4.0), ()).record(make_board(flat=True), 1.5)
    assert [each["grid"]["zone"] for each in found["grids"]] == ["CLN", "DRT"]
    assert found["grids"][0]["entries"][0]["headline"] is None
    assert found["embodied"] == {"kg_co2e": 1000.0, "lifetime_years": 4.0}
    assert set(found["sci_kg_co2e_per_run"]) == {entry.strategy for entry in make_board().entries}
    assert Elsewhere().record(make_board(), 1.5) == {}
