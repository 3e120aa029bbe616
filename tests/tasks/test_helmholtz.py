"""physics_informed/helmholtz: the equation, the two judges of a solution, and L-BFGS across interruptions."""

import io
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn

from suite.task import Checkpoint, Configuration
from tasks.collocation import EVALUATIONS, STEP, adam_evaluations
from tasks.physics_informed.helmholtz import (
    TASK,
    WAVES,
    Solution,
    boundary_points,
    defect,
    error,
    exact,
    residual,
    source_term,
)
from tasks.training import drawn_from, stream

DEFAULT = TASK.spec.default
SOON_LBFGS: Configuration = {
    **{name: value for name, value in DEFAULT.items() if name != "boundary_weight"},
    "boundary": "hard",
    "optimiser": "adam+lbfgs",
    "lbfgs_share": 0.9,
}


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


class Exact(nn.Module):
    """The manufactured solution times ``factor``, as a network would give it."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        x, y = points[:, :1], points[:, 1:]
        return self.factor * torch.sin(WAVES[0] * torch.pi * x) * torch.sin(WAVES[1] * torch.pi * y)

    def laplacian(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return with_laplacian(self, points)


def with_laplacian(model: nn.Module, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """u and u_xx + u_yy by nested reverse passes."""
    points = points.clone().requires_grad_()
    u = model(points)
    (slopes,) = torch.autograd.grad(u.sum(), points, create_graph=True)
    curvatures = [torch.autograd.grad(slopes[:, axis].sum(), points, create_graph=True)[0][:, axis] for axis in (0, 1)]
    return u.detach(), sum(curvatures)[:, None].detach()


def off(model: nn.Module, points: torch.Tensor) -> torch.Tensor:
    return residual(model, points, source_term(points, WAVES))


def test_the_manufactured_solution_solves_the_equation(data: Mapping[str, torch.Tensor]) -> None:
    assert float(off(Exact(), data["validation_x"].double()).abs().max()) < 1e-9
    sides = boundary_points("cpu").numpy().astype(np.float64)
    assert np.abs(exact(sides[:, 0], sides[:, 1])).max() < 1e-12


def test_boundary_points_lie_on_all_four_sides() -> None:
    points = boundary_points("cpu")
    assert torch.equal(points.abs().max(dim=1).values, torch.ones(len(points)))
    for axis in (0, 1):
        for side in (-1, 1):
            assert int((points[:, axis] == side).sum()) >= len(points) // 4


@pytest.mark.parametrize(("factor", "relative"), [(1.0, 0.0), (0.0, 1.0), (0.9, 0.1), (2.0, 1.0)])
def test_defect_and_error_agree_on_multiples_of_the_solution(
    data: Mapping[str, torch.Tensor], factor: float, relative: float
) -> None:
    model = Exact(factor)
    assert float(defect(model, data["validation_x"].double(), WAVES)) == pytest.approx(relative, abs=1e-5)
    assert float(error(model, data["test_x"], data["test_y"])) == pytest.approx(relative, abs=1e-5)


def test_defect_sees_a_violated_boundary(data: Mapping[str, torch.Tensor]) -> None:
    class Harmonic(Exact):
        """Off by cos(x), which solves the equation without a source where k = 1."""

        def forward(self, points: torch.Tensor) -> torch.Tensor:
            return super().forward(points) + 0.1 * torch.cos(points[:, :1])

    assert float(off(Harmonic(), data["validation_x"].double()).abs().max()) < 1e-9
    assert float(defect(Harmonic(), data["validation_x"], WAVES)) > 0.1
    assert float(error(Harmonic(), data["test_x"], data["test_y"])) > 0.1


def test_validation_knows_nothing_of_the_solution(data: Mapping[str, torch.Tensor]) -> None:
    checkpoint = next(TASK.train(data, DEFAULT, 0, "cpu", None))
    without = {name: values for name, values in data.items() if name != "test_y"}
    assert TASK.evaluate(without, checkpoint, "validation") == TASK.evaluate(data, checkpoint, "validation")


@pytest.mark.parametrize("encoding", [{"encoding": "none"}, {"encoding": "fourier", "fourier_scale": 1.0}])
def test_hard_boundary_is_zero_by_construction(encoding: Configuration) -> None:
    with drawn_from(stream(0, "weights")):
        model = Solution({**SOON_LBFGS, **encoding})
    sides = boundary_points("cpu")
    assert torch.equal(model(sides).abs(), torch.zeros(len(sides), 1))


@pytest.mark.parametrize("boundary", [{"boundary": "soft", "boundary_weight": 100.0}, {"boundary": "hard"}])
@pytest.mark.parametrize("encoding", [{"encoding": "none"}, {"encoding": "fourier", "fourier_scale": 1.0}])
def test_laplacian_is_that_of_nested_reverse_passes(boundary: Configuration, encoding: Configuration) -> None:
    with drawn_from(stream(0, "weights")):
        model = Solution({**SOON_LBFGS, **boundary, **encoding}).double()
    points = torch.tensor([[0.3, -0.2], [-0.9, 0.7]], dtype=torch.float64)
    for ours, expected in zip(model.laplacian(points), with_laplacian(model, points), strict=True):
        assert torch.allclose(ours, expected, rtol=1e-6)


def test_adam_has_whole_steps() -> None:
    assert adam_evaluations(DEFAULT) == EVALUATIONS
    for share in (0.1, 0.333, 0.9):
        evaluations = adam_evaluations({**SOON_LBFGS, "lbfgs_share": share})
        assert evaluations % STEP == 0
        assert abs(evaluations - (1 - share) * EVALUATIONS) <= STEP / 2


def saved(checkpoint: Checkpoint) -> Checkpoint:
    file = io.BytesIO()
    torch.save(dict(checkpoint.state), file)
    file.seek(0)
    return Checkpoint(checkpoint.fidelity, torch.load(file, weights_only=True))


def test_lbfgs_goes_on_bit_for_bit_after_every_checkpoint(data: Mapping[str, torch.Tensor]) -> None:
    """From 100 evaluations on; the switch of optimisers is crossed both by an interruption and without one."""
    assert adam_evaluations(SOON_LBFGS) == 100
    whole = []
    for checkpoint in TASK.train(data, SOON_LBFGS, 0, "cpu", None):
        whole.append(saved(checkpoint))
        if checkpoint.fidelity == 250:
            break
    for number in range(2, len(whole) - 1):
        following = next(TASK.train(data, SOON_LBFGS, 0, "cpu", whole[number]))
        expected = whole[number + 1]
        assert following.fidelity == expected.fidelity
        assert following.state["counters"] == expected.state["counters"]
        for name, values in following.state["model"].items():
            assert torch.equal(values, expected.state["model"][name]), (following.fidelity, name)


def test_lbfgs_spends_what_its_fidelity_says(data: Mapping[str, torch.Tensor]) -> None:
    for checkpoint in TASK.train(data, SOON_LBFGS, 0, "cpu", None):
        spent = checkpoint.state["counters"]["evaluations"]
        assert checkpoint.fidelity <= spent <= checkpoint.fidelity + 1
        if checkpoint.fidelity >= 300:
            break


@pytest.mark.slow
@pytest.mark.parametrize("configuration", [DEFAULT, SOON_LBFGS], ids=["default", "lbfgs"])
def test_trained_solution_beats_zero(data: Mapping[str, torch.Tensor], configuration: Configuration) -> None:
    *_, last = TASK.train(data, configuration, 0, "cpu", None)
    assert last.fidelity == EVALUATIONS
    assert TASK.evaluate(data, last, "test") < -1.0  # log10; a solution of zero has 0
