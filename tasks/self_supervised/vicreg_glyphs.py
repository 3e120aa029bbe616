"""Self-supervised learning: representations of characters that agree on two distorted views of the same image.

VICReg (Bardes, Ponce & LeCun 2022, ICLR, arXiv:2105.04906): the projections of two views shall be close, while each of
their outputs varies over the batch and no two outputs are correlated; then the projector is thrown away, and a linear
probe is fitted to the 64 features of the encoder (``tasks.probe``). The images are 62 characters in the font faces of
``tasks.glyphs``: training sees those of 10 faces without their labels, the probe is fitted to them with their labels
and judged on 4 and 5 faces that nobody has seen, for validation and testing.

The search is over the loss, the two nets and the views. Only the ratios of the three weights of the loss matter to
Adam, so that one of them, the variance's, is fixed.

To beat: guessing 0.984, a probe of the untrained net 0.741, of the raw pixels 0.651. Figures of the default, its noise
and the best known are in docs/tasks.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from torch.nn import functional

from suite.data import verified
from suite.task import Checkpoint, Configuration, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks import augmentation
from tasks.glyphs import FACES_DATA, SIDE, face_arrays
from tasks.networks import image_cnn
from tasks.probe import FEATURES, JointEmbedding, begin, build_projector, probe_error, projector_space, train_epoch
from tasks.training import Data, require_finite, restored, tensors

EPOCHS = 20  # the maximum fidelity; the minimum is one epoch
PROJECTIONS = 128  # outputs of a projector
VARIANCE_WEIGHT = 25.0
EPSILON = 1e-4  # added to variances, for the slope of the root


def build_model(configuration: Configuration) -> JointEmbedding:
    """For images (batch, 1, 20, 20); the first weights come from the global generator."""
    net = image_cnn(SIDE, FEATURES, int(configuration["width"]), int(configuration["depth"]), "batch")
    return JointEmbedding(net, build_projector(configuration, PROJECTIONS))


def view(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
    """The images (batch, 1, 20, 20), each misplaced at random as strongly as the configuration says."""
    names = ("rotation", "zoom", "shear", "translation")
    rotation, zoom, shear, translation = (float(configuration[name]) for name in names)
    return augmentation.affine(x, rotation, zoom, shear, translation, generator)


def vicreg_loss(one: torch.Tensor, other: torch.Tensor, configuration: Configuration) -> torch.Tensor:
    """Of n pairs of projections (n, outputs): equation 6 of Bardes et al. 2022, scaled as in their code.

    There, the squared distance is averaged over the outputs, and the variance term over the two views.
    """
    (variance, covariance), (other_variance, other_covariance) = (variance_and_covariance(z) for z in (one, other))
    return (
        float(configuration["invariance_weight"]) * functional.mse_loss(one, other)
        + VARIANCE_WEIGHT * (variance + other_variance) / 2
        + float(configuration["covariance_weight"]) * (covariance + other_covariance)
    )


def variance_and_covariance(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of projections (n, outputs): how far deviations fall short of one, and squared covariances (equations 1 to 4)."""
    covariances = z.T.cov()
    variances = covariances.diagonal()
    shortfall = functional.relu(1 - (variances + EPSILON).sqrt()).mean()
    return shortfall, (covariances.square().sum() - variances.square().sum()) / z.shape[1]


@dataclass(frozen=True)
class VicregGlyphs:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` (n, 1, 20, 20) and ``y`` (n,) of ``train``, ``validation`` and ``test``; raises ``DataMismatch``."""
        return tensors(verified(self.spec.data[0], face_arrays(variant), variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(build_model, configuration, seed, device)
        done = training.resume(start) if start else 0
        x = data["train_x"].to(device)  # the labels are for the probe alone
        for epoch in range(done, EPOCHS):
            require_finite(train_epoch(training, x, epoch, EPOCHS, view, vicreg_loss), epoch + 1)
            yield training.checkpoint(epoch + 1)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Error rate on ``split`` of a ridge probe of the representation, fitted to the labelled training part."""
        model, _, device = restored(build_model, checkpoint.state)
        return probe_error(model.encoder, data, split, device)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is a plain net with Adam, the published weights and mild views."""
    space = ConfigurationSpace(name="self_supervised/vicreg-glyphs")
    space.add(
        Float("learning_rate", (1e-4, 3e-2), default=3e-3, log=True),
        Categorical("batch", [32, 64, 128], default=64, ordered=True),
        Float("invariance_weight", (1.0, 100.0), default=25.0, log=True),
        Float("covariance_weight", (0.1, 10.0), default=1.0, log=True),
        *projector_space((64, 128, 256)),
        Categorical("width", [8, 16, 32], default=16, ordered=True),
        Integer("depth", (1, 4), default=3),
        Float("rotation", (0.0, 30.0), default=8.0),
        Float("zoom", (0.0, 0.3), default=0.1),
        Float("shear", (0.0, 0.5), default=0.15),
        Float("translation", (0.0, 0.2), default=0.05),
    )
    return space


TASK = VicregGlyphs(
    TaskSpec(
        name="self_supervised/vicreg-glyphs",
        version="1",
        summary="representations of characters by VICReg, judged by a linear probe on unseen font faces (error rate)",
        paper="Bardes, Ponce & LeCun 2022, VICReg: Variance-Invariance-Covariance Regularization, arXiv:2105.04906",
        space=search_space(),
        fidelity=Fidelity("epochs", 1, EPOCHS),
        validation=Metric("validation error rate of the probe", "minimize", worst=1.0),
        test=Metric("test error rate of the probe", "minimize", worst=1.0),
        data=(FACES_DATA,),
        mutable=frozenset(
            {"learning_rate", "batch", "invariance_weight", "covariance_weight"}
            | {"rotation", "zoom", "shear", "translation"}
        ),
        constants=constants_beside(__file__),
    )
)
