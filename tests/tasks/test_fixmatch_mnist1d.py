"""semi_supervised/fixmatch-mnist1d: the labels that training sees, its loss and its average, what it must beat."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from suite.data import DataMismatch, verified
from suite.task import Configuration
from tasks import signals
from tasks.semi_supervised.fixmatch_mnist1d import DATA, LABELS_PER_CLASS, TASK, begin, pseudo_label_loss, train_step
from tasks.semi_supervised.labels import few_labels

DEFAULT = TASK.spec.default
FOR_TRAINING = ("labelled_x", "labelled_y", "unlabelled_x")


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


@pytest.fixture(scope="module")
def whole() -> Mapping[str, np.ndarray]:
    """The signals with all their labels."""
    return signals.arrays()


def rows(x: torch.Tensor | np.ndarray) -> list[bytes]:
    return [np.asarray(row).tobytes() for row in x]


def test_parts_have_the_published_sizes_and_training_shares_nothing_with_the_others(
    data: Mapping[str, torch.Tensor],
) -> None:
    sizes = {name: len(values) for name, values in data.items()}
    assert sizes == {
        **{"labelled_x": 100, "labelled_y": 100, "unlabelled_x": 3000},
        **{"validation_x": 1000, "validation_y": 1000, "test_x": 1000, "test_y": 1000},
    }
    train, validation, test = (set(rows(data[f"{name}_x"])) for name in ("unlabelled", "validation", "test"))
    assert len(train | validation | test) == 5000


def test_labels_are_ten_of_each_class_and_true(
    data: Mapping[str, torch.Tensor], whole: Mapping[str, np.ndarray]
) -> None:
    assert data["labelled_y"].bincount().tolist() == [LABELS_PER_CLASS] * 10
    labels = dict(zip(rows(whole["train_x"]), whole["train_y"].tolist(), strict=True))
    assert [labels[row] for row in rows(data["labelled_x"])] == data["labelled_y"].tolist()
    assert rows(data["unlabelled_x"]) == rows(whole["train_x"])


def test_training_reads_no_labels_but_those_of_the_labelled_part(data: Mapping[str, torch.Tensor]) -> None:
    part = {name: data[name] for name in FOR_TRAINING}
    with_all, with_part = (next(TASK.train(each, DEFAULT, 0, "cpu", None)) for each in (data, part))
    for name, values in with_all.state["model"].items():
        assert torch.equal(values, with_part.state["model"][name])


def test_a_class_with_too_few_examples_is_refused() -> None:
    few = {"train_x": np.zeros((5, 1, 40)), "train_y": np.array([0, 0, 0, 1, 1])}
    assert few_labels(few, 2)["labelled_y"].tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="class 1 has 2"):
        few_labels(few, 3)


def test_a_variant_has_other_labels_and_other_data_are_refused(whole: Mapping[str, np.ndarray]) -> None:
    verified(DATA, few_labels(whole, LABELS_PER_CLASS))
    variant = few_labels(whole, LABELS_PER_CLASS, variant=1)
    assert np.bincount(variant["labelled_y"]).tolist() == [LABELS_PER_CLASS] * 10
    with pytest.raises(DataMismatch, match="mnist1d"):
        verified(DATA, variant)


def test_pseudo_label_loss_is_equation_4() -> None:
    weak, strong = torch.randn(2, 50, 10, generator=torch.Generator().manual_seed(0)) * 3
    expected, confident = 0.0, 0
    for one, other in zip(weak.double().tolist(), strong.double().tolist(), strict=True):
        highest, label = max((value, place) for place, value in enumerate(one))
        if 1 / sum(math.exp(value - highest) for value in one) >= 0.8:
            expected -= math.log(math.exp(other[label]) / sum(math.exp(value) for value in other)) / 50
            confident += 1
    assert 5 < confident < 45
    assert float(pseudo_label_loss(weak, strong, 0.8)) == pytest.approx(expected, rel=1e-5)
    assert float(pseudo_label_loss(weak, strong, 1.1)) == 0.0


def student_after_a_step(data: Mapping[str, torch.Tensor], changes: Configuration) -> torch.Tensor:
    training = begin({**DEFAULT, **changes}, 0, "cpu")
    train_step(training, data, 0)
    return torch.cat([parameter.detach().flatten() for parameter in training.model.student.parameters()])


def test_unlabelled_signals_teach_only_where_the_prediction_is_confident(data: Mapping[str, torch.Tensor]) -> None:
    labels_only = student_after_a_step(data, {"unlabelled_weight": 0.0})
    assert torch.equal(student_after_a_step(data, {"threshold": 1.1}), labels_only)
    assert not torch.equal(student_after_a_step(data, {"threshold": 0.0}), labels_only)


def test_labelled_signals_are_changed_as_the_configuration_says(data: Mapping[str, torch.Tensor]) -> None:
    settings: list[Configuration] = [
        {"labelled_augmentation": kind, "noise": noise} for kind in ("weak", "strong") for noise in (0.0, 0.5)
    ]
    weak_calm, weak_noisy, strong_calm, strong_noisy = (
        student_after_a_step(data, {**each, "unlabelled_weight": 0.0, "normalisation": "none"}) for each in settings
    )
    assert torch.equal(weak_calm, weak_noisy)
    assert not torch.equal(strong_calm, strong_noisy)


def test_the_average_is_evaluated(data: Mapping[str, torch.Tensor]) -> None:
    checkpoint = next(TASK.train(data, DEFAULT, 0, "cpu", None))
    value = TASK.evaluate(data, checkpoint, "validation")
    for part, judged in (("student", False), ("teacher", True)):
        model = {
            name: 0 * values if name.startswith(part) else values for name, values in checkpoint.state["model"].items()
        }
        changed = TASK.evaluate(
            data, type(checkpoint)(checkpoint.fidelity, {**checkpoint.state, "model": model}), "validation"
        )
        assert (changed != value) == judged


@pytest.mark.slow
def test_default_beats_guessing_and_learning_from_the_labels_alone(data: Mapping[str, torch.Tensor]) -> None:
    errors = []
    for weight in (1.0, 0.0):
        *_, last = TASK.train(data, {**DEFAULT, "unlabelled_weight": weight}, 0, "cpu", None)
        errors.append(TASK.evaluate(data, last, "test"))
    both, labels_only = errors
    assert both < labels_only < 0.7  # guessing: 0.9
