"""Hill climbing: change one or two hyper-parameters of the best configuration so far, and keep what is better."""

from typing import ClassVar

import numpy as np

from suite.search.baselines import sample, seeded
from suite.search.strategy import Problem, Proposal, StrategyInfo, Trial
from suite.space import complete


class Climbing:
    info: ClassVar = StrategyInfo(
        "climbing",
        family="examples",
        summary="hill climbing, one or two hyper-parameters at a time",
        capabilities=frozenset({"conditional"}),
        version="1.0",
    )

    def __init__(self, problem: Problem) -> None:
        self._problem, self._space = problem, seeded(problem.space, problem.seed)
        self._rng = np.random.default_rng(problem.seed)
        self._best, self._loss = problem.default, float("inf")

    def ask(self) -> Proposal:
        other = sample(self._space)
        count = min(len(other), int(self._rng.integers(1, 3)))
        changed = {name: other[name] for name in self._rng.choice(sorted(other), count, replace=False)}
        configuration = complete(self._problem.space, {**other, **self._best, **changed})
        return Proposal(configuration, self._problem.fidelity.maximum)

    def tell(self, trial: Trial) -> None:
        loss = trial.objectives[0] * (1 if self._problem.goal == "minimize" else -1)
        if trial.status == "ok" and loss < self._loss:
            self._best, self._loss = trial.proposal.configuration, loss
