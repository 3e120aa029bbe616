"""Supervised learning as architecture search: choose the operations of the cells of a net for 1-D signals.

The space is that of NAS-Bench-201 (Dong & Yang 2020, ICLR, arXiv:2001.00326), with one node more: a cell is a directed
graph of five nodes, each of the ten edges from a node to a later one carries one of five operations, and a node is the
sum of what its edges bring. The net has a stem, the cell, a convolution that halves the length, the same cell again,
and the mean over places before a linear layer. There are 5^10, almost ten million choices of operations, some of which
come to the same function.

The signals are those of supervised/mnist1d (``tasks.signals``: Greydanus & Kobak 2024, arXiv:2011.14439; Apache-2.0).

``Cells`` is also the net in which all architectures share their weights, for one-shot strategies such as DARTS (Liu,
Simonyan & Yang 2019, ICLR, arXiv:1806.09055): ``supernet`` offers all operations on every edge, to be mixed by weights.
With a single operation of weight one on each edge it computes what the net of that configuration does with the same
weights, and ``discretised`` takes the strongest of each.

To beat: guessing 0.90. Figures of the default, its noise and the best known are in docs/tasks.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from suite.data import verified
from suite.task import Checkpoint, Configuration, Fidelity, Metric, Split, TaskSpec, Vector, constants_beside
from tasks import augmentation
from tasks.optimisers import descend
from tasks.signals import CLASSES, DATA, TRAIN, arrays
from tasks.training import Data, Training, drawn_from, error_rate, require_finite, stream, tensors

EPOCHS = 12  # the maximum fidelity; the minimum is one epoch
BATCH = 100
WIDTH, NODES = 8, 5
LEARNING_RATE = 3e-3  # the default's

EDGES = {f"edge_{source}_{target}": (source, target) for source, target in combinations(range(NODES), 2)}
OPERATIONS = ("zero", "skip", "average_pooling", "convolution_3", "convolution_7")
PLAIN = {f"edge_0_{NODES - 1}": "convolution_3"}  # the default has this alone


class Zero(nn.Module):
    """No connection."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution and batch normalisation: (batch, inputs, length) -> (batch, outputs, length / stride)."""
    layer = nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm1d(outputs))


def operation(name: str) -> nn.Module:
    """The operation called ``name``, from (batch, 8, length) to the same; raises ``KeyError`` where there is none."""
    kinds: dict[str, Callable[[], nn.Module]] = {
        "zero": Zero,
        "skip": nn.Identity,
        "average_pooling": lambda: nn.AvgPool1d(3, stride=1, padding=1, count_include_pad=False),
        "convolution_3": lambda: nn.Sequential(nn.ReLU(), *convolution(WIDTH, WIDTH, 3)),
        "convolution_7": lambda: nn.Sequential(nn.ReLU(), *convolution(WIDTH, WIDTH, 7)),
    }
    return kinds[name]()


class Edge(nn.Module):
    """(batch, 8, length) -> the same: one operation, or the sum of several, each times its weight."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.operations = nn.ModuleDict({name: operation(name) for name in names})

    def forward(self, x: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        results: list[torch.Tensor] = [module(x) for module in self.operations.values()]
        if weights is None:
            (only,) = results
            return only
        mixed: torch.Tensor = torch.tensordot(weights, torch.stack(results), dims=1)
        return mixed


class Cell(nn.Module):
    """(batch, 8, length) -> the same: the last of five nodes, each the sum of what its edges bring."""

    def __init__(self, offered: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.edges = nn.ModuleDict({edge: Edge(offered[edge]) for edge in EDGES})

    def forward(self, x: torch.Tensor, mixture: torch.Tensor | None) -> torch.Tensor:
        nodes = [x] + [torch.zeros_like(x)] * (NODES - 1)
        for row, (edge, (source, target)) in enumerate(EDGES.items()):
            weights = None if mixture is None else mixture[row]
            nodes[target] = nodes[target] + self.edges[edge](nodes[source], weights)
        return nodes[-1]


class Cells(nn.Module):
    """(batch, 1, length) -> (batch, 10) logits: the net, with the operations ``offered`` to each edge of its cells.

    mixture: (10, n), the weights of the n operations that each of the ten edges is offered; None where n = 1.
    """

    def __init__(self, offered: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.stem = convolution(1, WIDTH, kernel=3, stride=2)
        self.first = Cell(offered)
        self.halving = nn.Sequential(nn.ReLU(), *convolution(WIDTH, WIDTH, kernel=3, stride=2))
        self.second = Cell(offered)
        self.last = nn.Sequential(nn.BatchNorm1d(WIDTH), nn.ReLU())
        self.linear = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor, mixture: torch.Tensor | None = None) -> torch.Tensor:
        x = self.halving(self.first(self.stem(x), mixture))
        x = self.last(self.second(x, mixture)).mean(dim=2)
        logits: torch.Tensor = self.linear(x)
        return logits


def build_model(configuration: Configuration) -> Cells:
    """The net of one architecture; its first weights come from the global generator."""
    return Cells({edge: [str(configuration[edge])] for edge in EDGES})


def supernet() -> Cells:
    """The net of all architectures; its mixture is (10, 5), edges and operations in the order of their names here."""
    return Cells(dict.fromkeys(EDGES, OPERATIONS))


def discretised(alphas: torch.Tensor, configuration: Configuration) -> Configuration:
    """``configuration`` with the operation of the largest weight in ``alphas`` (10, 5) on each edge."""
    strongest = alphas.argmax(dim=1).tolist()
    return {**configuration, **{edge: OPERATIONS[column] for edge, column in zip(EDGES, strongest, strict=True)}}


@dataclass(frozen=True)
class SharedCells:
    """The supernet as a differentiable problem: what is searched are the logits of the weights of each edge's options
    (Liu et al. 2019). Its normalisation is by the batch, in training and in validation."""

    task: "CellsMnist1d"
    net: Cells
    data: Data
    seed: int
    device: str
    steps: int = EPOCHS * TRAIN // BATCH
    step_size: float = LEARNING_RATE

    def hyperparameters(self) -> dict[str, torch.Tensor]:
        """``alphas`` (10, 5): all options weigh the same."""
        return {"alphas": torch.zeros(len(EDGES), len(OPERATIONS), device=self.device)}

    def parameters(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in self.net.named_parameters()}

    def inner_loss(self, parameters: Data, hyperparameters: Data, step: int) -> torch.Tensor:
        """Cross-entropy of a batch, without augmentation, as the default has it."""
        batch = torch.randint(TRAIN, (BATCH,), generator=stream(self.seed, f"batch {step}")).to(self.device)
        return self._cross_entropy(
            parameters, hyperparameters, self.data["train_x"][batch], self.data["train_y"][batch]
        )

    def outer_loss(self, parameters: Data, hyperparameters: Data) -> torch.Tensor:
        """Cross-entropy on the validation signals."""
        return self._cross_entropy(parameters, hyperparameters, self.data["validation_x"], self.data["validation_y"])

    def checkpoint(self, parameters: Data, hyperparameters: Data) -> Checkpoint:
        """The strongest architecture, trained in full from weights of its own."""
        configuration = self.task.discretised(hyperparameters)
        *_, last = self.task.train(self.data, configuration, self.seed, self.device, None)
        return last

    def _cross_entropy(self, parameters: Data, hyperparameters: Data, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        mixture = hyperparameters["alphas"].softmax(dim=1)
        return functional.cross_entropy(functional_call(self.net, dict(parameters), (x, mixture)), y)


def begin(configuration: Configuration, seed: int, device: str) -> Training[Cells]:
    """A training before its first epoch."""
    with drawn_from(stream(seed, "weights")):
        model = build_model(configuration).to(device)
    optimiser = torch.optim.Adam(model.parameters(), float(configuration["learning_rate"]), fused=True)
    streams = {"order": stream(seed, "order"), "augmentation": stream(seed, "augmentation")}
    return Training(configuration, seed, model, optimiser, streams)


def train_epoch(training: Training[Cells], x: torch.Tensor, y: torch.Tensor, epoch: int) -> torch.Tensor:
    """One pass over the training set in a new order; returns the loss of the last batch."""
    order = torch.randperm(len(x), generator=training.streams["order"]).to(x.device)
    batches = torch.split(order, BATCH)
    shift = int(training.configuration["shift"])
    for number, batch in enumerate(batches):
        inputs = augmentation.shift(x[batch], shift, training.streams["augmentation"])
        loss = functional.cross_entropy(training.model(inputs), y[batch])
        descend(training.optimiser, loss, "cosine", (epoch + number / len(batches)) / EPOCHS)
    return loss.detach()


@dataclass(frozen=True)
class CellsMnist1d:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` (n, 1, 40) and ``y`` (n,) of ``train``, ``validation`` and ``test``; raises ``DataMismatch``."""
        return tensors(verified(self.spec.data[0], arrays(variant), variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(configuration, seed, device)
        done = training.resume(start) if start else 0
        x, y = data["train_x"].to(device), data["train_y"].to(device)
        for epoch in range(done, EPOCHS):
            require_finite(train_epoch(training, x, y, epoch), epoch + 1)
            yield training.checkpoint(epoch + 1)

    @property
    def vectors(self) -> Mapping[str, Vector]:
        return {"alphas": Vector(len(EDGES) * len(OPERATIONS), -5.0, 5.0)}

    def differentiable(self, data: Data, seed: int, device: str) -> SharedCells:
        with drawn_from(stream(seed, "weights")):
            net = supernet().to(device)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d):  # no statistics, which would be state beside the parameters
                module.track_running_stats, module.running_mean, module.running_var = False, None, None
        return SharedCells(self, net, {name: values.to(device) for name, values in data.items()}, seed, device)

    def discretised(self, hyperparameters: Data) -> Configuration:
        """The architecture of the strongest option of each edge; all else is the default's."""
        return discretised(hyperparameters["alphas"], self.spec.default)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Share of the signals of ``split`` that are put into a wrong class."""
        return error_rate(build_model, data, checkpoint, split)


def search_space() -> ConfigurationSpace:
    """Ten operations, the learning rate and the shift; the default has one convolution a cell."""
    space = ConfigurationSpace(name="supervised/cells-mnist1d")
    space.add(
        *(Categorical(edge, list(OPERATIONS), default=PLAIN.get(edge, "zero")) for edge in EDGES),
        Float("learning_rate", (1e-3, 1e-1), default=LEARNING_RATE, log=True),
        Integer("shift", (0, 6), default=0),
    )
    return space


TASK = CellsMnist1d(
    TaskSpec(
        name="supervised/cells-mnist1d",
        version="1",
        summary="search the architecture of cells that classify 1-D signals, ten edges of five operations (error rate)",
        paper="Dong & Yang 2020, NAS-Bench-201, ICLR, arXiv:2001.00326 (space); Greydanus & Kobak 2024 (signals)",
        space=search_space(),
        fidelity=Fidelity("epochs", 1, EPOCHS),
        validation=Metric("validation error rate", "minimize", worst=1.0),
        test=Metric("test error rate", "minimize", worst=1.0),
        data=(DATA,),
        mutable=frozenset({"learning_rate", "shift"}),
        constants=constants_beside(__file__),
    )
)
