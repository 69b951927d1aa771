"""How alike two predictors err: in the population, and on prompts."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, same_shape

Array = NDArray[np.float64]


def error_cosine(residual_a: ArrayLike, residual_b: ArrayLike) -> float:
    r"""Cosine between the errors of two methods on one Gram matrix, over isotropic queries and task vectors.

    A method with residual polynomial r errs by :math:`x_q^T r(S) w_*`, so that

    .. math:: \cos = \frac{\sum_i r_A(s_i)\, r_B(s_i)}{\sqrt{\sum_i r_A(s_i)^2 \sum_i r_B(s_i)^2}} .

    Parameters
    ----------
    residual_a, residual_b : array_like, shape (d,)
        Residuals at all eigenvalues of S, zero eigenvalues among them.

    Returns
    -------
    float
        The cosine.

    Raises
    ------
    ValueError
        If shapes differ or a residual vanishes altogether: a method that makes no error has no direction of error.

    References
    ----------
    Derived; the population form of the statistic of Fu, Chen, Jia and Sharan, arXiv:2310.17086.

    Examples
    --------
    >>> round(error_cosine([1.0, 0.0], [1.0, 1.0]), 6)
    0.707107
    """
    a, b = finite("residual_a", residual_a, ndim=1), finite("residual_b", residual_b, ndim=1)
    same_shape("residual_b", b, "residual_a", a)
    norms = np.linalg.norm(a), np.linalg.norm(b)
    for name, norm in zip(("residual_a", "residual_b"), norms, strict=True):
        if norm == 0:
            raise ValueError(f"{name} must not vanish: without an error there is no direction of error")
    return float((a / norms[0]) @ (b / norms[1]))


def similarity_of_errors(errors_a: ArrayLike, errors_b: ArrayLike) -> float:
    r"""Similarity of errors on prompts: the cosine over the answers of a prompt, averaged over prompts.

    Parameters
    ----------
    errors_a, errors_b : array_like, shape (n_prompts, T)
        Errors of two methods; T are prefix lengths or queries.

    Returns
    -------
    float
        The average cosine. A prompt on which a method makes no error at all counts as 0.

    Raises
    ------
    ValueError
        If shapes differ, or there are no prompts or answers.

    References
    ----------
    Fu, Chen, Jia and Sharan, arXiv:2310.17086, similarity of errors.

    Examples
    --------
    >>> similarity_of_errors([[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [1.0, 0.0]])
    0.5
    """
    a, b = finite("errors_a", errors_a, ndim=2), finite("errors_b", errors_b, ndim=2)
    same_shape("errors_b", b, "errors_a", a)
    if a.size == 0:
        raise ValueError(f"errors_a must hold at least one prompt and one answer; got shape {a.shape}")
    return float(np.mean(np.sum(_unit(a) * _unit(b), axis=1)))


def best_matching_step(errors: ArrayLike, candidates: ArrayLike) -> tuple[int, float]:
    """Find the candidate whose errors are most similar.

    Parameters
    ----------
    errors : array_like, shape (n_prompts, T)
        Errors of the method to be matched.
    candidates : array_like, shape (n_candidates, n_prompts, T)
        Errors of another method after several numbers of steps.

    Returns
    -------
    index : int
        The best candidate, the first among equals.
    similarity : float
        Its similarity of errors.

    Raises
    ------
    ValueError
        If shapes do not match or there are no candidates.

    References
    ----------
    Fu, Chen, Jia and Sharan, arXiv:2310.17086, best-matching hyperparameters.

    Examples
    --------
    >>> best_matching_step([[1.0, 0.0]], [[[1.0, 1.0]], [[2.0, 0.0]]])
    (1, 1.0)
    """
    others = finite("candidates", candidates, ndim=3)
    if not len(others):
        raise ValueError("candidates must hold at least one candidate; got none")
    similarities = [similarity_of_errors(errors, other) for other in others]
    best = int(np.argmax(np.round(similarities, 13)))  # equals differ by rounding
    return best, similarities[best]


def _unit(rows: Array) -> Array:
    largest = np.max(np.abs(rows), axis=1, keepdims=True)
    scaled = rows / np.where(largest > 0, largest, 1.0)
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(norms > 0, norms, 1.0)
