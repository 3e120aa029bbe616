"""CPU time of a meta-iteration of MAML, tasks side by side, against a loop over its tasks.

Same net, same sine waves, same second-order gradient, in one run: the default of few_shot/sinusoid, 25 waves.

    tox -e bench -- tests/benchmarks/test_few_shot.py
"""

import copy
import itertools
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from tasks.few_shot.sinusoid import LARGEST_GRADIENT_NORM, SHOTS, TASK, begin, fresh_tasks, meta_iteration
from tasks.training import stream
from tests.benchmarks.paired import Peer, beside

ITERATIONS = 40
DEFAULT = TASK.spec.default


class Loop:
    """MAML as most write it: for each task in turn, a functional net whose weights remember how they came about."""

    def __init__(self, net: nn.Module) -> None:
        self.net = copy.deepcopy(net)
        self.optimiser = torch.optim.Adam(self.net.parameters(), float(DEFAULT["learning_rate"]), fused=True)
        self.tasks = stream(0, "tasks")

    def __call__(self) -> None:
        x, y = fresh_tasks(self.tasks)
        self.optimiser.zero_grad()
        losses = [self._query_loss(*task) for task in zip(x, y, strict=True)]
        torch.stack(losses).mean().backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), LARGEST_GRADIENT_NORM)
        self.optimiser.step()

    def _query_loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        weights = dict(self.net.named_parameters())
        for _ in range(int(DEFAULT["inner_steps"])):
            loss = functional.mse_loss(functional_call(self.net, weights, (x[:SHOTS],)), y[:SHOTS])
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            rate = float(DEFAULT["inner_learning_rate"])
            weights = {
                name: weight - rate * gradient
                for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
            }
        return functional.mse_loss(functional_call(self.net, weights, (x[SHOTS:],)), y[SHOTS:])


def test_a_meta_iteration_costs_less_than_a_loop_over_tasks(benchmark: Any) -> None:
    training = begin(DEFAULT, 0, "cpu")
    loop, numbers = Loop(training.model.layers), itertools.count()

    def one_iteration() -> None:
        meta_iteration(training, next(numbers), "cpu")

    for _ in range(10):
        loop(), one_iteration()
        for ours, theirs in zip(training.model.layers.parameters(), loop.net.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    peer = Peer("a loop over tasks", loop, "nothing: the same weights come out")
    assert beside(benchmark, "an iteration of MAML, of 25 tasks", one_iteration, peer, ITERATIONS).ratio >= 1.5
