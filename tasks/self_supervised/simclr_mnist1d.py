"""Self-supervised learning: representations of 1-D signals that agree on two distorted views of the same signal.

SimCLR (Chen et al. 2020, ICML, arXiv:2002.05709): an encoder and a projector are trained to tell which two views in a
batch are of one signal; then the projector is thrown away, and a linear probe is fitted to the 64 features of the
encoder (``tasks.probe``). As there, the learning rate is annealed by a cosine; other than there, the optimiser is Adam
without weight decay. The signals are MNIST-1D (``tasks.signals``): training sees the 3,000 training signals without
their labels, the probe is fitted to them with their labels and judged on 1,000 signals each for validation and testing.

The search is over the loss, the two nets and the views, which must be distorted in the ways in which the signals of a
class differ: stretched, shifted, tilted and buried in smooth noise.

To beat: guessing 0.90, a probe of the raw signals 0.757, of the untrained net 0.667. Figures of the default, its noise
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
from tasks.networks import signal_cnn
from tasks.probe import FEATURES, JointEmbedding, begin, build_projector, probe_error, projector_space, train_epoch
from tasks.signals import DATA, LENGTH, arrays, distorted
from tasks.training import Data, require_finite, restored, tensors

EPOCHS = 30  # the maximum fidelity; the minimum is one epoch
PROJECTIONS = 32  # outputs of a projector


def build_model(configuration: Configuration) -> JointEmbedding:
    """For signals (batch, 1, 40); the first weights come from the global generator."""
    width, depth, norm = (configuration[name] for name in ("width", "depth", "normalisation"))
    net = signal_cnn(LENGTH, FEATURES, int(width), int(depth), str(norm))
    return JointEmbedding(net, build_projector(configuration, PROJECTIONS))


def view(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
    """The signals (batch, 1, 40), each distorted at random in the ways in which those of a class differ."""
    x = augmentation.stretch(x, float(configuration["stretch"]), generator)
    return distorted(x, configuration, generator)


def contrastive_loss(one: torch.Tensor, other: torch.Tensor, configuration: Configuration) -> torch.Tensor:
    """NT-Xent of n pairs of projections (n, outputs): equation 1 of Chen et al. 2020, averaged over all 2n views."""
    z = functional.normalize(torch.cat([one, other]), dim=1)
    similarity = z @ z.T / float(configuration["temperature"])
    similarity.fill_diagonal_(-torch.inf)
    partner = torch.arange(len(z), device=z.device).roll(len(one))
    return functional.cross_entropy(similarity, partner)


@dataclass(frozen=True)
class SimclrMnist1d:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` (n, 1, 40) and ``y`` (n,) of ``train``, ``validation`` and ``test``; raises ``DataMismatch``."""
        return tensors(verified(self.spec.data[0], arrays(variant), variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(build_model, configuration, seed, device)
        done = training.resume(start) if start else 0
        x = data["train_x"].to(device)  # the labels are for the probe alone
        for epoch in range(done, EPOCHS):
            require_finite(train_epoch(training, x, epoch, EPOCHS, view, contrastive_loss), epoch + 1)
            yield training.checkpoint(epoch + 1)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Error rate on ``split`` of a ridge probe of the representation, fitted to the labelled training part."""
        model, _, device = restored(build_model, checkpoint.state)
        return probe_error(model.encoder, data, split, device)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is a plain net with Adam, the usual temperature and mild views."""
    space = ConfigurationSpace(name="self_supervised/simclr-mnist1d")
    space.add(
        Float("learning_rate", (1e-4, 3e-2), default=1e-3, log=True),
        Categorical("batch", [128, 256, 512], default=256, ordered=True),
        Float("temperature", (0.05, 1.0), default=0.5, log=True),
        *projector_space((32, 64, 128)),
        Categorical("normalisation", ["none", "batch", "group"], default="batch"),
        Categorical("width", [16, 32, 48], default=32, ordered=True),
        Integer("depth", (1, 4), default=3),
        Integer("shift", (0, 16), default=3),
        Float("ramp", (0.0, 1.5), default=0.3),
        Float("noise", (0.0, 0.5), default=0.1),
        Float("stretch", (0.0, 0.3), default=0.05),
    )
    return space


TASK = SimclrMnist1d(
    TaskSpec(
        name="self_supervised/simclr-mnist1d",
        version="1",
        summary="contrastive representations of 1-D signals, judged by a linear probe (error rate)",
        paper="Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations, ICML",
        space=search_space(),
        fidelity=Fidelity("epochs", 1, EPOCHS),
        validation=Metric("validation error rate of the probe", "minimize", worst=1.0),
        test=Metric("test error rate of the probe", "minimize", worst=1.0),
        data=(DATA,),
        mutable=frozenset({"learning_rate", "temperature", "batch", "shift", "ramp", "noise", "stretch"}),
        constants=constants_beside(__file__),
    )
)
