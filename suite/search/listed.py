"""Trainings in a given order, for recordings: no search at all."""

from typing import ClassVar

from suite.search.person import Person
from suite.search.strategy import StrategyInfo


class Listed(Person):
    """Proposes what it was told, in order, as for a person; nobody chose it."""

    info: ClassVar = StrategyInfo(
        name="listed",
        family="baselines",
        summary="given configurations in their order",
        capabilities=frozenset({"conditional", "asynchronous"}),
    )
