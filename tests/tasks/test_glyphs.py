"""Glyphs: what is drawn, how it is moved, and what the three ways to split it keep apart."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from suite.data import DataMismatch, verified
from suite.task import DataRef
from tasks.glyphs import (
    CHARACTERS,
    DEJAVU,
    FACES,
    FACES_DATA,
    LETTERS_DATA,
    MILD,
    OVERSAMPLING,
    SIDE,
    STYLES_DATA,
    composed,
    distinct,
    drawn,
    face_arrays,
    letter_arrays,
    moved,
    random_maps,
    shrunk,
    split_faces,
    style_arrays,
)

PARTS = ("train", "validation", "test")
Arrays = Callable[[int], dict[str, np.ndarray]]
faces, letters, styles = (functools.cache(arrays) for arrays in (face_arrays, letter_arrays, style_arrays))
SPLITS: list[tuple[DataRef, Arrays]] = [(FACES_DATA, faces), (LETTERS_DATA, letters), (STYLES_DATA, styles)]
STILL = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])


def generator() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(5))


def rows_and_columns(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows and columns that hold ink."""
    return np.flatnonzero(image.max(axis=1)), np.flatnonzero(image.max(axis=0))


def test_characters_stand_on_one_baseline_and_keep_their_sizes() -> None:
    large, small, hanging = shrunk(drawn("Oog", ["DejaVuSans"]))[:, 0]
    assert rows_and_columns(large)[0][-1] == rows_and_columns(small)[0][-1]
    assert rows_and_columns(hanging)[0][-1] > rows_and_columns(small)[0][-1]
    assert len(rows_and_columns(large)[0]) > len(rows_and_columns(small)[0])
    columns = rows_and_columns(large)[1]
    assert abs(columns[0] + columns[-1] - (SIDE - 1)) <= 1, "O is not in the middle"


def test_no_character_is_blank_or_cut_off_in_any_face() -> None:
    x = shrunk(drawn(CHARACTERS, FACES))
    assert x.shape == (len(FACES) * len(CHARACTERS), 1, SIDE, SIDE)
    assert x.max(axis=(1, 2, 3)).min() > 0.3
    border = x.copy()
    border[:, :, 1:-1, 1:-1] = 0
    assert border.max() == 0


def test_maps_move_turn_and_enlarge_as_they_say() -> None:
    point = Image.new("L", (SIDE * OVERSAMPLING,) * 2)
    point.paste(255, (60, 40, 64, 44))  # the cell in column 15, row 10
    still = shrunk(moved([point], STILL))[0, 0]
    assert np.argwhere(still).tolist() == [[10, 15]]
    left = STILL + np.array([[[0.0, 0.0, 0.1], [0.0, 0.0, 0.0]]])  # it looks a tenth of the side to the right
    assert np.argwhere(shrunk(moved([point], left))[0, 0]).tolist() == [[10, 13]]
    turned = np.array([[[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]])  # a quarter turn
    assert np.argwhere(shrunk(moved([point], turned))[0, 0] > 0.5).tolist() == [[15, 9]]


def test_composed_maps_do_the_one_and_then_the_other() -> None:
    first, second = random_maps(3, MILD, generator()), random_maps(3, MILD, generator())
    images = drawn("RgW", ["DejaVuSerif"])
    at_once = shrunk(moved(images, composed(first, second)))
    in_turn = shrunk(moved(moved(images, first), second))
    assert np.abs(at_once - in_turn).max() < 0.12  # sampling twice blurs
    assert np.abs(at_once - shrunk(moved(images, first))).max() > 0.3


def test_random_maps_stay_within_their_strengths() -> None:
    maps = random_maps(2000, (90.0, 0.0, 0.0, 0.1), generator())
    assert np.allclose(np.linalg.det(maps[:, :, :2]), 1.0)
    assert maps[:, 0, 0].min() > 0
    assert 0.09 < np.abs(maps[:, :, 2]).max() <= 0.1
    zoomed = np.linalg.det(random_maps(2000, (0.0, 0.2, 0.5, 0.0), generator())[:, :, :2])
    assert np.exp(-0.4) <= zoomed.min() < 0.75 < 1.3 < zoomed.max() <= np.exp(0.4)


def test_homoglyphs_are_dropped_and_distinct_letters_kept() -> None:
    assert distinct(["A", "\u0391", "B", "\u0410", "a"]) == ["A", "B", "a"]  # Greek Alpha, Cyrillic A


@pytest.mark.parametrize(("ref", "arrays"), SPLITS, ids=lambda value: getattr(value, "name", ""))
def test_each_split_is_the_published_one_and_a_variant_is_another(ref: DataRef, arrays: Arrays) -> None:
    made = dict(arrays(0))
    assert verified(ref, made) is made
    assert all(made[f"{part}_x"].min() >= 0.0 and made[f"{part}_x"].max() <= 1.0 for part in PARTS)
    other = arrays(1)
    assert set(other) == set(made)
    assert not np.array_equal(other["train_x"][:62], made["train_x"][:62])
    made["test_x"] = made["test_x"] + np.float32(1e-3)
    with pytest.raises(DataMismatch, match="Pillow"):
        verified(ref, made)


@pytest.mark.parametrize("variant", [0, 1, 7])
def test_faces_of_the_parts_are_disjoint_and_only_those_of_training_are_of_dejavu(variant: int) -> None:
    parts = split_faces(variant)
    assert {name: len(part) for name, part in parts.items()} == {"train": 10, "validation": 4, "test": 5}
    assert len({face for part in parts.values() for face in part}) == 19
    assert {name: bool(set(part) & set(DEJAVU)) for name, part in parts.items()} == {
        "train": True,
        "validation": False,
        "test": False,
    }


def test_face_arrays_hold_every_character_equally_often() -> None:
    arrays = faces(0)
    counts = {name: set(np.bincount(arrays[f"{name}_y"], minlength=62).tolist()) for name in PARTS}
    assert counts == {"train": {30}, "validation": {16}, "test": {20}}


def test_letter_arrays_hold_sixteen_images_of_each_letter_and_share_no_letter() -> None:
    looks = []
    for name, count in (("train", 153), ("validation", 51), ("test", 51)):
        x, y = letters(0)[f"{name}_x"], letters(0)[f"{name}_y"]
        assert np.bincount(y).tolist() == [16] * count
        looks += [x[y == letter].tobytes() for letter in range(count)]
    assert len(set(looks)) == 255


def test_style_arrays_hold_out_whole_writers_for_testing_and_images_for_validation() -> None:
    arrays = styles(0)
    writers = {name: set(arrays[f"{name}_writer"].tolist()) for name in PARTS}
    assert writers == {"train": set(range(36)), "validation": set(range(36)), "test": set(range(36, 42))}
    sizes = np.bincount(arrays["train_writer"]) + np.bincount(arrays["validation_writer"])
    assert 40 <= sizes.min() < sizes.max() <= 400
    assert len(arrays["validation_y"]) / sizes.sum() == pytest.approx(0.2, abs=0.01)
