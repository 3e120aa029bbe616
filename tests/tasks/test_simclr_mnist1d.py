"""self_supervised/simclr-mnist1d: its loss by definition, what training may see, what the default must beat."""

import itertools
import math
from collections.abc import Mapping

import pytest
import torch
from torch import nn
from torch.nn import functional

from tasks.probe import FEATURES, begin, probe_error
from tasks.self_supervised.simclr_mnist1d import TASK, build_model, contrastive_loss, view
from tasks.training import stream

DEFAULT = TASK.spec.default
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_is_nt_xent_over_all_ordered_pairs(temperature: float) -> None:
    pairs, sizes = 4, torch.tensor([0.1, 1.0, 10.0])  # cosine similarity leaves out the sizes
    one, other = (sizes * torch.randn(pairs, 3, generator=stream(0, name)) for name in ("one", "other"))
    views = [*one, *other]
    total = 0.0
    for i in range(2 * pairs):
        similarities = [float(functional.cosine_similarity(views[i], each, dim=0)) / temperature for each in views]
        others = sum(math.exp(similarities[k]) for k in range(2 * pairs) if k != i)
        total -= math.log(math.exp(similarities[(i + pairs) % (2 * pairs)]) / others)
    assert float(contrastive_loss(one, other, {"temperature": temperature})) == pytest.approx(
        total / (2 * pairs), rel=1e-5
    )


def test_training_reads_neither_labels_nor_held_out_signals(data: Mapping[str, torch.Tensor]) -> None:
    (whole,), (signals_alone,) = (
        list(itertools.islice(TASK.train(some, DEFAULT, 0, "cpu", None), 1))
        for some in (data, {"train_x": data["train_x"]})
    )
    for name, weights in whole.state["model"].items():
        assert torch.equal(weights, signals_alone.state["model"][name]), name


def test_views_of_one_signal_differ(data: Mapping[str, torch.Tensor]) -> None:
    x = data["train_x"][:8]
    generator = stream(0, "augmentation")
    one, other = view(x, DEFAULT, generator), view(x, DEFAULT, generator)
    assert one.shape == other.shape == x.shape
    assert not torch.isclose(one, other).all(dim=2).any()


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("width", [16, 48])
def test_size_of_the_representation_does_not_follow_the_architecture(
    data: Mapping[str, torch.Tensor], width: int, depth: int
) -> None:
    model = begin(build_model, {**DEFAULT, "width": width, "depth": depth}, 0, "cpu").model
    assert model.encoder(data["train_x"][:8]).shape == (8, FEATURES)


@pytest.mark.slow
def test_default_beats_the_untrained_net_and_the_raw_signals(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, DEFAULT, 0, "cpu", None)
    trained = TASK.evaluate(data, last, "test")
    assert trained < TASK.evaluate(data, begin(build_model, DEFAULT, 0, "cpu").checkpoint(0), "test") - 0.05
    assert trained < probe_error(nn.Flatten(), data, "test", CPU) - 0.1
