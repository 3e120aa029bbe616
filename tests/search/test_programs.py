"""Gradient-based and one-shot programs by themselves, without the harness."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pytest
import torch

from suite.catalog import load_strategy
from suite.search.strategy import Program
from suite.task import Checkpoint, DifferentiableProblem, Vector
from suite.testing import problem
from tests.examples.noisy_digits import TASK, VECTORS, Regression

GRADIENT = ["implicit-cg", "implicit-neumann", "t1-t2", "unrolled", "online-hypergradient"]
OPTIONS = ("zero", "identity", "square")
Tensors = Mapping[str, torch.Tensor]


def built(name: str, seed: int = 0) -> Program:
    program = load_strategy(name)(problem("single", seed=seed))
    assert isinstance(program, Program)
    return program


def snapshot(checkpoint: Checkpoint) -> Checkpoint:
    """As the harness keeps it."""
    file = io.BytesIO()
    torch.save({"fidelity": checkpoint.fidelity, "state": dict(checkpoint.state)}, file)
    file.seek(0)
    return Checkpoint(**torch.load(file, weights_only=True))


def undisturbed(program: Program, inner: DifferentiableProblem, vectors: Any, count: int) -> list[Checkpoint]:
    return [snapshot(each) for each in islice(program.run(inner, vectors, None, nullcontext), count)]


def one_by_one(name: str, inner: DifferentiableProblem, vectors: Any, count: int) -> Iterator[Checkpoint]:
    """Each evaluation by a new program from the checkpoint of the one before."""
    start: Checkpoint | None = None
    for _ in range(count):
        start = snapshot(next(built(name).run(inner, vectors, start, nullcontext)))
        yield start


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


@pytest.mark.parametrize("name", GRADIENT)
def test_a_program_goes_on_from_a_checkpoint_bit_for_bit(name: str) -> None:
    inner = Regression(TASK.load(), seed=0, steps=100)
    straight = undisturbed(built(name), inner, VECTORS, 4)
    for one, other in zip(straight, one_by_one(name, inner, VECTORS, 4), strict=True):
        assert same(one.state, other.state)
    assert not same(straight[2].state["parameters"], straight[3].state["parameters"])


@pytest.mark.parametrize("name", GRADIENT)
def test_a_program_lowers_the_outer_loss_within_the_declared_space(name: str) -> None:
    inner = Regression(TASK.load(), seed=0)
    reached = undisturbed(built(name), inner, VECTORS, 20)
    losses = [inner.outer_loss(each.state["parameters"], inner.hyperparameters()).item() for each in reached]
    assert min(losses) < 0.6 * losses[0]
    offsets = reached[-1].state["program"]["outer"]["offsets"]
    assert offsets.abs().max() > 0.1
    assert offsets[64:].abs().max() <= 6.0


@pytest.mark.parametrize("name", [*GRADIENT, "darts"])
def test_a_program_says_what_is_search(name: str) -> None:
    """Once for each outer step, and no evaluation inside."""
    entered = []
    inside = False

    @contextmanager
    def search() -> Iterator[None]:
        nonlocal inside
        inside = True
        entered.append(True)
        yield
        inside = False

    inner, vectors = (Mixture(), MIXTURE) if name == "darts" else (Regression(TASK.load(), seed=0, steps=100), VECTORS)
    next(built(name).run(inner, vectors, None, search))
    assert entered
    assert not inside


MIXTURE = {"alphas": Vector(len(OPTIONS), -5.0, 5.0)}


@dataclass(frozen=True)
class Mixture:
    """Which of three functions is it? y = 2 x^2, fitted by a weight times a mixture of zero, x and x^2."""

    steps: int = 100
    step_size: float = 0.05

    def hyperparameters(self) -> dict[str, torch.Tensor]:
        return {"alphas": torch.zeros(len(OPTIONS))}

    def parameters(self) -> dict[str, torch.Tensor]:
        return {"weight": torch.ones(1)}

    def inner_loss(self, parameters: Tensors, hyperparameters: Tensors, step: int) -> torch.Tensor:
        x = torch.randn(16, generator=torch.Generator().manual_seed(step))
        return self._error(parameters, hyperparameters, x)

    def outer_loss(self, parameters: Tensors, hyperparameters: Tensors) -> torch.Tensor:
        return self._error(parameters, hyperparameters, torch.linspace(-2, 2, 21))

    def checkpoint(self, parameters: Tensors, hyperparameters: Tensors) -> Checkpoint:
        return Checkpoint(
            1, {"option": OPTIONS[int(hyperparameters["alphas"].argmax())], "weight": parameters["weight"]}
        )

    def _error(self, parameters: Tensors, hyperparameters: Tensors, x: torch.Tensor) -> torch.Tensor:
        mixed = hyperparameters["alphas"].softmax(dim=0) @ torch.stack([torch.zeros_like(x), x, x**2])
        return (parameters["weight"] * mixed - 2 * x**2).square().mean()


def test_darts_finds_the_operation_and_starts_anew_after_each_evaluation() -> None:
    rounds = undisturbed(built("darts"), Mixture(), MIXTURE, 3)
    assert [each.state["option"] for each in rounds] == ["square"] * 3
    assert [each.state["program"]["rounds"] for each in rounds] == [1, 2, 3]
    assert len({each.state["weight"].item() for each in rounds}) == 3  # other batches
    for one, other in zip(rounds, one_by_one("darts", Mixture(), MIXTURE, 3), strict=True):
        assert same(one.state, other.state)


def test_another_seed_searches_another_way() -> None:
    one, other = (undisturbed(built("darts", seed), Mixture(), MIXTURE, 1)[0] for seed in (0, 1))
    assert not same(one.state, other.state)


def test_a_hypergradient_that_is_not_finite_is_told() -> None:
    class Broken(Regression):
        def outer_loss(self, parameters: Tensors, hyperparameters: Tensors) -> torch.Tensor:
            return super().outer_loss(parameters, hyperparameters) * float("nan")

    for name in GRADIENT:
        with pytest.raises(FloatingPointError, match="hypergradient must be finite"):
            undisturbed(built(name), Broken(TASK.load(), seed=0, steps=100), VECTORS, 1)
