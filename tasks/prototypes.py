"""Prototypical networks (Snell, Swersky & Zemel 2017, NeurIPS, arXiv:1703.05175), for every few-shot task on images.

An episode has some classes (ways), and of each a few images that are labelled (shots) and some that are not (queries).
A query is put into the class whose prototype, the mean of its embedded shots, is the most similar.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
from ConfigSpace import Categorical, EqualsCondition, Float
from ConfigSpace.hyperparameters import Hyperparameter
from torch import nn
from torch.nn import functional

from suite.task import Checkpoint, Configuration, Fidelity, Split
from tasks.optimisers import descend
from tasks.training import Data, Training, drawn_from, require_finite, restored, stream

SHOTS, QUERIES, TRAIN_QUERIES = 1, 5, 3
CLASSES_PER_ITERATION = 20  # in one episode of 20 ways, or in several of fewer
HELD_OUT_EPISODES, HELD_OUT_WAYS = 600, 5
MUTABLE: Final = frozenset({"euclidean_temperature", "cosine_temperature", "training_ways"})

Build = Callable[[Configuration], nn.Module]  # (n, channels, side, side) -> (n, features)
Change = Callable[[torch.Tensor, Configuration, torch.Generator], torch.Tensor]  # of images, label-preserving


def prototype_space() -> list[Hyperparameter[Any, Any] | EqualsCondition]:
    """The metric, each with a temperature on its own scale, the ways of training, and turned classes."""
    metric = Categorical("metric", ["euclidean", "cosine"], default="euclidean")
    euclidean = Float("euclidean_temperature", (0.3, 100.0), default=1.0, log=True)
    cosine = Float("cosine_temperature", (0.01, 1.0), default=0.1, log=True)
    return [
        metric,
        euclidean,
        cosine,
        Categorical("training_ways", [5, 10, 20], default=5, ordered=True),
        Categorical("turned_classes", [False, True], default=False),
        EqualsCondition(euclidean, metric, "euclidean"),
        EqualsCondition(cosine, metric, "cosine"),
    ]


def begin(build: Build, configuration: Configuration, seed: int, device: str) -> Training[nn.Module]:
    """A training by Adam before its first iteration."""
    with drawn_from(stream(seed, "weights")):
        model = build(configuration).to(device)
    optimiser = torch.optim.Adam(model.parameters(), float(configuration["learning_rate"]), fused=True)
    streams = {"episodes": stream(seed, "episodes"), "augmentation": stream(seed, "augmentation")}
    return Training(configuration, seed, model, optimiser, streams)


def train(
    training: Training[nn.Module], data: Data, device: str, done: int, fidelity: Fidelity, change: Change
) -> Iterator[Checkpoint]:
    """Go on with ``training`` after ``done`` iterations."""
    x, y = data["train_x"], data["train_y"]
    if training.configuration["turned_classes"]:
        x, y = with_quarter_turns(x, y)
    x, table = x.to(device), members(y)
    for iteration in range(done, fidelity.maximum):
        loss = iterate(training, x, table, iteration / fidelity.maximum, change)
        if (iteration + 1) % fidelity.step == 0:
            require_finite(loss, iteration + 1)
            yield training.checkpoint(iteration + 1)


def iterate(
    training: Training[nn.Module], x: torch.Tensor, table: torch.Tensor, progress: float, change: Change
) -> torch.Tensor:
    """One step on fresh episodes of the images ``x``, whose classes are in ``table``; returns the loss."""
    configuration, streams = training.configuration, training.streams
    ways = int(configuration["training_ways"])
    episodes = draw_episodes(table, CLASSES_PER_ITERATION // ways, ways, SHOTS + TRAIN_QUERIES, streams["episodes"])
    images = change(x[episodes.flatten().to(x.device)], configuration, streams["augmentation"])
    loss = episode_loss(logits(training.model(images).unflatten(0, episodes.shape), configuration))
    descend(training.optimiser, loss, str(configuration["schedule"]), progress)
    return loss.detach()


def held_out_episodes(data: Data, variant: int) -> dict[str, torch.Tensor]:
    """``validation_episodes`` and ``test_episodes`` (600, 5, 6): places of the images of each part in ``data``."""
    return {
        f"{name}_episodes": draw_episodes(
            members(data[f"{name}_y"]),
            HELD_OUT_EPISODES,
            HELD_OUT_WAYS,
            SHOTS + QUERIES,
            stream(variant, f"{name} episodes"),
        )
        for name in ("validation", "test")
    }


@torch.no_grad()
def error_rate(build: Build, data: Data, checkpoint: Checkpoint, split: Split) -> float:
    """Share of the queries of the episodes of ``split`` that the net in ``checkpoint`` puts into a wrong class."""
    model, configuration, device = restored(build, checkpoint.state)
    embedded = model(data[f"{split}_x"].to(device))
    return float(episode_error(logits(embedded[data[f"{split}_episodes"].to(device)], configuration)))


def logits(embedded: torch.Tensor, configuration: Configuration) -> torch.Tensor:
    """``episode_logits`` of ``embedded`` by the metric of ``configuration``."""
    return episode_logits(embedded, SHOTS, str(configuration["metric"]), temperature(configuration))


def temperature(configuration: Configuration) -> float:
    """What similarities are divided by, each metric having its own scale."""
    return float(configuration[f"{configuration['metric']}_temperature"])


def members(labels: torch.Tensor) -> torch.Tensor:
    """(classes, images): the places of the images of each class in ``labels`` (n,), whole numbers from 0.

    Raises ``ValueError`` unless all classes have equally many.
    """
    counts = labels.bincount()
    if counts.min() != counts.max():
        raise ValueError(f"all classes must have equally many images, got {counts.min()} to {counts.max()}")
    return labels.argsort(stable=True).reshape(len(counts), -1)


def with_quarter_turns(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Four times the images (n, channels, side, side) and classes: as they are, and turned by 90, 180, 270 degrees.

    What is turned counts as another class (Snell et al. 2017, section 3.1). Labels are whole numbers from 0.
    """
    classes = int(labels.max()) + 1
    turned = torch.cat([images.rot90(turns, (2, 3)) for turns in range(4)])
    return turned, torch.cat([labels + turns * classes for turns in range(4)])


def draw_episodes(
    members: torch.Tensor, episodes: int, ways: int, images: int, generator: torch.Generator
) -> torch.Tensor:
    """(episodes, ways, images): places of different ``images`` of different classes, out of ``members``."""
    classes, most = members.shape
    if ways > classes or images > most:
        raise ValueError(f"there are {classes} classes of {most} images, but {ways} of {images} are asked for")
    chosen = torch.rand(episodes, classes, generator=generator).argsort(dim=1)[:, :ways]
    places = torch.rand(episodes, ways, most, generator=generator).argsort(dim=2)[:, :, :images]
    return members[chosen].gather(2, places)


def episode_logits(embedded: torch.Tensor, shots: int, metric: str, temperature: float) -> torch.Tensor:
    """(episodes, ways, queries, ways): similarity of each query to each prototype, over ``temperature``.

    embedded: (episodes, ways, shots + queries, features), the shots first. metric: "euclidean", for minus the squared
    distance (Snell et al. 2017, equation 2), or "cosine"; raises ``KeyError`` for any other.
    """
    prototypes = embedded[:, :, :shots].mean(dim=2)
    queries = embedded[:, :, shots:].flatten(1, 2)
    match metric:
        case "euclidean":
            lengths = queries.square().sum(dim=2, keepdim=True) + prototypes.square().sum(dim=2)[:, None]
            similarity = 2 * queries @ prototypes.mT - lengths
        case "cosine":
            similarity = functional.normalize(queries, dim=2) @ functional.normalize(prototypes, dim=2).mT
        case _:
            raise KeyError(f"a metric is 'euclidean' or 'cosine', got {metric!r}")
    episodes, ways = embedded.shape[:2]
    return (similarity / temperature).reshape(episodes, ways, -1, ways)


def episode_loss(logits: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the queries, for ``episode_logits``."""
    return functional.cross_entropy(logits.flatten(0, 2), classes_of(logits).flatten())


def episode_error(logits: torch.Tensor) -> torch.Tensor:
    """Share of the queries that are put into a wrong class, for ``episode_logits``; NaN is wrong."""
    wrong = logits.argmax(dim=3) != classes_of(logits)
    return (wrong | logits.isnan().any(dim=3)).float().mean()


def classes_of(logits: torch.Tensor) -> torch.Tensor:
    """(episodes, ways, queries): the right answers."""
    episodes, ways, queries, _ = logits.shape
    return torch.arange(ways, device=logits.device)[:, None].expand(episodes, ways, queries)
