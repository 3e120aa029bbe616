"""Supervised learning, download tier: tell ten kinds of things in colour photographs apart with a residual net.

CIFAR-10 (Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images): 50,000 + 10,000 images of 32 x 32
pixels, published for research without a licence. The binary version is fetched, 170 MB: it holds bytes and no pickles.
Of the official training images the last 5,000 are for validation, all others for training; the official test images
test. The archive is recognised by the MD5 of the author's page and by SHA-256; the digest in the data record is of the
archive.

The net is that of He et al. 2016 (Deep Residual Learning, arXiv:1512.03385, section 4.2) with half the side from the
first layer on, so that a full training takes minutes on one core. The search is over the optimiser, the net and the
augmentation.

Error rates and constants are not measured yet. On made-up images of the true size an iteration of the default takes
0.07 CPU seconds, a full training 240, on one busy core of an AMD EPYC (10 iterations; Python 3.11, torch 2.13.0).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from ConfigSpace import Categorical, ConfigurationSpace, Integer
from torch import nn
from torch.nn import functional

from suite.data import DataMismatch, RemoteFile, fetch, files_digest, members
from suite.task import Checkpoint, Configuration, DataRef, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks import augmentation, images
from tasks.images import Labelled, dealt
from tasks.networks import normalisation
from tasks.optimisers import MUTABLE, build_optimiser, optimiser_space
from tasks.training import Data, Training, drawn_from, restored, stream, tensors

ITERATIONS, STEP = 3500, 50  # of 128 images each: ten passes
VALIDATION = 5000
SIDE, CHANNELS, CLASSES = 32, 3, 10
STAGES = 3

RECORD = 1 + CHANNELS * SIDE * SIDE  # bytes: the class, then the red, the green and the blue pixels, row by row
LARGEST_BYTES = 1 << 28  # of the archive's batches together; they have 184,380,000
TRAIN_BATCHES = [f"data_batch_{number}.bin" for number in range(1, 6)]
TEST_BATCHES = ["test_batch.bin"]

ARCHIVE = RemoteFile(
    data_set="cifar-10",
    name="cifar-10-binary.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    size=170052171,
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
)
DATA = DataRef(
    name="cifar-10",
    version="1",
    digest=files_digest([ARCHIVE]),
    licence="none stated; for research, with the request to cite Krizhevsky 2009",
    source=ARCHIVE.url,
    splits="of the official 50,000 training images the last 5,000 validate, the others train; the official 10,000 test",
    download=True,
)


def read() -> tuple[Labelled, Labelled]:
    """The official training and test images, fetched first where they are not here. Raises ``DataMismatch``."""
    found = {name.rpartition("/")[2]: content for name, content in members(fetch(ARCHIVE), ".bin", LARGEST_BYTES)}
    if missing := {*TRAIN_BATCHES, *TEST_BATCHES} - set(found):
        raise DataMismatch(f"the archive of cifar-10 must hold {sorted(missing)}, but holds {sorted(found)}")
    train, test = (b"".join(found[name] for name in names) for names in (TRAIN_BATCHES, TEST_BATCHES))
    return read_records(train), read_records(test)


def read_records(content: bytes) -> Labelled:
    """Records of the binary version, one after another. Raises ``DataMismatch``."""
    if len(content) % RECORD:
        raise DataMismatch(f"batches of cifar-10 must hold whole records of {RECORD} bytes, got {len(content)} bytes")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    y = records[:, 0].astype(np.int64)
    if (y >= CLASSES).any():
        raise DataMismatch(f"the classes of cifar-10 must be less than {CLASSES}, got {y.max()}")
    return Labelled(records[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE), y)


class ResidualBlock(nn.Module):
    """Two convolutions of kernel 3, and a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            normalisation(norm, outputs, dimensions=2),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            normalisation(norm, outputs, dimensions=2),
        )
        self.shortcut = nn.Sequential()
        if inputs != outputs:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.append(normalisation(norm, outputs, dimensions=2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


def build_model(configuration: Configuration) -> nn.Module:
    """(batch, 3, 32, 32) -> (batch, 10) logits; the first weights come from the global generator."""
    width, norm = int(configuration["width"]), str(configuration["normalisation"])
    stem = nn.Conv2d(CHANNELS, width, 3, stride=2, padding=1, bias=False)
    layers: list[nn.Module] = [stem, normalisation(norm, width, dimensions=2), nn.ReLU()]
    channels = width
    for stage in range(STAGES):
        for block in range(int(configuration["blocks"])):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(ResidualBlock(channels, width << stage, stride, norm))
            channels = width << stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


def scaled(x: torch.Tensor) -> torch.Tensor:
    """Bytes to [-2, 2], which is about standard, with 0 for middle grey; channels last, which is faster."""
    return ((x.float() - 127.5) / 63.75).contiguous(memory_format=torch.channels_last)


def augmented(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
    """(batch, 3, 32, 32) -> the same, each image changed at random as strongly as the configuration says."""
    if configuration["mirror"]:
        x = augmentation.mirror(x, generator)
    x = augmentation.crop(x, int(configuration["translation"]), generator)
    return augmentation.cutout(x, int(configuration["cutout"]), generator)


def begin(configuration: Configuration, seed: int, device: str) -> Training[nn.Module]:
    """A training before its first iteration."""
    with drawn_from(stream(seed, "weights")):
        model = build_model(configuration).to(device)
    optimiser = build_optimiser(model.parameters(), configuration)
    return Training(configuration, seed, model, optimiser, {"augmentation": stream(seed, "augmentation")})


@dataclass(frozen=True)
class Cifar10:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` (n, 3, 32, 32) uint8 and ``y`` (n,) of ``train``, ``validation`` and ``test``; raises ``DataError``.

        The archive is recognised by its digests, and the arrays are its bytes.
        """
        return tensors(dealt(*read(), VALIDATION, variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(configuration, seed, device)
        done = training.resume(start) if start else 0

        def inputs(x: torch.Tensor) -> torch.Tensor:
            return augmented(scaled(x), configuration, training.streams["augmentation"])

        yield from images.train(training, data, device, done, self.spec.fidelity, inputs)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Share of the images of ``split`` that are put into a wrong class."""
        model, _, _ = restored(build_model, checkpoint.state)
        return images.error_rate(model, data[f"{split}_x"], data[f"{split}_y"], scaled)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is a plain Adam on the smallest net of its kind, without augmentation."""
    space = ConfigurationSpace(name="supervised/cifar10")
    space.add(
        *optimiser_space(),
        Categorical("normalisation", ["batch", "group"], default="batch"),
        Categorical("width", [8, 16, 24], default=16, ordered=True),
        Integer("blocks", (1, 2), default=1),
        Categorical("mirror", [False, True], default=False),
        Integer("translation", (0, 6), default=0),
        Integer("cutout", (0, 16), default=0),
    )
    return space


TASK = Cifar10(
    TaskSpec(
        name="supervised/cifar10",
        version="1",
        summary="classify colour photographs with a residual net (error rate)",
        paper="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, technical report, Toronto",
        space=search_space(),
        fidelity=Fidelity("iterations", STEP, ITERATIONS, STEP),
        validation=Metric("validation error rate", "minimize", worst=1.0),
        test=Metric("test error rate", "minimize", worst=1.0),
        data=(DATA,),
        mutable=MUTABLE | {"mirror", "translation", "cutout"},
        constants=constants_beside(__file__),
    )
)
