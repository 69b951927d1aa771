"""Bounds by information that a learner keeps of its data, and finite learners whose information is known exactly."""

from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, rel_entr

from theory import validation
from theory.generalization._counts import counts
from theory.generalization._pac_bayes import gibbs_posterior, log_prior, probabilities

Array = NDArray[np.float64]

MAX_DATA_SETS = 2_000_000


def mutual_information_bound(information: ArrayLike, n: ArrayLike, *, sub_gaussian: ArrayLike = 0.5) -> Array:
    r"""Bound on the expected gap, population less training loss, by the information I(W; S).

    .. math:: |E\,\mathrm{gap}| \le \sqrt{2 s^2 I / n}

    Parameters
    ----------
    information : array_like
        I(W; S) >= 0 in nats, possibly infinite.
    n : array_like of int
        Number of examples >= 1.
    sub_gaussian : array_like
        s > 0; 1/2 for losses in [0, 1].

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Xu and Raginsky (2017), theorem 1.

    Examples
    --------
    >>> float(mutual_information_bound(2.0, 100))
    0.1
    """
    return individual_root(information, sub_gaussian, counts("n", n, minimum=1))[()]


def individual_sample_bound(information: ArrayLike, *, sub_gaussian: float = 0.5) -> float:
    r"""Bound on the expected gap by the information on each example.

    .. math:: |E\,\mathrm{gap}| \le \frac1n \sum_i \sqrt{2 s^2 I(W; Z_i)}

    Parameters
    ----------
    information : array_like
        I(W; Z_i) >= 0 in nats, one for each example; or one number, where they are equal.
    sub_gaussian : float
        s > 0.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Bu, Zou and Veeravalli (2020).

    Examples
    --------
    >>> individual_sample_bound([0.02, 0.08, 0.08])
    0.16666666666666666
    """
    roots = individual_root(information, sub_gaussian, np.ones(1, np.int64))
    if roots.size == 0:
        raise ValueError("information must hold at least one value; got none")
    return float(np.mean(roots))


def individual_root(information: ArrayLike, sub_gaussian: ArrayLike, n: NDArray[np.int64]) -> Array:
    """Return sqrt(2 s^2 I / n)."""
    infinite = np.isposinf(np.asarray(information, dtype=float))
    nats = validation.nonnegative("information", np.where(infinite, 0.0, information))
    s = validation.positive("sub_gaussian", sub_gaussian)
    return np.where(infinite, np.inf, s * np.sqrt(2 * nats / n))


def layerwise_kl(joint: ArrayLike, product: ArrayLike, layer_maps: list[ArrayLike]) -> Array:
    r"""Divergence between training and fresh points, layer by layer, in a network of finite alphabets.

    .. math:: D_l = \mathrm{KL}\bigl(P_{T_l(X_i), Y_i, W_{l+1}, \dots, W_L} \,\|\,
              P_{T_l(X), Y, W_{l+1}, \dots, W_L}\bigr)

    with (X_i, Y_i) a training point, (X, Y) a fresh one. Layer l keeps the weights of the layers above it and sums over
    those below, which act on it no more; D_0 = I(Z_i; W) and D_l never rises.

    Parameters
    ----------
    joint, product : array_like, shape (m_1, ..., m_L, n_x, n_y)
        P(W_1, ..., W_L, X_i, Y_i) and P(W_1, ..., W_L) P(X, Y).
    layer_maps : list of array_like of int
        Map l, shape (m_l, size of alphabet l - 1): T_l = map[W_l, T_{l-1}]. Not all of an alphabet need occur.

    Returns
    -------
    ndarray, shape (L + 1,)
        Nats; infinite where a pair in training has no probability outside.

    Raises
    ------
    ValueError
        If shapes disagree, an array is no probability, or a map holds no indices.

    References
    ----------
    He and Goldfeld (2024), arXiv:2404.03176.

    Examples
    --------
    >>> joint = np.array([[[0.5, 0.0]], [[0.0, 0.5]]])  # one layer, whose weight is the training label
    >>> product = np.full((2, 1, 2), 0.25)
    >>> layerwise_kl(joint, product, [np.array([[0], [1]])]).round(4).tolist()
    [0.6931, 0.6931]
    """
    train, fresh = (validation.nonnegative(name, v) for name, v in (("joint", joint), ("product", product)))
    validation.same_shape("product", fresh, "joint", train)
    maps = [np.asarray(m) for m in layer_maps]
    if train.ndim != len(maps) + 2:
        raise ValueError(f"joint must have {len(maps)} axes of weights and two of data; got shape {train.shape}")
    for name, law in (("joint", train), ("product", fresh)):
        if not np.isclose(law.sum(), 1, rtol=0, atol=1e-9):
            raise ValueError(f"{name} must sum to 1; got {law.sum():.12g}")
    found = [_divergence(train, fresh)]
    for index, layer in enumerate(maps):
        expected = (train.shape[0], train.shape[-2])
        if layer.dtype.kind not in "iu" or layer.shape != expected or layer.min() < 0:
            raise ValueError(f"layer_maps[{index}] must hold indices >= 0 in shape {expected}; got shape {layer.shape}")
        known = maps[index + 1].shape[-1] if index + 1 < len(maps) and maps[index + 1].ndim else 0
        chosen = np.eye(max(int(layer.max()) + 1, known))[layer]  # (m_l, old alphabet, new alphabet)
        train, fresh = (np.einsum("w...ty,wts->...sy", law, chosen) for law in (train, fresh))
        found.append(_divergence(train, fresh))
    return np.array(found)


def _divergence(p: Array, q: Array) -> float:
    return float(max(np.sum(rel_entr(p, q)), 0.0))


class GibbsResult(NamedTuple):
    """A Gibbs learner on finite data, exactly.

    Attributes
    ----------
    gap : float
        Expected population less training loss.
    mutual_information, lautum_information : float
        KL(P_{W,S} || P_W P_S) and KL(P_W P_S || P_{W,S}), nats.
    joint : ndarray, shape (|W|, |Z|)
        Law of W and one training point.
    """

    gap: float
    mutual_information: float
    lautum_information: float
    joint: Array


def gibbs_generalization(
    loss: ArrayLike, p_z: ArrayLike, *, n: int, inverse_temperature: float, prior: ArrayLike | None = None
) -> GibbsResult:
    r"""Gap and information of the Gibbs learner on n independent draws from a finite set.

    .. math:: P(w | s) \propto \pi(w) e^{-\gamma L_s(w)}, \qquad
              E\,\mathrm{gap} = \frac{I(W; S) + L(W; S)}{\gamma} \le \frac{2 s^2 \gamma}{n}

    for s-sub-Gaussian losses, L_s the *mean* training loss. Sums over the C(n + |Z| - 1, n) multisets that training
    sets can be; the gap is summed directly and does not use the identity.

    Parameters
    ----------
    loss : array_like, shape (|W|, |Z|)
    p_z : array_like, shape (|Z|,)
        Population law.
    n : int
        Number of training points >= 1.
    inverse_temperature : float
        gamma >= 0.
    prior : array_like, shape (|W|,), optional
        pi, uniform when left out.

    Returns
    -------
    GibbsResult

    Raises
    ------
    ValueError
        If an argument is out of range, shapes disagree, or there are more than two million multisets.

    References
    ----------
    Aminian, Bu, Toni, Rodrigues and Wornell (2021).

    Examples
    --------
    >>> found = gibbs_generalization([[0.0, 1.0], [1.0, 0.0]], [0.5, 0.5], n=1, inverse_temperature=2.0)
    >>> round(found.gap, 9), round((found.mutual_information + found.lautum_information) / 2, 9)
    (0.380797078, 0.380797078)
    """
    loss = validation.finite("loss", loss, ndim=2)
    p_z = probabilities("p_z", p_z)
    if p_z.shape != (loss.shape[1],):
        raise ValueError(f"p_z must have one weight for each of {loss.shape[1]} columns of loss; got {p_z.shape}")
    n = validation.integer("n", n, minimum=1)
    gamma = float(
        validation.nonnegative("inverse_temperature", validation.scalar("inverse_temperature", inverse_temperature))
    )
    prior = np.exp(log_prior(prior, loss.shape[0]))
    times = _multisets(n, p_z.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(times > 0, times * np.log(p_z), 0.0).sum(axis=1)
    weights = np.exp(gammaln(n + 1) - gammaln(times + 1).sum(axis=1) + logs)
    weights /= weights.sum()
    training = times @ loss.T / n  # (sets, |W|)
    posterior = gibbs_posterior(training, inverse_temperature=gamma, prior=prior)
    mean = weights @ posterior
    gap = weights @ np.sum(posterior * (loss @ p_z - training), axis=1)
    return GibbsResult(
        float(gap),
        float(max(weights @ rel_entr(posterior, mean).sum(axis=1), 0.0)),
        float(max(weights @ rel_entr(mean, posterior).sum(axis=1), 0.0)),
        posterior.T @ (weights[:, None] * times / n),
    )


def _multisets(n: int, kinds: int) -> Array:
    """Return all ways to share n draws among ``kinds``, shape (number, kinds)."""
    number = comb(n + kinds - 1, n)
    if number > MAX_DATA_SETS:
        raise ValueError(f"n and p_z must allow at most {MAX_DATA_SETS} multisets; got {number}")
    bars = np.array(list(combinations(range(n + kinds - 1), kinds - 1)), dtype=int).reshape(number, kinds - 1)
    edges = np.concatenate([np.full((number, 1), -1), bars, np.full((number, 1), n + kinds - 1)], axis=1)
    return (np.diff(edges, axis=1) - 1).astype(float)
