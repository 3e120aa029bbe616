"""The pieces that tasks share: streams, checkpoints, optimisers, networks, augmentation."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from ConfigSpace import ConfigurationSpace
from torch import nn

from suite.task import Configuration
from tasks import augmentation
from tasks.networks import activation, image_cnn, mlp, normalisation, signal_cnn
from tasks.optimisers import MUTABLE, build_optimiser, descend, optimiser_space, schedule_factor
from tasks.training import Training, drawn_from, require_finite, restored, stream

ADAMW: Configuration = {"optimiser": "adamw", "learning_rate": 0.1, "beta1": 0.9, "weight_decay": 1e-6}
SGD: Configuration = {"optimiser": "sgd", "learning_rate": 0.1, "momentum": 0.5, "weight_decay": 1e-6}


def draws(generator: torch.Generator) -> list[float]:
    values: list[float] = torch.rand(4, generator=generator).tolist()
    return values


def test_streams_repeat_by_seed_and_name_and_differ_otherwise() -> None:
    assert draws(stream(3, "order")) == draws(stream(3, "order"))
    assert draws(stream(3, "order")) != draws(stream(3, "weights"))
    assert draws(stream(3, "order")) != draws(stream(4, "order"))


def test_layers_follow_the_generator_and_leave_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    models = []
    for _ in range(2):
        with drawn_from(stream(0, "weights")):
            models.append(nn.Linear(3, 2))
        torch.rand(5)
    assert torch.equal(models[0].weight, models[1].weight)
    torch.set_rng_state(before)
    with drawn_from(stream(0, "weights")):
        nn.Linear(3, 2)
    assert torch.equal(torch.get_rng_state(), before)


def small_training(configuration: Configuration) -> Training[nn.Linear]:
    with drawn_from(stream(0, "weights")):
        model = nn.Linear(2, 1)
    return Training(configuration, 0, model, build_optimiser(model.parameters(), configuration), {"x": stream(0, "x")})


def small_step(training: Training[nn.Linear]) -> None:
    loss = training.model(torch.randn(8, 2, generator=training.streams["x"])).square().mean()
    descend(training.optimiser, loss, "constant", 0.0)


@pytest.mark.parametrize("configuration", [ADAMW, SGD], ids=["adamw", "sgd"])
def test_resume_restores_weights_moments_and_streams_but_not_the_settings(configuration: Configuration) -> None:
    first = small_training(configuration)
    small_step(first)
    start = first.checkpoint(1)
    resumed = small_training({**configuration, "learning_rate": 0.05})
    assert resumed.resume(start) == 1
    assert resumed.optimiser.param_groups[0]["lr"] == 0.05
    untouched = first.model.weight.detach().clone()
    small_step(resumed)
    assert torch.equal(first.model.weight, untouched), "resuming changed the checkpoint"
    assert not torch.equal(resumed.model.weight, untouched)


def test_restored_model_has_the_saved_weights_and_evaluates() -> None:
    training = small_training(ADAMW)
    model, configuration, device = restored(lambda _: nn.Linear(2, 1), training.checkpoint(1).state)
    assert torch.equal(model.weight, training.model.weight)
    assert not model.training
    assert (configuration, device) == (ADAMW, torch.device("cpu"))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence_is_an_error(value: float) -> None:
    require_finite(torch.tensor(1.0), 7)
    with pytest.raises(FloatingPointError, match="by fidelity 7"):
        require_finite(torch.tensor(value), 7)


def test_optimiser_space_defaults_to_plain_adam() -> None:
    space = ConfigurationSpace()
    space.add(*optimiser_space())
    default = dict(space.get_default_configuration())
    assert default["optimiser"] == "adamw"
    assert default["learning_rate"] == pytest.approx(1e-3)
    assert "momentum" not in default
    assert set(space) - MUTABLE == {"optimiser"}


def test_optimisers_have_the_settings_of_the_configuration() -> None:
    weight = nn.Parameter(torch.ones(2))
    (adamw,) = build_optimiser([weight], ADAMW).param_groups
    (sgd,) = build_optimiser([weight], SGD).param_groups
    (plain,) = build_optimiser([weight], {**SGD, "momentum": 0.0}).param_groups
    assert (adamw["lr"], adamw["betas"], adamw["weight_decay"]) == (0.1, (0.9, 0.999), 1e-6)
    assert (sgd["lr"], sgd["momentum"], sgd["nesterov"]) == (0.1, 0.5, True)
    assert (plain["momentum"], plain["nesterov"]) == (0.0, False)


def test_cosine_goes_from_one_to_zero() -> None:
    factors = [schedule_factor("cosine", progress / 4) for progress in range(5)]
    assert factors == pytest.approx([1.0, 0.853553, 0.5, 0.146447, 0.0], abs=1e-6)
    assert schedule_factor("constant", 0.9) == 1.0


def test_descend_follows_the_schedule_of_each_group_and_clips() -> None:
    one, other = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([{"params": [one], "lr": 1.0}, {"params": [other], "lr": 0.1}])
    for _ in range(2):  # from the initial rates each time, not from the last ones
        with torch.no_grad():
            one.zero_(), other.zero_()
        descend(optimiser, (3.0 * one + 4.0 * other).sum(), "cosine", 0.5, largest_norm=1.0)
        assert [one.item(), other.item()] == pytest.approx([-0.3, -0.04], rel=1e-4)


def test_activations_and_normalisations_by_name() -> None:
    x = torch.linspace(-1, 1, 5)
    assert torch.equal(activation("sine")(x), torch.sin(x))
    assert torch.equal(activation("relu")(x), x.clamp(min=0))
    signals, images = torch.randn(4, 8, 10), torch.randn(4, 8, 5, 5)
    for name in ("none", "batch", "group"):
        assert normalisation(name, 8)(signals).shape == signals.shape
        assert normalisation(name, 8, dimensions=2)(images).shape == images.shape
    with pytest.raises(KeyError, match="'layer'"):
        normalisation("layer", 8)


def test_perceptron_ends_in_a_linear_layer() -> None:
    assert [type(layer) for layer in mlp([1, 4, 4, 2], "tanh")] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_signal_cnn_gives_one_row_of_outputs_for_each_signal(depth: int, norm: str) -> None:
    model = signal_cnn(length=40, outputs=10, width=16, depth=depth, norm=norm)
    assert model(torch.randn(3, 1, 40)).shape == (3, 10)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [8, 20, 28])
def test_image_cnn_gives_one_row_of_outputs_for_each_image(side: int, depth: int) -> None:
    model = image_cnn(side, outputs=10, width=8, depth=depth, norm="group", act="gelu", channels=3)
    assert model(torch.randn(2, 3, side, side)).shape == (2, 10)
    assert [layer.stride for layer in model if isinstance(layer, nn.Conv2d)][:1] == [(2, 2)]


AUGMENTATIONS: list[tuple[Any, float]] = [
    (augmentation.shift, 3),
    (augmentation.ramp, 0.5),
    (augmentation.noise, 0.5),
    (partial(augmentation.smooth_noise, places=5), 0.5),
    (augmentation.stretch, 0.2),
]


@pytest.mark.parametrize(("augment", "strength"), AUGMENTATIONS)
def test_augmentation_of_no_strength_changes_nothing_and_otherwise_each_signal_its_own_way(
    augment: Any, strength: float
) -> None:
    x = torch.randn(1, 1, 40).expand(16, 1, 40)
    assert augment(x, 0, stream(0, "a")) is x
    changed = augment(x, strength, stream(0, "a"))
    assert torch.equal(changed, augment(x, strength, stream(0, "a")))
    assert len({signal.numpy().tobytes() for signal in changed}) > 4


def test_shift_rotates_by_at_most_its_strength() -> None:
    x = torch.zeros(200, 1, 40)
    x[:, 0, 20] = 1.0
    places = augmentation.shift(x, 2, stream(0, "a")).argmax(dim=2)
    assert sorted(set(places.flatten().tolist())) == [18, 19, 20, 21, 22]


def test_ramp_is_a_line_through_the_middle() -> None:
    ramps = augmentation.ramp(torch.zeros(500, 1, 40), 0.5, stream(0, "a"))
    assert torch.allclose(ramps.diff(n=2, dim=2), torch.zeros(500, 1, 38), atol=1e-6)
    assert torch.allclose(ramps, -ramps.flip(2))
    assert float(ramps[:, 0, -1].std()) == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("places", [1, 5])
def test_smooth_noise_has_its_strength_and_is_correlated_over_its_places(places: int) -> None:
    noise = augmentation.smooth_noise(torch.zeros(5000, 1, 40), 0.5, stream(0, "a"), places)[:, 0]
    covariance = noise.T.cov()
    for lag in range(8):  # of a moving average: falls linearly to zero
        expected = 0.25 * max(0.0, 1 - lag / places)
        assert float(covariance.diagonal(lag).mean()) == pytest.approx(expected, abs=0.01)


def test_stretch_moves_places_away_from_the_middle_by_one_factor() -> None:
    line = torch.linspace(-1, 1, 41).expand(500, 1, 41)
    stretched = augmentation.stretch(line, 0.2, stream(0, "a"))[:, 0]
    assert torch.allclose(stretched[:, 20], torch.zeros(500), atol=1e-6)
    inner = stretched[:, 30] / 0.5  # the line holds its own place, so this is 1 / factor
    assert torch.allclose(stretched[:, 25], 0.25 * inner, atol=1e-5)
    assert float(inner.log().std()) == pytest.approx(0.2, rel=0.1)
    assert float(stretched.max()) <= 1 + 1e-6, "the ends repeat"


IMAGES = torch.rand(1, 2, 20, 20, generator=stream(0, "images")).expand(64, 2, 20, 20)


def test_affine_of_no_strength_changes_nothing_and_otherwise_each_image_its_own_way() -> None:
    assert augmentation.affine(IMAGES, 0, 0, 0, 0, stream(0, "a")) is IMAGES
    for number in range(4):
        strengths = [0.0] * 4
        strengths[number] = 0.3
        changed = augmentation.affine(IMAGES, *strengths, stream(0, "a"))
        assert torch.equal(changed, augmentation.affine(IMAGES, *strengths, stream(0, "a")))
        assert len({image.numpy().tobytes() for image in changed}) == 64


def test_affine_moves_by_its_share_of_the_side_and_zooms_by_its_factor() -> None:
    x = torch.zeros(500, 1, 20, 20)
    x[:, :, 8:12, 8:12] = 1.0
    places = torch.arange(20.0)
    moved = augmentation.affine(x, 0, 0, 0, 0.2, stream(0, "a"))
    middles = (moved.sum(2) * places).sum(2) / moved.sum((2, 3)) - 9.5
    assert 3.8 < float(middles.abs().max()) <= 4.0001
    zoomed = augmentation.affine(x, 0, math.log(2.0), 0, 0, stream(0, "a"))
    areas = zoomed.sum((1, 2, 3)) / 16
    assert 0.2 < float(areas.min()) < 0.35 < 3 < float(areas.max()) < 4.3


def test_affine_turns_and_shears_about_the_middle() -> None:
    x = torch.zeros(500, 1, 21, 21)
    x[:, :, 10, :] = 1.0  # a level line through the middle
    x[:, :, :, 10] = 1.0  # and an upright one
    turned = augmentation.affine(x, 45, 0, 0, 0, stream(0, "a"))
    assert torch.allclose(turned[:, :, 10, 10], torch.ones(500, 1), atol=1e-4)
    assert torch.allclose(turned, turned.flip(2, 3), atol=1e-4)
    assert float(turned[:, 0, 4, 4].max()) > 0.5, "no line was turned by 45 degrees"
    sheared = augmentation.affine(x, 0, 0, 0.5, 0, stream(0, "a"))
    assert torch.allclose(sheared[:, :, 10, 1:-1], torch.ones(500, 1, 19), atol=1e-4)
    assert float(sheared[:, 0, 0, 10].min()) < 0.1, "no upright line was slanted"
