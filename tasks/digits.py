"""Handwritten digits of 8 by 8 pixels, for every task that is made of them.

The 1,797 images that scikit-learn ships are the test part of Optical Recognition of Handwritten Digits (Alpaydin &
Kaynak 1998, UCI Machine Learning Repository, doi:10.24432/C50P49): bitmaps of 32 by 32 in which the inked pixels of
each block of 4 by 4 were counted. Thirteen people wrote them; the split does not keep writers apart.
"""

import numpy as np

from suite.task import DataRef

SIDE, LARGEST, CLASSES = 8, 16, 10  # pixels are whole numbers from 0 to LARGEST
TRAIN, VALIDATION, TEST = 897, 400, 500

DATA = DataRef(
    name="digits",
    version="1",
    digest="b705c6d047484f1580d4d7600fdddf07fa3033028860553a4a7dc4c866799a9d",
    licence="CC BY 4.0",
    source="scikit-learn, sklearn.datasets.load_digits()",
    splits=f"by a random permutation: {TRAIN} train, {VALIDATION} validate, {TEST} test",
)


def arrays(variant: int = 0) -> dict[str, np.ndarray]:
    """``x`` (n, 1, 8, 8) float32 of 0, 1, ..., 16 and ``y`` (n,) int64 of ``train``, ``validation`` and ``test``.

    A variant is another permutation of the same images.
    """
    from sklearn.datasets import load_digits  # here, since it is slow to import

    images, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(variant).permutation(len(labels))  # numpy keeps this generator's draws for good
    split = {}
    for name, chosen in zip(("train", "validation", "test"), np.split(order, [TRAIN, TRAIN + VALIDATION]), strict=True):
        split[f"{name}_x"] = images[chosen].reshape(-1, 1, SIDE, SIDE).astype(np.float32)
        split[f"{name}_y"] = labels[chosen].astype(np.int64)
    return split
