"""unsupervised/vae-digits: likelihoods as in scipy, the bound against an integral, and what the default must beat."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy import stats

from suite.task import Configuration
from tasks.digits import LARGEST
from tasks.training import drawn_from, stream
from tasks.unsupervised.vae_digits import (
    LIKELIHOODS,
    PIXELS,
    SAMPLES,
    TASK,
    Autoencoder,
    begin,
    beta_at,
    importance_weighted_bound,
    log_likelihood,
)

DEFAULT = TASK.spec.default
LEVELS = np.arange(LARGEST + 1)


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def each_level() -> torch.Tensor:
    """(17, 64): images of one level each."""
    return torch.arange(LARGEST + 1.0, dtype=torch.float64)[:, None].expand(-1, PIXELS)


def pixel_probabilities(kind: str, outputs: torch.Tensor) -> np.ndarray:
    """(17,): of the levels of one pixel, the ``outputs`` (k,) of which are given to all."""
    everywhere = outputs.double().repeat(PIXELS)
    likelihoods = log_likelihood(kind, everywhere.expand(LARGEST + 1, -1), each_level())
    return (likelihoods / PIXELS).exp().numpy()


def test_images_have_the_levels_of_the_likelihoods(data: Mapping[str, torch.Tensor]) -> None:
    for split in ("train", "validation", "test"):
        x = data[f"{split}_x"]
        assert x.shape[1:] == (PIXELS,)
        assert set(x.unique().tolist()) == set(range(LARGEST + 1))


@pytest.mark.parametrize("scale", [0.1, 2.0, 100.0])
@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_likelihoods_are_distributions_over_the_levels(kind: str, scale: float) -> None:
    for outputs in scale * torch.randn(20, LIKELIHOODS[kind], generator=stream(0, kind)):
        assert pixel_probabilities(kind, outputs).sum() == pytest.approx(1.0, abs=1e-6)


def test_likelihoods_are_those_of_scipy() -> None:
    one, other = 0.3, -0.4
    ends = [-math.inf, *(LEVELS[1:] - 0.5), math.inf]
    expected = {
        "binomial": stats.binom.pmf(LEVELS, LARGEST, 1 / (1 + math.exp(-one))),
        "beta-binomial": stats.betabinom.pmf(LEVELS, LARGEST, math.exp(one), math.exp(other)),
        "logistic": np.diff(stats.logistic.cdf(ends, 8 + 8 * one, math.exp(other))),
    }
    for kind, probabilities in expected.items():
        outputs = torch.tensor([one, other])[: LIKELIHOODS[kind]]
        assert pixel_probabilities(kind, outputs) == pytest.approx(probabilities, rel=1e-5)
    logits = torch.linspace(-2, 2, LARGEST + 1)
    assert pixel_probabilities("categorical", logits) == pytest.approx(logits.softmax(0).numpy(), rel=1e-5)


def test_a_likelihood_has_a_name() -> None:
    with pytest.raises(KeyError, match="'normal'"):
        log_likelihood("normal", torch.zeros(PIXELS), torch.zeros(PIXELS))


def model(configuration: Configuration) -> Autoencoder:
    with drawn_from(stream(0, "weights")):
        return Autoencoder(configuration)


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_bound_is_below_the_evidence_and_comes_near_it(data: Mapping[str, torch.Tensor], kind: str) -> None:
    """The evidence by a sum over a fine grid of a latent variable of one dimension."""
    net, x = model({**DEFAULT, "latent": 1, "likelihood": kind}), data["test_x"][:20]
    z = torch.linspace(-8, 8, 2001)
    log_prior = torch.distributions.Normal(0, 1).log_prob(z) + math.log(float(z[1] - z[0]))
    with torch.no_grad():
        joint = log_likelihood(kind, net.decoder(z[:, None, None]).expand(-1, len(x), -1), x) + log_prior[:, None]
        evidence = joint.logsumexp(dim=0)
        bounds = [importance_weighted_bound(net, x, samples, stream(0, "bound")) for samples in (1, 10, 2000)]
    gaps = [float((evidence - bound).mean()) for bound in bounds]
    assert gaps[0] > gaps[1] > gaps[2]
    assert abs(gaps[2]) < 0.05 * gaps[0]


def test_objective_is_the_mean_of_the_log_weights(data: Mapping[str, torch.Tensor]) -> None:
    """Up to the noise in the divergence, which the objective has in closed form."""
    net, x = model(DEFAULT), data["train_x"][:200]
    noise = torch.randn(400, len(x), int(DEFAULT["latent"]), generator=stream(0, "noise"))
    with torch.no_grad():
        weights = net.log_weights(x, noise)
        elbo = torch.stack([net.elbo(x, x, each, 1.0) for each in noise])
        dearer = net.elbo(x, x, noise[0], 2.0)
    assert float(weights.mean()) == pytest.approx(float(elbo.mean()), rel=1e-3)
    assert float(dearer.mean()) < float(elbo[0].mean())


def test_divergence_is_annealed_up_to_its_weight() -> None:
    annealed: Configuration = {**DEFAULT, "beta": 2.0, "annealing": "linear", "annealing_share": 0.5}
    assert [beta_at(annealed, progress) for progress in (0.0, 0.25, 0.5, 0.9)] == [0.0, 1.0, 2.0, 2.0]
    assert beta_at({**DEFAULT, "beta": 2.0}, 0.0) == 2.0


def test_evaluation_takes_the_published_samples(data: Mapping[str, torch.Tensor]) -> None:
    training = begin(DEFAULT, 0, "cpu")
    x = data["validation_x"]
    with torch.no_grad():
        bound = importance_weighted_bound(training.model, x, SAMPLES, stream(0, "validation"))
    bits = -float(bound.mean()) / (PIXELS * math.log(2))
    assert TASK.evaluate(data, training.checkpoint(1), "validation") == pytest.approx(min(bits, TASK.spec.test.worst))


@pytest.mark.slow
def test_default_beats_the_histograms_of_the_pixels(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, DEFAULT, 0, "cpu", None)
    train, test = data["train_x"].long().numpy(), data["test_x"].long().numpy()
    counts = np.stack([np.bincount(pixel, minlength=LARGEST + 1) for pixel in train.T]) + 0.5  # (64, 17)
    probabilities = counts / counts.sum(axis=1, keepdims=True)
    bits = -np.log2(probabilities[np.arange(PIXELS), test]).mean()
    assert bits == pytest.approx(2.427, abs=1e-3)
    assert TASK.evaluate(data, last, "test") < bits - 0.1
