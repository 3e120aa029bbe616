"""self_supervised/vicreg-glyphs: its loss by definition, what training may see, what the default must beat."""

import itertools
from collections.abc import Mapping

import pytest
import torch
from torch import nn

from suite.data import DataMismatch, verified
from suite.task import Configuration
from tasks.glyphs import FACES_DATA, split_faces
from tasks.probe import FEATURES, begin, probe_error
from tasks.self_supervised.vicreg_glyphs import TASK, build_model, variance_and_covariance, vicreg_loss
from tasks.training import stream

DEFAULT = TASK.spec.default
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def test_probe_is_judged_on_faces_that_nobody_has_seen(data: Mapping[str, torch.Tensor]) -> None:
    faces = split_faces(0)
    assert len(set().union(*faces.values())) == sum(len(each) for each in faces.values()) == 19
    for part in ("train", "validation", "test"):
        assert set(data[f"{part}_y"].tolist()) == set(range(62))


def test_variant_has_other_faces() -> None:
    assert TASK.load(1)["test_x"].shape == TASK.load()["test_x"].shape
    assert not torch.equal(TASK.load(1)["test_x"], TASK.load()["test_x"])


def test_changed_data_are_refused(data: Mapping[str, torch.Tensor]) -> None:
    changed = {name: values.numpy().copy() for name, values in data.items()}
    changed["train_x"][0] += 1e-3
    with pytest.raises(DataMismatch, match="glyph-faces"):
        verified(FACES_DATA, changed)


def reference_loss(one: torch.Tensor, other: torch.Tensor, invariance_weight: float, covariance_weight: float) -> float:
    """Equations 1 to 6 of the paper, one number at a time."""
    n, outputs = one.shape
    distance = sum(float((a - b).square().sum()) for a, b in zip(one, other, strict=True)) / n
    variance = covariance = 0.0
    for z in (one, other):
        away = z - z.mean(dim=0)
        for i, j in itertools.product(range(outputs), repeat=2):
            c = float(away[:, i] @ away[:, j]) / (n - 1)
            if i == j:
                variance += max(0.0, 1 - (c + 1e-4) ** 0.5) / outputs
            else:
                covariance += c**2 / outputs
    return invariance_weight * distance / outputs + 25 * variance / 2 + covariance_weight * covariance


@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_loss_is_that_of_the_paper(scale: float) -> None:
    one, other = (scale * torch.randn(6, 4, generator=stream(0, name)) for name in ("one", "other"))
    configuration: Configuration = {"invariance_weight": 7.0, "covariance_weight": 0.5}
    assert float(vicreg_loss(one, other, configuration)) == pytest.approx(
        reference_loss(one, other, 7.0, 0.5), rel=1e-4
    )


def test_collapse_costs_and_spread_uncorrelated_projections_do_not() -> None:
    collapsed = torch.zeros(8, 2, requires_grad=True)
    shortfall, covariance = variance_and_covariance(collapsed)
    assert float(shortfall.detach()) == pytest.approx(0.99)
    torch.autograd.backward(shortfall + covariance)
    assert collapsed.grad is not None
    assert bool(collapsed.grad.isfinite().all())
    spread = 2.0 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert [float(each) for each in variance_and_covariance(spread)] == pytest.approx([0.0, 0.0])


def test_training_reads_neither_labels_nor_held_out_images(data: Mapping[str, torch.Tensor]) -> None:
    whole, images_alone = (
        next(TASK.train(some, DEFAULT, 0, "cpu", None)).state["model"] for some in (data, {"train_x": data["train_x"]})
    )
    for name, weights in whole.items():
        assert torch.equal(weights, images_alone[name]), name


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("width", [8, 32])
def test_size_of_the_representation_does_not_follow_the_architecture(
    data: Mapping[str, torch.Tensor], width: int, depth: int
) -> None:
    model = begin(build_model, {**DEFAULT, "width": width, "depth": depth}, 0, "cpu").model
    assert model.encoder(data["train_x"][:8]).shape == (8, FEATURES)


@pytest.mark.slow
def test_default_beats_the_untrained_net_and_the_raw_pixels(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, DEFAULT, 0, "cpu", None)
    trained = TASK.evaluate(data, last, "test")
    assert trained < TASK.evaluate(data, begin(build_model, DEFAULT, 0, "cpu").checkpoint(0), "test") - 0.1
    assert trained < probe_error(nn.Flatten(), data, "test", CPU) - 0.1
