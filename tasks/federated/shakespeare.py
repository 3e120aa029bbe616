"""Federated learning: predict Shakespeare's next character with speakers who keep their lines to themselves."""

import math
import string
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from ConfigSpace import Categorical, ConfigurationSpace, Integer
from torch import nn
from torch.nn import functional

from suite.data import RemoteFile, fetch, verified
from suite.task import Checkpoint, Configuration, DataRef, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks.federated_averaging import (
    MUTABLE,
    Federation,
    Plan,
    begin,
    clients_of,
    cross_entropy,
    federated_space,
    train_rounds,
)
from tasks.networks import activation
from tasks.training import Data, restored, tensors

ROUNDS, STEP, BATCH = 60, 2, 4
ALPHABET = "\n !$&',-.3:;?" + string.ascii_uppercase + string.ascii_lowercase
LENGTH = 64  # of the pieces that texts are cut into
FEWEST_CHARACTERS = 2000  # of a speaker
TEST_SPEAKERS, VALIDATION_SHARE = 20, 0.1
WORST = math.log2(len(ALPHABET))  # of guessing

FILE = RemoteFile(
    data_set="tinyshakespeare",
    name="input.txt",
    url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    size=1115394,
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
SPEAKERS_DATA = DataRef(
    name="shakespeare-speakers",
    version="1",
    digest="4f0e5466bc578353f9a70b9ca3f0d038021e0a9db2bf899bbd9e8bb593d86e67",
    licence="public domain",
    source="tiny Shakespeare (github.com/karpathy/char-rnn), data/tinyshakespeare/input.txt",
    splits="of 99 speakers 20 for testing; of the others' texts the first 90 % for training, the rest for validation",
    download=True,
)


def speakers(text: str) -> dict[str, str]:
    """What each speaker of ``text`` says, one speech after the other. Equal names are taken for one speaker."""
    said: dict[str, str] = {}
    for block in text.split("\n\n"):
        name, _, speech = block.strip().partition(":\n")
        if speech:
            said[name] = said.get(name, "") + speech + "\n"
    return said


def pieces(text: str) -> tuple[np.ndarray, np.ndarray]:
    """``text`` in pieces: x (n, 64) int64, places in the alphabet, and y, each with the character that comes next."""
    codes = np.array([ALPHABET.index(character) for character in text])
    end = (len(codes) - 1) // LENGTH * LENGTH
    return codes[:end].reshape(-1, LENGTH), codes[1 : end + 1].reshape(-1, LENGTH)


def federation(text: str, variant: int) -> dict[str, np.ndarray]:
    """``x`` and ``y`` (n, 64) int64 of the splits, and ``train_sizes`` (clients,): the pieces of each training speaker.

    A variant has other speakers for testing.
    """
    said = {name: lines for name, lines in sorted(speakers(text).items()) if len(lines) >= FEWEST_CHARACTERS}
    order = np.argsort(np.random.Generator(np.random.PCG64(variant)).random(len(said)))
    texts = [list(said.values())[place] for place in order]
    ends = [round((1 - VALIDATION_SHARE) * len(each)) for each in texts]
    parts = {
        "train": [each[:end] for each, end in zip(texts, ends, strict=True)][TEST_SPEAKERS:],
        "validation": [each[end:] for each, end in zip(texts, ends, strict=True)][TEST_SPEAKERS:],
        "test": texts[:TEST_SPEAKERS],
    }
    arrays = {}
    for name, part in parts.items():
        cut = [pieces(each) for each in part]
        arrays[f"{name}_x"], arrays[f"{name}_y"] = (np.concatenate(kind) for kind in zip(*cut, strict=True))
        if name == "train":
            arrays["train_sizes"] = np.array([len(x) for x, _ in cut])
    return arrays


class LookBack(nn.Module):
    """(batch, width, length) -> the same: a residual convolution of each place with ``kernel - 1`` before it."""

    def __init__(self, width: int, kernel: int, dilation: int, act: str) -> None:
        super().__init__()
        self.reach = (kernel - 1) * dilation
        self.convolution = nn.Conv1d(width, width, kernel, dilation=dilation)
        self.act = activation(act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.act(self.convolution(functional.pad(x, (self.reach, 0))))
        return x + change


class CausalNet(nn.Module):
    """(batch, length) codes -> (batch, length, characters) logits of the next one.

    Dilations are 1, 2, 4, ... (Bai et al. 2018, arXiv:1803.01271, without its dropout and weight normalisation).
    """

    def __init__(self, width: int, depth: int, kernel: int, act: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET), width)
        self.body = nn.Sequential(*(LookBack(width, kernel, 2**level, act) for level in range(depth)))
        self.head = nn.Linear(width, len(ALPHABET))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        features = self.body(self.embedding(codes).transpose(1, 2))
        logits: torch.Tensor = self.head(features.transpose(1, 2))
        return logits


def build_model(configuration: Configuration) -> Federation:
    """The first weights come from the global generator."""
    width, depth, kernel = (int(configuration[name]) for name in ("width", "depth", "kernel"))
    return Federation(CausalNet(width, depth, kernel, str(configuration["activation"])))


def unchanged(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
    """Texts are not augmented."""
    return x


PLAN = Plan(ROUNDS, STEP, BATCH, unchanged)


@dataclass(frozen=True)
class Shakespeare:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """As ``federation`` says; raises ``DataUnavailable`` and ``DataMismatch``."""
        text = fetch(FILE).read_text(encoding="ascii")
        return tensors(verified(self.spec.data[0], federation(text, variant), variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        clients = clients_of(data["train_x"].to(device), data["train_y"].to(device), data["train_sizes"])
        training = begin(build_model, configuration, seed, device)
        yield from train_rounds(training, clients, PLAN, start)

    @torch.no_grad()
    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Bits per character of ``split``, at most those of guessing."""
        model, _, device = restored(build_model, checkpoint.state)
        loss = cross_entropy(model(data[f"{split}_x"].to(device)), data[f"{split}_y"].to(device))
        return min(WORST, float(loss.nan_to_num(nan=WORST)) / math.log(2))


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is plain FedAvg."""
    space = ConfigurationSpace(name="federated/shakespeare")
    space.add(
        *federated_space(learning_rate=(1e-2, 3.0), client_fraction=(0.05, 0.35)),
        Categorical("width", [16, 32, 48], default=32, ordered=True),
        Integer("depth", (1, 4), default=2),
        Integer("kernel", (2, 5), default=3),
        Categorical("activation", ["relu", "gelu", "tanh"], default="relu"),
    )
    return space


TASK = Shakespeare(
    TaskSpec(
        name="federated/shakespeare",
        version="1",
        summary="average nets of speakers who predict their next characters, for speakers never heard (bits/character)",
        paper="McMahan et al. 2017, Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS",
        space=search_space(),
        fidelity=Fidelity("rounds", STEP, ROUNDS, STEP),
        validation=Metric("bits per character of further lines of the training speakers", "minimize", worst=WORST),
        test=Metric("bits per character of other speakers", "minimize", worst=WORST),
        data=(SPEAKERS_DATA,),
        mutable=MUTABLE,
        constants=constants_beside(__file__),
    )
)
