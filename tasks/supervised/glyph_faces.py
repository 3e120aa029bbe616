"""Supervised learning: read letters and digits in font faces that were never seen.

The 62 characters of Chars74K (de Campos, Babu & Varma 2009, Character Recognition in Natural Images, VISAPP), which has
a part made of computer fonts; here they are drawn on the spot (``tasks.glyphs``, which names the fonts' licences) in 20
x 20 pixels, each face in several copies, mildly turned, zoomed, sheared and moved. Ten faces of DejaVu are for
training, four faces of STIX and Computer Modern for validation and five others of them for testing.

The search is over the optimiser, the net and the augmentation, which stands in for the fonts that are not there.

To beat: guessing 0.984, the nearest training image in pixels 0.585. Figures of the default, its noise and the best
known are in docs/tasks.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from torch import nn
from torch.nn import functional

from suite.data import verified
from suite.task import Checkpoint, Configuration, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks import augmentation
from tasks.glyphs import CHARACTERS, FACES_DATA, SIDE, face_arrays
from tasks.networks import image_cnn
from tasks.optimisers import MUTABLE, build_optimiser, descend, optimiser_space
from tasks.training import Data, Training, drawn_from, error_rate, require_finite, stream, tensors

EPOCHS = 20  # the maximum fidelity; the minimum is one epoch
BATCH = 62


def build_model(configuration: Configuration) -> nn.Module:
    """(batch, 1, 20, 20) -> (batch, 62) logits; the first weights come from the global generator."""
    return image_cnn(
        SIDE,
        len(CHARACTERS),
        int(configuration["width"]),
        int(configuration["depth"]),
        str(configuration["normalisation"]),
        str(configuration["activation"]),
    )


def begin(configuration: Configuration, seed: int, device: str) -> Training[nn.Module]:
    """A training before its first epoch."""
    with drawn_from(stream(seed, "weights")):
        model = build_model(configuration).to(device)
    streams = {"order": stream(seed, "order"), "augmentation": stream(seed, "augmentation")}
    return Training(configuration, seed, model, build_optimiser(model.parameters(), configuration), streams)


def augmented(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
    """(batch, 1, 20, 20) -> the same, each image changed at random as strongly as the configuration says."""
    zoom, translation = float(configuration["zoom"]), float(configuration["translation"])
    return augmentation.affine(x, 0.0, zoom, 0.0, translation, generator)


def train_epoch(training: Training[nn.Module], x: torch.Tensor, y: torch.Tensor, epoch: int) -> torch.Tensor:
    """One pass over the training set in a new order; returns the loss of the last batch."""
    order = torch.randperm(len(x), generator=training.streams["order"]).to(x.device)
    batches = torch.split(order, BATCH)
    schedule = str(training.configuration["schedule"])
    for number, batch in enumerate(batches):
        inputs = augmented(x[batch], training.configuration, training.streams["augmentation"])
        loss = functional.cross_entropy(training.model(inputs), y[batch])
        descend(training.optimiser, loss, schedule, (epoch + number / len(batches)) / EPOCHS)
    return loss.detach()


@dataclass(frozen=True)
class GlyphFaces:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` (n, 1, 20, 20) and ``y`` (n,) of ``train``, ``validation`` and ``test``; raises ``DataMismatch``."""
        return tensors(verified(self.spec.data[0], face_arrays(variant), variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(configuration, seed, device)
        done = training.resume(start) if start else 0
        x, y = data["train_x"].to(device), data["train_y"].to(device)
        for epoch in range(done, EPOCHS):
            require_finite(train_epoch(training, x, y, epoch), epoch + 1)
            yield training.checkpoint(epoch + 1)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Share of the images of ``split`` that are read as a wrong character."""
        return error_rate(build_model, data, checkpoint, split)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is a plain Adam on a plain net, without augmentation."""
    space = ConfigurationSpace(name="supervised/glyph-faces")
    space.add(
        *optimiser_space(learning_rate=(3e-4, 0.3)),
        Categorical("normalisation", ["none", "batch", "group"], default="none"),
        Categorical("activation", ["relu", "gelu", "silu", "tanh"], default="relu"),
        Categorical("width", [8, 16, 32], default=16, ordered=True),
        Integer("depth", (2, 4), default=3),
        Float("zoom", (0.0, 0.3), default=0.0),
        Float("translation", (0.0, 0.2), default=0.0),
    )
    return space


TASK = GlyphFaces(
    TaskSpec(
        name="supervised/glyph-faces",
        version="1",
        summary="read 62 characters in unseen font faces with a convolutional net (error rate)",
        paper="de Campos, Babu & Varma 2009, Character Recognition in Natural Images, VISAPP",
        space=search_space(),
        fidelity=Fidelity("epochs", 1, EPOCHS),
        validation=Metric("validation error rate", "minimize", worst=1.0),
        test=Metric("test error rate", "minimize", worst=1.0),
        data=(FACES_DATA,),
        mutable=MUTABLE | {"zoom", "translation"},
        constants=constants_beside(__file__),
    )
)
