"""Writes the oldest versions that pyproject.toml admits, as constraints for pip: ``python tests/lowest.py FILE``.

torch is left out: it is pinned where it is installed, so that no CUDA stack is pulled on a CPU machine.
"""

import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest() -> list[str]:
    """Every requirement of the project is ``NAME>=VERSION``. Raises ``ValueError`` where one is not."""
    bounds = [each.split(">=") for each in tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]]
    return [f"{name}=={version}" for name, version in bounds if name != "torch"]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text("\n".join([*lowest(), ""]))
