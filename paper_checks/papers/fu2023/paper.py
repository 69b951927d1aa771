"""The paper to which the modules beside this one attach their claims, and the prompts that they share."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paper_checks.claim import Paper
from paper_checks.problems import frame

PAPER = Paper(
    key="fu2023",
    title="Transformers learn to achieve second-order convergence rates for in-context linear regression",
    authors="Deqing Fu, Tian-Qi Chen, Robin Jia, Vatsal Sharan",
    year=2023,
    arxiv="2310.17086",
    wing="in_context",
)

Start = Literal["gram", "identity"]
STARTS: tuple[Start, Start] = ("gram", "identity")
POWER: dict[Start, int] = {"gram": 2, "identity": 1}


class Prompt(NamedTuple):
    """A noise-free prompt with a prescribed spectrum: inputs, answers, Gram matrix, its eigenbasis, and the task."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    gram: NDArray[np.float64]
    s: NDArray[np.float64]
    basis: NDArray[np.float64]
    task: NDArray[np.float64]


def prompt(rng: np.random.Generator, s: ArrayLike, *, examples: int) -> Prompt:
    """Draw inputs whose Gram matrix has the eigenvalues ``s``, between random orthonormal bases, and a task."""
    spectrum = np.asarray(s, dtype=float)
    basis, task = frame(rng, spectrum.size, spectrum.size), rng.standard_normal(spectrum.size)
    x = (frame(rng, examples, spectrum.size) * np.sqrt(spectrum)) @ basis.T
    return Prompt(x, x @ task, (basis * spectrum) @ basis.T, spectrum, basis, task)
