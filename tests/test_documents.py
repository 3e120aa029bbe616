"""What the documents quote and name is what is there."""

import re
import textwrap
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from click import Command, Group

from suite.cli import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "results").rglob("README.md")])


@pytest.mark.parametrize(("page", "example"), [("tutorial.md", "climber.py"), ("how-to/task.md", "valley.py")])
def test_guides_quote_the_examples_whole(page: str, example: str) -> None:
    blocks = re.findall(r"```python [^\n]*\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    assert (ROOT / "tests" / "examples" / example).read_text() in blocks


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_their_options_exist(page: Path) -> None:
    names = "|".join(cli.commands)
    for line in re.findall(rf"carbon-suite ((?:{names})\b[^\n`]*)", page.read_text()):
        words = line.split()
        known = {option for parameter in _command(words).params for option in parameter.opts}
        assert {word for word in words if re.fullmatch(r"--[a-z-]+", word)} <= known, line


def test_readme_sets_up_and_tests_in_one_command_each() -> None:
    commands = re.findall(r"^    (python3\.11 -m venv .+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [command.rpartition("/")[2] for command in commands] == ["carbon-suite demo", "tox"]


def test_readme_is_two_screens() -> None:
    lines = chain.from_iterable(
        textwrap.wrap(line, 100) or [""] for line in (ROOT / "README.md").read_text().splitlines()
    )
    assert len(list(lines)) <= 80


def test_every_page_has_its_place_on_the_site() -> None:
    """That the places exist, and links and anchors with them, ``tox -e docs`` checks."""
    listed = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")} <= listed


def test_it_is_cited_as_what_it_is() -> None:
    """What the Citation File Format 1.2.0 requires, and the project's own version, licence and authors."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert cited["cff-version"] == "1.2.0"
    assert cited["message"]
    assert cited["title"].startswith(project["name"])
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert cited["authors"] == project["authors"]


#: What ARCHITECTURE.md says of each folder of suite/ and of its modules: (name, text)
PARTS = re.findall(
    r"^ {6}([\w.]+/?)(.*\n(?: {22}.*\n)*)",
    (ROOT / "ARCHITECTURE.md").read_text().partition("    docs/")[0],
    re.MULTILINE,
)
ONE_FILE_EACH = {"commands", "plots", "web"}  # folders of which it says so


def test_architecture_names_what_is_there() -> None:
    for name, text in PARTS:
        folder = ROOT / "suite" / (name if name.endswith("/") else "")
        for path in (ROOT / "suite" / name, *(folder / module for module in re.findall(r"\b\w+\.py\b(?!:)", text))):
            assert path.exists()


def test_architecture_places_every_module() -> None:
    words = {name: set(re.findall(r"\w+", text)) for name, text in PARTS}
    at_top = set().union(*({Path(name).stem, *words[name]} for name in words if not name.endswith("/")))
    for path in (ROOT / "suite").rglob("*.py"):
        folder = path.relative_to(ROOT / "suite").parent.as_posix()
        if path.stem != "__init__" and path.parent.name not in ONE_FILE_EACH:
            assert path.stem in (at_top if folder == "." else words[f"{folder}/"]), path


def _command(words: list[str]) -> Command:
    """The command, or the command of a group, that ``words`` begin with."""
    command: Command = cli
    for word in words:
        if not isinstance(command, Group) or word not in command.commands:
            break
        command = command.commands[word]
    return command
