"""few_shot/omniglot: the drawings and their split, on the published files and on small ones; what must be beaten."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from suite.data import CACHE_VARIABLE, DataMismatch, DataUnavailable, verified
from tasks.few_shot import omniglot
from tasks.few_shot.omniglot import ARCHIVES, DATA, TASK, arrays, drawings, parts, shrunk
from tasks.prototypes import episode_error, logits, members

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    try:
        return TASK.load()
    except DataUnavailable as error:
        pytest.skip(str(error))


def png(pixels: np.ndarray) -> bytes:
    """A black and white image of ``pixels`` (True is paper)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Archives of two drawings each in the place of the official ones; all share the character Greek/character01."""
    (tmp_path / "omniglot").mkdir()
    placed = []
    for number, (archive, alphabet) in enumerate(zip(ARCHIVES, ("Korean", "Tagalog"), strict=True), 1):
        path = tmp_path / "omniglot" / archive.name
        with zipfile.ZipFile(path, "w") as zipped:
            for character in ("Greek/character01/0394_01", f"{alphabet}/character01/0001_01"):
                zipped.writestr(f"images_background_small{number}/{character}.png", png(np.ones((105, 105), bool)))
        placed.append(replace(archive, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(omniglot, "ARCHIVES", placed)
    return tmp_path


def test_parts_have_the_published_sizes_and_share_no_alphabet(data: Mapping[str, torch.Tensor]) -> None:
    assert {name: len(data[f"{name}_y"].unique()) for name in SPLITS} == {"train": 137, "validation": 46, "test": 59}
    for name in SPLITS:
        assert data[f"{name}_x"].shape == (len(data[f"{name}_y"]), 1, 28, 28)
        assert members(data[f"{name}_y"]).shape[1] == 20
    alphabets = [alphabet for part in parts(0).values() for alphabet in part]
    assert sorted(alphabets) == sorted(set(drawings()))


def test_drawings_are_ink_on_paper(data: Mapping[str, torch.Tensor]) -> None:
    images = torch.cat([data[f"{name}_x"] for name in SPLITS])
    assert float(images.min()) == 0.0
    assert float(images.max()) == 1.0
    assert 0.02 < float(images.mean()) < 0.2
    assert (images.sum(dim=(1, 2, 3)) > 0).all()


def test_episodes_hold_each_class_apart(data: Mapping[str, torch.Tensor]) -> None:
    for name in ("validation", "test"):
        episodes = data[f"{name}_episodes"]
        assert episodes.shape == (600, 5, 6)
        classes = data[f"{name}_y"][episodes]
        assert (classes == classes[:, :, :1]).all()
        assert all(len(set(episode[:, 0].tolist())) == 5 for episode in classes)
        assert all(len(set(episode.flatten().tolist())) == 30 for episode in episodes)


@pytest.mark.parametrize("variant", [1, 2, 3])
def test_a_variant_deals_the_alphabets_out_anew(variant: int) -> None:
    official, dealt = parts(0), parts(variant)
    assert {part: len(alphabets) for part, alphabets in dealt.items()} == {"train": 4, "validation": 2, "test": 2}
    assert sorted(chain(*dealt.values())) == sorted(chain(*official.values()))
    assert set(dealt["test"]) != set(official["test"])


def test_changed_drawings_are_refused(data: Mapping[str, torch.Tensor]) -> None:
    changed = arrays()
    changed["test_x"][0, 0, 0, 0] += np.float32(0.25)
    with pytest.raises(DataMismatch, match="omniglot-small"):
        verified(DATA, changed)


def test_a_drawing_is_averaged_over_blocks() -> None:
    paper = np.ones((105, 105), bool)
    paper[1:5, 1:3] = False  # rows and columns 4 to 8 and 4 to 6 behind a margin of 3: half of block (1, 1)
    image = shrunk("a", png(paper))
    assert image[1, 1] == 0.5
    assert image.sum() == 0.5
    assert image.dtype == np.float32


def test_what_is_in_both_archives_counts_once(put: Path) -> None:
    found = drawings()
    assert {alphabet: list(characters) for alphabet, characters in found.items()} == {
        alphabet: ["character01"] for alphabet in ("Greek", "Korean", "Tagalog")
    }
    assert found["Greek"]["character01"].shape == (1, 28, 28)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(np.ones((105, 105), bool))[:-30], "must be a whole PNG image"),
        (b"not an image", "must be a whole PNG image"),
        (png(np.ones((104, 105), bool)), "105 x 105"),
        (png(np.zeros((105, 105), np.uint8)), "black and white"),
    ],
    ids=["cut", "no image", "too small", "grey"],
)
def test_what_is_no_drawing_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataMismatch, match=message):
        shrunk("Greek/character01/0394_01.png", content)


@pytest.mark.slow
def test_default_beats_raw_pixels(data: Mapping[str, torch.Tensor]) -> None:
    raw = data["test_x"].flatten(1)[data["test_episodes"]]
    by_pixels = float(episode_error(logits(raw, TASK.spec.default)))
    *_, last = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    assert TASK.evaluate(data, last, "test") < 0.9 * by_pixels
