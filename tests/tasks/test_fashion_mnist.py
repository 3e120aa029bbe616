"""supervised/fashion-mnist: the format of its files, on small ones made here, and what the default must beat."""

import gzip
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from suite.data import CACHE_VARIABLE, DataMismatch, DataUnavailable, RemoteFile, digest
from suite.task import DataRef, Fidelity
from tasks.images import dealt
from tasks.supervised import fashion_mnist
from tasks.supervised.fashion_mnist import TASK, FashionMnist, read, read_idx

TRAIN, TEST, VALIDATION = 700, 200, 100


def idx(array: np.ndarray) -> bytes:
    """An IDX file of bytes, written by the format's own description."""
    sizes = b"".join(struct.pack(">I", size) for size in array.shape)
    return struct.pack(">BBBB", 0, 0, 8, array.ndim) + sizes + array.tobytes()


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright bar at a height that tells the class."""
    random = np.random.default_rng(seed)
    x, y = random.integers(0, 100, (count, 28, 28), dtype=np.uint8), random.integers(0, 10, count, dtype=np.uint8)
    for image, kind in zip(x, y, strict=True):
        image[2 * kind + 4 : 2 * kind + 6] += 150
    return x, y


def put(folder: Path, key: str, content: bytes) -> RemoteFile:
    """``content`` in the place of the file ``key``, with its own digests."""
    file = fashion_mnist.FILES[key]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file.name).write_bytes(content)
    sha256, md5 = hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest()
    return replace(file, size=len(content), sha256=sha256, md5=md5)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, np.ndarray]:
    """A small set in the true format; what it holds."""
    arrays = {}
    for part, count, seed in (("train", TRAIN, 0), ("test", TEST, 1)):
        arrays[f"{part}_x"], arrays[f"{part}_y"] = drawn(count, seed)
    files = {key: put(tmp_path / "fashion-mnist", key, gzip.compress(idx(array))) for key, array in arrays.items()}
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(fashion_mnist, "FILES", files)
    monkeypatch.setattr(fashion_mnist, "VALIDATION", VALIDATION)
    return arrays


@pytest.fixture
def task(made: Mapping[str, np.ndarray]) -> FashionMnist:
    """The task, of the small set and with small steps."""
    data: DataRef = replace(TASK.spec.data[0], digest=digest(dealt(read("train"), read("test"), VALIDATION, 0)))
    return FashionMnist(replace(TASK.spec, data=(data,), fidelity=Fidelity("iterations", 20, 3000, 20)))


def test_images_and_classes_are_read_as_they_were_written(made: Mapping[str, np.ndarray]) -> None:
    for part in ("train", "test"):
        x, y = read(part)
        assert np.array_equal(x[:, 0], made[f"{part}_x"])
        assert np.array_equal(y, made[f"{part}_y"])


def test_the_last_training_images_validate(made: Mapping[str, np.ndarray], task: FashionMnist) -> None:
    data = task.load()
    assert {name: len(data[f"{name}_y"]) for name in ("train", "validation", "test")} == {
        "train": TRAIN - VALIDATION,
        "validation": VALIDATION,
        "test": TEST,
    }
    assert np.array_equal(data["validation_x"][:, 0], made["train_x"][-VALIDATION:])
    assert np.array_equal(data["test_y"], made["test_y"])
    assert not torch.equal(task.load(variant=1)["test_y"], data["test_y"])


def test_other_data_than_published_are_refused(made: Mapping[str, np.ndarray]) -> None:
    with pytest.raises(DataMismatch, match="data set fashion-mnist 1 must have digest"):
        TASK.load()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08\x03\0\0",
        idx(np.zeros((3, 2), np.uint8)),
        b"\0\0\x0d" + idx(np.zeros((3, 2, 2), np.uint8))[3:],
        idx(np.zeros((3, 2, 2), np.uint8))[:-1],
        idx(np.zeros((3, 2, 2), np.uint8)) + b"\0",
    ],
    ids=["empty", "cut header", "two dimensions", "floating point", "cut", "too long"],
)
def test_a_damaged_idx_file_is_refused(content: bytes) -> None:
    with pytest.raises(DataMismatch, match="an IDX file"):
        read_idx(content, dimensions=3)


def test_a_cut_gzip_file_is_refused(made: Mapping[str, np.ndarray], tmp_path: Path) -> None:
    content = gzip.compress(idx(made["train_x"]))[:-100]
    fashion_mnist.FILES["train_x"] = put(tmp_path / "fashion-mnist", "train_x", content)
    with pytest.raises(DataMismatch, match="cannot be read"):
        read("train")


def test_images_without_classes_are_refused(made: Mapping[str, np.ndarray], tmp_path: Path) -> None:
    content = gzip.compress(idx(made["train_y"][:-1]))
    fashion_mnist.FILES["train_y"] = put(tmp_path / "fashion-mnist", "train_y", content)
    with pytest.raises(DataMismatch, match=r"must have shape \(699, 28, 28\), not \(700, 28, 28\)"):
        read("train")


def test_a_small_net_learns_and_goes_on_bit_for_bit(task: FashionMnist) -> None:
    data, configuration = task.load(), {**TASK.spec.default, "width": 16, "mirror": True, "translation": 1}
    first = next(iter(task.train(data, configuration, 0, "cpu", None)))
    resumed = next(iter(task.train(data, configuration, 0, "cpu", first)))
    *_, second = islice(task.train(data, configuration, 0, "cpu", None), 2)
    assert all(torch.equal(value, resumed.state["model"][name]) for name, value in second.state["model"].items())
    assert task.evaluate(data, second, "test") < 0.6


@pytest.fixture(scope="module")
def official() -> Mapping[str, torch.Tensor]:
    try:
        return TASK.load()
    except DataUnavailable as error:
        pytest.skip(str(error))


def test_official_images(official: Mapping[str, torch.Tensor]) -> None:
    shapes = {name: tuple(official[f"{name}_x"].shape) for name in ("train", "validation", "test")}
    assert shapes == {"train": (55000, 1, 28, 28), "validation": (5000, 1, 28, 28), "test": (10000, 1, 28, 28)}
    assert official["test_y"].bincount().tolist() == 10 * [1000]
    assert official["test_y"][:5].tolist() == [9, 2, 1, 1, 6]


@pytest.mark.slow
def test_default_beats_a_linear_classifier(official: Mapping[str, torch.Tensor]) -> None:
    """Least squares on the pixels, one column for each class."""
    x, y = ({name: official[f"{name}_{kind}"] for name in ("train", "test")} for kind in ("x", "y"))
    inputs = {name: torch.cat([x[name].flatten(1) / 255, torch.ones(len(x[name]), 1)], dim=1) for name in x}
    gram = inputs["train"].T @ inputs["train"] + torch.eye(785)
    weights = torch.linalg.solve(gram, inputs["train"].T @ torch.nn.functional.one_hot(y["train"]).float())
    linear = float(((inputs["test"] @ weights).argmax(dim=1) != y["test"]).float().mean())
    *_, last = TASK.train(official, TASK.spec.default, 0, "cpu", None)
    assert TASK.evaluate(official, last, "test") < 0.75 * linear
