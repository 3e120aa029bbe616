"""Federated averaging: clients train on data of their own, and a server averages what they have learnt.

FedAvg (McMahan et al. 2017, AISTATS, algorithm 1) with FedProx's proximal term (Li et al. 2020, MLSys,
arXiv:1812.06127); the server takes the clients' mean change for a gradient (FedOpt: Reddi et al. 2021,
Adaptive Federated Optimization, ICLR, arXiv:2003.00295, algorithm 1), by SGD with momentum (FedAvgM: Hsu et al. 2019,
arXiv:1909.06335) or by Adam. Batches are drawn with replacement, and every client of a round takes as many steps from
the same weights: so they are trained side by side, as one batch of models (``torch.func.vmap``). Each sees its own
examples alone, drawn from a stream of its own.

What is evaluated is a moving average of the server's weights, which takes out most of the noise of single rounds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from ConfigSpace import Categorical, EqualsCondition, Float, Integer
from ConfigSpace.hyperparameters import Hyperparameter
from torch import nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from suite.task import Checkpoint, Configuration
from tasks.optimisers import schedule_factor, schedule_space
from tasks.training import Training, drawn_from, require_finite, stream

AVERAGE_DECAY = 0.9  # of the moving average, from round to round
ADAM_BETAS, ADAM_EPSILON = (0.9, 0.99), 1e-3  # as Reddi et al. 2021 have them

# Hyper-parameters of ``federated_space`` that may change in mid-training.
MUTABLE = frozenset(
    {
        "learning_rate",
        "schedule",
        "local_steps",
        "proximal",
        "client_fraction",
        "server_momentum",
        "server_learning_rate",
    }
)

Weights = Mapping[str, torch.Tensor]


class Client(NamedTuple):
    """The examples of one client, ``x`` (n, ...) and ``y`` (n, ...)."""

    x: torch.Tensor
    y: torch.Tensor


@dataclass(frozen=True)
class Plan:
    """What a task fixes: its rounds, those between checkpoints, the size of batches, and how examples are changed.

    augment: x (batch, ...) -> the same, as the configuration says, by draws from the generator.
    """

    rounds: int
    step: int
    batch: int
    augment: Callable[[torch.Tensor, Configuration, torch.Generator], torch.Tensor]


def moving_average(average: torch.Tensor, weight: torch.Tensor, rounds: torch.Tensor | int) -> torch.Tensor:
    """The average once it has gone over to the new ``weight``; it is called from the second round on."""
    return average.lerp(weight, 1 - AVERAGE_DECAY)


class Federation(nn.Module):
    """The server's ``net``, and its moving average over the rounds, which answers when the federation is called."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.average = AveragedModel(net, avg_fn=moving_average)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.average(x)
        return answer


def clients_of(x: torch.Tensor, y: torch.Tensor, sizes: torch.Tensor) -> list[Client]:
    """Clients whose examples lie one after the other in ``x`` and ``y``, ``sizes`` (clients,) of them each."""
    parts = (torch.split(examples, sizes.tolist()) for examples in (x, y))
    return [Client(*part) for part in zip(*parts, strict=True)]


def train_rounds(
    training: Training[Federation], clients: Sequence[Client], plan: Plan, start: Checkpoint | None
) -> Iterator[Checkpoint]:
    """The rounds of ``plan``, those up to ``start`` left out; raises ``FloatingPointError`` where they diverge."""
    done = training.resume(start) if start else 0
    for number in range(done, plan.rounds):
        loss = federated_round(training, clients, plan, number)
        if (number + 1) % plan.step == 0:
            require_finite(loss, number + 1)
            yield training.checkpoint(number + 1)


def begin(
    net: Callable[[Configuration], Federation], configuration: Configuration, seed: int, device: str
) -> Training[Federation]:
    """A training before its first round; ``net`` builds its model."""
    with drawn_from(stream(seed, "weights")):
        model = net(configuration).to(device)
    return Training(configuration, seed, model, server_optimiser(model.net, configuration))


def server_optimiser(net: nn.Module, configuration: Configuration) -> torch.optim.Optimizer:
    """What takes a step for each round; SGD without momentum puts the clients' average in the place of the weights."""
    if configuration["server_optimiser"] == "adam":
        rate = float(configuration["server_learning_rate"])
        return torch.optim.Adam(net.parameters(), rate, betas=ADAM_BETAS, eps=ADAM_EPSILON, fused=True)
    return torch.optim.SGD(net.parameters(), 1.0, momentum=float(configuration["server_momentum"]), fused=True)


def federated_round(training: Training[Federation], clients: Sequence[Client], plan: Plan, number: int) -> torch.Tensor:
    """Round ``number``, from 0: some clients train, then the server steps. Returns the mean of their last losses."""
    fraction = float(training.configuration["client_fraction"])
    chosen = participants(len(clients), fraction, stream(training.seed, f"round {number}"))
    weights, losses = local_weights(training, clients, plan, number, chosen)
    sizes = torch.tensor([len(clients[each].y) for each in chosen], device=losses.device)
    server_step(training, weights, sizes / sizes.sum())
    return losses.mean()


def local_weights(
    training: Training[Federation], clients: Sequence[Client], plan: Plan, number: int, chosen: Sequence[int]
) -> tuple[Weights, torch.Tensor]:
    """Weights and last losses of the ``chosen`` clients, (chosen, ...) each, after their steps of round ``number``.

    A client's draws follow from the seed, the round and its own number: there is no generator's state to be saved.
    """
    configuration, seed = training.configuration, training.seed
    drawn = [
        draw(clients[each], plan, configuration, stream(seed, f"round {number}, client {each}")) for each in chosen
    ]
    x, y = (torch.stack(parts) for parts in zip(*drawn, strict=True))
    factor = schedule_factor(str(configuration["schedule"]), number / plan.rounds)
    learning_rate, proximal = float(configuration["learning_rate"]) * factor, float(configuration["proximal"])
    return train_locally(training.model.net, x, y, learning_rate, proximal)


def participants(clients: int, fraction: float, generator: torch.Generator) -> list[int]:
    """``fraction`` of the numbers of ``clients``, at least one, in random order."""
    chosen: list[int] = torch.randperm(clients, generator=generator)[: max(1, round(fraction * clients))].tolist()
    return chosen


def draw(client: Client, plan: Plan, configuration: Configuration, generator: torch.Generator) -> Client:
    """What a client trains on in one round, from its own examples: x and y, (steps, batch, ...) each."""
    shape = (int(configuration["local_steps"]), plan.batch)
    places = torch.randint(len(client.y), (shape[0] * shape[1],), generator=generator).to(client.x.device)
    x, y = plan.augment(client.x[places], configuration, generator), client.y[places]
    return Client(x.reshape(*shape, *x.shape[1:]), y.reshape(*shape, *y.shape[1:]))


def train_locally(
    net: nn.Module, x: torch.Tensor, y: torch.Tensor, learning_rate: float, proximal: float
) -> tuple[Weights, torch.Tensor]:
    """The weights (clients, ...) of all clients after SGD from those of ``net``, and their last losses (clients,).

    x, y: (clients, steps, batch, ...). proximal: the weight mu of half the squared distance from the start.
    """

    def loss(weights: Weights, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return cross_entropy(functional_call(net, dict(weights), (inputs,)), targets)

    slopes = vmap(grad_and_value(loss))
    start = {name: weight.detach() for name, weight in net.named_parameters()}
    weights = {name: weight.expand(len(x), *weight.shape) for name, weight in start.items()}
    losses = torch.empty(0)
    for step in range(x.shape[1]):
        gradients, losses = slopes(weights, x[:, step], y[:, step])
        for name, weight in weights.items():
            change = gradients[name] + proximal * (weight - start[name])
            weights[name] = weight - learning_rate * change
    return weights, losses


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over the examples, and over the places of each where they are sequences: logits (..., classes)."""
    return functional.cross_entropy(logits.flatten(end_dim=-2), targets.flatten())


@torch.no_grad()
def server_step(training: Training[Federation], weights: Weights, shares: torch.Tensor) -> None:
    """The server steps along the mean change of the clients, by their ``shares`` (clients,), and moves the average."""
    for name, parameter in training.model.net.named_parameters():
        parameter.grad = parameter - torch.tensordot(shares, weights[name], dims=1)
    training.optimiser.step()
    training.model.average.update_parameters(training.model.net)


def federated_space(
    learning_rate: tuple[float, float] = (1e-3, 1.0), client_fraction: tuple[float, float] = (0.1, 0.9)
) -> list[Hyperparameter[Any, Any] | EqualsCondition]:
    """Eight of the clients' and the server's hyper-parameters; the default is plain FedAvg at 0.1."""
    server = Categorical("server_optimiser", ["sgd", "adam"], default="sgd")
    momentum = Float("server_momentum", (0.0, 0.95), default=0.0)
    rate = Float("server_learning_rate", (1e-3, 0.1), default=0.01, log=True)
    return [
        Float("learning_rate", learning_rate, default=0.1, log=True),
        schedule_space(),
        Integer("local_steps", (2, 16), default=10),
        Float("proximal", (1e-4, 1.0), default=1e-4, log=True),
        Float("client_fraction", client_fraction, default=sum(client_fraction) / 2),
        server,
        momentum,
        rate,
        EqualsCondition(momentum, server, "sgd"),
        EqualsCondition(rate, server, "adam"),
    ]
