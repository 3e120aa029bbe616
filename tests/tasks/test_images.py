"""Large image sets: how they are dealt out and served, and the changes of images that leave their class as it is."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from tasks import augmentation
from tasks.images import BATCH, Labelled, batches, dealt, error_rate
from tasks.training import stream


def numbered(count: int, first: int) -> Labelled:
    """Images of one pixel, each of which is its own class."""
    y = np.arange(first, first + count)
    return Labelled(y.astype(np.uint8)[:, None, None, None], y)


def test_official_parts_stay_apart_and_a_variant_deals_anew() -> None:
    arrays, variant = (dealt(numbered(30, 0), numbered(10, 30), validation=5, variant=number) for number in (0, 1))
    assert [list(arrays[f"{name}_y"]) for name in ("train", "validation", "test")] == [
        list(range(25)),
        list(range(25, 30)),
        list(range(30, 40)),
    ]
    for each in (arrays, variant):
        assert sorted(np.concatenate([each[f"{name}_y"] for name in ("train", "validation", "test")])) == list(
            range(40)
        )
        assert all(
            (each[f"{name}_x"][:, 0, 0, 0] == each[f"{name}_y"]).all() for name in ("train", "validation", "test")
        )
    assert set(variant["test_y"]) != set(arrays["test_y"])


def test_every_pass_takes_each_example_once_in_a_new_order() -> None:
    passes = [torch.cat(list(islice(batches(2 * BATCH, 0, done), 2))).tolist() for done in (0, 2)]
    assert [sorted(each) for each in passes] == 2 * [list(range(2 * BATCH))]
    assert passes[0] != passes[1]
    assert {len(batch) for batch in islice(batches(2 * BATCH + 5, 0, 0), 7)} == {BATCH}


@pytest.mark.parametrize("done", [1, 2, 3, 7])
def test_batches_go_on_where_they_were(done: int) -> None:
    whole, rest = list(islice(batches(3 * BATCH + 1, 5, 0), 9)), list(islice(batches(3 * BATCH + 1, 5, done), 9 - done))
    assert all(torch.equal(one, other) for one, other in zip(whole[done:], rest, strict=True))


def test_error_rate_counts_over_all_batches() -> None:
    x = torch.arange(2500, dtype=torch.int32).reshape(-1, 1) % 2
    y = torch.zeros(2500, dtype=torch.int64)
    model = nn.Linear(1, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0], [1.0]]))
        model.bias.copy_(torch.tensor([0.5, 0.0]))
    assert error_rate(model, x, y, lambda images: images.float()) == 0.5


def test_a_mirrored_image_is_the_image_or_its_mirror() -> None:
    x = torch.rand(64, 3, 5, 6)
    swapped = augmentation.mirror(x, stream(0, "test"))
    same = (swapped == x).all(dim=(1, 2, 3))
    assert 0 < int(same.sum()) < 64
    assert torch.equal(swapped[~same], x.flip(3)[~same])


def test_a_cropped_image_is_the_image_moved_by_whole_pixels() -> None:
    x = torch.zeros(200, 2, 7, 9)
    x[:, :, 3, 4] = 1.0
    moved = augmentation.crop(x, 2, stream(0, "test"))
    places = moved[:, 0].flatten(1).argmax(dim=1)
    assert (moved.sum(dim=(2, 3)) == 1).all()
    assert torch.equal(moved[:, 0], moved[:, 1])
    assert set(places.tolist()) == {9 * row + column for row in range(1, 6) for column in range(2, 7)}


def test_what_a_crop_brings_in_is_zero() -> None:
    moved = augmentation.crop(torch.ones(100, 1, 4, 4), 3, stream(0, "test"))
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    assert int(moved.sum(dim=(1, 2, 3)).min()) >= 1


@pytest.mark.parametrize("side", [1, 4, 5])
def test_cutout_hides_one_square(side: int) -> None:
    hidden = augmentation.cutout(torch.ones(300, 2, 8, 10), side, stream(0, "test")) == 0
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    for image in hidden[:, 0]:
        rows, columns = image.any(dim=1), image.any(dim=0)
        assert torch.equal(image, rows[:, None] & columns[None, :])
        assert 1 <= int(rows.sum()) <= side
        assert 1 <= int(columns.sum()) <= side
    assert int(hidden[:, 0].sum(dim=(1, 2)).max()) == side**2


def test_no_strength_changes_nothing() -> None:
    x = torch.rand(4, 3, 8, 8)
    assert augmentation.crop(x, 0, stream(0, "test")) is x
    assert augmentation.cutout(x, 0, stream(0, "test")) is x
