"""Unsupervised learning: the density of handwritten digits, by a variational auto-encoder.

Posed by Kingma & Welling 2014 (Auto-Encoding Variational Bayes, ICLR, arXiv:1312.6114); the judge is the
importance-weighted bound of Burda, Grosse & Salakhutdinov 2016 (ICLR, arXiv:1509.00519), with 100 samples and fixed
noise. The images are those of ``tasks.digits``. A pixel is a whole number from 0 to 16, and every likelihood that can
be chosen is a distribution over these 17 levels, so that the bits per dimension of all models compare.

The search is over the likelihood, the networks, the weight of the divergence (Higgins et al. 2017, beta-VAE; Bowman et
al. 2016, arXiv:1511.06349, for its annealing), the optimiser, and the noise on what the encoder sees, which here is
what augmentation is elsewhere (Im et al. 2017, arXiv:1511.06406): to change the images themselves is to change their
density.

Figures of the default, its noise and the best known are in docs/tasks.md.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer
from torch import nn
from torch.nn import functional

from suite.data import verified
from suite.task import Checkpoint, Configuration, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks import augmentation
from tasks.digits import DATA, LARGEST, SIDE, arrays
from tasks.networks import mlp
from tasks.optimisers import descend, schedule_space
from tasks.training import Data, Training, drawn_from, require_finite, restored, stream, tensors

EPOCHS = 100  # the maximum fidelity
STEP = 5  # epochs; the bound that judges takes as long as ten epochs of training, so that it is not asked more often
PIXELS = SIDE * SIDE
SAMPLES, SAMPLES_AT_ONCE = 100, 10  # of the bound that judges; at once, to save memory
LARGEST_GRADIENT_NORM = 20.0  # of the loss in nats per pixel
LARGEST_LOG = 8.0  # of scales, concentrations and variances
WORST = 5.0  # bits per dimension; a uniform distribution over 17 levels has 4.09

LIKELIHOODS = {"binomial": 1, "beta-binomial": 2, "logistic": 2, "categorical": LARGEST + 1}  # numbers for a pixel


def log_likelihood(kind: str, outputs: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(..., 64 * k) and levels (..., 64) -> (...): log-probability of each image, its pixels independent.

    k is ``LIKELIHOODS[kind]``. Raises ``KeyError`` where there is no such kind.
    """
    if kind not in LIKELIHOODS:
        raise KeyError(f"a likelihood is one of {', '.join(LIKELIHOODS)}, got {kind!r}")
    numbers = outputs.view(*outputs.shape[:-1], PIXELS, LIKELIHOODS[kind])
    first, *others = numbers.unbind(-1)
    if kind == "categorical":
        level = x.long().expand_as(first)[..., None]
        pixels = numbers.log_softmax(dim=-1).gather(-1, level)[..., 0]
    elif kind == "logistic":
        pixels = log_logistic(LARGEST / 2 * (1 + first), bounded(others[0]), x)
    elif kind == "beta-binomial":
        a, b = bounded(first).exp(), bounded(others[0]).exp()
        pixels = log_choose(x) + log_beta(x + a, LARGEST - x + b) - log_beta(a, b)
    else:
        pixels = log_choose(x) + x * first - LARGEST * functional.softplus(first)
    likelihoods: torch.Tensor = pixels.sum(dim=-1)
    return likelihoods


def bounded(logarithm: torch.Tensor) -> torch.Tensor:
    return logarithm.clamp(-LARGEST_LOG, LARGEST_LOG)


def log_choose(x: torch.Tensor) -> torch.Tensor:
    """log of 16 over x."""
    return math.lgamma(LARGEST + 1) - torch.lgamma(x + 1) - torch.lgamma(LARGEST - x + 1)


def log_beta(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """log of the beta function."""
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


def log_logistic(mean: torch.Tensor, log_scale: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """log of the mass that a logistic density has within x +- 1/2; levels 0 and 16 have its tails as well.

    Salimans et al. 2017, PixelCNN++, equation 2, arXiv:1701.05517.
    """
    precision = torch.exp(-log_scale)
    above = functional.logsigmoid((x + 0.5 - mean) * precision)
    below = functional.logsigmoid((mean - x + 0.5) * precision)
    between = above + below + torch.log(-torch.expm1(-precision))
    return torch.where(x == 0, above, torch.where(x == LARGEST, below, between))


class Autoencoder(nn.Module):
    """Perceptrons from an image to a normal density of the latent variables, and from these to a likelihood."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.likelihood = str(configuration["likelihood"])
        self.latent, act = int(configuration["latent"]), str(configuration["activation"])
        hidden = [int(configuration["width"])] * int(configuration["depth"])
        self.encoder = mlp([PIXELS, *hidden, 2 * self.latent], act)
        self.decoder = mlp([self.latent, *hidden, LIKELIHOODS[self.likelihood] * PIXELS], act)

    def posterior(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 64) -> mean and logarithm of the variance of the latent variables, (n, latent) each."""
        mean, log_variance = self.encoder(2 / LARGEST * x - 1).chunk(2, dim=-1)
        return mean, bounded(log_variance)

    def log_weights(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """(n, 64) and standard normal (samples, n, latent) -> (samples, n): log p(x, z) / q(z | x)."""
        mean, log_variance = self.posterior(x)
        z = mean + (0.5 * log_variance).exp() * noise
        prior_over_posterior = 0.5 * (noise.square() + log_variance - z.square()).sum(dim=-1)
        return log_likelihood(self.likelihood, self.decoder(z), x) + prior_over_posterior

    def elbo(self, x: torch.Tensor, seen: torch.Tensor, noise: torch.Tensor, beta: float) -> torch.Tensor:
        """(n, 64), what the encoder sees of it, and standard normal (n, latent) -> (n,): the lower bound on log p(x).

        Kingma & Welling 2014, equation 10, with the divergence weighing ``beta``.
        """
        mean, log_variance = self.posterior(seen)
        z = mean + (0.5 * log_variance).exp() * noise
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1)
        return log_likelihood(self.likelihood, self.decoder(z), x) - beta * divergence


def importance_weighted_bound(
    model: Autoencoder, x: torch.Tensor, samples: int, generator: torch.Generator
) -> torch.Tensor:
    """(n, 64) -> (n,): a lower bound on log p(x) of each image, in nats (Burda et al. 2016, equation 8)."""
    log_weights = []
    for begun in range(0, samples, SAMPLES_AT_ONCE):
        shape = (min(SAMPLES_AT_ONCE, samples - begun), len(x), model.latent)
        log_weights.append(model.log_weights(x, torch.randn(shape, generator=generator).to(x.device)))
    return torch.cat(log_weights).logsumexp(dim=0) - math.log(samples)


def begin(configuration: Configuration, seed: int, device: str) -> Training[Autoencoder]:
    """A training before its first epoch."""
    with drawn_from(stream(seed, "weights")):
        model = Autoencoder(configuration).to(device)
    optimiser = torch.optim.Adam(model.parameters(), float(configuration["learning_rate"]), fused=True)
    streams = {name: stream(seed, name) for name in ("order", "augmentation", "latent")}
    return Training(configuration, seed, model, optimiser, streams)


def beta_at(configuration: Configuration, progress: float) -> float:
    """Weight of the divergence at ``progress`` in [0, 1]: the full one, or growing to it from zero at an even pace."""
    full = float(configuration["beta"])
    if configuration["annealing"] == "none":
        return full
    return full * min(1.0, progress / float(configuration["annealing_share"]))


def train_epoch(training: Training[Autoencoder], x: torch.Tensor, epoch: int) -> torch.Tensor:
    """One pass over the training set in a new order; returns the loss of the last batch."""
    configuration, model, streams = training.configuration, training.model, training.streams
    order = torch.randperm(len(x), generator=streams["order"]).to(x.device)
    batches = torch.split(order, int(configuration["batch"]))
    for number, batch in enumerate(batches):
        progress = (epoch + number / len(batches)) / EPOCHS
        seen = augmentation.noise(x[batch], float(configuration["input_noise"]), streams["augmentation"])
        noise = torch.randn(len(batch), model.latent, generator=streams["latent"]).to(x.device)
        loss = -model.elbo(x[batch], seen, noise, beta_at(configuration, progress)).mean() / PIXELS
        descend(training.optimiser, loss, str(configuration["schedule"]), progress, LARGEST_GRADIENT_NORM)
    return loss.detach()


@dataclass(frozen=True)
class VaeDigits:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` (n, 64) of ``train``, ``validation`` and ``test``, from 0 to 16; raises ``DataMismatch``."""
        split = verified(self.spec.data[0], arrays(variant), variant)
        return {name: x.flatten(1) for name, x in tensors(split).items() if name.endswith("_x")}

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(configuration, seed, device)
        done = training.resume(start) if start else 0
        x = data["train_x"].to(device)
        for epoch in range(done, EPOCHS):
            loss = train_epoch(training, x, epoch)
            if (epoch + 1) % STEP == 0:
                require_finite(loss, epoch + 1)
                yield training.checkpoint(epoch + 1)

    @torch.no_grad()
    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Bits per dimension of the images of ``split``, at most; the noise of the bound is fixed."""
        model, _, device = restored(Autoencoder, checkpoint.state)
        bound = importance_weighted_bound(model, data[f"{split}_x"].to(device), SAMPLES, stream(0, split))
        bits = -bound.mean() / (PIXELS * math.log(2.0))
        return float(bits.nan_to_num(nan=WORST, posinf=WORST).clamp(max=WORST))


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is a plain net with a categorical distribution over the levels."""
    space = ConfigurationSpace(name="unsupervised/vae-digits")
    annealing = Categorical("annealing", ["none", "linear"], default="none")
    annealing_share = Float("annealing_share", (0.05, 0.8), default=0.3)
    space.add(
        Categorical("likelihood", list(LIKELIHOODS), default="categorical"),
        Integer("latent", (2, 32), default=8, log=True),
        Categorical("width", [64, 128, 256], default=128, ordered=True),
        Integer("depth", (1, 3), default=1),
        Categorical("activation", ["relu", "tanh", "silu", "gelu"], default="relu"),
        Float("beta", (0.3, 3.0), default=1.0, log=True),
        annealing,
        annealing_share,
        Categorical("batch", [32, 64, 128], default=64, ordered=True),
        Float("learning_rate", (1e-4, 1e-2), default=1e-3, log=True),
        schedule_space(),
        Float("input_noise", (0.0, 4.0), default=0.0),
        EqualsCondition(annealing_share, annealing, "linear"),
    )
    return space


TASK = VaeDigits(
    TaskSpec(
        name="unsupervised/vae-digits",
        version="2",
        summary="density of handwritten digits by a variational auto-encoder (bits per dimension)",
        paper="Kingma & Welling 2014, Auto-Encoding Variational Bayes, ICLR, arXiv:1312.6114",
        space=search_space(),
        fidelity=Fidelity("epochs", STEP, EPOCHS, STEP),
        validation=Metric("validation bits per dimension", "minimize", worst=WORST),
        test=Metric("test bits per dimension", "minimize", worst=WORST),
        data=(DATA,),
        mutable=frozenset({"learning_rate", "schedule", "beta", "annealing_share", "input_noise"}),
        constants=constants_beside(__file__),
    )
)
