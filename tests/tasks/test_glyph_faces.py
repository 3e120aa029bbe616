"""supervised/glyph-faces: the data, the augmentation, and what the default must beat."""

from collections.abc import Mapping

import pytest
import torch

from tasks.supervised.glyph_faces import TASK, augmented, build_model
from tasks.training import stream

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def nearest_image_error(data: Mapping[str, torch.Tensor]) -> float:
    """Test error rate of the nearest training image in pixels."""
    distances = torch.cdist(data["test_x"].flatten(1), data["train_x"].flatten(1))
    return float((data["train_y"][distances.argmin(dim=1)] != data["test_y"]).float().mean())


def test_splits_have_the_published_sizes_and_share_no_image(data: Mapping[str, torch.Tensor]) -> None:
    shapes = {name: tuple(data[f"{name}_x"].shape) for name in PARTS}
    assert shapes == {"train": (1860, 1, 20, 20), "validation": (992, 1, 20, 20), "test": (1240, 1, 20, 20)}
    images = {name: {image.numpy().tobytes() for image in data[f"{name}_x"]} for name in PARTS}
    assert not images["train"] & images["validation"]
    assert not (images["train"] | images["validation"]) & images["test"]


def test_a_variant_trains_on_other_images() -> None:
    assert not torch.equal(TASK.load(variant=3)["train_x"], TASK.load(variant=4)["train_x"])


def test_images_change_only_where_the_configuration_says_so(data: Mapping[str, torch.Tensor]) -> None:
    x = data["train_x"][:8]
    assert augmented(x, TASK.spec.default, stream(0, "a")) is x
    for name in ("zoom", "translation"):
        changed = augmented(x, {**TASK.spec.default, name: 0.1}, stream(0, "a"))
        assert changed.shape == x.shape
        assert float((changed - x).abs().max()) > 0.1


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_net_tells_62_characters_apart(depth: int) -> None:
    assert build_model({**TASK.spec.default, "depth": depth})(torch.rand(3, 1, 20, 20)).shape == (3, 62)


@pytest.mark.slow
def test_default_beats_the_nearest_image(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    assert TASK.evaluate(data, last, "test") < nearest_image_error(data)
