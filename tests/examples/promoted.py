"""A strategy that trains the default a little, and then goes on with it."""

from typing import ClassVar

from suite.search.strategy import EXHAUSTED, Problem, Proposal, Signal, StrategyInfo, Trial


class Promoted:
    info: ClassVar = StrategyInfo("promoted", "tests", "one promotion", frozenset({"conditional", "fidelity"}))

    def __init__(self, problem: Problem) -> None:
        self._problem, self._asked = problem, 0

    def ask(self) -> Proposal | Signal:
        if self._asked == 2:
            return EXHAUSTED
        self._asked += 1
        fidelity = self._problem.fidelity
        return Proposal(
            self._problem.default, fidelity.minimum + (self._asked - 1) * fidelity.step, self._asked - 1 or None
        )

    def tell(self, trial: Trial) -> None:
        """Nothing is learned."""
