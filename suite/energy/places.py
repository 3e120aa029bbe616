"""From what a user writes to a place: a zone, grams per kWh, or a file with a trace."""

from pathlib import Path

from suite.energy.carbon import Place, fixed, grid
from suite.energy.trace import Trace


def place(text: str) -> Place:
    """``FRA``, ``US-CA``; ``56``, in grams CO2e per kWh; ``trace.csv``.

    Raises ``UnknownZone``, ``TraceError`` and ``OSError``.
    """
    if text.lower().endswith(".csv"):
        return Trace.read(Path(text))
    try:
        grams = float(text)
    except ValueError:
        return grid(text)
    return fixed(grams)
