"""CPU time of a gradient step on the Helmholtz equation, and the error after some hundred, against DeepXDE.

Same net with the same first weights, same points, same loss and optimiser, in one run: the default of
physics_informed/helmholtz. What makes it quicker is in ``tasks.derivatives``.

    tox -e bench -- tests/benchmarks/test_physics.py
"""

from typing import Any

import pytest
import torch

from tasks.collocation import adam_step, begin
from tasks.physics_informed.helmholtz import TASK, WAVENUMBER, Solution, boundary_points, error, problem, source_term
from tasks.training import drawn_from, stream
from tests.benchmarks.paired import Peer, beside

STEPS, ROUNDS = 50, 10  # steps in a round, of which the first goes untimed
DEFAULT = TASK.spec.default

pytestmark = pytest.mark.filterwarnings("ignore")  # DeepXDE's


class DeepXde:
    """DeepXDE on the points inside and on the boundary, with the weights of ``net``."""

    def __init__(self, net: Solution, inside: torch.Tensor, waves: tuple[int, int], monkeypatch: Any) -> None:
        monkeypatch.setenv("DDE_BACKEND", "pytorch")
        dde = pytest.importorskip("deepxde", reason="needs the dependency group peers")

        def residual(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
            u_xx, u_yy = (dde.grad.hessian(u, x, i=axis, j=axis) for axis in (0, 1))
            return u_xx + u_yy + WAVENUMBER**2 * u - source_term(x, waves)

        square = dde.geometry.Rectangle([-1, -1], [1, 1])
        zero = dde.icbc.PointSetBC(boundary_points("cpu").numpy(), 0.0)
        data = dde.data.PDE(square, residual, zero, num_domain=0, num_boundary=0, anchors=inside.numpy())
        self.net = dde.nn.FNN([2, *[int(DEFAULT["width"])] * int(DEFAULT["depth"]), 1], "tanh", "Glorot normal")
        self.model = dde.Model(data, self.net)
        weights = [1.0, float(DEFAULT["boundary_weight"])]
        self.model.compile("adam", lr=float(DEFAULT["learning_rate"]), loss_weights=weights, verbose=0)
        with torch.no_grad():
            for ours, theirs in zip(net.parameters(), self.net.parameters(), strict=True):
                theirs.copy_(ours)

    def __call__(self) -> None:
        self.model.train(iterations=STEPS, display_every=10**9, verbose=0)


def test_a_step_costs_less_than_deepxde_and_leads_to_the_same_error(benchmark: Any, monkeypatch: Any) -> None:
    data = TASK.load()
    waves = tuple(data["waves"].tolist())
    with drawn_from(stream(0, "weights")):
        net = Solution(DEFAULT)
    training = begin(DEFAULT, 0, net, [{"params": list(net.parameters())}], None)
    ours = problem(DEFAULT, 0, "cpu", waves)
    theirs = DeepXde(net, ours.inside, waves, monkeypatch)

    def steps() -> None:
        for _ in range(STEPS):
            adam_step(training, ours.loss)

    steps(), theirs()
    peer = Peer("deepxde", theirs, "nothing: both come to the same error", STEPS)
    pair = beside(benchmark, "a gradient step on the Helmholtz equation", steps, peer, ROUNDS, STEPS)
    points, truth = data["test_x"], data["test_y"]
    found, expected = error(net, points, truth), error(theirs.net, points, truth)
    benchmark.extra_info["errors"] = {"ours": round(float(found), 4), "peer": round(float(expected), 4)}
    assert pair.ratio > 1.3
    assert float(found) <= 1.05 * float(expected)
