"""few_shot/protonet-glyphs: the data, the training, and what the default must beat."""

from collections.abc import Mapping

import pytest
import torch

from tasks.few_shot.protonet_glyphs import TASK, build_model, changed
from tasks.prototypes import begin, episode_error, episode_logits, iterate, members, temperature

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def test_parts_have_the_published_sizes(data: Mapping[str, torch.Tensor]) -> None:
    assert [len(data[f"{name}_x"]) for name in PARTS] == [16 * 153, 16 * 51, 16 * 51]
    for name in ("validation", "test"):
        assert data[f"{name}_episodes"].shape == (600, 5, 6)
        letters = data[f"{name}_y"][data[f"{name}_episodes"]]
        assert (letters == letters[:, :, :1]).all()
        assert set(letters.flatten().tolist()) == set(range(51)), "a letter is never asked for"


def test_a_variant_has_other_letters_and_episodes(data: Mapping[str, torch.Tensor]) -> None:
    other = TASK.load(variant=1)
    assert not torch.equal(other["train_x"], data["train_x"])
    assert not torch.equal(other["test_episodes"], data["test_episodes"])


def test_each_metric_has_its_own_temperature() -> None:
    shared = {"euclidean_temperature": 3.0, "cosine_temperature": 0.1}
    assert [temperature({**shared, "metric": metric}) for metric in ("euclidean", "cosine")] == [3.0, 0.1]


@pytest.mark.parametrize("ways", [5, 10, 20])
def test_an_iteration_takes_as_many_images_whatever_the_ways(data: Mapping[str, torch.Tensor], ways: int) -> None:
    taken = []
    training = begin(build_model, {**TASK.spec.default, "training_ways": ways}, 0, "cpu")
    training.model.register_forward_pre_hook(lambda _, inputs: taken.append(len(inputs[0])))
    iterate(training, data["train_x"], members(data["train_y"]), 0.0, changed)
    assert taken == [80]


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_net_embeds_without_a_last_linear_layer(depth: int) -> None:
    model = build_model({**TASK.spec.default, "depth": depth})
    assert model(torch.rand(3, 1, 20, 20)).ndim == 2
    assert not any(isinstance(module, torch.nn.Linear) for module in model.modules())


@pytest.mark.slow
def test_default_beats_the_prototypes_of_raw_pixels(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    pixels = data["test_x"].flatten(1)[data["test_episodes"]]
    raw = min(float(episode_error(episode_logits(pixels, 1, metric, 1.0))) for metric in ("euclidean", "cosine"))
    assert TASK.evaluate(data, last, "test") < raw
