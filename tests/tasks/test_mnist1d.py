"""supervised/mnist1d: the data, and what the default must beat."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from mnist1d.data import get_dataset_args, make_dataset

from suite.data import DataMismatch, verified
from tasks.signals import DATA, arrays, generated
from tasks.supervised.mnist1d import TASK


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def test_splits_have_the_published_sizes_and_share_no_signal(data: Mapping[str, torch.Tensor]) -> None:
    shapes = {name: tuple(data[f"{name}_x"].shape) for name in ("train", "validation", "test")}
    assert shapes == {"train": (3000, 1, 40), "validation": (1000, 1, 40), "test": (1000, 1, 40)}
    signals = {name: {signal.numpy().tobytes() for signal in data[f"{name}_x"]} for name in shapes}
    assert [len(signals[name]) for name in shapes] == [3000, 1000, 1000]
    assert not signals["train"] & signals["validation"]
    assert not (signals["train"] | signals["validation"]) & signals["test"]


def test_every_class_is_in_every_split(data: Mapping[str, torch.Tensor]) -> None:
    for name in ("train", "validation", "test"):
        assert set(data[f"{name}_y"].tolist()) == set(range(10))


@pytest.mark.parametrize("variant", [0, 3])
def test_signals_are_those_of_the_authors_library(variant: int) -> None:
    settings = get_dataset_args()
    settings.seed += variant
    theirs, ours = make_dataset(settings), generated(variant)
    for name, array in ours.items():
        assert np.array_equal(array, theirs[name]), name


def test_changed_data_are_refused() -> None:
    changed = arrays()
    changed["test_x"][0, 0, 0] += np.float32(1e-3)
    with pytest.raises(DataMismatch, match="mnist1d"):
        verified(DATA, changed)


@pytest.mark.slow
def test_default_beats_the_most_frequent_class(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    guess = data["train_y"].mode().values
    assert TASK.evaluate(data, last, "test") < 0.5 * float((data["test_y"] != guess).float().mean())
