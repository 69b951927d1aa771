"""Simplex frames: the most spread out directions that K classes can take."""

import numpy as np
from numpy.typing import NDArray

from theory import validation

Array = NDArray[np.float64]


def simplex_etf(num_classes: int, dim: int | None = None, *, rng: np.random.Generator | None = None) -> Array:
    r"""Simplex equiangular tight frame: K unit vectors whose pairwise cosines are all -1/(K-1).

    .. math:: E = \sqrt{\tfrac{K}{K-1}}\; Q \bigl(I_K - \tfrac1K 1 1^T\bigr) , \qquad
              E^T E = \tfrac{K}{K-1} \bigl(I_K - \tfrac1K 1 1^T\bigr)

    with Q an isometry on the complement of 1. Columns sum to zero and E E^T is K/(K-1) times a projector of rank K-1.
    Among K unit vectors no set has a smaller largest cosine. Costs O(dim K^2).

    Parameters
    ----------
    num_classes : int
        K >= 2.
    dim : int, optional
        Dimension of the space, at least K - 1; K when left out.
    rng : numpy.random.Generator, optional
        Draws Q uniformly; left out, the frame is a fixed one.

    Returns
    -------
    ndarray, shape (dim, K)
        One unit vector a column.

    Raises
    ------
    ValueError
        If ``num_classes`` < 2 or ``dim`` < ``num_classes`` - 1.

    References
    ----------
    Papyan, Han and Donoho (2020), arXiv:2008.08186, definition of the simplex ETF.

    Examples
    --------
    >>> E = simplex_etf(3)
    >>> (E.T @ E).round(12).tolist()
    [[1.0, -0.5, -0.5], [-0.5, 1.0, -0.5], [-0.5, -0.5, 1.0]]
    """
    k = validation.integer("num_classes", num_classes, minimum=2)
    d = k if dim is None else validation.integer("dim", dim, minimum=k - 1)
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator; got {rng!r}")
    # K orthonormal columns exist only for dim >= K; the K-1 that span the complement of 1 always do.
    vertices = np.eye(k) - 1 / k if d >= k else _complement_of_ones(k).T
    vertices *= np.sqrt(k / (k - 1))
    if rng is not None:
        return random_isometry(d, vertices.shape[0], rng) @ vertices
    return np.vstack([vertices, np.zeros((d - vertices.shape[0], k))])


def random_isometry(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Matrix (rows, columns) with orthonormal columns, uniformly distributed; rows >= columns."""
    q, r = np.linalg.qr(rng.standard_normal((rows, columns)))
    return q * np.where(np.diagonal(r) < 0, -1.0, 1.0)


def _complement_of_ones(k: int) -> Array:
    """Orthonormal basis (K, K-1) of the vectors that sum to zero (Helmert's)."""
    j = np.arange(1, k)
    basis = np.triu(np.ones((k, k - 1)))
    basis[j, j - 1] = -j
    return basis / np.sqrt(j * (j + 1))
