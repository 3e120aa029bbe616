"""semi_supervised/mean-teacher-digits: the labels that training sees, its losses and its teacher, what it must beat."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from suite.data import DataMismatch, verified
from suite.task import Checkpoint, Configuration
from tasks import digits
from tasks.semi_supervised.labels import few_labels
from tasks.semi_supervised.mean_teacher_digits import DATA, LABELS_PER_CLASS, TASK, begin, train_step
from tasks.teacher import Taught
from tasks.training import Training

DEFAULT = TASK.spec.default
PI: Configuration = {**{name: value for name, value in DEFAULT.items() if name != "decay"}, "method": "pi"}
STILL: Configuration = {"normalisation": "none", "noise": 0.0}


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def rows(x: torch.Tensor | np.ndarray) -> list[bytes]:
    return [np.asarray(row).tobytes() for row in x]


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def after(data: Mapping[str, torch.Tensor], configuration: Configuration, steps: int) -> Training[Taught]:
    training = begin(configuration, 0, "cpu")
    for step in range(steps):
        train_step(training, data, step)
    return training


def test_parts_have_the_published_sizes_and_training_shares_nothing_with_the_others(
    data: Mapping[str, torch.Tensor],
) -> None:
    assert {name: len(values) for name, values in data.items()} == {
        **{"labelled_x": 80, "labelled_y": 80, "unlabelled_x": 897},
        **{"validation_x": 400, "validation_y": 400, "test_x": 500, "test_y": 500},
    }
    train, validation, test = (set(rows(data[f"{name}_x"])) for name in ("unlabelled", "validation", "test"))
    assert len(train | validation | test) == 1797
    assert (float(data["unlabelled_x"].min()), float(data["unlabelled_x"].max())) == (0.0, 1.0)


def test_labels_are_eight_of_each_class_and_true(data: Mapping[str, torch.Tensor]) -> None:
    assert data["labelled_y"].bincount().tolist() == [LABELS_PER_CLASS] * 10
    whole = digits.arrays()
    labels = dict(zip(rows(whole["train_x"]), whole["train_y"].tolist(), strict=True))
    assert [labels[row] for row in rows(data["labelled_x"] * digits.LARGEST)] == data["labelled_y"].tolist()


def test_a_variant_has_other_labels_and_other_data_are_refused() -> None:
    whole = digits.arrays()
    verified(DATA, few_labels(whole, LABELS_PER_CLASS))
    with pytest.raises(DataMismatch, match="digits"):
        verified(DATA, few_labels(whole, LABELS_PER_CLASS, variant=1))


@pytest.mark.parametrize("configuration", [DEFAULT, PI], ids=["mean-teacher", "pi"])
def test_training_reads_no_labels_but_those_of_the_labelled_part(
    data: Mapping[str, torch.Tensor], configuration: Configuration
) -> None:
    part = {name: data[name] for name in ("labelled_x", "labelled_y", "unlabelled_x")}
    with_all, with_part = (next(TASK.train(each, configuration, 0, "cpu", None)) for each in (data, part))
    for name, values in with_all.state["model"].items():
        assert torch.equal(values, with_part.state["model"][name])


def test_first_step_is_down_the_cross_entropy_of_the_labelled_images(data: Mapping[str, torch.Tensor]) -> None:
    configuration: Configuration = {**DEFAULT, **STILL, "consistency_weight": 0.0}
    training = begin(configuration, 0, "cpu")
    loss = train_step(training, data, 0)
    model = begin(configuration, 0, "cpu").model.student
    probabilities = model(data["labelled_x"]).detach().double().softmax(dim=1).numpy()
    expected = -np.log(probabilities[np.arange(80), data["labelled_y"].numpy()]).mean()
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_teacher_and_student_agree_on_unchanged_images_at_first(data: Mapping[str, torch.Tensor]) -> None:
    """The same weights and the same image: nothing to be consistent about, unless noise makes two of it."""
    without, still, noisy = (
        weights(after(data, {**DEFAULT, **STILL, **each}, 1).model.student)
        for each in ({"consistency_weight": 0.0}, {"consistency_weight": 1000.0}, {"noise": 0.4})
    )
    assert torch.equal(without, still)
    assert not torch.equal(without, noisy)


def test_consistency_pulls_the_student_to_the_teacher(data: Mapping[str, torch.Tensor]) -> None:
    """Of a student whose labels say nothing: the squared error, at its full weight, is all there is to the loss."""
    configuration: Configuration = {**DEFAULT, **STILL, "consistency_weight": 10.0, "ramp_up": 0.01}
    training = begin(configuration, 0, "cpu")
    with torch.no_grad():
        for parameter in training.model.teacher.parameters():
            parameter.mul_(2.0)
    teacher, student = (part(data["unlabelled_x"]).softmax(dim=1) for part in training.model.children())
    per_image = (teacher - student).square().mean(dim=1).detach()
    unweighted = {**configuration, "consistency_weight": 0.0}
    alone = begin(unweighted, 0, "cpu")
    difference = float(train_step(training, data, 500) - train_step(alone, data, 500))
    assert 10 * float(per_image.min()) < difference < 10 * float(per_image.max())


def test_pi_model_has_the_student_for_a_teacher_and_mean_teacher_has_not(data: Mapping[str, torch.Tensor]) -> None:
    for configuration, same in ((PI, True), (DEFAULT, False)):
        model = after(data, configuration, 3).model
        assert torch.equal(weights(model.student), weights(model.teacher)) == same


def test_the_teacher_is_evaluated(data: Mapping[str, torch.Tensor]) -> None:
    checkpoint = next(TASK.train(data, DEFAULT, 0, "cpu", None))
    value = TASK.evaluate(data, checkpoint, "validation")
    for part, judged in (("student", False), ("teacher", True)):
        model = {name: 0 * each if name.startswith(part) else each for name, each in checkpoint.state["model"].items()}
        broken = Checkpoint(checkpoint.fidelity, {**checkpoint.state, "model": model})
        assert (TASK.evaluate(data, broken, "validation") != value) == judged


@pytest.mark.slow
def test_default_beats_a_linear_model_of_the_labelled_images(data: Mapping[str, torch.Tensor]) -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = (data[name].flatten(1).numpy() for name in ("labelled_x", "test_x"))
    linear = LogisticRegression(max_iter=1000).fit(x, data["labelled_y"].numpy())
    *_, last = TASK.train(data, DEFAULT, 0, "cpu", None)
    assert TASK.evaluate(data, last, "test") < 1 - linear.score(y, data["test_y"].numpy())
