"""A person who searches by hand (``carbon-suite manual``), under the contract that every strategy is under."""

from typing import ClassVar

from suite.search.strategy import EXHAUSTED, Problem, Proposal, Signal, StrategyInfo, Trial


class Person:
    """Proposes what the person has answered, in order. The run's log is where the answers of earlier days are kept."""

    info: ClassVar = StrategyInfo(
        name="person",
        family="baselines",
        summary="a person, who answers by hand: carbon-suite manual",
        capabilities=frozenset({"conditional", "fidelity", "mutation"}),
    )

    def __init__(self, problem: Problem) -> None:
        self._answers = iter(problem.answers)

    def ask(self) -> Proposal | Signal:
        return next(self._answers, EXHAUSTED)

    def tell(self, trial: Trial) -> None:
        """The person reads it on the terminal."""
