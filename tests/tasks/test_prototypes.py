"""Prototypical networks: episodes, and the logits against a computation query by query."""

import math

import pytest
import torch

from tasks.prototypes import draw_episodes, episode_error, episode_logits, episode_loss, members, with_quarter_turns
from tasks.training import stream

EPISODES, WAYS, SHOTS, QUERIES, FEATURES = 3, 4, 2, 5, 6


@pytest.fixture
def embedded() -> torch.Tensor:
    return torch.randn(EPISODES, WAYS, SHOTS + QUERIES, FEATURES, generator=stream(0, "embedded"))


def one_by_one(embedded: torch.Tensor, metric: str, temperature: float) -> list[list[float]]:
    """Log-probabilities of the classes for each query, episode by episode, way by way."""
    rows = []
    for episode in embedded:
        prototypes = [sum(way[:SHOTS]) / SHOTS for way in episode]
        for way in episode:
            for query in way[SHOTS:]:
                if metric == "euclidean":
                    similar = [-(float(torch.dist(query, each)) ** 2) for each in prototypes]
                else:
                    similar = [float(query @ each / query.norm() / each.norm()) for each in prototypes]
                total = math.log(sum(math.exp(value / temperature) for value in similar))
                rows.append([value / temperature - total for value in similar])
    return rows


@pytest.mark.parametrize(("metric", "temperature"), [("euclidean", 2.0), ("cosine", 0.3)])
def test_loss_and_error_are_those_of_a_computation_query_by_query(
    embedded: torch.Tensor, metric: str, temperature: float
) -> None:
    logits = episode_logits(embedded, SHOTS, metric, temperature)
    expected = torch.tensor(one_by_one(embedded, metric, temperature))
    assert logits.shape == (EPISODES, WAYS, QUERIES, WAYS)
    assert torch.allclose(logits.log_softmax(3).flatten(0, 2), expected, atol=1e-4)
    truth = torch.tensor([way for _ in range(EPISODES) for way in range(WAYS) for _ in range(QUERIES)])
    assert float(episode_loss(logits)) == pytest.approx(-float(expected[range(len(truth)), truth].mean()), rel=1e-4)
    assert float(episode_error(logits)) == pytest.approx(float((expected.argmax(1) != truth).float().mean()))


def test_similar_queries_are_right_and_those_that_are_no_numbers_wrong() -> None:
    embedded = torch.eye(WAYS)[None, :, None].repeat(1, 1, 2, 1)
    assert float(episode_error(episode_logits(embedded, 1, "cosine", 1.0))) == 0.0
    embedded[0, 0, 1] = math.nan
    assert float(episode_error(episode_logits(embedded, 1, "euclidean", 1.0))) == 1 / WAYS


def test_metric_without_a_meaning_is_an_error(embedded: torch.Tensor) -> None:
    with pytest.raises(KeyError, match="'manhattan'"):
        episode_logits(embedded, SHOTS, "manhattan", 1.0)


def test_members_are_the_places_of_each_class() -> None:
    assert members(torch.tensor([1, 0, 2, 0, 2, 1])).tolist() == [[1, 3], [0, 5], [2, 4]]
    with pytest.raises(ValueError, match="1 to 2"):
        members(torch.tensor([0, 0, 1]))


def test_episodes_hold_different_images_of_different_classes() -> None:
    labels = torch.arange(12).repeat(8)
    episodes = draw_episodes(members(labels), 200, 5, 4, stream(0, "episodes"))
    assert episodes.shape == (200, 5, 4)
    for episode in episodes:
        assert (labels[episode] == labels[episode][:, :1]).all(), "a way mixes classes"
        assert len(set(labels[episode][:, 0].tolist())) == 5
        assert len(set(episode.flatten().tolist())) == 20
    assert set(episodes.flatten().tolist()) == set(range(96))
    assert torch.equal(episodes, draw_episodes(members(labels), 200, 5, 4, stream(0, "episodes")))


@pytest.mark.parametrize(("ways", "images"), [(4, 1), (1, 3)])
def test_more_ways_or_images_than_there_are_is_an_error(ways: int, images: int) -> None:
    with pytest.raises(ValueError, match="3 classes of 2 images"):
        draw_episodes(members(torch.arange(3).repeat(2)), 1, ways, images, stream(0, "episodes"))


def test_quarter_turns_make_four_classes_of_each() -> None:
    images, labels = torch.rand(6, 1, 5, 5), torch.tensor([0, 0, 1, 1, 2, 2])
    turned, classes = with_quarter_turns(images, labels)
    assert classes.bincount().tolist() == [2] * 12
    assert torch.equal(turned[:6], images)
    for turns in range(4):
        assert torch.equal(turned[6 * turns + 3], images[3].rot90(turns, (1, 2)))
