"""Files that are whole at every moment."""

import os
from pathlib import Path


class DiskError(RuntimeError):
    """A trial could not read or write what it must; that is no fault of its configuration. The message says what."""


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write to a file beside ``path``, sync, rename: whoever finds ``path`` finds it whole, after a power cut too."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
