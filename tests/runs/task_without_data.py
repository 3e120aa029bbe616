"""A task of the download tier whose file is not here and cannot be fetched: nothing listens at its address."""

from dataclasses import dataclass

from suite.data import RemoteFile, fetch
from tests.examples.valley import Valley

CONTENT = b"abc"
SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # the example of FIPS 180-2
FILE = RemoteFile("ruins", "plan.bin", "http://127.0.0.1:9/plan.bin", size=3, sha256=SHA256)


@dataclass(frozen=True)
class Ruins(Valley):
    def load(self, variant: int = 0) -> None:
        fetch(FILE)


TASK = Ruins()
