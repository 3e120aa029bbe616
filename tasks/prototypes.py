"""Prototypical networks (Snell, Swersky & Zemel 2017, NeurIPS, arXiv:1703.05175), for every few-shot task on images.

An episode has some classes (ways), and of each a few images that are labelled (shots) and some that are not (queries).
A query is put into the class whose prototype, the mean of its embedded shots, is the most similar.
"""

import torch
from torch.nn import functional


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
