"""The report: a static site that reads from a disk as from a server, and the same pictures and tables as files.

    OUT/index.html                      a leaderboard for each board
    OUT/method.html                     how scores are made, and the rules
    OUT/assets/                         one style sheet, one script; every page reads fully without the script
    OUT/BOARD/pictures.html             all pictures of a board
    OUT/BOARD/details.html              carbon to targets, other budgets, phases
    OUT/BOARD/sources.html              meters, machines, constants, data
    OUT/BOARD/strategies/NAME.html      a page a strategy
    OUT/BOARD/tasks/NAME.html           a page a task
    OUT/BOARD/figures/NAME.png .pdf .svg
    OUT/BOARD/table.csv .md .tex .json
    OUT/BOARD/logs/TASK/STRATEGY/seed-N/log.jsonl.gz      the logs that every number links to, packed

The same logs give the same bytes, in whatever order they come. Each file is put in place whole.
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

from suite.energy.carbon import Place
from suite.report import pages, paths, plots
from suite.report.boards import Reported
from suite.report.pages import Site
from suite.report.plots import Picture
from suite.report.tables import write
from suite.runs.log import packed, read_content


def write_site(boards: Sequence[Reported], grid: Place, pue: float, out: Path) -> list[Path]:
    """Write a site on ``boards`` below ``out``, which is made where it is missing. Returns the files written.

    Raises ``ValueError`` where ``pue`` is below 1 and ``OSError`` where ``out`` cannot be written to.
    """
    site = Site(tuple(boards), grid, pue)
    tables = dict(pair for one in boards for pair in _tables(site, one))  # before anything is made: they check the PUE
    _make_directory(out)
    written = []
    for name, content in [*tables.items(), *_contents(site)]:
        _make_directory((out / name).parent)
        _replace(out / name, content())
        written.append(out / name)
    return written


Content = tuple[str, Callable[[], bytes]]


def _tables(site: Site, one: Reported) -> Iterator[Content]:
    for suffix, style in pages.TABLES.items():
        text = write(one.board, site.grid, site.pue, style).encode()
        yield paths.table(one.slug, suffix), partial(bytes, text)


def _contents(site: Site) -> Iterator[Content]:
    """Every file but the tables, and what makes its bytes."""
    overviews = {}
    for one in site.boards:
        drawn = list(plots.pictures(one.board, one.details))
        overviews[one.slug] = drawn[0]
        yield from _figures(one, drawn)
        yield _page(paths.pictures_page(one.slug), pages.pictures(site, one, drawn[1:]))
        yield _page(paths.details_page(one.slug), pages.details(site, one))
        yield _page(paths.sources_page(one.slug), pages.sources(site, one))
        yield from _strategies(site, one)
        yield from _tasks(site, one)
        for log in one.logs:
            header = log.header
            name = paths.log_file(one.slug, header.task.name, str(header.strategy["name"]), header.seed)
            yield name, partial(_packed_log, log.path)
    yield _page(paths.INDEX, pages.index(site, overviews))
    yield _page(paths.METHOD, pages.method(site))
    for name in (paths.STYLE, paths.SCRIPT):
        yield name, (files("suite.report.web") / Path(name).name).read_bytes


def _strategies(site: Site, one: Reported) -> Iterator[Content]:
    for entry in one.board.entries:
        drawn = plots.of_strategy(one.board, entry.strategy, f"strategy-{paths.slug(entry.strategy)}")
        yield from _figures(one, drawn)
        yield _page(paths.strategy_page(one.slug, entry.strategy), pages.strategy(site, one, entry, drawn))


def _tasks(site: Site, one: Reported) -> Iterator[Content]:
    for task in one.board.tasks:
        drawn = plots.of_task(one.board, task, f"task-{paths.slug(task)}")
        yield from _figures(one, [drawn])
        yield _page(paths.task_page(one.slug, task), pages.task(site, one, task, drawn))


def _figures(one: Reported, drawn: Sequence[Picture]) -> Iterator[Content]:
    for picture in drawn:
        for suffix, content in picture.files.items():
            yield paths.figure(one.slug, picture.name, suffix), partial(bytes, content)


def _packed_log(path: Path) -> bytes:
    return packed(read_content(path))


def _page(path: str, text: str) -> Content:
    return path, partial(bytes, text.encode())


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        blocking = next(path for path in (directory, *directory.parents) if path.exists() and not path.is_dir())
        raise NotADirectoryError(
            errno.ENOTDIR, "a report is a directory, and this is a file; choose another place for it", str(blocking)
        ) from error


def _replace(path: Path, content: bytes) -> None:
    """Write ``path`` whole: a reader finds the old file or the new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
