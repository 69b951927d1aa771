"""Losses that compare the exponentials of scores, with their risks at an input, minimised and attacked numerically.

A member of the family is told by its exponent tau: the loss is the integral of (1 + v)^(-tau) over v from 0 to u, the
sum of exponentials of the other scores less the label's. Nothing here knows where the least risk lies, nor how small
it can be.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from jax.typing import ArrayLike
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import brentq

from simulations import validation

Array = NDArray[np.float64]

MAX_CLASSES = 64
_GOLDEN = (np.sqrt(5) - 1) / 2
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_SEARCH_STEPS = 42  # of golden section: 1e-9 of the interval, the square of which is rounding
_SWEEPS, _SETTLED = 60, 1e-14


def loss_by_quadrature(scores: ArrayLike, tau: ArrayLike) -> Array:
    """Integrate the loss of every label, over ln(1 + v) by Gauss's rule.

    Parameters
    ----------
    scores : array_like, shape (B, c)
    tau : array_like, shape (B,)
        Exponents, >= 0.

    Returns
    -------
    ndarray, shape (B, c)

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes do not fit.
    """
    h, t = validation.finite("scores", scores, ndim=2), validation.nonnegative("tau", tau, ndim=1)
    if t.shape[0] != h.shape[0]:
        raise ValueError(f"tau must have one entry a row of scores, {h.shape[0]}; got {t.shape[0]}")
    return np.asarray(_integrate(h, t))


@jax.jit
def _integrate(h: JaxArray, tau: JaxArray) -> JaxArray:
    other = 1 - jnp.eye(h.shape[1])
    # u[b, y]: exponentials of the other scores, the label's subtracted
    u = jnp.sum(jnp.exp(h[:, None, :] - h[:, :, None]) * other, axis=-1)
    end = jnp.log1p(u)[..., None]
    x = end * (jnp.asarray(_NODES) + 1) / 2
    return jnp.sum(jnp.exp((1 - tau[:, None, None]) * x) * jnp.asarray(_WEIGHTS), axis=-1) * end[..., 0] / 2


def surrogate_risk(p: ArrayLike, s: ArrayLike, tau: ArrayLike) -> Array:
    """Average the loss over the classes, for softmax probabilities ``s``.

    Parameters
    ----------
    p, s : array_like, shape (B, c)
        Probabilities of the classes, and of the softmax; a zero of ``s`` costs nothing where the class never happens.
    tau : array_like, shape (B,)

    Returns
    -------
    ndarray, shape (B,)

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes do not fit.
    """
    classes, softmax, t = _inputs(p, s, tau)
    return _risks(classes, softmax, t)


def least_risk(p: ArrayLike, tau: ArrayLike, *, floor: float = 0.0) -> Array:
    """Minimise the average loss over all softmax probabilities that are at least ``floor``.

    Mass moves between two classes at a time, to where golden section or an end of the interval is best, until a round
    over all pairs gains nothing. Costs about c^2 / 2 searches a round, and a few rounds.

    Parameters
    ----------
    p : array_like, shape (B, c)
    tau : array_like, shape (B,)
    floor : float
        In [0, 1 / c].

    Returns
    -------
    ndarray, shape (B,)

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes do not fit.
    """
    classes, _, t = _inputs(p, p, tau)
    least = float(validation.nonnegative("floor", floor, ndim=0))
    if least > 1 / classes.shape[1]:
        raise ValueError(f"floor must be at most 1 / c = {1 / classes.shape[1]:g}; got {least:g}")
    return _least_risks(classes, t, least)


def surrogate_regret(p: ArrayLike, s: ArrayLike, tau: ArrayLike) -> Array:
    """Return :func:`surrogate_risk` above :func:`least_risk`, shape (B,)."""
    return surrogate_risk(p, s, tau) - least_risk(p, tau)


def error_regret(p: ArrayLike, s: ArrayLike) -> Array:
    """Return how much likelier the likeliest class is than the one chosen, shape (B,).

    The choice is the largest ``s``, and of equal ones the least likely.

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes differ.
    """
    classes, softmax, _ = _inputs(p, s, np.ones(np.shape(p)[0]))
    chosen = np.where(softmax == softmax.max(axis=1, keepdims=True), classes, np.inf).min(axis=1)
    return classes.max(axis=1) - chosen


def least_regret(
    rng: np.random.Generator, beta: float, tau: float, *, num_classes: int, chains: int, n_steps: int
) -> float:
    """Search for probabilities and scores of an error regret ``beta`` whose surrogate regret is least.

    Class 0 is chosen, class 1 the likeliest by ``beta``. Random search with a step size for each chain. A third of the
    chains starts near two classes alone, a third near equal classes and scores, a third anywhere.

    Parameters
    ----------
    rng : numpy.random.Generator
    beta : float
        In (0, 1).
    tau : float
        Exponent, >= 0.
    num_classes : int
        2 to 64.
    chains, n_steps : int
        At least 1.

    Returns
    -------
    float
        The least of all chains.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if not 0 < beta < 1:
        raise ValueError(f"beta must be strictly between 0 and 1; got {beta!r}")
    t = float(validation.nonnegative("tau", tau, ndim=0))
    c = validation.integer("num_classes", num_classes, minimum=2)
    number = validation.integer("chains", chains, minimum=1)
    steps = validation.integer("n_steps", n_steps, minimum=1)
    starts = rng.standard_normal((number, 2 * (c - 1)))
    starts[::3] += np.concatenate([[0.0], np.full(c - 2, -8.0), [0.0], np.full(c - 2, 8.0)])
    starts[1::3] *= 0.01
    return float(min(_attack(rng, start, beta, t, steps) for start in starts))


TIES = ("two", "all")


def tied_instance(beta: float, *, num_classes: int, ties: str) -> tuple[Array, Array]:
    """Set up scores that are tied, at an error regret ``beta``: (p, s).

    ``"two"``: two classes happen, and share all of the softmax. ``"all"``: all happen, the last one rarer by ``beta``
    than the others, and the softmax is uniform; ``beta`` is at most 1 / (c - 1).

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    c = validation.integer("num_classes", num_classes, minimum=2)
    kind = validation.choice("ties", ties, TIES)
    most = 1.0 if kind == "two" else 1 / (c - 1)
    if not 0 <= beta <= most:
        raise ValueError(f"beta must be in [0, {most:g}]; got {beta!r}")
    if kind == "two":
        two = np.zeros(c)
        two[:2] = (1 + beta) / 2, (1 - beta) / 2
        return two, np.where(np.arange(c) < 2, 0.5, 0.0)
    p = np.full(c, (1 + beta) / c)
    p[-1] = (1 - (c - 1) * beta) / c
    return p, np.full(c, 1 / c)


def largest_error_regret(t: float, tau: float, *, num_classes: int, ties: str) -> float:
    """Raise the error regret of a tied instance until its surrogate regret is ``t``.

    As large as it can be where even that costs less, and zero where ties alone cost more.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    target = float(validation.nonnegative("t", t, ndim=0))
    member = float(validation.nonnegative("tau", tau, ndim=0))
    most = 1.0 if ties == "two" else 1 / (num_classes - 1)

    def excess(beta: float) -> float:
        p, s = tied_instance(beta, num_classes=num_classes, ties=ties)
        return _regret(p, s, member) - target

    if excess(most) <= 0:
        return most
    if excess(0.0) >= 0:
        return 0.0
    return float(brentq(excess, 0.0, most, xtol=1e-15, rtol=1e-13))


def _inputs(p: ArrayLike, s: ArrayLike, tau: ArrayLike) -> tuple[Array, Array, Array]:
    classes, softmax = (np.asarray(validation.nonnegative(n, v, ndim=2)) for n, v in (("p", p), ("s", s)))
    t = np.asarray(validation.nonnegative("tau", tau, ndim=1))
    if classes.shape != softmax.shape or t.shape[0] != classes.shape[0]:
        raise ValueError(
            f"p, s and tau must have shapes (B, c), (B, c), (B,); got {classes.shape}, {softmax.shape}, {t.shape}"
        )
    if not 2 <= classes.shape[1] <= MAX_CLASSES:
        raise ValueError(f"p must have 2 to {MAX_CLASSES} classes; got {classes.shape[1]}")
    for name, law in (("p", classes), ("s", softmax)):
        if np.any(np.abs(law.sum(axis=1) - 1) > 1e-9):
            raise ValueError(f"{name} must sum to 1 in every row; got {law.sum(axis=1)}")
    return classes, softmax, t


@njit(cache=True)
def _loss(s: float, tau: float) -> float:
    if tau == 1.0:
        return -np.log(s)
    return np.expm1((tau - 1) * np.log(s)) / (1 - tau)


@njit(cache=True)
def _cost(p: float, s: float, tau: float) -> float:
    """Contribution of one class to the risk."""
    if p == 0.0:
        return 0.0
    if s <= 0.0:
        return p / (tau - 1) if tau > 1 else np.inf
    return p * _loss(s, tau)


@njit(cache=True)
def _risks(p: Array, s: Array, tau: Array) -> Array:
    found = np.zeros(p.shape[0])
    for b in range(p.shape[0]):
        for y in range(p.shape[1]):
            found[b] += _cost(p[b, y], s[b, y], tau[b])
    return found


@njit(cache=True)
def _split(p: float, q: float, mass: float, tau: float, floor: float, angle: float) -> tuple[float, float, float]:
    """Parts of ``mass`` for two classes at an angle, fine next to either end, and their contribution."""
    free = mass - 2 * floor
    part, rest = floor + free * np.sin(angle) ** 2, floor + free * np.cos(angle) ** 2
    return part, rest, _cost(p, part, tau) + _cost(q, rest, tau)


@njit(cache=True)
def _share(p: float, q: float, mass: float, tau: float, floor: float) -> tuple[float, float, float]:
    """Best parts of ``mass`` for two classes, and their contribution then."""
    best = (floor, mass - floor, _cost(p, floor, tau) + _cost(q, mass - floor, tau))
    end = (mass - floor, floor, _cost(p, mass - floor, tau) + _cost(q, floor, tau))
    if end[2] < best[2]:
        best = end
    low, high = 0.0, np.pi / 2
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = _split(p, q, mass, tau, floor, left), _split(p, q, mass, tau, floor, right)
    for _ in range(_SEARCH_STEPS):
        if at_left[2] < at_right[2]:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = _split(p, q, mass, tau, floor, left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = _split(p, q, mass, tau, floor, right)
    if at_left[2] < best[2]:
        best = at_left
    if at_right[2] < best[2]:
        best = at_right
    return best


@njit(cache=True)
def _least_risk(p: Array, tau: float, floor: float) -> float:
    c = p.size
    s = np.full(c, 1.0 / c)
    total = np.inf
    for _ in range(_SWEEPS):
        previous = total
        for i in range(c):
            for j in range(i):
                mass = s[i] + s[j]
                if mass <= 2 * floor:
                    continue
                before = _cost(p[i], s[i], tau) + _cost(p[j], s[j], tau)
                part, rest, after = _share(p[i], p[j], mass, tau, floor)
                if after < before:
                    s[i], s[j] = part, rest
        total = 0.0
        for y in range(c):
            total += _cost(p[y], s[y], tau)
        if previous - total <= _SETTLED * total:
            break
    return total


@njit(cache=True)
def _least_risks(p: Array, tau: Array, floor: float) -> Array:
    found = np.zeros(p.shape[0])
    for b in range(p.shape[0]):
        found[b] = _least_risk(p[b], tau[b], floor)
    return found


@njit(cache=True)
def _regret(p: Array, s: Array, tau: float) -> float:
    risk = 0.0
    for y in range(p.size):
        risk += _cost(p[y], s[y], tau)
    return risk - _least_risk(p, tau, 0.0)


@njit(cache=True)
def _regret_at(point: Array, beta: float, tau: float) -> float:
    """Surrogate regret of a point of the search; infinite where it breaks the conditions."""
    c = point.size // 2 + 1
    p, s = np.empty(c), np.empty(c)
    for y in range(1, c):
        p[y] = np.exp(point[y - 1])
        s[y] = np.exp(-max(point[c - 2 + y], 0.0))
    p[0], s[0] = p[1], 1.0
    p *= (1 - beta) / p.sum()
    p[1] += beta
    s /= s.sum()
    for y in range(2, c):
        if p[y] > p[1]:
            return np.inf
    return _regret(p, s, tau)


@njit(cache=True)
def _attack(rng: np.random.Generator, start: Array, beta: float, tau: float, n_steps: int) -> float:
    point = start.copy()
    best, size = _regret_at(point, beta, tau), 1.0
    for _ in range(n_steps):
        trial = point.copy()
        if rng.random() < 0.5:
            trial[int(point.size * rng.random())] += size * rng.standard_normal()
        else:
            trial += size * rng.standard_normal(point.size)
        found = _regret_at(trial, beta, tau)
        if found < best:
            point, best, size = trial, found, 1.5 * size
        else:
            size *= 0.9
        if size < 1e-9:
            size = 1.0
    return best
