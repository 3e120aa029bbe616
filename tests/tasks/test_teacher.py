"""The teacher that follows its student."""

import math

import pytest
import torch
from torch import nn

from tasks.teacher import Taught, ramp_up


def walk(decay: float, steps: int) -> tuple[Taught, list[float]]:
    """A pair after ``steps`` in which the student's bias takes the values 1, 2, ..., and the teacher's after each."""
    pair = Taught(nn.Linear(2, 1))
    seen = []
    for step in range(steps):
        nn.init.constant_(pair.student.bias, step + 1.0)  # type: ignore[arg-type]
        pair.follow(decay, step)
        seen.append(float(pair.teacher.bias))  # type: ignore[arg-type]
    return pair, seen


def test_teacher_is_the_mean_of_all_students_at_first() -> None:
    _, seen = walk(decay=0.999, steps=5)
    assert seen == pytest.approx([1.0, 1.5, 2.0, 2.5, 3.0])


def test_teacher_is_an_exponential_average_later() -> None:
    _, seen = walk(decay=0.5, steps=4)
    assert seen == pytest.approx([1.0, 1.5, 2.25, 3.125])


def test_teacher_without_memory_is_the_student() -> None:
    pair, seen = walk(decay=0.0, steps=3)
    assert seen == [1.0, 2.0, 3.0]
    assert torch.equal(pair(torch.ones(1, 2)), pair.student(torch.ones(1, 2)))


def test_only_the_student_is_trained_and_the_teacher_speaks() -> None:
    pair, _ = walk(decay=0.5, steps=3)
    assert [name for name, parameter in pair.named_parameters() if parameter.requires_grad] == [
        "student.weight",
        "student.bias",
    ]
    x = torch.ones(1, 2)
    assert torch.equal(pair(x), pair.teacher(x))
    assert not torch.equal(pair(x), pair.student(x))


def test_statistics_of_normalisation_are_copied() -> None:
    pair = Taught(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
    pair.student(torch.randn(8, 2))
    pair.follow(0.9, 100)
    for copied, statistics in zip(pair.teacher.buffers(), pair.student.buffers(), strict=True):
        assert torch.equal(copied, statistics)


def test_ramp_up_rises_from_almost_nothing_to_one_and_stays() -> None:
    values = [ramp_up(progress) for progress in (0.0, 0.5, 1.0, 3.0)]
    assert values == pytest.approx([math.exp(-5), math.exp(-1.25), 1.0, 1.0])
