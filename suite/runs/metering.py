"""Which meters a run uses, by their names in the catalogue."""

from collections.abc import Mapping, Sequence

from suite.catalog import load_meter, meter_names
from suite.energy.meter import Means
from suite.energy.selection import AUTO, Selection, best, chosen


def open_meters(names: Sequence[str], means: Means, device: str, reasons: Mapping[str, str] | None = None) -> Selection:
    """The meters called ``names``, or the best source of each component where that is "auto".

    reasons: why these, where they were chosen before. Raises ``CatalogError`` and ``Unavailable``.
    """
    if tuple(names) == (AUTO,):
        return best([load_meter(name) for name in meter_names()], means, device)
    return chosen({name: load_meter(name) for name in names}, means, device, reasons)
