"""The report: one self-contained page and its files."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from suite.energy.carbon import Grid
from suite.report import site
from suite.report.site import write_report
from suite.score.board import score
from tests.report.boards import TASKS, make_board, make_logs

GRID = Grid("XYZ", "Nowhere", 0.1, 2020, "made up")
HOSTILE = "<script>alert('x')</script>"


class Parser(HTMLParser):
    """Collects tags and their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    board = make_board(strategies=(HOSTILE, "random"), notes=("Constants are provisional & <few>.",))
    write_report(board, GRID, 1.5, out, make_logs())
    return out


@pytest.fixture(scope="module")
def page(report: Path) -> Parser:
    return Parser((report / "report.html").read_text())


def test_page_pictures_and_tables_are_written(tmp_path: Path) -> None:
    written = write_report(make_board(tasks=TASKS[:1]), GRID, 1.5, tmp_path / "deep" / "report")
    assert sorted(path.relative_to(tmp_path / "deep" / "report").as_posix() for path in written) == sorted(
        ["report.html", "table.csv", "table.md", "table.tex", "table.json"]
        + [
            f"figures/{name}.{suffix}"
            for name in ("energy", "overview", "performance", "ranking")
            for suffix in ("png", "pdf", "svg")
        ]
    )
    assert all(path.stat().st_size > 100 for path in written)
    found = {path for path in (tmp_path / "deep").rglob("*") if path.is_file()}
    assert found == set(written)  # no part files are left


def test_the_page_needs_nothing_else(page: Parser) -> None:
    assert "script" not in {tag for tag, _ in page.tags}
    sources = [attributes["src"] or "" for _, attributes in page.tags if "src" in attributes]
    assert len(sources) == 4
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert "link" not in {tag for tag, _ in page.tags}


def test_links_lead_to_the_files(report: Path, page: Parser) -> None:
    links = [attributes["href"] or "" for _, attributes in page.tags if "href" in attributes]
    assert len(links) == 4 + 4 * 3
    assert all((report / link).is_file() for link in links)


def test_a_hostile_name_is_text(page: Parser) -> None:
    assert HOSTILE in page.text
    assert "Constants are provisional & <few>." in page.text


def test_pictures_have_a_text_for_those_who_do_not_see_them(page: Parser) -> None:
    assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")


@pytest.mark.parametrize(
    "fact",
    [
        "estimated",
        "within a factor of 3",
        "Nowhere (XYZ), 2020: 0.1 kg CO2e/kWh, average, from made up; PUE 1.5",
        "ratio of 0.750",
        "CPU seconds x 10 W/core, declared",
        "Example 3000",
        "numpy 2.0",
        "provisional, energy estimated",
        "Apache-2.0",
        "test_accuracy",
        "local random search",
        "Pi / (1 - Pi)",
    ],
)
def test_facts_are_shown(page: Parser, fact: str) -> None:
    assert fact in page.text


def test_what_a_log_does_not_say_is_left_out() -> None:
    logs = make_logs(machine={}, crosscheck={"reason": "switched off"})
    text = Parser(site.page(make_board(), GRID, 1.5, [], logs)).text
    assert "4 runs without a cross-check: switched off." in text
    assert "Example 3000" not in text


def test_without_logs_there_are_no_machine_facts() -> None:
    assert "Machines" not in Parser(site.page(make_board(), GRID, 1.5, [], [])).text


def test_the_same_input_gives_the_same_bytes_over_an_old_report(tmp_path: Path) -> None:
    logs = make_logs()
    first = {path: path.read_bytes() for path in write_report(score(logs), GRID, 1.5, tmp_path, logs)}
    for path in first:
        path.write_text("old")
    write_report(score(logs), GRID, 1.5, tmp_path, logs)
    assert {path: path.read_bytes() for path in first} == first
    assert not re.search(r"\b20\d\d-\d\d-\d\d", (tmp_path / "report.html").read_text())


def test_a_file_in_the_way_is_named_and_kept(tmp_path: Path) -> None:
    blocking = tmp_path / "report"
    blocking.write_text("mine")
    for out in (blocking, blocking / "below"):
        with pytest.raises(OSError, match="choose another place") as error:
            write_report(make_board(tasks=TASKS[:1]), GRID, 1.5, out)
        assert error.value.filename == str(blocking)
    assert blocking.read_text() == "mine"


def test_a_pue_below_one_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="PUE"):
        write_report(make_board(tasks=TASKS[:1]), GRID, 0.9, tmp_path / "report")
    assert not (tmp_path / "report").exists()
