"""federated/glyph-fonts: writers are the clients, the augmentation, and what the default must beat."""

from collections.abc import Mapping

import pytest
import torch

from suite.data import DataMismatch, verified
from suite.task import Configuration
from tasks.federated.glyph_fonts import TASK, augmented
from tasks.glyphs import STYLES_DATA, style_arrays
from tasks.training import stream


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def test_writers_are_the_clients_and_those_of_the_test_are_others(data: Mapping[str, torch.Tensor]) -> None:
    writers = {name: set(data[f"{name}_writer"].tolist()) for name in ("train", "validation", "test")}
    assert writers["train"] == writers["validation"] == set(range(36))
    assert writers["test"] == set(range(36, 42))
    assert torch.equal(data["train_writer"], data["train_writer"].sort().values)  # clients lie one after the other


def test_distortion_changes_images_as_far_as_it_says(data: Mapping[str, torch.Tensor]) -> None:
    x = data["train_x"][:64]

    def changed(strength: float) -> torch.Tensor:
        configuration: Configuration = {"distortion": strength}
        return (augmented(x, configuration, stream(0, "distortion")) - x).square().mean()

    assert changed(0.0) == 0.0
    assert 0.0 < changed(0.1) < changed(0.5) < changed(1.0)


def test_changed_data_are_refused() -> None:
    changed = style_arrays()
    changed["train_writer"][0] = 1
    with pytest.raises(DataMismatch, match="glyph-styles"):
        verified(STYLES_DATA, changed)


def nearest_mean_error(data: Mapping[str, torch.Tensor]) -> float:
    """Test error of the class whose mean image is nearest."""
    means = torch.stack([data["train_x"][data["train_y"] == label].mean(dim=0).flatten() for label in range(62)])
    nearest = torch.cdist(data["test_x"].flatten(1), means).argmin(dim=1)
    return float((nearest != data["test_y"]).float().mean())


@pytest.mark.slow
def test_default_beats_mean_images(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    assert TASK.evaluate(data, last, "test") < 0.8 * nearest_mean_error(data)
