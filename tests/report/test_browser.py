"""The site in a real browser, from disk: it sorts, filters, opens pages, asks for nothing, and passes axe-core."""

import gzip
import io
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (360, 1280)
SCHEMES = ("light", "dark")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
    pytest.mark.skipif(find_spec("playwright") is None, reason="playwright is not installed: --group browser"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that may reach files only; what goes wrong on it fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    opened.on("requestfailed", lambda request: wrong.append(f"failed {request.url}"))
    opened.on("request", lambda sent: None if sent.url.startswith(("file:", "data:")) else wrong.append(sent.url))
    yield opened
    context.close()
    assert wrong == []


def names(page: Any) -> list[str]:
    """Strategies of the first table that are shown, from top to bottom."""
    found: list[str] = page.locator("table").first.locator("tbody tr:visible th").all_inner_texts()
    return found


def test_a_leaderboard_is_sorted_by_mouse_and_by_keyboard(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    ranked = names(page)
    header = page.locator("table").first.locator("thead th", has_text="Pi")
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert names(page) == ranked
    header.locator("button").press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert names(page) == ranked[::-1]
    page.locator("table").first.locator("thead th", has_text="Strategy").locator("button").press("Space")
    assert header.get_attribute("aria-sort") is None
    assert names(page) == sorted(ranked, key=str.lower)


def test_a_leaderboard_is_filtered_by_name_and_family(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    ranked = names(page)
    page.get_by_label("Name contains").fill("RAND")
    assert names(page) == ["random"]
    assert page.get_by_role("status").first.inner_text() == f"1 of {len(ranked)} shown"
    page.get_by_label("Name contains").fill("")
    page.get_by_label("Family").select_option("model-based")
    assert names(page) == [name for name in ranked if name != "random"]
    page.get_by_label("Family").select_option("all")
    assert names(page) == ranked
    assert page.get_by_role("status").first.inner_text() == ""


def test_a_strategy_and_its_log_are_opened_by_keyboard(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="random", exact=True).first.press("Enter")
    assert page.get_by_role("heading", level=1).inner_text() == "random"
    shown = page.locator("img").evaluate_all("images => images.every(one => one.complete && one.naturalWidth > 100)")
    assert shown
    target = page.get_by_role("link", name="seed 1").get_attribute("href")
    log = page.evaluate("target => new URL(target, location).pathname", target)
    assert gzip.decompress(Path(log).read_bytes()) == b"supervised/mnist1d random 1\n"


def test_the_first_tab_skips_to_the_content(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_screen(page: Any, site: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_without_scripts_all_is_there(browser: Any, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert len(names(page)) == 3
    assert page.get_by_label("Name contains").is_hidden()  # no control that does nothing
    assert page.get_by_role("button").count() == 0
    context.close()


def test_a_page_is_printed_without_controls_in_black_on_white(page: Any, site: Path) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    page.goto((site / "index.html").as_uri())
    assert page.get_by_label("Name contains").is_hidden()
    assert page.locator("nav").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_picture_has_the_ground_of_the_page_and_ink_that_stands_out(page: Any, site: Path, scheme: str) -> None:
    """Seen on the screen: most of a picture is within a few levels of the page's own colour."""
    page.emulate_media(color_scheme=scheme)
    page.goto((site / "index.html").as_uri())
    found = re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
    ground = np.array(found[:3], dtype=int)
    seen = Image.open(io.BytesIO(page.locator(".paper img").first.screenshot())).convert("RGB")
    away = np.abs(np.asarray(seen, dtype=int) - ground).max(axis=-1)
    assert np.mean(away <= 4) > 0.7
    assert away.max() > 190


def test_a_picture_is_printed_as_it_was_drawn(page: Any, site: Path) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    page.goto((site / "index.html").as_uri())
    assert page.locator(".paper img").first.evaluate("image => getComputedStyle(image).filter") == "none"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_wrong(page: Any, site: Path, scheme: str) -> None:
    spec = find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-playwright-python is not installed: --group browser")
    axe = Path(spec.origin).with_name("axe.min.js").read_text()
    page.emulate_media(color_scheme=scheme)
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        page.evaluate(axe)
        # without preload: axe would fetch the style sheet, which a page from disk may not
        found = page.evaluate("axe.run(document, {preload: false})")
        assert len(found["passes"]) > 15
        assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == [], path
