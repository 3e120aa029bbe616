"""One-shot architecture search: a net in which all architectures share their weights stands in for their trainings."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from suite.search.strategy import Problem, Search, StrategyInfo
from suite.task import Checkpoint, DifferentiableProblem, Vector

INNER_STEPS: Final = 10
SHARE: Final = 0.02  # of the declared range that the weight of an option moves in an outer step
SPREAD: Final = 1e-3  # of the first weights of the options, over that range


class Darts:
    """DARTS, first order: the weights of the options follow the validation loss while the shared weights are trained.

    The outer gradient holds the net's weights fixed (Liu et al. 2019, algorithm 1 with xi = 0). It is of all validation
    data and not of a batch, so that there is one outer step to ten inner ones, and not to each. After as many inner
    steps as a full training takes, the strongest options are the architecture, which is trained from scratch and
    evaluated. Then the search begins anew with other first weights of the options and other batches, as the paper's
    four runs do.
    """

    info: ClassVar = StrategyInfo(
        name="darts",
        family="architecture",
        summary="DARTS, first order: one net for all architectures, then the strongest one trained",
        capabilities=frozenset({"program", "one-shot"}),
        paper="Liu, Simonyan & Yang 2019, DARTS: Differentiable architecture search, ICLR, arXiv:1806.09055",
    )

    def __init__(self, problem: Problem) -> None:
        self._seed = problem.seed

    def run(
        self, inner: DifferentiableProblem, vectors: Mapping[str, Vector], start: Checkpoint | None, search: Search
    ) -> Iterator[Checkpoint]:
        import torch

        from suite.search.hypergradient import Inner, Outer, Training, descended, direct, trained

        rounds = int(start.state["program"]["rounds"]) if start else 0
        while True:
            posed = Inner(inner, vectors, first_step=rounds * inner.steps)
            training, outer = Training.begin(posed), Outer.begin(posed)
            random = torch.Generator().manual_seed((self._seed << 16) + rounds)
            noise = torch.randn(outer.offsets.shape, generator=random).to(outer.offsets)
            outer = outer._replace(offsets=SPREAD * (posed.upper - posed.lower) * noise)
            while training.step < posed.steps:
                training = trained(posed, training, outer.offsets, INNER_STEPS)
                with search():
                    slope = direct(posed, training.parameters, outer.offsets)
                    outer = descended(posed, outer, slope, SHARE)
            rounds += 1
            reached = posed.checkpoint(training.parameters, outer.offsets)
            yield Checkpoint(reached.fidelity, {**reached.state, "program": {"rounds": rounds}})
