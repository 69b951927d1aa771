"""Whether data can be separated, and by what margin, decided exactly for many instances at a time.

The point of a convex hull nearest to the origin, by an active-set method that ends after finitely many steps: the
origin itself when the data cannot be separated, a multiple of the best separator when they can.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

NOT_SEPARABLE = 1e-6
"""Margins relative to the largest vector below which data count as not separable."""


def attention_separable(tokens: ArrayLike, queries: ArrayLike, optimal: ArrayLike) -> NDArray[np.bool_]:
    r"""Decide, for many instances, whether some W gives every optimal token the highest logit of its input.

    Separability of the vectors :math:`(x_{i,o_i} - x_{it}) \otimes z_i` by a hyperplane through the origin, from their
    Gram matrix. Costs about O(m^3) an instance, m = n (T - 1); instances run in parallel.

    Parameters
    ----------
    tokens : array_like, shape (S, n, T, d)
    queries : array_like, shape (S, n, d)
    optimal : array_like of int, shape (S, n)
        In [0, T).

    Returns
    -------
    ndarray of bool, shape (S,)

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, or an index is out of range.
    """
    x, z = _finite("tokens", tokens, 4), _finite("queries", queries, 3)
    o = np.asarray(optimal)
    S, n, T, d = x.shape
    if z.shape != (S, n, d) or T < 2:
        raise ValueError(f"queries must have shape (S, n, d) for tokens (S, n, T >= 2, d); got {z.shape} and {x.shape}")
    if o.shape != (S, n) or not np.issubdtype(o.dtype, np.integer) or (o < 0).any() or (o >= T).any():
        raise ValueError(f"optimal must hold integers in [0, {T}) of shape {(S, n)}; got shape {o.shape}")
    return _attention_margins(x, z, o.astype(np.int64)) > 0


def linear_margins(signed_features: ArrayLike) -> NDArray[np.float64]:
    r"""Largest :math:`\min_i b_i \cdot w` over unit vectors w for many data sets; 0 where data cannot be separated.

    Parameters
    ----------
    signed_features : array_like, shape (S, n, d)
        Rows b_i = y_i a_i of every data set.

    Returns
    -------
    ndarray, shape (S,)

    Raises
    ------
    ValueError
        If the array is not three-dimensional or an entry is not finite.
    """
    return _linear_margins(_finite("signed_features", signed_features, 3))


@njit(cache=True, parallel=True)
def _attention_margins(x, z, o):
    S, n, T, d = x.shape
    margins = np.empty(S)
    for s in prange(S):
        m = n * (T - 1)
        leads = np.empty((m, d))
        owner = np.empty(m, np.int64)
        row = 0
        for i in range(n):
            for t in range(T):
                if t != o[s, i]:
                    for k in range(d):
                        leads[row, k] = x[s, i, o[s, i], k] - x[s, i, t, k]
                    owner[row] = i
                    row += 1
        gram = np.empty((m, m))
        for a in range(m):
            for b in range(a + 1):
                lead, query = 0.0, 0.0
                for k in range(d):
                    lead += leads[a, k] * leads[b, k]
                    query += z[s, owner[a], k] * z[s, owner[b], k]
                gram[a, b] = lead * query
                gram[b, a] = gram[a, b]
        margins[s] = margin_from_gram(gram)
    return margins


@njit(cache=True, parallel=True)
def _linear_margins(b):
    S = b.shape[0]
    margins = np.empty(S)
    for s in prange(S):
        margins[s] = margin_of_rows(b[s])
    return margins


@njit(cache=True)
def margin_of_rows(b):
    """Return the hard margin of the rows of b, or 0 when they cannot be separated."""
    n, d = b.shape
    gram = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            total = 0.0
            for k in range(d):
                total += b[i, k] * b[j, k]
            gram[i, j] = total
            gram[j, i] = total
    return margin_from_gram(gram)


@njit(cache=True)
def margin_from_gram(gram):
    """Return the hard margin of vectors with this Gram matrix, or 0 when they cannot be separated."""
    m = gram.shape[0]
    unit = 0.0
    for i in range(m):
        unit = max(unit, gram[i, i])
    if unit == 0.0:
        return 0.0
    weights = _nonnegative_least_squares(gram / unit + 1.0)
    total = weights.sum()
    length = 0.0
    lowest = np.inf
    for i in range(m):
        inner = 0.0
        for j in range(m):
            inner += gram[i, j] / unit * weights[j]
        length += weights[i] * inner / total
        lowest = min(lowest, inner)
    if length <= 0.0 or lowest <= 0.0:
        return 0.0
    # lowest / |sum_j weights_j b_j| is the separator's margin
    margin = lowest / np.sqrt(length * total)
    return np.sqrt(unit) * margin if margin > NOT_SEPARABLE else 0.0


@njit(cache=True)
def _nonnegative_least_squares(normal):
    """Minimise u.normal.u / 2 - sum(u) over u >= 0 (Lawson and Hanson's active set, from the normal equations)."""
    m = normal.shape[0]
    u = np.zeros(m)
    passive = np.zeros(m, np.bool_)
    barred = np.zeros(m, np.bool_)
    for _ in range(10 * m + 10):
        entering, steepest = -1, 1e-13
        for j in range(m):
            if not passive[j] and not barred[j]:
                slope = 1.0
                for k in range(m):
                    slope -= normal[j, k] * u[k]
                if slope > steepest:
                    entering, steepest = j, slope
        if entering < 0:
            break
        passive[entering] = True
        while True:
            members = np.nonzero(passive)[0]
            solution, independent = _solve_ones(normal, members)
            if not independent:
                # up to rounding, the last one in is a combination of the others
                passive[entering] = False
                barred[entering] = True
                break
            fraction, leaving = 1.0, -1
            for a in range(len(members)):
                member = int(members[a])
                if solution[a] <= 0.0:
                    reach = u[member] / (u[member] - solution[a]) if u[member] > 0.0 else 0.0
                    if reach < fraction:
                        fraction, leaving = reach, member
            for a in range(len(members)):
                u[members[a]] += fraction * (solution[a] - u[members[a]])
            if leaving < 0:
                barred[:] = False
                break
            u[leaving] = 0.0
            passive[leaving] = False
    return u


@njit(cache=True)
def _solve_ones(normal, members):
    """Solve normal[members, members] x = 1 by Cholesky, and tell whether the matrix had full rank."""
    p = len(members)
    root = np.zeros((p, p))
    x = np.ones(p)
    for a in range(p):
        for b in range(a + 1):
            value = normal[members[a], members[b]]
            for k in range(b):
                value -= root[a, k] * root[b, k]
            if a == b:
                if value <= 1e-13 * normal[members[a], members[a]]:
                    return x, False
                root[a, a] = np.sqrt(value)
            else:
                root[a, b] = value / root[b, b]
    for a in range(p):
        for k in range(a):
            x[a] -= root[a, k] * x[k]
        x[a] /= root[a, a]
    for a in range(p - 1, -1, -1):
        for k in range(a + 1, p):
            x[a] -= root[k, a] * x[k]
        x[a] /= root[a, a]
    return x, True


def _finite(name: str, value: ArrayLike, ndim: int) -> NDArray[np.float64]:
    array = np.ascontiguousarray(value, dtype=np.float64)
    if array.ndim != ndim or not array.size:
        raise ValueError(f"{name} must have {ndim} dimensions and no empty axis; got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    return array
