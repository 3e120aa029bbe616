"""Which meters a run uses, by their names in the catalogue; and who shares the counters of the whole machine."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from suite.catalog import load_meter, meter_names
from suite.energy.meter import Means, Meter, MeterFactory, MeterInfo
from suite.energy.node import Node, SharedMeter, Slots
from suite.energy.selection import AUTO, Selection, best, chosen

NODE_NAME = "node.jsonl"


def open_meters(
    names: Sequence[str],
    means: Means,
    device: str,
    reasons: Mapping[str, str] | None = None,
    share: Mapping[str, Any] | None = None,
) -> Selection:
    """The meters called ``names``, or the best source of each component where that is "auto".

    reasons: why these, where they were chosen before. share: see ``RunPlan``. Raises ``CatalogError`` and
    ``Unavailable``.
    """
    if tuple(names) == (AUTO,):
        return best([load_meter(name) for name in meter_names()], means, device)
    factories = {name: load_meter(name) for name in names}
    if share:
        slots = Slots(share["descriptor"])
        factories = {name: _Shared(factory, share, slots) for name, factory in factories.items()}
    return chosen(factories, means, device, reasons)


def node_of(selection: Selection, jobs: int) -> Node | None:
    """What shares the counters of the whole machine among ``jobs`` runs side by side; None where it need not."""
    meters = [meter for meter in selection.meters if meter.info.whole_machine]
    return Node(meters, jobs) if meters and jobs > 1 else None


def write_node(node: Node | None, directory: Path) -> None:
    """Add to the record of what the counters counted while runs were side by side, and of what no run took."""
    if node is None:
        return
    record = {"ended": datetime.now(UTC).isoformat(timespec="seconds"), "microjoules": node.report()}
    with (directory / NODE_NAME).open("a") as file:
        file.write(json.dumps(record) + "\n")


class _Shared:
    """Builds a run's share of a meter that sees the whole machine; any other meter as it is."""

    def __init__(self, factory: MeterFactory, share: Mapping[str, Any], slots: Slots) -> None:
        self._factory, self._share, self._slots = factory, share, slots

    @property
    def info(self) -> MeterInfo:
        return self._factory.info

    def __call__(self, means: Means) -> Meter:
        if not self.info.whole_machine:
            return self._factory(means)
        source = self._share["sources"][self.info.name]
        return SharedMeter(self.info, source, self._slots, self._share["slot"], means.processes)
