"""The contract of a meter: a cumulative counter of one component's energy."""

from dataclasses import dataclass
from typing import Final, Literal, Protocol, runtime_checkable

from suite.energy.processes import ProcessTree

Tier = Literal["measured", "estimated", "replay"]

#: Prior errors (docs/metering.md): the truth lies between reading / factor and reading x factor, in 95 cases of 100.
COUNTER_FACTOR: Final = 1.05
RAPL_FACTOR: Final = 1.10
SAMPLED_FACTOR: Final = 1.25
MODEL_FACTOR: Final = 3.0


class Unavailable(RuntimeError):
    """A source of energy readings that is not there; the message names the way out."""


@dataclass(frozen=True)
class MeterInfo:
    """How a meter presents itself: ``component`` is what it meters (cpu, ram, gpu), ``tier`` how it knows.

    factor: its systematic error, the same for all readings on one machine: the truth lies between reading / factor and
    reading x factor. tick_seconds: how often the counter behind it is renewed; what is shorter, it cannot resolve.
    whole_machine: whether it counts what everybody on the machine uses, and not this run alone.
    """

    name: str
    component: str
    tier: Tier
    summary: str
    factor: float = MODEL_FACTOR
    tick_seconds: float = 0.0
    whole_machine: bool = False


@dataclass(frozen=True)
class Means:
    """What a meter may be built from: the run's processes and the declared power of the machine.

    watts_per_core: power that one busy core adds. idle_watts: this run's share of the machine's power at rest.
    ram_watts: this run's share of the memory's power; None where nobody declares it.
    """

    processes: ProcessTree
    watts_per_core: float
    idle_watts: float
    ram_watts: float | None = None


@runtime_checkable
class Meter(Protocol):
    """Energy of one component since some fixed moment.

    ``microjoules`` never decreases, and rests on the process clocks as last refreshed (``ProcessTree.refresh``), where
    it needs them. It raises ``Unavailable`` where there is no reading at this moment, or where the counter may have
    lost energy since the last one: that stretch of time counts as not covered. Nobody but the ledger subtracts two
    readings. ``source`` says where the readings come from, with the declared figures that they rest on.
    """

    @property
    def info(self) -> MeterInfo: ...

    @property
    def source(self) -> str: ...

    def microjoules(self) -> int: ...


class MeterFactory(Protocol):
    """What the catalogue holds: a meter's class, built from ``Means``. Raises ``Unavailable`` where it cannot read."""

    @property
    def info(self) -> MeterInfo: ...

    def __call__(self, means: Means) -> Meter: ...
