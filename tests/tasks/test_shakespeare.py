"""federated/shakespeare: the text by speakers, a net that does not look ahead, and what the default must beat.

Tests on the real file are skipped where it is not at hand (``CARBON_SUITE_DATA``).
"""

import hashlib
import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from suite.data import CACHE_VARIABLE, DataMismatch, DataUnavailable, fetch, verified
from suite.task import Configuration
from tasks.federated import shakespeare
from tasks.federated.shakespeare import (
    ALPHABET,
    FILE,
    LENGTH,
    SPEAKERS_DATA,
    TASK,
    TEST_SPEAKERS,
    build_model,
    federation,
    pieces,
    speakers,
)
from tasks.training import drawn_from, stream

SCENE = """First Citizen:
Before we proceed any further, hear me speak.

All:
Speak, speak.

TITUS:

First Citizen:
You are all resolved rather to die
than to famish?
"""


def play(names: int, speeches: int) -> str:
    """A text in the format of the file, in which every speaker says own words."""
    blocks = []
    for speech, name in itertools.product(range(speeches), range(names)):
        word = ALPHABET[13 + name] * 5
        blocks.append(
            f"Citizen {ALPHABET[13 + name]}:\n" + f"{word} and {word}, {'my lord' if speech % 2 else 'sir'};\n" * 3
        )
    return "\n".join(blocks)


@pytest.fixture
def small_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small file in the place of the real one, which the task takes for it."""
    path = tmp_path / FILE.data_set / FILE.name
    path.parent.mkdir()
    content = play(TEST_SPEAKERS + 5, 40).encode()
    path.write_bytes(content)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(shakespeare, "FILE", replace(FILE, sha256=hashlib.sha256(content).hexdigest()))
    return path


@pytest.fixture(scope="module")
def text() -> str:
    try:
        return fetch(FILE).read_text(encoding="ascii")
    except DataUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def data(text: str) -> Mapping[str, torch.Tensor]:
    return TASK.load()


def read(codes: torch.Tensor | np.ndarray) -> str:
    return "".join(ALPHABET[int(code)] for code in codes.flatten())


def test_speeches_are_gathered_by_speaker_and_empty_ones_left_out() -> None:
    assert speakers(SCENE) == {
        "First Citizen": "Before we proceed any further, hear me speak.\n"
        "You are all resolved rather to die\nthan to famish?\n",
        "All": "Speak, speak.\n",
    }


def test_pieces_are_the_text_and_the_characters_that_come_next() -> None:
    text = play(1, 5)[: 2 * LENGTH + 10]
    x, y = pieces(text)
    assert read(x) == text[: 2 * LENGTH]
    assert read(y) == text[1 : 2 * LENGTH + 1]
    assert x.shape == y.shape == (2, LENGTH)
    assert pieces(text[: LENGTH + 1])[0].shape == (1, LENGTH)
    assert pieces(text[:LENGTH])[0].shape == (0, LENGTH)


def test_clients_are_speakers_and_the_test_has_others() -> None:
    made = federation(play(TEST_SPEAKERS + 5, 40), 0)
    letters = {
        name: [set(read(piece)) & set(ALPHABET[13 : 13 + TEST_SPEAKERS + 5]) for piece in made[f"{name}_x"]]
        for name in ("train", "validation", "test")
    }
    assert len(made["train_sizes"]) == 5
    parts = np.split(np.array([piece.pop() for piece in letters["train"] if len(piece) == 1]), 5)
    own = [set(part.tolist()) for part in parts]
    assert all(len(each) == 1 for each in own)
    assert len(set().union(*own)) == 5
    assert set().union(*letters["validation"]) == set().union(*own)
    assert not set().union(*letters["test"]) & set().union(*own)


def test_a_small_file_is_learnt_from(small_file: Path) -> None:
    data = TASK.load(1)
    first, *_, last = itertools.islice(
        (
            (each.fidelity, TASK.evaluate(data, each, "test"))
            for each in TASK.train(data, TASK.spec.default, 0, "cpu", None)
        ),
        4,
    )
    assert (first[0], last[0]) == (2, 8)
    assert last[1] < first[1] < TASK.spec.test.worst


def test_another_file_is_refused(small_file: Path) -> None:
    small_file.write_text("All:\nSpeak, speak.\n")
    with pytest.raises(DataMismatch, match=r"input\.txt"):
        TASK.load()
    assert small_file.read_text() == "All:\nSpeak, speak.\n"


def test_other_arrays_are_refused(small_file: Path) -> None:
    with pytest.raises(DataMismatch, match="shakespeare-speakers"):
        TASK.load()


def test_without_the_file_the_error_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(DataUnavailable) as caught:
        TASK.load()
    for told in (FILE.name, FILE.sha256, str(tmp_path / FILE.data_set), FILE.url):
        assert told in str(caught.value)


@pytest.mark.parametrize("change", [{}, {"depth": 4, "kernel": 5, "activation": "tanh"}, {"depth": 1, "kernel": 2}])
def test_the_net_does_not_look_ahead(change: Configuration) -> None:
    configuration = {**TASK.spec.default, **change}
    with drawn_from(stream(0, "weights")):
        net = build_model(configuration).net
    codes = torch.randint(len(ALPHABET), (1, LENGTH), generator=stream(0, "codes"))
    later = codes.clone()
    later[0, 40] = (later[0, 40] + 1) % len(ALPHABET)
    before, after = net(codes)[0], net(later)[0]
    reach = (int(configuration["kernel"]) - 1) * (2 ** int(configuration["depth"]) - 1)
    changed = (before != after).any(dim=1).nonzero().flatten().tolist()
    assert changed[0] == 40
    assert changed[-1] == min(40 + reach, LENGTH - 1)


def test_the_real_file_has_ninety_nine_speakers_of_the_alphabet(text: str, data: Mapping[str, torch.Tensor]) -> None:
    assert set(text) == set(ALPHABET)
    assert len(data["train_sizes"]) == 99 - TEST_SPEAKERS
    assert int(data["train_sizes"].sum()) == len(data["train_x"])
    shapes = {name: tuple(data[f"{name}_x"].shape) for name in ("train", "validation", "test")}
    assert shapes == {"train": (9726, 64), "validation": (1045, 64), "test": (3473, 64)}
    known = {piece.numpy().tobytes() for piece in data["train_x"]}
    assert not known & {piece.numpy().tobytes() for name in ("validation", "test") for piece in data[f"{name}_x"]}


def test_a_variant_holds_out_other_speakers(data: Mapping[str, torch.Tensor]) -> None:
    assert not torch.equal(TASK.load(1)["test_x"][:100], data["test_x"][:100])


def test_changed_data_are_refused(text: str) -> None:
    changed = federation(text, 0)
    changed["test_x"][0, 0] += 1
    with pytest.raises(DataMismatch, match="shakespeare-speakers"):
        verified(SPEAKERS_DATA, changed)


def bigram_bits(data: Mapping[str, torch.Tensor]) -> float:
    """Bits per character on the test, of the frequencies of pairs in training (add-one smoothing)."""
    counts = torch.ones(len(ALPHABET), len(ALPHABET))
    places = (data["train_x"].flatten(), data["train_y"].flatten())
    counts.index_put_(places, torch.ones(len(places[0])), accumulate=True)
    shares = counts / counts.sum(dim=1, keepdim=True)
    return float(-shares[data["test_x"], data["test_y"]].log().mean()) / math.log(2)


@pytest.mark.slow
def test_default_beats_the_frequencies_of_pairs(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    assert TASK.evaluate(data, last, "test") < bigram_bits(data)
