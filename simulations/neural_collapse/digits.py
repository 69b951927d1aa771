"""Handwritten digits: the real data on which networks are trained to collapse."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.datasets import load_digits

from simulations import validation


class Digits(NamedTuple):
    """Centred images (N, 64) with pixels scaled to a range of 1, and labels (N,), ordered by class."""

    images: Float[np.ndarray, "samples pixels"]
    labels: Int[np.ndarray, " samples"]


def digits(class_sizes: Sequence[int], *, rng: np.random.Generator) -> Digits:
    """Draw images of the digits 0, 1, ... without replacement, so many of each (8 x 8 pixels, from scikit-learn).

    Parameters
    ----------
    class_sizes : sequence of int
        Two to ten sizes >= 1, at most 174.
    rng : numpy.random.Generator
        Chooses the images.

    Raises
    ------
    ValueError
        If there are fewer than two or more than ten sizes, or more images are asked for than there are.
    """
    sizes = [validation.integer("class_sizes", size, minimum=1) for size in class_sizes]
    if not 2 <= len(sizes) <= 10:
        raise ValueError(f"class_sizes must list two to ten digits; got {len(sizes)}")
    images, labels = load_digits(return_X_y=True)
    chosen = []
    for digit, size in enumerate(sizes):
        pool = np.flatnonzero(labels == digit)
        if size > pool.size:
            raise ValueError(f"class_sizes must be at most {pool.size} for the digit {digit}; got {size}")
        chosen.append(rng.permutation(pool)[:size])
    pixels = images[np.concatenate(chosen)] / 16
    return Digits(pixels - pixels.mean(axis=0), np.repeat(np.arange(len(sizes)), sizes))
