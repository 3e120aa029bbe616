"""Federated learning: train one net to read 62 characters with writers who keep their images to themselves."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer

from suite.data import verified
from suite.task import Checkpoint, Configuration, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks import augmentation
from tasks.federated_averaging import MUTABLE, Federation, Plan, begin, clients_of, federated_space, train_rounds
from tasks.glyphs import CHARACTERS, SIDE, STYLES_DATA, style_arrays
from tasks.networks import image_cnn
from tasks.training import Data, error_rate, tensors

ROUNDS, STEP, BATCH = 60, 2, 8
LARGEST_ROTATION, LARGEST_ZOOM, LARGEST_SHEAR, LARGEST_TRANSLATION = 15.0, 0.15, 0.25, 0.1


def build_model(configuration: Configuration) -> Federation:
    """(batch, 1, 20, 20) -> (batch, 62) logits; the first weights come from the global generator."""
    width, depth = int(configuration["width"]), int(configuration["depth"])
    return Federation(image_cnn(SIDE, len(CHARACTERS), width, depth, str(configuration["normalisation"])))


def augmented(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
    """(batch, 1, 20, 20) -> the same, each image distorted at random as strongly as the configuration says."""
    most = float(configuration["distortion"])
    strengths = (LARGEST_ROTATION, LARGEST_ZOOM, LARGEST_SHEAR, LARGEST_TRANSLATION)
    rotation, zoom, shear, translation = (most * strength for strength in strengths)
    return augmentation.affine(x, rotation, zoom, shear, translation, generator)


PLAN = Plan(ROUNDS, STEP, BATCH, augmented)


@dataclass(frozen=True)
class GlyphFonts:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` (n, 1, 20, 20), ``y`` (n,) and ``writer`` (n,) of the splits; raises ``DataMismatch``.

        A variant has other writers.
        """
        return tensors(verified(self.spec.data[0], style_arrays(variant), variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        sizes = data["train_writer"].bincount()
        clients = clients_of(data["train_x"].to(device), data["train_y"].to(device), sizes)
        training = begin(build_model, configuration, seed, device)
        yield from train_rounds(training, clients, PLAN, start)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Share of the images of ``split`` that are taken for another character."""
        return error_rate(build_model, data, checkpoint, split)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is plain FedAvg on a plain net, without augmentation."""
    space = ConfigurationSpace(name="federated/glyph-fonts")
    space.add(
        *federated_space(client_fraction=(0.1, 0.5)),
        Categorical("normalisation", ["none", "group"], default="none"),
        Categorical("width", [8, 16, 24], default=16, ordered=True),
        Integer("depth", (1, 3), default=2),
        Float("distortion", (0.0, 1.0), default=0.0),
    )
    return space


TASK = GlyphFonts(
    TaskSpec(
        name="federated/glyph-fonts",
        version="1",
        summary="average nets of writers who keep their images to themselves, for writers never seen (error rate)",
        paper="McMahan et al. 2017, Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS",
        space=search_space(),
        fidelity=Fidelity("rounds", STEP, ROUNDS, STEP),
        validation=Metric("error rate on further images of the training writers", "minimize", worst=1.0),
        test=Metric("error rate on images of other writers", "minimize", worst=1.0),
        data=(STYLES_DATA,),
        mutable=MUTABLE | {"distortion"},
        constants=constants_beside(__file__),
    )
)
