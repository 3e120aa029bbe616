"""The smallest strategy: change one hyper-parameter of the best configuration so far, and keep what is better."""

from suite.search.baselines import sample, seeded
from suite.search.strategy import Problem, Proposal, StrategyInfo, Trial
from suite.space import complete


class Climber:
    info = StrategyInfo(
        "climber",
        family="examples",
        summary="hill climbing, one hyper-parameter at a time",
        capabilities=frozenset({"conditional"}),
    )

    def __init__(self, problem: Problem) -> None:
        self.problem, self.space = problem, seeded(problem.space, problem.seed)
        self.best, self.loss, self.asked = problem.default, float("inf"), 0

    def ask(self) -> Proposal:
        other = sample(self.space)
        name = sorted(other)[self.asked % len(other)]
        self.asked += 1
        changed = complete(self.space, {**other, **self.best, name: other[name]})
        return Proposal(changed, self.problem.fidelity.maximum)

    def tell(self, trial: Trial) -> None:
        loss = trial.objectives[0] * (1 if self.problem.goal == "minimize" else -1)
        if trial.status == "ok" and loss < self.loss:
            self.best, self.loss = trial.proposal.configuration, loss
