"""Federated learning: train one net with clients that each know few of ten kinds of 1-D signals."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from ConfigSpace import Categorical, ConfigurationSpace, Integer

from suite.data import verified
from suite.task import Checkpoint, Configuration, DataRef, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks import augmentation
from tasks.federated_averaging import MUTABLE, Federation, Plan, begin, clients_of, federated_space, train_rounds
from tasks.networks import signal_cnn
from tasks.signals import CLASSES, DATA, LENGTH, arrays
from tasks.training import Data, error_rate, tensors

ROUNDS, STEP, BATCH = 120, 4, 8
CLIENTS, CONCENTRATION = 30, 0.2

FEDERATION = DataRef(
    name="mnist1d-federation",
    version="1",
    digest="b4ead08ac1fb64d9cde4116864d54d67b37338f644ae27def26fbae53367ca08",
    licence=DATA.licence,
    source=f"{DATA.source}; split by numpy's RandomState(0)",
    splits=f"the training signals of mnist1d over {CLIENTS} clients; its validation and test signals for all",
)


def federation(variant: int) -> dict[str, np.ndarray]:
    """The signals of MNIST-1D, those for training in the order of clients, and ``train_sizes`` (clients,)."""
    made = arrays(variant)
    parts = dirichlet_split(made["train_y"], np.random.RandomState(variant))
    order = np.concatenate(parts)
    sizes = np.array([len(part) for part in parts])
    return made | {"train_x": made["train_x"][order], "train_y": made["train_y"][order], "train_sizes": sizes}


def dirichlet_split(labels: np.ndarray, random: np.random.RandomState) -> list[np.ndarray]:
    """Equal shares of the examples with ``labels``, as their places, the classes of each by a Dirichlet distribution.

    Hsu et al. 2019, section 3. A class that is used up is drawn no more, so that the last clients take what is left.
    """
    left = [list(random.permutation(np.flatnonzero(labels == label))) for label in range(CLASSES)]
    parts = []
    for _ in range(CLIENTS):
        mixture = random.dirichlet([CONCENTRATION] * CLASSES)
        part = []
        for _ in range(len(labels) // CLIENTS):
            odds = np.where([len(places) > 0 for places in left], mixture + 1e-9, 0.0)
            part.append(left[random.choice(CLASSES, p=odds / odds.sum())].pop())
        parts.append(np.array(part))
    return parts


def build_model(configuration: Configuration) -> Federation:
    """(batch, 1, 40) -> (batch, 10) logits; the first weights come from the global generator."""
    width, depth = int(configuration["width"]), int(configuration["depth"])
    return Federation(signal_cnn(LENGTH, CLASSES, width, depth, str(configuration["normalisation"])))


def augmented(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
    """(batch, 1, 40) -> the same, each signal rotated at random as far as the configuration says."""
    return augmentation.shift(x, int(configuration["shift"]), generator)


PLAN = Plan(ROUNDS, STEP, BATCH, augmented)


@dataclass(frozen=True)
class FederatedMnist1d:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` (n, 1, 40) and ``y`` (n,) of the splits and ``train_sizes`` (30,); raises ``DataMismatch``.

        A variant has other signals, dealt to the clients in another way.
        """
        return tensors(verified(self.spec.data[0], federation(variant), variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        sizes = data["train_sizes"]
        clients = clients_of(data["train_x"].to(device), data["train_y"].to(device), sizes)
        training = begin(build_model, configuration, seed, device)
        yield from train_rounds(training, clients, PLAN, start)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Share of the signals of ``split`` that are put into a wrong class."""
        return error_rate(build_model, data, checkpoint, split)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is plain FedAvg on a plain net, without augmentation."""
    space = ConfigurationSpace(name="federated/mnist1d")
    space.add(
        *federated_space(),
        Categorical("normalisation", ["none", "group"], default="none"),
        Categorical("width", [16, 24, 32], default=24, ordered=True),
        Integer("depth", (1, 3), default=2),
        Integer("shift", (0, 6), default=0),
    )
    return space


TASK = FederatedMnist1d(
    TaskSpec(
        name="federated/mnist1d",
        version="1",
        summary="average nets of clients that know few of ten kinds of 1-D signals (error rate)",
        paper="McMahan et al. 2017, Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS",
        space=search_space(),
        fidelity=Fidelity("rounds", STEP, ROUNDS, STEP),
        validation=Metric("validation error rate", "minimize", worst=1.0),
        test=Metric("test error rate", "minimize", worst=1.0),
        data=(FEDERATION,),
        mutable=MUTABLE | {"shift"},
        constants=constants_beside(__file__),
    )
)
