r"""Attention weights as a support vector machine over tokens.

One layer of softmax attention, :math:`f_i(W) = \sum_t \gamma_{it}\, \mathrm{softmax}(X_i W z_i)_t`, separates in every
input one token from the others. Written with the features :math:`F_{it} = (x_{i,o_i} - x_{it}) z_i^\top`, the margin
of token t of input i is <F_it, W>, and training for long picks the W of least norm whose margins all reach 1.
"""

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.optimization._max_margin import SUPPORT_TOLERANCE, InfeasibleError, infeasible, minimum_norm
from theory.optimization._tokens import check_groups, check_indices, check_inputs, check_scores, features_of
from theory.optimization.attention_asymptotics import margin_offsets
from theory.optimization.attention_feasibility import feasible_attention_weights, separability_probability

Array = NDArray[np.float64]

__all__ = [
    "AttentionSVM",
    "InfeasibleError",
    "attention_svm_features",
    "direction_cosine",
    "feasible_attention_weights",
    "locally_optimal",
    "locally_optimal_selections",
    "margin_offsets",
    "separability_probability",
    "solve_attention_svm",
    "solve_generalized_attention_svm",
]


@dataclass(frozen=True, eq=False)
class AttentionSVM:
    r"""The attention matrix of least norm whose margins all reach 1, with what certifies it.

    Attributes
    ----------
    W
        The minimiser, shape (d, d), in units of 1 / (token times query).
    value
        Its norm: Frobenius or nuclear.
    margins
        <F_s, W>, shape (m,), all at least 1 up to rounding.
    duals
        Multipliers lambda_s >= 0, shape (m,). Frobenius: :math:`W = \sum_s \lambda_s F_s`. Nuclear:
        :math:`\sum_s \lambda_s F_s` is a subgradient of the nuclear norm at W. With tokens that are tied (see
        :func:`solve_generalized_attention_svm`), F_s stands for its part orthogonal to the ties.
    support
        Which margins are 1 (to within 1e-6), shape (m,), bool.
    pairs
        (input i, token t) of each margin, shape (m, 2).
    gap
        Relative distance between W's norm (scaled to be feasible) and the lower bound that ``duals`` prove.
    kkt_residual
        Largest violation of stationarity, feasibility and complementarity, relative.
    """

    W: Array
    value: float
    margins: Array
    duals: Array
    support: NDArray[np.bool_]
    pairs: NDArray[np.int_]
    gap: float
    kkt_residual: float

    def __getitem__(self, name: str) -> Any:
        """Return the field called ``name``, as the attribute does."""
        if name not in self.__dataclass_fields__:
            raise KeyError(f"no field {name!r}; fields are {', '.join(self.__dataclass_fields__)}")
        return getattr(self, name)


def attention_svm_features(tokens: ArrayLike, queries: ArrayLike, optimal: ArrayLike) -> tuple[Array, NDArray[np.int_]]:
    r"""Features :math:`F_{it} = (x_{i,o_i} - x_{it}) z_i^\top` of every token t other than the optimal one.

    Costs O(n T d^2).

    Parameters
    ----------
    tokens : array_like, shape (n, T, d)
        Tokens x_it, T >= 2.
    queries : array_like, shape (n, d)
        Queries z_i.
    optimal : array_like of int, shape (n,)
        Index o_i of the token to select in each input, in [0, T).

    Returns
    -------
    features : ndarray, shape (n (T - 1), d, d)
    pairs : ndarray of int, shape (n (T - 1), 2)
        The (i, t) of each feature, sorted.

    Raises
    ------
    ValueError
        If shapes disagree, T < 2, an index is out of range, or an entry is not finite.

    References
    ----------
    Tarzanagh, Li, Thrampoulidis, Oymak (2023), arXiv:2308.16898.

    Examples
    --------
    >>> features, pairs = attention_svm_features([[[1.0, 0.0], [0.0, 1.0]]], [[1.0, 2.0]], [0])
    >>> features[0].tolist(), pairs.tolist()
    ([[1.0, 2.0], [-1.0, -2.0]], [[0, 1]])
    """
    x, z = check_inputs(tokens, queries)
    o = check_indices("optimal", optimal, x)
    return features_of(x, z, o)


def solve_attention_svm(
    tokens: ArrayLike, queries: ArrayLike, optimal: ArrayLike, *, norm: str = "fro"
) -> AttentionSVM:
    r"""Attention matrix of least norm that gives every optimal token margin 1 over every other token of its input.

    .. math:: \min_W \|W\| \quad\text{s.t.}\quad (x_{i,o_i} - x_{it})^\top W z_i \ge 1 \quad (t \ne o_i)

    The Frobenius norm is the bias of training W itself, the nuclear norm that of training factors W = K Q^T with d
    columns. The Frobenius problem is solved as least-distance programming by an active set, whose linear equations give
    the answer to a few roundings; the nuclear one by Clarabel through cvxpy, to some 1e-11 in value and 1e-7 in
    position. The answer's duality gap and KKT residual are computed from the features, whatever the solver said, and
    above 1e-6 raise. Costs O(m^2 d^2) and O(m^2) to O(m^3) a change of the active set (Frobenius) or O(d^6) an
    interior-point step (nuclear), m = n (T - 1).

    Parameters
    ----------
    tokens : array_like, shape (n, T, d)
    queries : array_like, shape (n, d)
    optimal : array_like of int, shape (n,)
        Token to select in each input.
    norm : {"fro", "nuc"}

    Returns
    -------
    AttentionSVM

    Raises
    ------
    InfeasibleError
        A ValueError: no W reaches these margins; carries the convex combination of features that proves it.
    RuntimeError
        If neither an answer nor its absence could be certified, which happens only next to infeasibility.
    ValueError
        If shapes disagree or ``norm`` is unknown.

    References
    ----------
    Tarzanagh, Li, Thrampoulidis, Oymak (2023), arXiv:2308.16898, problems (Att-SVM) and (Att-SVM*).

    Examples
    --------
    >>> svm = solve_attention_svm([[[2.0, 0.0], [0.0, 0.0]]], [[0.0, 1.0]], [0])
    >>> svm.W.round(12).tolist(), round(svm["value"], 12)
    ([[0.0, 0.5], [0.0, 0.0]], 0.5)
    """
    if norm not in ("fro", "nuc"):
        raise ValueError(f"norm must be 'fro' or 'nuc'; got {norm!r}")
    features, pairs = attention_svm_features(tokens, queries, optimal)
    return _solve(features, pairs, norm)


def solve_generalized_attention_svm(tokens: ArrayLike, queries: ArrayLike, relevant: list[list[int]]) -> AttentionSVM:
    r"""Least Frobenius norm at which the relevant tokens of every input tie and beat all others by margin 1.

    .. math:: (x_{it} - x_{is})^\top W z_i = 0 \ \ (t, s \in O_i), \qquad
              (x_{it} - x_{is})^\top W z_i \ge 1 \ \ (t \in O_i,\ s \notin O_i)

    The direction in which W diverges when the best output mixes the tokens O_i of input i. Inputs whose tokens are
    all relevant constrain W by ties only. Margins are taken from the first relevant token of each input, which the
    ties make the margin of each of them. Costs as :func:`solve_attention_svm`.

    Parameters
    ----------
    tokens : array_like, shape (n, T, d)
    queries : array_like, shape (n, d)
    relevant : list of n lists of int
        Distinct token indices O_i, at least one each; some input must leave a token out.

    Returns
    -------
    AttentionSVM
        ``duals`` multiply features projected on the matrices that keep the ties.

    Raises
    ------
    InfeasibleError
        A ValueError: no W keeps the ties and reaches the margins.
    ValueError
        If shapes or indices are wrong.

    References
    ----------
    Tarzanagh, Li, Thrampoulidis, Oymak (2023), arXiv:2308.16898, problem (Gen-SVM).
    """
    x, z = check_inputs(tokens, queries)
    groups = check_groups(relevant, x)
    first = np.array([group[0] for group in groups])
    features, pairs = features_of(x, z, first)
    tied = np.array([t in groups[i] for i, t in pairs])
    if tied.all():
        raise ValueError("relevant must leave out a token of some input; all of them are relevant")
    projected = _remove_span(features[~tied], features[tied])
    if (np.linalg.norm(projected, axis=(1, 2)) <= 1e-12 * np.linalg.norm(features[~tied], axis=(1, 2))).any():
        raise infeasible(projected)
    return _solve(projected, pairs[~tied], "fro")


def locally_optimal(tokens: ArrayLike, queries: ArrayLike, scores: ArrayLike, selected: ArrayLike) -> bool:
    r"""Whether gradient descent can converge to the SVM of these selected tokens.

    They are locally optimal when each scores strictly above every support token of its input,
    :math:`\gamma_{i\alpha_i} > \gamma_{it}` for all (i, t) with margin 1 in the Frobenius SVM of :math:`\alpha`.

    Parameters
    ----------
    tokens : array_like, shape (n, T, d)
    queries : array_like, shape (n, d)
    scores : array_like, shape (n, T)
        gamma_it = Y_i v.x_it, or any given scores.
    selected : array_like of int, shape (n,)
        alpha_i, one token per input.

    Returns
    -------
    bool

    Raises
    ------
    InfeasibleError
        A ValueError: no W selects these tokens.
    ValueError
        If shapes disagree.

    References
    ----------
    Tarzanagh, Li, Thrampoulidis, Oymak (2023), arXiv:2308.16898, definition of locally-optimal tokens.
    """
    x, z = check_inputs(tokens, queries)
    gamma = check_scores(scores, x)
    alpha = check_indices("selected", selected, x)
    return _beats_support(gamma, alpha, solve_attention_svm(x, z, alpha))


def locally_optimal_selections(
    tokens: ArrayLike, queries: ArrayLike, scores: ArrayLike
) -> list[tuple[NDArray[np.int_], AttentionSVM]]:
    r"""Every selection that gradient descent can converge to, with its Frobenius SVM.

    Tries all T^n selections and keeps those that are feasible and locally optimal: the candidate directions among
    which a run must be closest to its own. Costs T^n SVMs.

    Parameters
    ----------
    tokens : array_like, shape (n, T, d)
    queries : array_like, shape (n, d)
    scores : array_like, shape (n, T)

    Returns
    -------
    list of (selected, AttentionSVM)
        In lexicographic order of ``selected``, shape (n,).

    Raises
    ------
    ValueError
        If shapes disagree, or T^n exceeds 4096.
    """
    x, z = check_inputs(tokens, queries)
    gamma = check_scores(scores, x)
    n, T, _ = x.shape
    if T**n > 4096:
        raise ValueError(f"tokens must leave at most 4096 selections T^n; got {T}^{n}")
    found = []
    for alpha in np.ndindex(*(T,) * n):
        selected = np.array(alpha)
        try:
            svm = solve_attention_svm(x, z, selected)
        except InfeasibleError:
            continue
        if _beats_support(gamma, selected, svm):
            found.append((selected, svm))
    return found


def direction_cosine(a: ArrayLike, b: ArrayLike) -> float:
    r"""Cosine of the angle between two arrays as vectors, :math:`\langle a, b\rangle / (\|a\| \|b\|)`.

    Parameters
    ----------
    a, b : array_like
        Real arrays of the same shape, neither zero.

    Returns
    -------
    float
        In [-1, 1].

    Raises
    ------
    ValueError
        If the shapes differ or an array is zero.

    Examples
    --------
    >>> direction_cosine([1.0, 0.0], [3.0, 4.0])
    0.6
    """
    u, v = validation.finite("a", a), validation.finite("b", b)
    validation.same_shape("b", v, "a", u)
    for name, array in (("a", u), ("b", v)):
        if not array.any():
            raise ValueError(f"{name} must not be zero: a zero array has no direction")
    u, v = u / np.abs(u).max(), v / np.abs(v).max()
    return float(np.clip(np.vdot(u, v) / (np.linalg.norm(u) * np.linalg.norm(v)), -1, 1))


def _solve(features: Array, pairs: NDArray[np.int_], norm: str) -> AttentionSVM:
    found = minimum_norm(features, cast(Literal["fro", "nuc"], norm))
    return AttentionSVM(
        W=found.W,
        value=found.value,
        margins=found.margins,
        duals=found.duals,
        support=found.margins <= 1 + SUPPORT_TOLERANCE,
        pairs=pairs,
        gap=found.gap,
        kkt_residual=found.kkt_residual,
    )


def _remove_span(features: Array, ties: Array) -> Array:
    """Project features on the matrices that are orthogonal to every tie."""
    if not len(ties):
        return features
    basis, sizes, _ = np.linalg.svd(ties.reshape(len(ties), -1).T, full_matrices=False)
    basis = basis[:, sizes > 1e-12 * sizes[0]]
    flat = features.reshape(len(features), -1)
    return (flat - (flat @ basis) @ basis.T).reshape(features.shape)


def _beats_support(gamma: Array, alpha: NDArray[np.int_], svm: AttentionSVM) -> bool:
    i, t = svm.pairs[svm.support].T
    return bool((gamma[i, alpha[i]] > gamma[i, t]).all())
