"""CPU time of a round of federated averaging, clients side by side, against a plain loop over its clients.

Same net, same examples, same steps, in one run: the default of federated/mnist1d, 15 clients and 10 steps each.

    tox -e bench -- tests/benchmarks/test_federated.py
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from suite.task import Configuration
from tasks.federated.mnist1d import PLAN, TASK, build_model
from tasks.federated_averaging import Client, begin, clients_of, draw, federated_round, participants
from tasks.training import stream
from tests.benchmarks.paired import Peer, beside

ROUNDS = 15
PLAIN: Configuration = {**TASK.spec.default, "proximal": 0.0}


class Loop:
    """FedAvg as most write it: each client in turn trains a copy of the net by torch's SGD."""

    def __init__(self, net: nn.Module, clients: Sequence[Client]) -> None:
        self.net, self.clients = copy.deepcopy(net), clients
        self.round = 0

    def __call__(self) -> None:
        fraction = float(PLAIN["client_fraction"])
        chosen = participants(len(self.clients), fraction, stream(0, f"round {self.round}"))
        sizes = [len(self.clients[each].y) for each in chosen]
        total = [torch.zeros_like(parameter) for parameter in self.net.parameters()]
        for each, size in zip(chosen, sizes, strict=True):
            own = draw(self.clients[each], PLAN, PLAIN, stream(0, f"round {self.round}, client {each}"))
            trained = self._trained(own)
            with torch.no_grad():
                for whole, part in zip(total, trained.parameters(), strict=True):
                    whole += size / sum(sizes) * part
        with torch.no_grad():
            for common, new in zip(self.net.parameters(), total, strict=True):
                common.copy_(new)
        self.round += 1

    def _trained(self, own: Client) -> nn.Module:
        local = copy.deepcopy(self.net)
        optimiser = torch.optim.SGD(local.parameters(), float(PLAIN["learning_rate"]))
        for x, y in zip(own.x, own.y, strict=True):
            optimiser.zero_grad()
            functional.cross_entropy(local(x), y).backward()
            optimiser.step()
        return local


def test_a_round_costs_less_than_a_loop_over_clients(benchmark: Any) -> None:
    data = TASK.load()
    clients = clients_of(data["train_x"], data["train_y"], data["train_sizes"])
    training = begin(build_model, PLAIN, 0, "cpu")
    loop, numbers = Loop(training.model.net, clients), iter(range(PLAN.rounds))

    def one_round() -> None:
        federated_round(training, clients, PLAN, next(numbers))

    for _ in range(2):
        loop(), one_round()
        for ours, theirs in zip(training.model.net.parameters(), loop.net.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    peer = Peer("a loop over clients", loop, "nothing: the same weights come out")
    assert beside(benchmark, "a round of federated averaging, of 15 clients", one_round, peer, ROUNDS).ratio >= 1.5
