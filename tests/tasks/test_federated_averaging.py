"""Federated averaging: the same as a plain loop over clients, and what one client knows stays with it."""

import copy
from collections.abc import Sequence

import pytest
import torch
from ConfigSpace import ConfigurationSpace
from torch import nn
from torch.nn import functional

from suite.task import Configuration
from tasks.federated_averaging import (
    AVERAGE_DECAY,
    MUTABLE,
    Client,
    Federation,
    Plan,
    begin,
    clients_of,
    draw,
    federated_round,
    federated_space,
    local_weights,
    participants,
    train_rounds,
)
from tasks.networks import signal_cnn
from tasks.optimisers import schedule_factor
from tasks.training import Training, stream

SIZES = (5, 12, 9, 30)
FEDAVG: Configuration = {
    "learning_rate": 0.2,
    "schedule": "constant",
    "local_steps": 3,
    "proximal": 1e-4,
    "client_fraction": 0.75,
    "server_optimiser": "sgd",
    "server_momentum": 0.0,
    "norm": "none",
}
ADAM: Configuration = {
    **{name: value for name, value in FEDAVG.items() if name != "server_momentum"},
    "server_optimiser": "adam",
    "server_learning_rate": 0.03,
}


def noisy(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
    return x + 0.1 * torch.randn(x.shape, generator=generator)


PLAN = Plan(rounds=8, step=2, batch=4, augment=noisy)


def build(configuration: Configuration) -> Federation:
    return Federation(signal_cnn(20, 3, 4, 2, str(configuration["norm"])))


@pytest.fixture
def clients() -> list[Client]:
    generator = stream(0, "examples")
    x = torch.randn(sum(SIZES), 1, 20, generator=generator)
    y = torch.randint(3, (sum(SIZES),), generator=generator)
    return clients_of(x, y, torch.tensor(SIZES))


def plain_client(net: nn.Module, own: Client, learning_rate: float, proximal: float) -> nn.Module:
    """The net that one client makes of the server's, by torch's own SGD on a copy."""
    local = copy.deepcopy(net)
    optimiser = torch.optim.SGD(local.parameters(), learning_rate)
    for x, y in zip(own.x, own.y, strict=True):
        distances = [
            (mine - common.detach()).square().sum()
            for mine, common in zip(local.parameters(), net.parameters(), strict=True)
        ]
        loss = functional.cross_entropy(local(x), y) + proximal / 2 * torch.stack(distances).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return local


class PlainServer:
    """The server's update, written out from Reddi et al. 2021, with Adam's bias correction of Kingma & Ba 2015."""

    def __init__(self, configuration: Configuration, net: nn.Module) -> None:
        self.configuration = configuration
        self.net = copy.deepcopy(net)
        self.first = [torch.zeros_like(each) for each in net.parameters()]
        self.second = [torch.zeros_like(each) for each in net.parameters()]
        self.rounds = 0

    @torch.no_grad()
    def step(self, locals_: Sequence[nn.Module], sizes: Sequence[int]) -> None:
        self.rounds += 1
        for number, common in enumerate(self.net.parameters()):
            mine = [list(local.parameters())[number] for local in locals_]
            changes = [size / sum(sizes) * (each - common) for each, size in zip(mine, sizes, strict=True)]
            common += self._taken(number, torch.stack(changes).sum(dim=0))

    def _taken(self, number: int, change: torch.Tensor) -> torch.Tensor:
        if self.configuration["server_optimiser"] == "sgd":
            self.first[number] = float(self.configuration["server_momentum"]) * self.first[number] + change
            return self.first[number]
        self.first[number] = 0.9 * self.first[number] + 0.1 * change
        self.second[number] = 0.99 * self.second[number] + 0.01 * change.square()
        first, second = self.first[number] / (1 - 0.9**self.rounds), self.second[number] / (1 - 0.99**self.rounds)
        return float(self.configuration["server_learning_rate"]) * first / (second.sqrt() + 1e-3)


@pytest.mark.parametrize(
    "configuration",
    [
        FEDAVG,
        {**FEDAVG, "norm": "group", "client_fraction": 1.0},
        {**FEDAVG, "proximal": 1.0, "local_steps": 6},
        {**FEDAVG, "server_momentum": 0.7, "schedule": "cosine"},
        ADAM,
    ],
    ids=["fedavg", "group-normalisation", "fedprox", "fedavgm", "fedadam"],
)
def test_rounds_are_those_of_a_plain_loop_over_clients(clients: list[Client], configuration: Configuration) -> None:
    training = begin(build, configuration, 1, "cpu")
    server = PlainServer(configuration, training.model.net)
    for number in range(4):
        chosen = participants(len(clients), float(configuration["client_fraction"]), stream(1, f"round {number}"))
        rate = float(configuration["learning_rate"]) * schedule_factor(str(configuration["schedule"]), number / 8)
        locals_ = [
            plain_client(
                server.net,
                draw(clients[each], PLAN, configuration, stream(1, f"round {number}, client {each}")),
                rate,
                float(configuration["proximal"]),
            )
            for each in chosen
        ]
        server.step(locals_, [SIZES[each] for each in chosen])
        federated_round(training, clients, PLAN, number)
        for ours, theirs in zip(training.model.net.parameters(), server.net.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def weights_of(clients: Sequence[Client], chosen: Sequence[int]) -> dict[str, torch.Tensor]:
    training = begin(build, {**FEDAVG, "norm": "group"}, 0, "cpu")
    return dict(local_weights(training, clients, PLAN, 3, chosen)[0])


def test_what_one_client_knows_does_not_reach_another(clients: list[Client]) -> None:
    """Neither its examples nor how many they are."""
    everyone = range(len(clients))
    before = weights_of(clients, everyone)
    changed = Client(-3.0 * clients[1].x[:7], 2 - clients[1].y[:7])
    after = weights_of([clients[0], changed, *clients[2:]], everyone)
    for name in before:
        others = [0, 2, 3]
        assert torch.equal(before[name][others], after[name][others]), name
        assert not torch.equal(before[name][1], after[name][1]), name


def test_a_client_learns_the_same_in_any_company(clients: list[Client]) -> None:
    alone, together = weights_of(clients, [2]), weights_of(clients, [3, 2, 0])
    for name in alone:
        torch.testing.assert_close(alone[name][0], together[name][1], rtol=1e-4, atol=1e-6)


def test_a_client_draws_its_own_examples_alone(clients: list[Client]) -> None:
    plan = Plan(8, 2, 50, augment=lambda x, configuration, generator: x)
    for client in clients:
        drawn = draw(client, plan, FEDAVG, stream(0, "any"))
        assert drawn.x.shape == (3, 50, 1, 20)
        known = {(x.numpy().tobytes(), int(y)) for x, y in zip(client.x, client.y, strict=True)}
        seen = {(x.numpy().tobytes(), int(y)) for x, y in zip(drawn.x.flatten(0, 1), drawn.y.flatten(), strict=True)}
        assert seen <= known
        assert len(seen) > len(known) / 2


def test_a_strong_proximal_term_holds_clients_near_the_server(clients: list[Client]) -> None:
    moved = []
    for proximal in (1e-4, 1.0, 4.0):
        training = begin(build, {**FEDAVG, "proximal": proximal, "local_steps": 16}, 0, "cpu")
        weights, _ = local_weights(training, clients, PLAN, 0, [0])
        start = {name: weight.detach() for name, weight in training.model.net.named_parameters()}
        moved.append(float(torch.stack([(weights[name][0] - start[name]).norm() for name in start]).norm()))
    assert moved[0] > 1.2 * moved[1] > 1.2 * 1.2 * moved[2] > 0


@pytest.mark.parametrize(("fraction", "expected"), [(0.01, 1), (0.2, 6), (0.5, 15), (1.0, 30)])
def test_participants_are_so_many_different_clients(fraction: float, expected: int) -> None:
    rounds = [participants(30, fraction, stream(0, f"round {number}")) for number in range(40)]
    assert {len(set(chosen)) for chosen in rounds} == {expected} == {len(chosen) for chosen in rounds}
    assert set().union(*rounds) <= set(range(30))
    assert len(set().union(*rounds)) > 15  # 40 rounds of 1 of 30 reach 22 in the mean


def test_what_answers_is_the_moving_average_of_the_server(clients: list[Client]) -> None:
    training = begin(build, FEDAVG, 0, "cpu")
    weight = next(training.model.net.parameters())
    expected = None
    for number in range(4):
        federated_round(training, clients, PLAN, number)
        now = weight.detach().clone()
        expected = now if expected is None else AVERAGE_DECAY * expected + (1 - AVERAGE_DECAY) * now
    average = next(training.model.average.parameters())
    torch.testing.assert_close(average, nn.Parameter(expected))
    copied = signal_cnn(20, 3, 4, 2, "none")
    copied.load_state_dict(training.model.average.module.state_dict())
    x = clients[0].x
    assert torch.equal(training.model(x), copied(x))
    assert not torch.equal(training.model(x), training.model.net(x))


def test_divergence_is_an_error(clients: list[Client]) -> None:
    training: Training[Federation] = begin(build, {**FEDAVG, "learning_rate": 1e6, "local_steps": 16}, 0, "cpu")
    with pytest.raises(FloatingPointError, match="by fidelity"):
        list(train_rounds(training, clients, PLAN, None))


def test_the_default_is_plain_federated_averaging() -> None:
    space = ConfigurationSpace()
    space.add(*federated_space())
    default = dict(space.get_default_configuration())
    assert (default["server_optimiser"], default["server_momentum"]) == ("sgd", 0.0)
    assert default["proximal"] == pytest.approx(1e-4)
    assert default["client_fraction"] == 0.5
    assert "server_learning_rate" not in default
    assert set(space) - MUTABLE == {"server_optimiser"}
