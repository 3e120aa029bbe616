"""The probe of representations, against ridge regression of scikit-learn, and the nets whose representation it sees."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn

from suite.task import Configuration, Split
from tasks.probe import FEATURES, JointEmbedding, RidgeProbe, build_projector, probe_error, train_epoch
from tasks.training import Training, stream

CPU = torch.device("cpu")


def clusters(name: str, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (60, 5) around one centre a class, and their labels."""
    labels = torch.arange(60) % classes
    centres = 3.0 * torch.randn(classes, 5, generator=stream(0, "centres"))
    return centres[labels] + torch.randn(60, 5, generator=stream(0, name)), labels


@pytest.mark.parametrize("ridge", [1e-2, 10.0])
def test_probe_is_ridge_regression_on_standardised_features(ridge: float) -> None:
    features, labels = clusters("train")
    fresh, _ = clusters("fresh")
    x = features.double().numpy()
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    reference = Ridge(alpha=ridge * len(x)).fit((x - mean) / deviation, np.eye(3)[labels.numpy()])
    expected = reference.predict((fresh.double().numpy() - mean) / deviation)
    assert np.allclose(RidgeProbe.fit(features, labels, ridge).scores(fresh).numpy(), expected, atol=1e-10)


def test_features_that_never_change_say_nothing() -> None:
    features, labels = clusters("train")
    padded = torch.cat([features, torch.full((60, 2), 7.0)], dim=1)
    alone, beside = RidgeProbe.fit(features, labels), RidgeProbe.fit(padded, labels)
    assert torch.allclose(alone.scores(features), beside.scores(padded))
    collapsed = RidgeProbe.fit(torch.zeros(60, 4), labels)
    assert torch.allclose(collapsed.scores(torch.ones(1, 4)), torch.full((1, 3), 1 / 3, dtype=torch.float64))


def splits() -> dict[str, torch.Tensor]:
    """Three parts of features (60, 3) that say the class all but exactly, and their labels."""
    labels = torch.arange(60) % 3
    made = {}
    for part in ("train", "validation", "test"):
        made[f"{part}_x"] = nn.functional.one_hot(labels) + 0.01 * torch.randn(60, 3, generator=stream(0, part))
        made[f"{part}_y"] = labels
    return made


@pytest.mark.parametrize("split", ["validation", "test"])
def test_error_is_the_share_of_the_split_that_the_probe_of_the_training_part_gets_wrong(split: Split) -> None:
    data = splits()
    assert probe_error(nn.Identity(), data, split, CPU) == 0.0
    data[f"{split}_y"] = torch.where(torch.arange(60) < 12, (data[f"{split}_y"] + 1) % 3, data[f"{split}_y"])
    assert probe_error(nn.Identity(), data, split, CPU) == 0.2
    data["train_y"] = (data["train_y"] + 1) % 3
    assert probe_error(nn.Identity(), data, split, CPU) == 0.8


def test_labels_of_the_held_out_parts_do_not_move_the_probe() -> None:
    data = splits()
    del data["test_x"], data["test_y"]
    data["validation_y"] = (data["validation_y"] + 1) % 3
    assert probe_error(nn.Identity(), data, "validation", CPU) == 1.0


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("part", ["train", "validation"])
def test_features_that_are_not_finite_have_the_worst_error(part: str, value: float) -> None:
    data: Mapping[str, torch.Tensor] = splits()
    data[f"{part}_x"][3, 2] = value
    assert probe_error(nn.Identity(), data, "validation", CPU) == 1.0


def embedding(projector: str) -> JointEmbedding:
    with torch.random.fork_rng(devices=[]):
        return JointEmbedding(
            nn.Linear(5, FEATURES), build_projector({"projector": projector, "projector_width": 16}, 8)
        )


@pytest.mark.parametrize(("projector", "outputs"), [("none", FEATURES), ("linear", 8), ("mlp", 8)])
def test_two_views_pass_together_and_the_probe_sees_what_is_before_the_projector(projector: str, outputs: int) -> None:
    model = embedding(projector)
    one, other = clusters("one")[0], clusters("other")[0]
    first, second = model(one, other)
    assert first.shape == second.shape == (60, outputs)
    model.eval()
    assert torch.allclose(model(one, other)[1], model(other, one)[0], atol=1e-6)
    represented = model.encoder(one).detach()
    assert represented.shape == (60, FEATURES)
    assert float(represented.min()) == 0.0, "rectified"


def test_an_epoch_shows_every_example_once_in_two_views_by_whole_batches() -> None:
    model = embedding("linear")
    optimiser = torch.optim.SGD(model.parameters(), 1.0)
    streams = {"order": stream(0, "order"), "augmentation": stream(0, "augmentation")}
    training = Training({"batch": 16}, 0, model, optimiser, streams)
    seen, rates = [], []

    def view(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
        seen.append(x[:, 0].long())
        rates.append(optimiser.param_groups[0]["lr"])
        return x + torch.rand(x.shape, generator=generator)

    def loss(one: torch.Tensor, other: torch.Tensor, configuration: Configuration) -> torch.Tensor:
        assert not torch.equal(one, other)
        return (one - other).square().mean()

    x = torch.arange(60.0)[:, None].expand(60, 5)
    value = train_epoch(training, x, 1, 2, view, loss)
    assert not value.requires_grad
    assert [len(batch) for batch in seen] == [16] * 6  # of 60 examples 12 are left for other epochs
    assert all(torch.equal(seen[number], seen[number + 1]) for number in (0, 2, 4))
    assert len(set(torch.cat(seen[::2]).tolist())) == 48
    assert rates[2] == pytest.approx(0.5), "the middle of the cosine"
