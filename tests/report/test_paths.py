"""File names of pages: from any name, one of its own, and never outside the site."""

import posixpath
import re
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.report import paths

NAMES = st.text(max_size=80) | st.sampled_from(
    ["..", "../x", "/etc/passwd", "a/../b", "", ".", "CON", "a\0b", "é", "-"]
)


@given(NAMES)
def test_a_file_name_is_plain(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9_][a-z0-9_-]*", paths.slug(name))
    assert len(paths.slug(name)) <= 80


@given(NAMES, NAMES)
def test_two_names_are_two_files(one: str, other: str) -> None:
    assert (paths.slug(one) == paths.slug(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"), [("a/b", "a--b"), ("Tpe", "tpe"), ("a b", "a-b"), ("a" * 60, "a" * 61), ("x", ""), ("a-", "a")]
)
def test_names_that_look_alike_are_two_files(one: str, other: str) -> None:
    assert paths.slug(one).lower() != paths.slug(other).lower()


@pytest.mark.parametrize("name", ["tpe", "successive-halving", "few_shot", "nsga2"])
def test_a_plain_name_is_its_file(name: str) -> None:
    assert paths.slug(name) == name


@given(NAMES, NAMES)
def test_every_page_is_below_the_board(strategy: str, task: str) -> None:
    for path in (
        paths.strategy_page("board", strategy),
        paths.task_page("board", task),
        paths.log_file("board", task, strategy, 0),
    ):
        assert posixpath.normpath(path) == path
        assert path.startswith("board/")


@given(NAMES, NAMES)
def test_a_link_leads_to_its_target(strategy: str, task: str) -> None:
    page, target = paths.task_page("board", task), paths.runs_of("board", strategy, task)
    reference = urlsplit(paths.link(page, target))
    found = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(reference.path)))
    assert f"{found}#{reference.fragment}" == target
    assert paths.link(page, page) == posixpath.basename(page)
    assert paths.link(page, f"{page}#runs") == "#runs"
