"""The site: plain files that hold together, the same bytes for the same logs, and nothing that a name can break."""

import gzip
import json
import posixpath
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from suite.report import pages, paths
from suite.report.boards import separate
from suite.report.pages import Site
from suite.report.plots import Picture
from suite.report.site import write_site
from suite.score.board import ScoreError
from tests.report.boards import HOSTILE, PATH, TASKS, make_logs, make_report, write_logs
from tests.report.conftest import GRID

BLANK = Picture("blank", "Blank", "Nothing to see.", {})


class Parser(HTMLParser):
    """Collects tags and their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.links: list[tuple[str, str]] = []  # the text of each link, and where it leads
        self.figures: list[str] = []  # where the figures of tables lead
        self.loose: list[str] = []  # figures of tables that lead nowhere
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "input"):
            self.open.append(tag)
        if tag == "a":
            self.links.append(("", dict(attrs).get("href") or ""))
            if self.open[-2] == "td":
                self.figures.append(self.links[-1][1])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "a" in self.open:
            text, target = self.links[-1]
            self.links[-1] = (text + data, target)
        elif self.open[-1:] == ["td"] and "class" not in self.tags[-1][1]:
            self.loose.append(data)

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.tags if attribute in attributes]


def all_pages(site: Path) -> dict[str, Parser]:
    return {path.relative_to(site).as_posix(): Parser(path.read_text()) for path in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="module")
def parsed(site: Path) -> dict[str, Parser]:
    return all_pages(site)


def test_a_site_has_its_pages_pictures_tables_and_logs(site: Path) -> None:
    found = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    strategies = [paths.slug(name) for name in (HOSTILE, PATH, "random")]
    logs = {
        f"board/logs/supervised--mnist1d/{name}/seed-{seed}/log.jsonl.gz" for name in strategies for seed in range(2)
    }
    html = {"index.html", "method.html", *(f"board/{name}.html" for name in ("pictures", "details", "sources"))}
    html |= {"board/tasks/supervised--mnist1d.html", *(f"board/strategies/{name}.html" for name in strategies)}
    tables = {f"board/table.{suffix}" for suffix in ("csv", "md", "tex", "json")}
    assert {name for name in found if name.endswith(".html")} == html
    assert {name for name in found if "/logs/" in name} == logs
    assert found >= tables | {"assets/site.css", "assets/site.js"}
    figures = Counter(Path(name).stem for name in found if "/figures/" in name)
    assert set(figures.values()) == {3}  # png, pdf, svg
    assert {"overview", "regret", "ecdf", "front", "energy", "task-supervised--mnist1d"} <= set(figures)
    assert not [name for name in found if name.endswith(".part")]


def test_every_link_leads_to_a_file_of_the_site_and_every_fragment_to_an_element(
    site: Path, parsed: dict[str, Parser]
) -> None:
    ids = {name: set(page.values("id")) for name, page in parsed.items()}
    for name, page in parsed.items():
        for reference in (*page.values("href"), *page.values("src")):
            split = urlsplit(reference)
            if split.scheme == "data":
                continue
            assert (split.scheme, split.netloc) == ("", ""), f"{name}: {reference}"
            target = (
                posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(split.path))) if split.path else name
            )
            assert not target.startswith(".."), f"{name}: {reference}"
            assert (site / target).is_file(), f"{name}: {reference}"
            assert not split.fragment or split.fragment in ids[target], f"{name}: {reference}"


def test_every_figure_of_a_result_leads_to_runs_or_their_log(parsed: dict[str, Parser]) -> None:
    for name, page in parsed.items():
        if not name.endswith("sources.html"):  # its figures are of machines and constants
            assert [text for text in page.loose if text.strip()] == [], name
            assert all(re.search(r"#runs|seed-\d+/log\.jsonl\.gz$", target) for target in page.figures), name
    assert len(parsed["index.html"].figures) > 20


def test_a_run_leads_to_its_own_log(site: Path, parsed: dict[str, Parser]) -> None:
    page = f"board/strategies/{paths.slug(PATH)}.html"
    (link,) = (target for text, target in parsed[page].links if text == "seed 1")
    assert gzip.decompress((site / "board" / "strategies" / link).read_bytes()).decode() == f"{TASKS[0]} {PATH} 1\n"


def test_a_hostile_name_is_text(parsed: dict[str, Parser]) -> None:
    for name, page in parsed.items():
        scripts = [attributes for tag, attributes in page.tags if tag == "script"]
        assert len(scripts) == 1, name
        assert list(scripts[0]) == ["src", "defer"]
    assert HOSTILE in parsed["index.html"].text
    assert PATH in parsed["index.html"].text


def test_a_hostile_name_makes_no_file_outside(site: Path) -> None:
    assert {path.name for path in site.parent.iterdir()} == {"logs", "site"}
    assert {path.name for path in site.iterdir()} == {"index.html", "method.html", "assets", "board"}


def test_the_same_logs_give_the_same_bytes_in_any_order_over_an_old_site(site: Path, tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path / "site")
    for path in (tmp_path / "site").rglob("*.*"):
        path.write_bytes(b"old")
    gains = {PATH: 0.01, HOSTILE: 0.03, "random": 0.02}
    logs = write_logs(make_logs(directory=tmp_path / "elsewhere", gains=gains))
    written = write_site(separate(logs[::-1]), GRID, 1.5, tmp_path / "site")
    assert {path.relative_to(tmp_path / "site") for path in written} == {
        path.relative_to(site) for path in site.rglob("*.*") if path.is_file()
    }
    for path in written:
        assert path.read_bytes() == (site / path.relative_to(tmp_path / "site")).read_bytes(), path


def test_no_page_says_when_it_was_made(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert not re.search(r"\b20\d\d-\d\d-\d\d|\d\d:\d\d", path.read_text()), path


def test_pages_can_be_read_by_those_who_hear_them(parsed: dict[str, Parser]) -> None:
    for name, page in parsed.items():
        tags = [tag for tag, _ in page.tags]
        assert dict(page.tags[0][1]) == {"lang": "en"}
        assert tags.count("h1") == tags.count("main") == tags.count("title") == 1, name
        levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
        assert all(after <= before + 1 for before, after in pairwise(levels)), name
        assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img"), name
        assert all("scope" in attributes for tag, attributes in page.tags if tag == "th"), name
        assert tags.count("table") == tags.count("caption")
        labels = set(page.values("for"))
        assert all(attributes["id"] in labels for tag, attributes in page.tags if tag in ("input", "select")), name
        assert len(page.values("id")) == len(set(page.values("id"))), name


@pytest.mark.parametrize(
    ("page", "fact"),
    [
        ("index.html", "within a factor of 3"),
        ("index.html", "Nowhere (XYZ), 2020: 0.1 kg CO2e/kWh, average, from made up; PUE 1.5"),
        ("index.html", "are provisional"),
        ("method.html", "Pi / (1 - Pi)"),
        ("board/sources.html", "ratio of 0.750"),
        ("board/sources.html", "CPU seconds x 10 W/core, declared"),
        ("board/sources.html", "Example 3000"),
        ("board/sources.html", "numpy 2.0"),
        ("board/sources.html", "local random search"),
        ("board/details.html", "Break-even"),
        ("board/pictures.html", "Not drawn. Critical differences need two tasks"),
        ("board/tasks/supervised--mnist1d.html", "provisional, energy estimated"),
        ("board/tasks/supervised--mnist1d.html", "Apache-2.0"),
        ("board/tasks/supervised--mnist1d.html", "test test_accuracy, to maximize"),
        ("board/tasks/supervised--mnist1d.html", "0.001 to 0.1"),
        ("board/strategies/random.html", "CPU seconds x 10 W/core, declared"),
        ("board/strategies/random.html", "0.1.0"),
    ],
)
def test_facts_are_shown(parsed: dict[str, Parser], page: str, fact: str) -> None:
    assert fact in parsed[page].text


def test_the_json_table_is_that_of_the_board(site: Path) -> None:
    record = json.loads((site / "board" / "table.json").read_text())
    assert {entry["strategy"] for entry in record["entries"]} == {HOSTILE, PATH, "random"}


def test_what_a_log_does_not_say_is_left_out(tmp_path: Path) -> None:
    one = make_report(tmp_path, machine={}, crosscheck={"reason": "switched off"})
    text = Parser(pages.sources(Site((one,), GRID, 1.5), one)).text
    assert "4 runs without a cross-check: switched off." in text
    assert "Example 3000" not in text


def test_boards_are_never_pooled(tmp_path: Path) -> None:
    logs = make_logs(directory=tmp_path) + make_logs(directory=tmp_path, workers=2)
    one, other = boards = separate(write_logs(logs))
    assert [len(each.logs) for each in boards] == [4, 4]
    assert (one.slug, other.slug) == ("board-1", "board-2")
    assert separate(logs[::-1]) == boards
    page = Parser(pages.index(Site(boards, GRID, 1.5), dict.fromkeys(("board-1", "board-2"), BLANK)))
    assert "Boards are never pooled" in page.text
    assert "on cpu, 2 workers" in page.text
    assert sum(tag == "form" for tag, _ in page.tags) == 2


def test_program_boards_stand_apart(tmp_path: Path) -> None:
    logs = make_logs(directory=tmp_path)
    program = [replace(log, header=replace(log.header, program=True)) for log in logs]
    titles = [each.title for each in separate(logs + program)]
    assert len(titles) == 2
    assert ["programs" in title for title in titles] == [False, True]


def test_a_board_that_cannot_be_scored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="no ranked runs"):
        separate([])
    with pytest.raises(ScoreError, match="random search"):
        separate(make_logs(directory=tmp_path) + make_logs(directory=tmp_path, workers=2, gains={"tpe": 0.1}))


def test_a_file_in_the_way_is_named_and_kept(tmp_path: Path) -> None:
    blocking = tmp_path / "report"
    blocking.write_text("mine")
    for out in (blocking, blocking / "below"):
        with pytest.raises(OSError, match="choose another place") as error:
            write_site([make_report(tmp_path / "logs")], GRID, 1.5, out)
        assert error.value.filename == str(blocking)
    assert blocking.read_text() == "mine"


def test_a_pue_below_one_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="PUE"):
        write_site([make_report(tmp_path / "logs")], GRID, 0.9, tmp_path / "report")
    assert not (tmp_path / "report").exists()
