"""Trainings in a given order, for recordings: no search at all."""

from collections.abc import Sequence
from typing import ClassVar

from suite.search.strategy import EXHAUSTED, Problem, Proposal, Signal, Strategy, StrategyInfo, Trial
from suite.space import Configuration


def listed(configurations: Sequence[Configuration]) -> type[Strategy]:
    """A strategy that proposes ``configurations``, each in full, in their order."""

    class Listed:
        info: ClassVar = StrategyInfo(
            name="listed",
            family="baselines",
            summary="given configurations in their order",
            capabilities=frozenset({"conditional", "asynchronous"}),
        )

        def __init__(self, problem: Problem) -> None:
            self._fidelity = problem.fidelity.maximum
            self._left = iter(configurations)

        def ask(self) -> Proposal | Signal:
            configuration = next(self._left, None)
            return EXHAUSTED if configuration is None else Proposal(configuration, self._fidelity)

        def tell(self, trial: Trial) -> None:
            """Nothing is learned."""

    return Listed
