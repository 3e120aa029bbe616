"""carbon-suite: which way of searching for a good model costs the least carbon?

``load_task`` gives a task, ``run`` searches tasks with strategies and logs every trial, ``rank`` scores the logs.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.api import load_task, rank, run

try:
    __version__ = version("carbon-suite")
except PackageNotFoundError:  # used from a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__", "load_task", "rank", "run"]


def __getattr__(name: str) -> Any:
    """The public functions, imported when first used, so that ``import suite`` stays quick."""
    if name in ("load_task", "rank", "run"):
        from suite import api

        return getattr(api, name)
    raise AttributeError(f"module 'suite' has no attribute {name!r}")
