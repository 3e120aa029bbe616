"""The import direction that ARCHITECTURE.md draws, and what must run without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import WITHOUT_TORCH

ROOT = Path(__file__).parents[1]

#: What each part may import of the parts of this project; itself is always allowed.
MAY_IMPORT = {
    "suite.space": set(),
    "suite.task": {"suite.space"},
    "suite.data": {"suite.task"},
    "suite.search": {"suite.space", "suite.task"},
    "suite.energy": set(),
    "suite.catalog": {"suite.space", "suite.task", "suite.search", "suite.energy"},
    "suite.runs": {
        "suite",
        "suite.space",
        "suite.task",
        "suite.data",
        "suite.search",
        "suite.energy",
        "suite.catalog",
    },
    "suite.replay": {
        "suite",
        "suite.space",
        "suite.task",
        "suite.search",
        "suite.energy",
        "suite.catalog",
        "suite.runs",
        "suite.score",
    },
    "suite.score": {"suite.space", "suite.task", "suite.search", "suite.energy", "suite.runs.log"},
    "suite.submit": {
        "suite",
        "suite.space",
        "suite.task",
        "suite.search",
        "suite.energy",
        "suite.catalog",
        "suite.runs",
        "suite.score",
    },
    "suite.report": {"suite", "suite.task", "suite.energy", "suite.score", "suite.runs.log"},
    "tasks": {"suite.task", "suite.data"},
}
FILES = sorted(path for package in ("suite", "tasks") for path in (ROOT / package).rglob("*.py"))


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Modules of this project that ``path`` imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
            if node.module in ("suite", "tasks"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names if _is_module(node.module, alias.name)}
    return {name for name in found if name.partition(".")[0] in ("suite", "tasks", "results")}


def _is_module(package: str, name: str) -> bool:
    return (ROOT / package / f"{name}.py").exists() or (ROOT / package / name).is_dir()


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_go_one_way(path: Path) -> None:
    name = module(path)
    parts = [part for part in MAY_IMPORT if name == part or name.startswith(part + ".")]
    if not parts:
        return  # the command and what it is made of stand at the end: they may import everything in suite
    allowed = MAY_IMPORT[parts[0]] | {parts[0]}
    for imported in imports(path):
        assert imported in allowed or any(imported.startswith(part + ".") for part in allowed - {"suite"}), (
            f"{name} imports {imported}"
        )


@pytest.mark.parametrize("path", [path for path in FILES if module(path).startswith("suite")], ids=module)
def test_suite_reaches_tasks_by_name_only(path: Path) -> None:
    assert not {name for name in imports(path) if name.startswith(("tasks", "results"))}


@pytest.mark.parametrize("path", FILES, ids=module)
def test_packages_are_listed_for_the_build(path: Path) -> None:
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert module(path if path.name == "__init__.py" else path.parent / "__init__.py") in listed


@pytest.mark.parametrize(
    "code",
    [
        "import suite",
        "import suite.cli; suite.cli.cli(['list', 'strategies', '--json'], standalone_mode=False)",
        "import suite.cli; suite.cli.cli(['list', 'tasks', '--json'], standalone_mode=False)",
        "import suite.score.board, suite.report.tables, suite.report.site",
    ],
)
def test_it_runs_without_torch(code: str) -> None:
    subprocess.run([sys.executable, "-P", "-c", WITHOUT_TORCH + code], check=True, capture_output=True)
