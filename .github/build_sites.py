"""Builds the site of each published submission: ``python -P build_sites.py RESULTS SITE``.

Seeds differ between submissions, so that each is a board of its own, with its own random search. Practice is left out.
"""

import html
import subprocess
import sys
from pathlib import Path


def submissions(results: Path) -> list[Path]:
    """The folders of published submissions below ``results``."""
    found = sorted(path.parent for path in results.glob("*/*/*/*/submission.json"))
    return [folder for folder in found if folder.relative_to(results).parts[1] != "practice"]


def main(results: str, site: str) -> int:
    folders = submissions(Path(results))
    links = []
    for folder in folders:
        name = folder.relative_to(results).as_posix()
        subprocess.run(["carbon-suite", "report", str(folder), "--out", str(Path(site, name))], check=True)
        links.append(f'<li><a href="{html.escape(name, quote=True)}/index.html">{html.escape(name)}</a></li>')
    if links:
        head = "<!doctype html><html lang=en><meta charset=utf-8><title>carbon-suite: results</title>"
        page = f"{head}<ul>{''.join(links)}</ul>"
        Path(site, "index.html").write_text(page + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
