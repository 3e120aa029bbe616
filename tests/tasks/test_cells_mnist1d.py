"""supervised/cells-mnist1d: the space, the net of one architecture, the net of all of them, and the default."""

from collections.abc import Mapping

import pytest
import torch
from torch.nn import functional

from suite.space import Configuration, complete
from tasks.supervised.cells_mnist1d import (
    EDGES,
    EPOCHS,
    OPERATIONS,
    TASK,
    Cell,
    Cells,
    build_model,
    discretised,
    operation,
    supernet,
)
from tasks.training import drawn_from, stream

SIGNALS = torch.randn(12, 1, 40, generator=stream(0, "signals"))


def random_configurations(count: int) -> list[Configuration]:
    space = TASK.spec.space
    space.seed(3)
    return [complete(space, dict(sample)) for sample in space.sample_configuration(count)]


def one_hot(configuration: Configuration) -> torch.Tensor:
    """(10, 5): weight one on the operation of each edge."""
    chosen = torch.tensor([OPERATIONS.index(str(configuration[edge])) for edge in EDGES])
    return functional.one_hot(chosen, len(OPERATIONS)).float()


def extracted(model: Cells, configuration: Configuration) -> Cells:
    """The net of one architecture with its weights in the supernet ``model``."""
    net = build_model(configuration)
    weights = model.state_dict()
    net.load_state_dict({name: weights[name] for name in net.state_dict()})
    return net


@pytest.fixture
def shared() -> Cells:
    """The supernet, with running statistics of its own."""
    with drawn_from(stream(0, "supernet")):
        model = supernet()
    with torch.no_grad():
        model(SIGNALS, torch.rand(10, 5, generator=stream(0, "mixture")))
    return model


def test_there_are_nearly_ten_million_architectures() -> None:
    assert len(EDGES) == 10
    assert {str(edge) for edge in EDGES} <= set(TASK.spec.space)
    assert len(OPERATIONS) ** len(EDGES) == 9_765_625
    assert not set(EDGES) & TASK.spec.mutable


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_keep_the_shape(name: str) -> None:
    x = torch.randn(4, 8, 11)
    assert operation(name)(x).shape == x.shape
    assert (operation(name)(x) == 0).all() == (name == "zero")
    assert torch.equal(operation(name)(x), x) == (name == "skip")


def test_operation_without_a_meaning_is_an_error() -> None:
    with pytest.raises(KeyError, match="convolution_5"):
        operation("convolution_5")


def test_a_node_is_the_sum_of_what_its_edges_bring() -> None:
    offered = dict.fromkeys(EDGES, ("zero",))
    x = torch.randn(2, 8, 20)
    assert (Cell(offered)(x, None) == 0).all()
    for edges, paths in ((["edge_0_4"], 1), (["edge_0_2"], 0), (["edge_0_2", "edge_2_4", "edge_0_4"], 2)):
        cell = Cell({**offered, **dict.fromkeys(edges, ("skip",))})
        assert torch.allclose(cell(x, None), paths * x)
    every = Cell(dict.fromkeys(EDGES, ("skip",)))
    assert torch.allclose(every(x, None), 8 * x)  # the paths from node 0 to node 4


@pytest.mark.parametrize("training", [False, True], ids=["evaluating", "training"])
def test_supernet_with_one_operation_an_edge_is_the_net_of_that_architecture(shared: Cells, training: bool) -> None:
    for configuration in random_configurations(6):
        net = extracted(shared, configuration).train(training)
        expected, mixed = net(SIGNALS), shared.train(training)(SIGNALS, one_hot(configuration))
        assert torch.allclose(mixed, expected, atol=1e-5), configuration
        assert float(expected.detach().std()) > 1e-3


def test_gradient_reaches_the_weight_of_every_operation(shared: Cells) -> None:
    alphas = torch.zeros(10, 5, requires_grad=True)
    shared(SIGNALS, alphas.softmax(dim=1)).logsumexp(dim=1).sum().backward()
    assert alphas.grad is not None
    assert (alphas.grad != 0).all()


def test_discretised_takes_the_strongest_operation_and_leaves_the_rest() -> None:
    for configuration in random_configurations(4):
        alphas = torch.rand(10, 5, generator=stream(0, "alphas")) + 2 * one_hot(configuration)
        found = discretised(alphas, TASK.spec.default)
        assert complete(TASK.spec.space, found) == found
        assert {edge: found[edge] for edge in EDGES} == {edge: configuration[edge] for edge in EDGES}
        assert found["learning_rate"] == TASK.spec.default["learning_rate"]


def test_net_of_several_operations_needs_their_weights(shared: Cells) -> None:
    with pytest.raises(ValueError, match="too many values"):
        shared(SIGNALS)


def test_default_is_one_convolution_a_cell() -> None:
    chosen = {edge: TASK.spec.default[edge] for edge in EDGES if TASK.spec.default[edge] != "zero"}
    assert chosen == {"edge_0_4": "convolution_3"}
    assert build_model(TASK.spec.default)(SIGNALS).shape == (12, 10)


@pytest.mark.slow
def test_default_beats_the_most_frequent_class() -> None:
    data: Mapping[str, torch.Tensor] = TASK.load()
    *_, last = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    guess = data["train_y"].mode().values
    assert TASK.evaluate(data, last, "test") < 0.7 * float((data["test_y"] != guess).float().mean())


def test_what_one_shot_search_finds_is_made_discrete_and_trained_in_full() -> None:
    """With the weights of the default's operations the largest, that is the default's own training."""
    data = TASK.load()
    problem = TASK.differentiable(data, 0, "cpu")
    alphas = torch.tensor([[float(name == TASK.spec.default[edge]) for name in OPERATIONS] for edge in EDGES])
    assert TASK.discretised({"alphas": alphas}) == TASK.spec.default
    found = problem.checkpoint(problem.parameters(), {"alphas": alphas})
    *_, trained = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    assert found.fidelity == EPOCHS
    assert all(torch.equal(found.state["model"][name], value) for name, value in trained.state["model"].items())
