"""The digits that tasks share: sizes, values, splits, variants."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from suite.data import DataMismatch, verified
from tasks.digits import DATA, arrays

SPLITS = ("train", "validation", "test")


def images_of(split: dict[str, np.ndarray]) -> list[bytes]:
    return [image.tobytes() for name in SPLITS for image in split[f"{name}_x"]]


def test_splits_have_the_published_sizes_and_whole_numbers_for_pixels() -> None:
    split = arrays()
    assert [split[f"{name}_x"].shape for name in SPLITS] == [(n, 1, 8, 8) for n in (897, 400, 500)]
    assert [split[f"{name}_y"].shape for name in SPLITS] == [(897,), (400,), (500,)]
    for name in SPLITS:
        assert set(np.unique(split[f"{name}_x"])) == set(range(17))
        assert set(split[f"{name}_y"]) == set(range(10))


@pytest.mark.parametrize("variant", [0, 1])
def test_every_image_is_in_one_split_with_its_own_label(variant: int) -> None:
    images, labels = load_digits(return_X_y=True)
    known = {image.astype(np.float32).tobytes(): label for image, label in zip(images, labels, strict=True)}
    split = arrays(variant)
    assert sorted(images_of(split)) == sorted(known)
    for name in SPLITS:
        for image, label in zip(split[f"{name}_x"], split[f"{name}_y"], strict=True):
            assert known[image.tobytes()] == label


def test_a_variant_is_another_permutation() -> None:
    assert images_of(arrays(1)) == images_of(arrays(1))
    assert images_of(arrays(1)) != images_of(arrays())
    with pytest.raises(DataMismatch, match="digits"):
        verified(DATA, arrays(1))


def test_changed_data_are_refused() -> None:
    verified(DATA, arrays())
    changed = arrays()
    changed["test_x"][0, 0, 0, 0] += 1
    with pytest.raises(DataMismatch, match="digits"):
        verified(DATA, changed)
