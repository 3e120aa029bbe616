"""Few labels and many examples without: how the semi-supervised tasks cut their data.

What is handed to a training holds the labels of the labelled part only, so that no training can read the others.
"""

from collections.abc import Mapping

import numpy as np


def few_labels(arrays: Mapping[str, np.ndarray], labels_per_class: int, variant: int = 0) -> dict[str, np.ndarray]:
    """``labelled_x`` and ``labelled_y`` of as many of each class, ``unlabelled_x`` of all, validation and test as is.

    arrays: ``x`` (n, ...) and ``y`` (n,) of ``train``, ``validation`` and ``test``. The labelled examples, drawn at
    random by ``variant`` and in the order of classes, are also among the unlabelled ones (as in Sohn et al. 2020).
    Raises ``ValueError`` where a class has fewer examples.
    """
    x, y = arrays["train_x"], arrays["train_y"]
    random = np.random.RandomState(variant)
    chosen = []
    for label in np.unique(y):
        of_this_class = np.flatnonzero(y == label)
        if len(of_this_class) < labels_per_class:
            raise ValueError(
                f"each class needs {labels_per_class} examples to be labelled, but class {label} has "
                f"{len(of_this_class)}; label fewer"
            )
        chosen.append(random.permutation(of_this_class)[:labels_per_class])
    labelled = np.concatenate(chosen)
    rest = {name: array for name, array in arrays.items() if not name.startswith("train_")}
    return {"labelled_x": x[labelled], "labelled_y": y[labelled], "unlabelled_x": x, **rest}
