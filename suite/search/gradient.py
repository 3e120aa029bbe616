"""Gradient-based programs: the hyper-parameters go down an approximate gradient of the outer loss while a model trains.

One outer loop, five ways to the hypergradient. The training is never started anew: after some inner steps the
hyper-parameters make a step, and the training goes on from where it was. The tensors are in
``suite.search.hypergradient``, which is imported when a program runs.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from suite.search.strategy import Problem, Search, StrategyInfo
from suite.task import Checkpoint, DifferentiableProblem, Vector

if TYPE_CHECKING:
    import torch

    from suite.search.hypergradient import Inner, Linear, Training

EVALUATIONS: Final = 10  # for as many inner steps as a full training takes
CURVATURE_PRODUCTS: Final = 20  # iterations of conjugate gradients, terms of the series
DAMPING: Final = 0.1


@dataclass(frozen=True)
class HypergradientDescent(ABC):
    """The loop that all share: inner steps, a hypergradient, an outer step by Adam within the declared space.

    inner_steps: how many to each outer step. share: of its declared range that a hyper-parameter moves in one.
    """

    info: ClassVar[StrategyInfo]
    inner_steps: ClassVar[int]
    share: ClassVar[float] = 0.005

    problem: Problem

    @abstractmethod
    def step(
        self, inner: "Inner", training: "Training", offsets: "torch.Tensor", search: Search
    ) -> "tuple[Training, torch.Tensor]":
        """``training`` after ``inner_steps`` more at ``offsets`` (h,), and the hypergradient (h,) there."""

    def run(
        self, inner: DifferentiableProblem, vectors: Mapping[str, Vector], start: Checkpoint | None, search: Search
    ) -> Iterator[Checkpoint]:
        from suite.search.hypergradient import Inner, Outer, Training, descended

        posed = Inner(inner, vectors)
        training, outer = Training.begin(posed), Outer.begin(posed)
        if start is not None:
            kept = start.state["program"]
            training, outer = Training(**kept["training"]), Outer(**kept["outer"])
        while True:
            until = training.step + max(1, posed.steps // EVALUATIONS)
            while training.step < until:
                training, hypergradient = self.step(posed, training, outer.offsets, search)
                with search():
                    outer = descended(posed, outer, hypergradient, self.share)
            reached = posed.checkpoint(training.parameters, outer.offsets)
            kept = {"training": training._asdict(), "outer": outer._asdict()}
            yield Checkpoint(reached.fidelity, {**reached.state, "program": kept})


class Implicit(HypergradientDescent):
    """Methods that take the parameters for a minimum of the inner loss: they differ in how they solve H p = M_theta."""

    inner_steps = 20

    @abstractmethod
    def solution(self, at: "Linear", inner: "Inner") -> "torch.Tensor":
        """p (p,)."""

    def step(
        self, inner: "Inner", training: "Training", offsets: "torch.Tensor", search: Search
    ) -> "tuple[Training, torch.Tensor]":
        from suite.search.hypergradient import linear, trained

        training = trained(inner, training, offsets, self.inner_steps)
        with search():
            at = linear(inner, training.parameters, offsets, training.step)
            return training, at.hypergradient(self.solution(at, inner))


class ImplicitCg(Implicit):
    """Implicit differentiation with damped conjugate gradients, 20 products with the Hessian a step.

    Pedregosa 2016 solves the system inexactly; the damping keeps the solution bounded where the training is not at a
    minimum (Rajeswaran et al. 2019, arXiv:1909.04630).
    """

    info: ClassVar = StrategyInfo(
        name="implicit-cg",
        family="gradient",
        summary="implicit hypergradients by damped conjugate gradients, 20 iterations",
        capabilities=frozenset({"program"}),
        paper="Pedregosa 2016, Hyperparameter optimization with approximate gradient, ICML, arXiv:1602.02355",
    )

    def solution(self, at: "Linear", inner: "Inner") -> "torch.Tensor":
        from suite.search.hypergradient import conjugate_gradients

        return conjugate_gradients(at.hessian, at.outer, CURVATURE_PRODUCTS, DAMPING)


class ImplicitNeumann(Implicit):
    """Implicit differentiation with the first 20 terms of a Neumann series (Lorraine et al. 2020, algorithm 2).

    Its rate follows from the largest eigenvalue, estimated anew each time, so that it does not diverge.
    """

    info: ClassVar = StrategyInfo(
        name="implicit-neumann",
        family="gradient",
        summary="implicit hypergradients by a Neumann series of 20 terms",
        capabilities=frozenset({"program"}),
        paper="Lorraine, Vicol & Duvenaud 2020, Optimizing millions of hyperparameters by implicit differentiation, "
        "AISTATS, arXiv:1911.02590",
    )

    def solution(self, at: "Linear", inner: "Inner") -> "torch.Tensor":
        from suite.search.hypergradient import neumann_series

        return neumann_series(at.hessian, at.outer, CURVATURE_PRODUCTS)


class T1T2(Implicit):
    """The Hessian's inverse taken for a multiple of the identity (Luketina et al. 2016, eq. 5)."""

    info: ClassVar = StrategyInfo(
        name="t1-t2",
        family="gradient",
        summary="T1-T2: implicit hypergradients with the identity for the Hessian",
        capabilities=frozenset({"program"}),
        paper="Luketina et al. 2016, Scalable gradient-based tuning of continuous regularization hyperparameters, "
        "ICML, arXiv:1511.06727",
    )

    def solution(self, at: "Linear", inner: "Inner") -> "torch.Tensor":
        return inner.step_size * at.outer


class Unrolled(HypergradientDescent):
    """Differentiates through the last 50 steps of the optimiser, Adam's moments included, back to front.

    Franceschi et al. 2017, reverse mode; what came before these steps is taken for given (Shaban et al. 2019, truncated
    back-propagation, arXiv:1810.10667).
    """

    info: ClassVar = StrategyInfo(
        name="unrolled",
        family="gradient",
        summary="hypergradients through the last 50 steps of the training",
        capabilities=frozenset({"program"}),
        paper="Franceschi et al. 2017, Forward and reverse gradient-based hyperparameter optimization, ICML, "
        "arXiv:1703.01785",
    )
    inner_steps = 50

    def step(
        self, inner: "Inner", training: "Training", offsets: "torch.Tensor", search: Search
    ) -> "tuple[Training, torch.Tensor]":
        from suite.search.hypergradient import unrolled

        return unrolled(inner, training, offsets, self.inner_steps, search)


class OnlineHypergradient(Unrolled):
    """An outer step after every inner step, through that step alone.

    Baydin et al. 2018 (eq. 3 to 6) so adapt the learning rate to the training loss; here the declared hyper-parameters
    follow the outer loss.
    """

    info: ClassVar = StrategyInfo(
        name="online-hypergradient",
        family="gradient",
        summary="an outer step after every inner step, through that step alone",
        capabilities=frozenset({"program"}),
        paper="Baydin et al. 2018, Online learning rate adaptation with hypergradient descent, ICLR, arXiv:1703.04782",
    )
    inner_steps = 1
    share = 0.001
