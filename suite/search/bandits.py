"""Multi-fidelity strategies: many short trainings, of which the best go on."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

from suite.search.baselines import sample, seeded
from suite.search.strategy import WAIT, Problem, Proposal, Signal, StrategyInfo, Trial
from suite.task import Fidelity, Goal

ETA = 3


@dataclass
class _Rung:
    """Trainings of one bracket at one fidelity. ``results`` are (loss, trial number), lower is better."""

    fidelity: int
    size: int
    asked: int = 0
    results: list[tuple[float, int]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return len(self.results) == self.size

    def best(self, count: int) -> list[int]:
        """Trial numbers of the ``count`` best; failed trials (infinite loss) are never among them."""
        ranked = sorted(result for result in self.results if math.isfinite(result[0]))
        return [number for _, number in ranked[:count]]


class Hyperband:
    """Brackets of successive halving, from the shortest trainings to full ones, and again while the budget lasts.

    A configuration that is promoted goes on from its checkpoint and pays only for the rest. Each bracket is
    synchronous: a rung is complete before its best are promoted. eta = 3.
    """

    info: ClassVar = StrategyInfo(
        name="hyperband",
        family="multi-fidelity",
        summary="Hyperband: brackets of successive halving, promotions resume their checkpoints",
        capabilities=frozenset({"conditional", "fidelity", "asynchronous"}),
        paper="Li et al. 2018, Hyperband, JMLR 18",
    )

    def __init__(self, problem: Problem) -> None:
        self._space = seeded(problem.space, problem.seed)
        self._fidelity = problem.fidelity
        self._goal: Goal = problem.goal
        self._deepest = halvings(problem.fidelity)
        self._depth = self._deepest  # halvings of the bracket in hand
        self._rungs = self._bracket()
        self._proposals: dict[int, Proposal] = {}
        self._promotions: list[int] = []
        self._number = 0

    def ask(self) -> Proposal | Signal:
        if self._rungs[0].asked == self._rungs[0].size and not self._advance():
            return WAIT
        rung = self._rungs[0]
        rung.asked += 1
        self._number += 1
        proposal = self._next(rung.fidelity)
        self._proposals[self._number] = proposal
        return proposal

    def tell(self, trial: Trial) -> None:
        if trial.number not in self._proposals:  # trial 0
            return
        value = trial.objectives[0] if self._goal == "minimize" else -trial.objectives[0]
        self._rungs[0].results.append((value if trial.status == "ok" else math.inf, trial.number))

    def _next(self, fidelity: int) -> Proposal:
        if not self._promotions:
            return Proposal(sample(self._space), fidelity)
        parent = self._promotions.pop(0)
        return Proposal(self._proposals[parent].configuration, fidelity, parent)

    def _advance(self) -> bool:
        """Go on to the next rung, or the next bracket. False while the rung in hand is not complete."""
        rung = self._rungs[0]
        if not rung.complete:
            return False
        self._rungs.pop(0)
        if self._rungs:
            self._promotions = rung.best(self._rungs[0].size)
            self._rungs[0].size = len(self._promotions)
        if not self._rungs or not self._promotions:  # the bracket is done, or nothing in it survived
            self._depth = self._depth - 1 if self._depth else self._deepest
            self._rungs = self._bracket()
        return True

    def _bracket(self) -> list[_Rung]:
        """Rungs of the bracket with ``depth`` halvings: n_i configurations at fidelity r_i (Li et al., algorithm 1)."""
        depth = self._depth
        size = math.ceil((self._deepest + 1) / (depth + 1) * ETA**depth)
        return [
            _Rung(self._fidelity.clamp(self._fidelity.maximum / ETA ** (depth - i)), max(1, size // ETA**i))
            for i in range(depth + 1)
        ]


def halvings(fidelity: Fidelity) -> int:
    """How often the fidelity range can be divided by eta: floor(log_eta(maximum / minimum))."""
    depth = 0
    while fidelity.minimum * ETA ** (depth + 1) <= fidelity.maximum:
        depth += 1
    return depth
