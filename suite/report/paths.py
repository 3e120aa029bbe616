"""Where each page and file of a site is: paths that no name of a task or strategy can lead astray."""

import hashlib
import posixpath
import re
from typing import Final

from suite.runs.log import PACKED_NAME

INDEX: Final = "index.html"
METHOD: Final = "method.html"
STYLE: Final = "assets/site.css"
SCRIPT: Final = "assets/site.js"

_LONGEST: Final = 60


def slug(name: str) -> str:
    """A file name of lower-case letters, digits, ``-`` and ``_`` for ``name``, ``--`` for ``/``.

    A name that says more than that, or that could be taken for another one, ends in a digest of itself.
    """
    parts = [re.sub(r"[^a-z0-9_]+", "-", part.lower()).strip("-") for part in name.split("/")]
    found = "--".join(part for part in parts if part)[:_LONGEST] or "x"
    same = found.replace("--", "/") == name
    return found if same else f"{found}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:10]}"


def link(page: str, target: str) -> str:
    """The reference to ``target`` (a path, perhaps with a fragment) from ``page``, both relative to the site."""
    path, hash_sign, fragment = target.partition("#")
    reference = posixpath.relpath(path, posixpath.dirname(page) or ".") if path != page else ""
    return f"{reference}{hash_sign}{fragment}" or posixpath.basename(page)


def strategy_page(board: str, strategy: str) -> str:
    return f"{board}/strategies/{slug(strategy)}.html"


def task_page(board: str, task: str) -> str:
    return f"{board}/tasks/{slug(task)}.html"


def pictures_page(board: str) -> str:
    return f"{board}/pictures.html"


def details_page(board: str) -> str:
    return f"{board}/details.html"


def sources_page(board: str) -> str:
    return f"{board}/sources.html"


def runs_of(board: str, strategy: str, task: str | None = None) -> str:
    """The list of the runs of ``strategy``, on ``task`` or on all, each with its log."""
    return f"{strategy_page(board, strategy)}#{f'runs-{slug(task)}' if task else 'runs'}"


def log_file(board: str, task: str, strategy: str, seed: int) -> str:
    return f"{board}/logs/{slug(task)}/{slug(strategy)}/seed-{seed}/{PACKED_NAME}"


def figure(board: str, name: str, suffix: str) -> str:
    return f"{board}/figures/{name}.{suffix}"


def table(board: str, suffix: str) -> str:
    return f"{board}/table.{suffix}"
