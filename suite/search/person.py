"""A person who searches by hand (``carbon-suite manual``), under the contract that every strategy is under."""

from collections.abc import Sequence
from typing import ClassVar

from suite.search.strategy import EXHAUSTED, Problem, Proposal, Signal, StrategyInfo, Trial


class Person:
    """Proposes what the person has told, in order. The run's log is where that is kept from day to day."""

    info: ClassVar = StrategyInfo(
        name="person",
        family="baselines",
        summary="a person, who tells what to try: carbon-suite manual",
        capabilities=frozenset({"conditional", "fidelity", "asynchronous", "mutation"}),
        paper="Anand et al. 2020, Black magic in deep learning: how human skill impacts network training, BMVC, "
        "arXiv:2008.05981 (as how people search)",
    )

    def __init__(self, problem: Problem, told: Sequence[Proposal] = ()) -> None:
        self._left = iter(told)

    def ask(self) -> Proposal | Signal:
        return next(self._left, EXHAUSTED)

    def tell(self, trial: Trial) -> None:
        """The person reads it on the terminal."""
