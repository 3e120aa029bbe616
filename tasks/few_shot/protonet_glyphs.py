"""Few-shot learning: tell five letters apart that were never seen before, from one example of each.

Prototypical networks (Snell, Swersky & Zemel 2017, Prototypical Networks for Few-shot Learning, NeurIPS,
arXiv:1703.05175) on 255 letters of several alphabets in 16 font faces each (``tasks.glyphs``, which names the fonts'
licences): 153 letters for training, 51 others for validation and 51 for testing. Training letters are straight, the
others turned, zoomed, sheared and moved; 600 fixed 5-way 1-shot episodes with 5 queries a way serve validation, and
as many testing. Training episodes have 3 queries a way.

The search is over the metric and its temperature, the episodes, the net and the augmentation.

To beat: guessing 0.8, raw pixels 0.587 (Euclidean) and 0.537 (cosine). Figures of the default, its noise and the best
known are in docs/tasks.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from torch import nn

from suite.data import verified
from suite.task import Checkpoint, Configuration, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks import augmentation, prototypes
from tasks.glyphs import LETTERS_DATA, SIDE, letter_arrays
from tasks.networks import image_cnn
from tasks.optimisers import schedule_space
from tasks.training import Data, tensors

ITERATIONS, STEP = 500, 25


def build_model(configuration: Configuration) -> nn.Module:
    """(n, 1, 20, 20) -> (n, features): the convolutions alone, without the linear layer behind them."""
    width, depth = int(configuration["width"]), int(configuration["depth"])
    return image_cnn(SIDE, 1, width, depth, str(configuration["normalisation"]))[:-1]


def changed(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
    """(n, 1, 20, 20) -> the same, each image changed at random as strongly as the configuration says."""
    shear, translation = float(configuration["shear"]), float(configuration["translation"])
    return augmentation.affine(x, 0.0, 0.0, shear, translation, generator)


@dataclass(frozen=True)
class ProtonetGlyphs:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` (n, 1, 20, 20) and ``y`` (n,) of the parts, ``episodes`` (600, 5, 6) of ``validation`` and ``test``.

        A variant has other letters in each part and other episodes. Raises ``DataMismatch``.
        """
        data = tensors(verified(self.spec.data[0], letter_arrays(variant), variant))
        return {**data, **prototypes.held_out_episodes(data, variant)}

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = prototypes.begin(build_model, configuration, seed, device)
        done = training.resume(start) if start else 0
        yield from prototypes.train(training, data, device, done, self.spec.fidelity, changed)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Share of the queries of the episodes of ``split`` that are put into a wrong class."""
        return prototypes.error_rate(build_model, data, checkpoint, split)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is the net of Snell et al. at a quarter of its width, without pooling."""
    space = ConfigurationSpace(name="few_shot/protonet-glyphs")
    space.add(
        *prototypes.prototype_space(),
        Float("learning_rate", (1e-4, 3e-2), default=1e-3, log=True),
        schedule_space(),
        Categorical("normalisation", ["none", "batch", "group"], default="batch"),
        Categorical("width", [8, 16, 32], default=16, ordered=True),
        Integer("depth", (2, 4), default=4),
        Float("shear", (0.0, 0.4), default=0.0),
        Float("translation", (0.0, 0.2), default=0.0),
    )
    return space


TASK = ProtonetGlyphs(
    TaskSpec(
        name="few_shot/protonet-glyphs",
        version="1",
        summary="tell five unseen letters apart from one example each by prototypes (error rate)",
        paper="Snell, Swersky & Zemel 2017, Prototypical Networks for Few-shot Learning, NeurIPS, arXiv:1703.05175",
        space=search_space(),
        fidelity=Fidelity("iterations", STEP, ITERATIONS, STEP),
        validation=Metric("error rate on validation episodes", "minimize", worst=1.0),
        test=Metric("error rate on test episodes", "minimize", worst=1.0),
        data=(LETTERS_DATA,),
        mutable=prototypes.MUTABLE | {"learning_rate", "schedule", "shear", "translation"},
        constants=constants_beside(__file__),
    )
)
