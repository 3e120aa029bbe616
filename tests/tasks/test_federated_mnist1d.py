"""federated/mnist1d: how the signals are dealt to the clients, and what the default must beat."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from suite.data import DataMismatch, verified
from tasks.federated.mnist1d import CLIENTS, FEDERATION, TASK, dirichlet_split, federation
from tasks.federated_averaging import clients_of
from tasks.signals import arrays


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def test_clients_have_equal_shares_of_the_training_signals(data: Mapping[str, torch.Tensor]) -> None:
    clients = clients_of(data["train_x"], data["train_y"], data["train_sizes"])
    assert [len(client.y) for client in clients] == [100] * CLIENTS
    whole = arrays()
    labelled = {(x.tobytes(), int(y)) for x, y in zip(whole["train_x"], whole["train_y"], strict=True)}
    dealt = {(x.numpy().tobytes(), int(y)) for each in clients for x, y in zip(each.x, each.y, strict=True)}
    assert dealt == labelled
    for name in ("validation_x", "validation_y", "test_x", "test_y"):
        assert np.array_equal(data[name].numpy(), whole[name])


def test_clients_know_few_classes_and_different_ones(data: Mapping[str, torch.Tensor]) -> None:
    clients = clients_of(data["train_x"], data["train_y"], data["train_sizes"])
    counts = torch.stack([client.y.bincount(minlength=10) for client in clients])
    two_most = counts.sort(dim=1, descending=True).values[:, :2].sum(dim=1)
    assert float(two_most.float().median()) > 70  # of 100; of an even draw about 30
    assert len(set(counts.argmax(dim=1).tolist())) >= 8


def test_the_split_deals_every_example_once() -> None:
    labels = np.repeat(np.arange(10), [60] * 9 + [60])
    parts = dirichlet_split(labels, np.random.RandomState(5))
    assert sorted(np.concatenate(parts).tolist()) == list(range(600))
    assert {len(part) for part in parts} == {20}


def test_a_variant_is_dealt_in_another_way(data: Mapping[str, torch.Tensor]) -> None:
    other = TASK.load(1)
    assert not torch.equal(other["train_y"], data["train_y"])
    assert not torch.equal(other["test_x"], data["test_x"])


def test_changed_data_are_refused() -> None:
    changed = federation(0)
    changed["train_y"][[0, 101]] = changed["train_y"][[101, 0]]
    with pytest.raises(DataMismatch, match="mnist1d-federation"):
        verified(FEDERATION, changed)


@pytest.mark.slow
def test_default_beats_the_most_frequent_class(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    guess = data["train_y"].mode().values
    assert TASK.evaluate(data, last, "test") < 0.6 * float((data["test_y"] != guess).float().mean())
