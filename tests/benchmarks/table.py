"""The page of the benchmarks, from the results of pytest-benchmark.

python -m tests.benchmarks.table RESULTS.json > docs/benchmarks.md
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.paired import PAIR, Pair

COMMAND = "tox -e bench"
SLOWER = 0.9  # times the peer's time, from which on ours is said to be slower: what is closer is noise
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))

HEAD = f"""\
# Speed, beside peers

What carbon-suite takes, and what another library takes for the same work: in turns in one run, in CPU time of all
processes that do it, Python's start included where a process is started. Medians of n each. A ratio above 1 says that
the peer takes longer.

    {COMMAND}

measures, and prints this page at its end. What has no peer is told elsewhere: a cut of the ledger in
[metering](metering.md), engines and a board of 10,000 runs in [scale and faults](scale.md).
"""


def page(results: Mapping[str, Any]) -> str:
    """Markdown of the pairs in ``results``, as ``--benchmark-json`` writes them."""
    pairs = [Pair(**each["extra_info"][PAIR]) for each in results["benchmarks"] if PAIR in each["extra_info"]]
    return "\n".join([HEAD, machine(results), "", *table(pairs), "", slower(pairs), ""])


def machine(results: Mapping[str, Any]) -> str:
    facts = results["machine_info"]["facts"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    kind = "a virtual machine" if facts["virtual"] else "a machine"
    return (
        f"On {results['datetime'][:10]}, on {kind} with {facts['cores']} cores of {facts['cpu']} and "
        f"{facts['memory_gib']} GiB, at a load of {facts['load']}, benchmarks included; one thread; "
        f"Python {facts['python']}, {versions}."
    )


def table(pairs: list[Pair]) -> Iterator[str]:
    yield "| what | ours | peer | peer's | peer / ours | n | what differs |"
    yield "|---|---:|---|---:|---:|---:|---|"
    for pair in pairs:
        cells = (
            pair.what,
            duration(pair.ours_seconds),
            f"{pair.peer} {pair.version or ''}".rstrip(),
            duration(pair.peer_seconds),
            rounded(pair.ratio),
            pair.n,
            pair.differs,
        )
        yield f"| {' | '.join(map(str, cells))} |"


def slower(pairs: list[Pair]) -> str:
    """What ours is slower at, and why."""
    found = [
        f"- {pair.what}: {rounded(1 / pair.ratio)} times as long as {pair.peer} ({pair.differs})"
        for pair in pairs
        if pair.ratio < SLOWER
    ]
    if not found:
        return "carbon-suite is slower at none of these."
    return "\n".join(["carbon-suite is slower at:", "", *found])


def duration(seconds: float) -> str:
    """In the largest unit of which there is one at least."""
    size, unit = next((each for each in UNITS if seconds >= each[0]), UNITS[-1])
    return f"{rounded(seconds / size)} {unit}"


def rounded(number: float) -> str:
    """To three digits; whole numbers have all of theirs."""
    return f"{number:,.0f}" if number >= 99.95 else f"{number:#.3g}"


if __name__ == "__main__":
    print(page(json.loads(Path(sys.argv[1]).read_text())), end="")
