"""A hook of mkdocs: the documents at the root of the repository are pages of the site too, and links lead to them.

A link to any other file of the repository, such as a test, stays as its text: the site does not hold the file.
"""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
AT_ROOT = {name: name.lower() for name in ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "RULES.md")}
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:)([^)#]+)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    for name, page in AT_ROOT.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    here = page.file.src_uri
    origin = ROOT if here in AT_ROOT.values() else (ROOT / "docs" / here).parent

    def led(link: re.Match[str]) -> str:
        image, text, target, anchor = link.groups()
        path = Path(os.path.normpath(origin / target)).relative_to(ROOT).as_posix()
        place = AT_ROOT.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if place is None:
            return str(text)
        return f"{image}[{text}]({os.path.relpath(place, Path(here).parent)}{anchor or ''})"

    # what belongs to an item of a numbered list: GitHub wants three spaces, Python-Markdown four
    return re.sub(r"^( {3}| {7})(?=\S)", r"\1 ", LINK.sub(led, markdown), flags=re.MULTILINE)
