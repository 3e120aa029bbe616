"""The contract of a meter: a cumulative counter of one component's energy."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

from suite.energy.processes import ProcessTree

Tier = Literal["measured", "estimated", "replay"]


class Unavailable(RuntimeError):
    """A source of energy readings that is not there; the message names the way out."""


@dataclass(frozen=True)
class MeterInfo:
    """How a meter presents itself: ``component`` is what it meters (cpu, ram, gpu), ``tier`` how it knows."""

    name: str
    component: str
    tier: Tier
    summary: str


@dataclass(frozen=True)
class Means:
    """What a meter may be built from: the run's processes and the declared power of the machine.

    watts_per_core: power that one busy core adds. idle_watts: this run's share of the machine's power at rest.
    """

    processes: ProcessTree
    watts_per_core: float
    idle_watts: float


@runtime_checkable
class Meter(Protocol):
    """Energy of one component since some fixed moment.

    ``microjoules`` never decreases, and rests on the process clocks as last refreshed (``ProcessTree.refresh``), where
    it needs them. Nobody but the ledger subtracts two readings. ``source`` says where the readings
    come from, with the declared figures that they rest on.
    """

    info: ClassVar[MeterInfo]

    @property
    def source(self) -> str: ...

    def microjoules(self) -> int: ...


class MeterFactory(Protocol):
    """What the catalogue holds: a meter's class, built from ``Means``. Raises ``Unavailable`` where it cannot read."""

    @property
    def info(self) -> MeterInfo: ...

    def __call__(self, means: Means) -> Meter: ...
