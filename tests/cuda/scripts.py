"""What is done to the GPU, in order."""

from typing import ClassVar

from suite.search.strategy import EXHAUSTED, Problem, Proposal, Signal, StrategyInfo, Trial

ACTS = ("multiply", "allocate", "multiply", "assert", "multiply")


class OnCuda:
    info: ClassVar = StrategyInfo("on-cuda", family="tests", summary="what a trial may do to a GPU")

    def __init__(self, problem: Problem) -> None:
        self.fidelity, self.acts = problem.fidelity.maximum, iter(enumerate(ACTS))

    def ask(self) -> Proposal | Signal:
        number, act = next(self.acts, (0, None))
        return Proposal({"act": act, "x": 0.1 + 0.01 * number}, self.fidelity) if act else EXHAUSTED

    def tell(self, trial: Trial) -> None:
        """There is nothing to learn."""
