"""Global minimum, and all local ones, of squared error with a deep linear head over free features."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.neural_collapse import _checks, modes
from theory.neural_collapse.frames import random_isometry
from theory.neural_collapse.targets import target_modes

Array = NDArray[np.float64]


class Fate(StrEnum):
    """Why a mode is, or is not, part of the global minimum."""

    SURVIVES = "survives"
    THRESHOLD = "relative decay at or above the threshold"
    RANK = "no layer is wide enough"
    NO_TARGET = "nothing to fit"


@dataclass(frozen=True, eq=False, repr=False)
class UFMMinimizer:
    """Global minimum of the unconstrained feature model; see :func:`ufm_mse_minimizer`.

    Modes (the last axis, of length K, where there is one) go by descending target; Gram matrices, logits and bias are
    indexed by class, in the order of ``class_sizes``.

    Attributes
    ----------
    loss : float
        Least value of the objective.
    target_singular_values : ndarray, shape (K,)
        s, singular values of the labels (centred over samples when the bias is free).
    product_singular_values : ndarray, shape (K,)
        sigma, of W_M ... W_1 H; zero where a mode does not survive.
    layer_singular_values : ndarray, shape (M + 1, K)
        Of H, W_1, ..., W_M.
    classifier_gram : ndarray, shape (K, K)
        W W^T of the head's product W = W_M ... W_1.
    feature_gram : ndarray, shape (K, K)
        Inner products of the class means; every sample sits at its class mean.
    logits : ndarray, shape (K, K)
        Column k is the output for class k, bias included.
    bias : ndarray, shape (K,)
        Zero without a bias.
    class_sizes : ndarray of int, shape (K,)
        n_k, as given.
    relative_decays : ndarray, shape (K,)
        b of each mode, to be compared with ``threshold``; infinite for a mode without target.
    threshold : float
        :func:`collapse_threshold` at this depth.
    fates : tuple of Fate
        For every mode, whether it survives, and if not, why.
    """

    loss: float
    target_singular_values: Array
    product_singular_values: Array
    layer_singular_values: Array
    classifier_gram: Array
    feature_gram: Array
    logits: Array
    bias: Array
    class_sizes: NDArray[np.int64]
    relative_decays: Array
    threshold: float
    fates: tuple[Fate, ...]
    _left: Array
    _right: Array
    _widths: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Number M of linear layers above the features."""
        return self.layer_singular_values.shape[0] - 1

    @property
    def rank(self) -> int:
        """Number of modes that survive."""
        return sum(fate is Fate.SURVIVES for fate in self.fates)

    def factors(self, *, rng: np.random.Generator | None = None) -> tuple[Array, tuple[Array, ...]]:
        """One global minimiser: features H (d_1, N), samples by class, and weights (W_1, ..., W_M).

        All others follow by rotating the spaces between the factors; ``rng`` draws such rotations uniformly. Layers
        have the widths given to :func:`ufm_mse_minimizer`, K where none were given.
        """
        kept = self.rank
        frames = [np.eye(d, kept) if rng is None else random_isometry(d, kept, rng) for d in self._widths]
        frames.append(self._left[:, :kept])
        samples = np.repeat(self._right[:, :kept], self.class_sizes, axis=0)  # v_i, a column each
        strengths = self.layer_singular_values[:, :kept]
        features = frames[0] * strengths[0] @ samples.T
        chain = zip(frames[1:], strengths[1:], frames[:-1], strict=True)
        return features, tuple(outgoing * q @ incoming.T for outgoing, q, incoming in chain)

    def __repr__(self) -> str:
        biased = "free bias" if self.bias.any() else "no bias"
        lines = [
            f"UFMMinimizer(loss = {self.loss:.10g}; {len(self.fates)} classes, {self.depth} layer(s), {biased}; "
            f"{self.rank} mode(s) survive)",
            "     target   product   features      head      b/b_c   fate",
        ]
        head = np.prod(self.layer_singular_values[1:], axis=0)
        lines += [
            f"{s:11.5g}{sigma:10.5g}{h:11.5g}{w:10.5g}{b / self.threshold:11.4g}   {fate.value}"
            for s, sigma, h, w, b, fate in zip(
                self.target_singular_values,
                self.product_singular_values,
                self.layer_singular_values[0],
                head,
                self.relative_decays,
                self.fates,
                strict=True,
            )
        ]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class LocalMinima:
    """Values of all local minima; see :func:`ufm_mse_local_minima`.

    Attributes
    ----------
    ranks : ndarray of int, shape (m,)
        Number of nonzero modes at each minimum, ascending; they are always the ones with the largest targets.
    losses : ndarray, shape (m,)
        Objective there.
    """

    ranks: NDArray[np.int64]
    losses: Array


def ufm_mse_minimizer(
    class_sizes: ArrayLike,
    *,
    weight_decays: ArrayLike,
    feature_decay: float,
    dims: Sequence[int] | None = None,
    bias: bool = False,
) -> UFMMinimizer:
    r"""Global minimum of squared error with M linear layers above free features, decay on every factor.

    .. math:: \frac{1}{2N} \lVert W_M \cdots W_1 H + b 1^T - Y \rVert_F^2
              + \sum_m \frac{\lambda_m}{2} \lVert W_m \rVert_F^2 + \frac{\lambda_H}{2} \lVert H \rVert_F^2

    The target, Y or its centred version when b is free, has singular values s_i and left vectors u_i, those of
    diag(n) or of diag(n) - n n^T/N. The R = min(K, d_1, ..., d_M) largest are fitted, each to the sigma_i of
    :func:`mode_singular_value`; a factor of decay lam has the singular value :math:`\sqrt{q_i/\lambda}` with
    :math:`q_i = (\sigma_i^2 \lambda_H \prod_m \lambda_m)^{1/(M+1)}`, neighbouring factors share singular vectors, and
    the free bias is n/N. Balanced classes give an orthogonal frame without bias and a simplex ETF with one; imbalanced
    ones an orthogonal frame whose lengths depend on class size, and lose their small classes first.

    The product and the Gram matrices are unique unless a rank limit cuts through modes of equal target; one
    representative is returned then, whose eigenvalues are those of all. Costs O(K^3 + M K).

    Parameters
    ----------
    class_sizes : array_like of int, shape (K,)
        Samples n_k of each class, K >= 2; N is their sum.
    weight_decays : array_like, shape (M,)
        (lam_1, ..., lam_M) from the feature side to the output side, each positive.
    feature_decay : float
        lam_H > 0.
    dims : sequence of int, optional
        Input widths (d_1, ..., d_M) of the layers, d_1 the dimension of the features. Left out, none limits the rank.
    bias : bool
        Whether the head has a free bias, itself without decay.

    Returns
    -------
    UFMMinimizer

    Raises
    ------
    TypeError
        If class sizes or widths are not integers.
    ValueError
        If an argument is out of range, or ``dims`` and ``weight_decays`` differ in length.

    References
    ----------
    Dang et al. (2023), arXiv:2301.00437; own derivation for free bias and imbalance, compare arXiv:2411.17278. Tirer
    and Bruna (2022), arXiv:2202.08087, take K lam_1 and K n lam_H for the decays of head and features.

    Examples
    --------
    >>> ufm_mse_minimizer([8, 5, 3], weight_decays=[0.1], feature_decay=0.14)
    UFMMinimizer(loss = 0.4689891417; 3 classes, 1 layer(s), no bias; 2 mode(s) survive)
         target   product   features      head      b/b_c   fate
         2.8284   0.93528    0.88908     1.052      0.448   survives
         2.2361   0.34292    0.53835   0.63699     0.7168   survives
         1.7321         0          0         0      1.195   relative decay at or above the threshold
    """
    sizes = _checks.class_sizes("class_sizes", class_sizes)
    lam = _checks.weight_decays("weight_decays", weight_decays)
    lam_h = validation.positive_scalar("feature_decay", feature_decay)
    depth = lam.size
    widths = (sizes.size,) * depth if dims is None else _checks.widths("dims", dims, layers=depth)
    free_bias = _checks.flag("bias", bias)

    n = float(sizes.sum())
    target = target_modes(sizes, free_bias)
    s = target.singular_values
    log_decays = np.log(np.append(lam_h, lam))
    tilt = modes.log_tilt(s, np.log(n), log_decays.mean(), depth)
    strength, gap = modes.surviving_strength(tilt, depth)
    within_rank = np.arange(s.size) < min(widths)
    fates = tuple(_fate(*case) for case in zip(s > 0, strength > 0, within_rank, strict=True))
    strength, gap = np.where(within_rank, strength, 0.0), np.where(within_rank, gap, 1.0)

    sigma = s * strength
    with np.errstate(divide="ignore"):
        log_q = (2 * np.log(sigma) + log_decays.sum()) / (depth + 1)
    frequencies = sizes / n
    bias_vector = frequencies if free_bias else np.zeros(sizes.size)
    return UFMMinimizer(
        loss=float(modes.mode_loss(s, strength, gap, num_samples=n, depth=depth).sum()),
        target_singular_values=s,
        product_singular_values=sigma,
        layer_singular_values=np.exp((log_q - log_decays[:, None]) / 2),
        classifier_gram=target.left * np.exp(depth * log_q - log_decays[1:].sum()) @ target.left.T,
        feature_gram=target.right * np.exp(log_q - log_decays[0]) @ target.right.T,
        logits=target.left * sigma @ target.right.T + bias_vector[:, None],
        bias=bias_vector,
        class_sizes=sizes,
        relative_decays=modes.relative_decay(tilt, depth),
        threshold=float(modes.collapse_threshold(depth)),
        fates=fates,
        _left=target.left,
        _right=target.right,
        _widths=widths,
    )


def ufm_mse_local_minima(
    class_sizes: ArrayLike,
    *,
    weight_decays: ArrayLike,
    feature_decay: float,
    dims: Sequence[int] | None = None,
    bias: bool = False,
) -> LocalMinima:
    r"""Values of all local minima of the objective of :func:`ufm_mse_minimizer`.

    With M >= 2 every mode may be switched off, since zero is a local minimum of its scalar problem at any decay, and
    a mode may be on up to :func:`fold_threshold`. In the space of all factors only nested choices are minima: were a
    mode on and one of larger target off, turning the singular vectors from the one to the other would lower the
    squared error at no cost. So there is one minimal value for each rank r = 0, 1, ..., up to the number of modes
    below the fold that fit into every layer,

    .. math:: f_r = \sum_{i \le r} \varphi_i(\sigma_i) + \sum_{i > r} \frac{s_i^2}{2N} ,

    sigma_i the largest stationary point of the scalar problem phi_i. With M = 1 there is only the global one. Costs
    O(K^3).

    Parameters
    ----------
    class_sizes, weight_decays, feature_decay, dims, bias
        As in :func:`ufm_mse_minimizer`.

    Returns
    -------
    LocalMinima

    Raises
    ------
    TypeError
        If class sizes or widths are not integers.
    ValueError
        If an argument is out of range, or ``dims`` and ``weight_decays`` differ in length.

    References
    ----------
    Own derivation from the scalar problem of Dang et al. (2023), arXiv:2301.00437.

    Examples
    --------
    >>> ufm_mse_local_minima([4, 4, 4], weight_decays=[0.01, 0.01], feature_decay=0.01).losses.round(5)
    array([0.5    , 0.35676, 0.21352, 0.07028])
    """
    best = ufm_mse_minimizer(
        class_sizes, weight_decays=weight_decays, feature_decay=feature_decay, dims=dims, bias=bias
    )
    if best.depth == 1:
        return LocalMinima(ranks=np.array([best.rank]), losses=np.array([best.loss]))
    n = float(best.class_sizes.sum())
    s = best.target_singular_values
    log_decay = np.log(np.append(feature_decay, np.asarray(weight_decays, dtype=float))).mean()
    tilt = modes.log_tilt(s, np.log(n), log_decay, best.depth)
    strength, gap = modes.stationary_strength(tilt, best.depth)
    on = modes.mode_loss(s, strength, gap, num_samples=n, depth=best.depth)
    top = min(int(np.count_nonzero(strength)), *best._widths)
    off = s**2 / (2 * n)
    losses = off.sum() + np.append(0.0, np.cumsum((on - off)[:top]))
    return LocalMinima(ranks=np.arange(top + 1), losses=losses)


def _fate(has_target: bool, below_threshold: bool, within_rank: bool) -> Fate:
    if not has_target:
        return Fate.NO_TARGET
    if not below_threshold:
        return Fate.THRESHOLD
    return Fate.SURVIVES if within_rank else Fate.RANK
