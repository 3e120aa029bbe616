"""supervised/cifar10: the format of its archive, on small ones made here."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from suite.data import CACHE_VARIABLE, DataMismatch, DataUnavailable
from suite.task import Fidelity
from tasks.supervised import cifar10
from tasks.supervised.cifar10 import ARCHIVE, DATA, TASK, Cifar10, build_model, read, scaled

BATCH, VALIDATION = 150, 100
FOLDER = "cifar-10-batches-bin"

Files = dict[str, bytes]


def records(count: int, seed: int) -> bytes:
    """Noise in which the brightness of the three colours tells the class."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 10, count, dtype=np.uint8)
    x = random.integers(0, 60, (count, 3, 1024), dtype=np.uint8)
    for colour in range(3):
        x[:, colour] += (60 * (y // 3**colour % 3))[:, None].astype(np.uint8)
    return np.concatenate([y[:, None], x.reshape(count, -1)], axis=1).tobytes()


def files() -> Files:
    named = {f"data_batch_{number}.bin": records(BATCH, number) for number in range(1, 6)}
    return {f"{FOLDER}/{name}": content for name, content in {**named, "test_batch.bin": records(BATCH, 6)}.items()}


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Files], None]:
    """Puts an archive of files in the place of the official one, with its own digests."""

    def write(content: Files) -> None:
        path = tmp_path / ARCHIVE.data_set / ARCHIVE.name
        path.parent.mkdir()
        with tarfile.open(path, "w:gz") as archive:
            for name, each in {f"{FOLDER}/batches.meta.txt": b"airplane\n", **content}.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(each)
                archive.addfile(entry, io.BytesIO(each))
        whole = path.read_bytes()
        sha256, md5 = hashlib.sha256(whole).hexdigest(), hashlib.md5(whole).hexdigest()
        monkeypatch.setattr(cifar10, "ARCHIVE", replace(ARCHIVE, size=len(whole), sha256=sha256, md5=md5))

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(cifar10, "VALIDATION", VALIDATION)
    return write


def test_images_and_classes_are_read_as_they_were_written(put: Callable[[Files], None]) -> None:
    made = files()
    put(made)
    train, test = read()
    assert train.x.shape == (5 * BATCH, 3, 32, 32)
    assert test.x.shape == (BATCH, 3, 32, 32)
    third = made[f"{FOLDER}/data_batch_3.bin"]
    assert train.y[2 * BATCH] == third[0]
    assert train.x[2 * BATCH].tobytes() == third[1:3073]
    assert test.x[0, 1, 0, 0] == made[f"{FOLDER}/test_batch.bin"][1 + 1024]  # green follows red


def test_the_order_in_the_archive_does_not_matter(put: Callable[[Files], None]) -> None:
    made = files()
    put(dict(reversed(made.items())))
    assert read()[0].y[:BATCH].tolist() == [made[f"{FOLDER}/data_batch_1.bin"][3073 * place] for place in range(BATCH)]


def test_the_last_training_images_validate(put: Callable[[Files], None]) -> None:
    put(files())
    data, variant = TASK.load(), TASK.load(variant=1)
    train, test = read()
    assert np.array_equal(data["validation_x"], train.x[-VALIDATION:])
    assert np.array_equal(data["test_y"], test.y)
    assert len(data["train_y"]) == 5 * BATCH - VALIDATION
    assert not torch.equal(variant["test_y"], data["test_y"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({f"{FOLDER}/data_batch_2.bin": records(BATCH, 2)[:-1]}, "whole records of 3073 bytes"),
        ({f"{FOLDER}/data_batch_2.bin": b"\x0a" + records(BATCH, 2)[1:]}, "must be less than 10, got 10"),
        ({f"../{FOLDER}/test_batch.bin": records(1, 0)}, "plain files with paths inside it"),
        ({"/tmp/test_batch.bin": records(1, 0)}, "plain files with paths inside it"),
    ],
    ids=["cut", "eleventh class", "outside", "absolute"],
)
def test_damaged_batches_are_refused(put: Callable[[Files], None], change: Files, message: str) -> None:
    put({**files(), **change})
    with pytest.raises(DataMismatch, match=message):
        read()


def test_a_missing_batch_is_named(put: Callable[[Files], None]) -> None:
    made = files()
    del made[f"{FOLDER}/data_batch_4.bin"]
    put(made)
    with pytest.raises(DataMismatch, match="data_batch_4"):
        read()


def test_an_archive_larger_than_the_data_is_refused(
    put: Callable[[Files], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(files())
    monkeypatch.setattr(cifar10, "LARGEST_BYTES", 6 * 3073 * BATCH - 1)
    with pytest.raises(DataMismatch, match="holds more"):
        read()


def test_another_archive_than_published_is_refused(
    put: Callable[[Files], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(files())
    monkeypatch.setattr(cifar10, "ARCHIVE", ARCHIVE)
    with pytest.raises(DataMismatch, match=ARCHIVE.sha256):
        TASK.load()


def test_the_record_names_the_archive_by_its_digest() -> None:
    line = f"cifar-10-binary.tar.gz|{ARCHIVE.sha256}\n"
    assert DATA.digest == "files:" + hashlib.sha256(line.encode()).hexdigest()


def test_the_net_halves_the_side_and_doubles_the_width() -> None:
    model = build_model({"width": 8, "blocks": 2, "normalisation": "group"})
    x = scaled(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    assert float(x.abs().max()) <= 2.0
    shapes = []
    for layer in model:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes[3:9] == [(8, 16, 16), (8, 16, 16), (16, 8, 8), (16, 8, 8), (32, 4, 4), (32, 4, 4)]
    assert shapes[-1] == (10,)


def test_a_small_net_learns_and_goes_on_bit_for_bit(put: Callable[[Files], None]) -> None:
    put(files())
    task = Cifar10(replace(TASK.spec, fidelity=Fidelity("iterations", 20, 3500, 20)))
    data, configuration = task.load(), {**TASK.spec.default, "width": 8, "mirror": True, "cutout": 4}
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
    assert shapes == {"train": (45000, 3, 32, 32), "validation": (5000, 3, 32, 32), "test": (10000, 3, 32, 32)}
    assert official["test_y"].bincount().tolist() == 10 * [1000]


@pytest.mark.slow
def test_default_errs_on_less_than_half(official: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(official, TASK.spec.default, 0, "cpu", None)
    assert TASK.evaluate(official, last, "test") < 0.5
