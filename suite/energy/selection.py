"""Which meter meters which component: the best source that is here, component by component.

Measured comes before estimated, and the smaller error before the larger. Why a better source was passed over, and why a
component is not metered at all, is kept and shown. Nothing that is missing is replaced by a constant.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from suite.energy.meter import Means, Meter, MeterFactory, Tier, Unavailable

AUTO: Final = "auto"
COMPONENTS: Final = ("cpu", "ram", "gpu")
NO_GPU: Final = "the run does not use one"
NOT_ASKED: Final = "no meter of it was asked for"
_ORDER: Final[Mapping[Tier, int]] = {"measured": 0, "replay": 1, "estimated": 2}


@dataclass(frozen=True)
class Selection:
    """The meters in use, one a component, and by component the reason why it is this one, or none.

    names: what the meters are called in the catalogue, or the references to their files.
    """

    meters: tuple[Meter, ...]
    names: tuple[str, ...]
    reasons: Mapping[str, str]

    @property
    def unmetered(self) -> dict[str, str]:
        """Components that nothing meters, and why."""
        metered = {meter.info.component for meter in self.meters}
        return {component: reason for component, reason in self.reasons.items() if component not in metered}

    @property
    def tier(self) -> Tier:
        """The weakest of the meters' tiers: measured only if all are."""
        return max((meter.info.tier for meter in self.meters), key=lambda tier: _ORDER[tier])

    @property
    def factor(self) -> float:
        """The largest of the meters' prior errors."""
        return max(meter.info.factor for meter in self.meters)

    def records(self) -> list[dict[str, Any]]:
        """What a log says of each meter."""
        return [
            {
                "component": meter.info.component,
                "meter": meter.info.name,
                "tier": meter.info.tier,
                "source": meter.source,
                "reason": self.reasons[meter.info.component],
                "factor": meter.info.factor,
                "tick_seconds": meter.info.tick_seconds,
            }
            for meter in self.meters
        ]

    def sentences(self) -> list[str]:
        """What meters what, and why, one line a component."""
        metered = [
            f"{meter.info.component}: {meter.info.name}, {meter.info.tier}, right within a factor of "
            f"{meter.info.factor:g}: {meter.source} ({self.reasons[meter.info.component]})"
            for meter in self.meters
        ]
        return metered + [f"{component}: not metered: {reason}" for component, reason in self.unmetered.items()]


def best(factories: Iterable[MeterFactory], means: Means, device: str) -> Selection:
    """The best source of each component of a run on ``device`` (cpu, cuda, cuda:1).

    Raises ``Unavailable`` where the CPU cannot be metered, or the GPU of a run that uses one.
    """
    several, meters = list(factories), []
    reasons: dict[str, str] = {}
    for component in COMPONENTS:
        if component == "gpu" and not uses_gpu(device):
            reasons[component] = NO_GPU
            continue
        meter, passed_over = _first(_ranked(several, component), means)
        told = "; ".join(f"not {name}: {reason}" for name, reason in passed_over.items())
        if meter:
            meters.append(meter)
            reasons[component] = f"the best source here{f'; {told}' if told else ''}"
        elif component == "ram":
            reasons[component] = told or "no meter is installed"
        else:
            raise Unavailable(f"nothing meters the {component} of this run: {told or 'no meter is installed'}")
    return Selection(tuple(meters), tuple(meter.info.name for meter in meters), reasons)


def chosen(
    factories: Mapping[str, MeterFactory], means: Means, device: str, reasons: Mapping[str, str] | None = None
) -> Selection:
    """The meters that were asked for by name, all of them. ``reasons``: why these, where they were chosen before.

    Raises ``Unavailable`` where one is not here.
    """
    meters: dict[str, Meter] = {}
    for name, factory in factories.items():
        other = meters.get(factory.info.component)
        if other:
            raise Unavailable(
                f"{other.info.name} and {name} meter the same component, {other.info.component}; take one"
            )
        try:
            meters[factory.info.component] = factory(means)
        except Unavailable as reason:
            raise Unavailable(f"meter {name}: {reason}") from reason
    given = dict.fromkeys(meters, "asked for")
    given |= {component: NOT_ASKED for component in COMPONENTS if component not in meters}
    if "gpu" not in meters and not uses_gpu(device):
        given["gpu"] = NO_GPU
    return Selection(tuple(meters.values()), tuple(factories), {**given, **(reasons or {})})


def uses_gpu(device: str) -> bool:
    return device.startswith("cuda")


def _ranked(factories: Iterable[MeterFactory], component: str) -> list[MeterFactory]:
    own = (factory for factory in factories if factory.info.component == component)
    return sorted(own, key=lambda factory: (_ORDER[factory.info.tier], factory.info.factor))


def _first(factories: Sequence[MeterFactory], means: Means) -> tuple[Meter | None, dict[str, str]]:
    """The first that can be built, and why those before it cannot."""
    reasons: dict[str, str] = {}
    for factory in factories:
        try:
            return factory(means), reasons
        except Unavailable as reason:
            reasons[factory.info.name] = str(reason)
    return None, reasons
