"""Every code block of the tutorial and the how-to guides is run: in order, in one folder a page, as a reader would.

A guide begins in an empty folder, or in the one that the tutorial leaves behind. A block with ``title="FILE"`` is saved
as that file. What is printed is not compared, but for the first line of a block of text, whose words must be in what
the block before it printed. A comment in the page speaks of the block after it:

    <!-- not run: REASON -->    it cannot be run here
    <!-- slow: REASON -->       only the slow tests run it
    <!-- file: PATH -->         stands alone: what a reader has from the repository is put into the folder
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from markdown_it import MarkdownIt

from tests.conftest import HERE, made_once

ROOT = HERE.parent
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
# docs/submissions.md is run by tests/submit/test_examples.py, with the nonce that it prints
GUIDES = ["manual", *sorted(f"how-to/{page.stem}" for page in (DOCS / "how-to").glob("*.md"))]
AFTER_THE_TUTORIAL = {"how-to/grid", "how-to/strategy"}
REAL, MADE_UP = "few_shot/sinusoid", f"{HERE / 'runs' / 'measured.py'}:TASK"
COMMENT = re.compile(r"<!-- (not run|slow|file): (.+) -->")


class Block(NamedTuple):
    """``mark``: what the comment before it says, and why."""

    language: str
    title: str | None
    text: str
    mark: str | None = None
    why: str = ""


def blocks(page: Path) -> Iterator[Block]:
    mark: tuple[str | None, str] = (None, "")
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "html_block":
            found = COMMENT.fullmatch(token.content.strip())
            assert found, f"{page.name}: {token.content}"
            mark = (found[1], found[2])
            if found[1] == "file":
                yield Block("", None, "", *mark)
                mark = (None, "")
        elif token.type in ("fence", "code_block"):
            language, _, rest = token.info.partition(" ")
            title = re.fullmatch(r'title="([^"]+)"', rest)
            assert bool(title) == bool(rest), f"{page.name}: {token.info}"
            yield Block(language, title and title[1], token.content, *mark)
            mark = (None, "")


def run(command: list[str], folder: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    made = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False, timeout=1800
    )
    assert made.returncode == 0, f"{command[-1]}\n{made.stdout}{made.stderr}"
    return made.stdout


def follow(page: Path, folder: Path, leave_out: set[str], instead: dict[str, str]) -> None:
    """Do what ``page`` says, in ``folder``: without the blocks of some marks, with other words ``instead`` of some."""
    printed = ""
    for block in blocks(page):
        text = block.text
        for word, other in instead.items():
            text = text.replace(word, other)
        if block.mark in leave_out:
            continue
        match block:
            case Block(mark="file"):
                shutil.copy(ROOT / block.why, folder)
            case Block(title=str(name)):
                (folder / name).write_text(text)
            case Block(language="sh"):
                printed = run(["bash", "-euo", "pipefail", "-c", text], folder)
            case Block(language="python"):
                printed = run([sys.executable, "-c", text], folder)
            case Block(language="text"):
                assert set(text.splitlines()[0].split()) <= set(printed.split()), f"{page.name}: {text}"
            case _:
                pytest.fail(f"{page.name}: a block of {block.language or 'no language'} is neither run nor marked")


@pytest.fixture(scope="session")
def tutored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tutorial leaves behind, on a task of milliseconds."""

    def make(folder: Path) -> None:
        follow(TUTORIAL, folder, {"not run", "slow"}, {REAL: MADE_UP})

    return made_once(tmp_path_factory, "tutored", make)


def test_the_tutorial_leads_through_on_a_task_of_milliseconds(tutored: Path) -> None:
    assert len(list((tutored / "board" / "runs").glob("*/*/climber/seed-*/log.jsonl"))) == 2


@pytest.mark.slow
def test_the_tutorial_leads_through_to_the_letter(tmp_path: Path) -> None:
    follow(TUTORIAL, tmp_path, {"not run"}, {})
    assert (tmp_path / "report" / "index.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_leads_through(guide: str, tutored: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    if guide in AFTER_THE_TUTORIAL:
        shutil.copytree(tutored, folder)
    folder.mkdir(exist_ok=True)
    follow(DOCS / f"{guide}.md", folder, {"not run"}, {})


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_says_what_each_block_is_and_why_it_is_not_run(guide: str) -> None:
    found = list(blocks(DOCS / f"{guide}.md"))
    assert any(block.mark != "not run" for block in found)
    assert all(block.language or block.mark == "file" for block in found)
