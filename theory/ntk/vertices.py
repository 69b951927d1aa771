r"""What finite width does to the signal of a deep network: four-point vertices, exact moments, and the best depth.

In the notation of `theory.ntk.criticality`. Given the neurons of layer l, those of layer l + 1 are independent
Gaussians of the random variance :math:`\hat K^{l+1} = C_b + \frac{C_W}{n_l} \sum_j \phi(z_j^l)^2`. Its fluctuations
are what connects the neurons of a layer: :math:`E[z_i^2 z_j^2]_c = \mathrm{Var} \hat K^l = V^l / n_{l-1} + O(n^{-2})`
for i != j, and :math:`E[z_i^4]_c = 3 \mathrm{Var} \hat K^l`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.ntk.activations import ActivationLike, resolve
from theory.ntk.criticality import critical_point, moments, small_variance_series
from theory.validation import integer, nonnegative, positive, positive_scalar

Array = NDArray[np.float64]


class Flow(NamedTuple):
    """Variance of preactivations, and four-point vertex, of layers 1 to depth, along the last axis."""

    kernel: Array
    vertex: Array


class Expansion(NamedTuple):
    """Coefficients of the square and of the cube of a small quantity."""

    quadratic: Array
    cubic: Array


class Decay(NamedTuple):
    r"""How a critical signal with K* = 0 fades: :math:`1 / K^l = \text{rate}\, l + \text{log}\, \ln l + O(1)`.

    Differences of two inputs fade as :math:`l^{-\text{parallel}}` in variance, and :math:`l^{-\text{perpendicular}}`
    in angle.
    """

    rate: float
    log: float
    parallel: float
    perpendicular: float


def representation_flow(
    k1: ArrayLike,
    *,
    activation: ActivationLike,
    c_w: float,
    c_b: float,
    depth: int,
    widths: Sequence[int] | None = None,
) -> Flow:
    r"""Variance of the preactivations and their four-point vertex, layer by layer.

    .. math:: K^{l+1} = C_b + C_W \langle \phi^2 \rangle_{K^l} , \qquad
        V^{l+1} = \frac{n_l}{n_{l-1}} \chi_\parallel(K^l)^2 V^l
        + C_W^2 (\langle \phi^4 \rangle_{K^l} - \langle \phi^2 \rangle_{K^l}^2) , \qquad V^1 = 0 .

    The connected correlation :math:`E[z_i^2 z_j^2] - E[z_i^2] E[z_j^2]` of two neurons of layer l is :math:`V^l /
    n_{l-1}` to leading order in 1/n. Costs O(depth) means of O(640) nodes, about 20 microseconds each.

    Parameters
    ----------
    k1 : array_like, shape (...)
        Variance in the first layer, :math:`C_b + C_W |x|^2 / n_0 > 0`.
    activation
        See `theory.ntk.activations.resolve`.
    c_w, c_b : float
        C_W and C_b, at least 0.
    depth : int
        Number of layers, at least 1.
    widths : sequence of int, optional
        :math:`n_1, \dots, n_{\text{depth} - 1}`; equal widths when left out.

    Returns
    -------
    Flow
        Two arrays (..., depth).

    Raises
    ------
    ValueError
        If the variance overflows on the way, or an argument is out of range.

    Notes
    -----
    Roberts, Yaida and Hanin, chapter 4.

    Examples
    --------
    >>> flow = representation_flow(1.0, activation="relu", c_w=2.0, c_b=0.0, depth=4)
    >>> print(flow.kernel, flow.vertex)
    [1. 1. 1. 1.] [ 0.  5. 10. 15.]
    """
    phi = resolve(activation)
    weights, biases = float(nonnegative("c_w", c_w, ndim=0)), float(nonnegative("c_b", c_b, ndim=0))
    layers = integer("depth", depth, minimum=1)
    ratios = _width_ratios(widths, layers)
    k = positive("k1", k1)
    v = np.zeros(k.shape)
    kernel, vertex = np.empty((layers, *k.shape)), np.empty((layers, *k.shape))
    for layer in range(layers):
        if not (np.all(np.isfinite(k)) and np.all(np.isfinite(v))):
            raise ValueError(f"depth must stay where the signal is finite; got {layers}, and overflow at {layer + 1}")
        kernel[layer], vertex[layer] = k, v
        if layer == layers - 1:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            square, slope, fourth = moments(phi, k)
            v = ratios[layer] * (weights * slope) ** 2 * v + weights**2 * (fourth - square**2)
            k = biases + weights * square
    return Flow(np.moveaxis(kernel, 0, -1), np.moveaxis(vertex, 0, -1))


def kernel_moment_ratio(widths: Sequence[int], *, activation: ActivationLike) -> float:
    r"""Ratio :math:`E[\hat K^2] / E[\hat K]^2` behind hidden layers of any finite widths, without biases.

    For a piecewise linear activation :math:`\hat K` is a product of independent factors, one a layer, so that exactly

    .. math:: E[\hat K^2] / E[\hat K]^2 = \prod_j (1 + \nu / n_j) , \qquad \nu = 3 A_4 / A_2^2 - 1 , \qquad
        A_p = (a_+^p + a_-^p) / 2 ,

    whatever C_W. A neuron behind these layers has three times that kurtosis.

    Parameters
    ----------
    widths : sequence of int
        Widths of the hidden layers; none gives 1.
    activation
        A piecewise linear activation.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the activation is not piecewise linear with its kink at zero, or a width below 1.

    Examples
    --------
    >>> round(kernel_moment_ratio([20, 20, 20], activation="relu"), 12)
    1.953125
    """
    phi = resolve(activation)
    if phi.slopes is None:
        raise ValueError(f"activation must be piecewise linear with its kink at 0; got {phi.name!r}")
    sizes = np.array([integer("widths", n, minimum=1) for n in widths], dtype=float)
    return float(np.exp(np.sum(np.log1p(vertex_slope(phi) / sizes))))


def vertex_slope(activation: ActivationLike) -> float:
    r"""Slope :math:`\nu` of :math:`V^l / (n K^2) \approx \nu\, l / n` in deep networks of equal widths at criticality.

    :math:`3 A_4 / A_2^2 - 1` for piecewise linear activations (5 for relu, 2 for linear), 2/3 where K* = 0 (tanh, sin,
    erf). For others, gelu and swish, the slope :math:`C_W^2 (\langle \phi^4 \rangle - \langle \phi^2 \rangle^2) /
    K^{*2}` of a signal that starts at K*.

    Parameters
    ----------
    activation
        As for `critical_point`.

    Returns
    -------
    float

    Examples
    --------
    >>> vertex_slope("relu"), vertex_slope("linear")
    (5.0, 2.0)
    """
    phi = resolve(activation)
    point = critical_point(phi)
    if point.k_star == 0:
        return 2 / 3
    k = 1.0 if np.isnan(point.k_star) else point.k_star
    square, _, fourth = moments(phi, k)
    return float(point.c_w**2 * (fourth - square**2) / k**2)


def critical_decay(activation: ActivationLike) -> Decay:
    r"""How a critical signal with K* = 0 and its perturbations fade with depth, as powers of the layer.

    :math:`1 / K^l = -a_1 l + (a_2 / a_1 - a_1) \ln l + O(1)`, with the coefficients of `small_variance_series`;
    :math:`\prod \chi_\parallel \sim l^{-2}` and :math:`\prod \chi_\perp \sim l^{-b_1 / a_1}`.

    Parameters
    ----------
    activation
        A smooth activation with :math:`\phi(0) = 0` and :math:`a_1 < 0`.

    Returns
    -------
    Decay

    Raises
    ------
    ValueError
        If :math:`a_1 \ge 0`.

    Examples
    --------
    >>> critical_decay("tanh").rate, critical_decay("sin").rate
    (2.0, 1.0)
    """
    series = small_variance_series(activation)
    if series.a1 >= 0:
        raise ValueError(f"activation must have K* = 0, that is a_1 < 0; got a_1 = {series.a1:g}")
    return Decay(-series.a1, series.a2 / series.a1 - series.a1, 2.0, series.b1 / series.a1)


def entropy_expansion(m: ArrayLike) -> Expansion:
    r"""How far the entropy of a scale mixture of Gaussians lies below that of a Gaussian, in nats.

    For :math:`z = \sqrt\kappa g` with g standard normal in m dimensions, :math:`E \kappa = 1` and :math:`\mathrm{Var}
    \kappa = \epsilon`,

    .. math:: S_G - S = \frac{m (m + 2)}{16} \epsilon^2 - \frac{m (m + 2)(m + 8)}{48} \epsilon^3 + O(\epsilon^4) ,

    if the third cumulant of :math:`\kappa` is :math:`O(\epsilon^2)`, on which it does not depend otherwise.

    Parameters
    ----------
    m : array_like, shape (...)
        Number of neurons, at least 0.

    Returns
    -------
    Expansion
        Coefficients of :math:`\epsilon^2` and :math:`\epsilon^3`, of shape (...).

    Examples
    --------
    >>> print(np.round(entropy_expansion([1, 2]), 4))
    [[ 0.1875  0.5   ]
     [-0.5625 -1.6667]]
    """
    n = nonnegative("m", m)
    return Expansion(n * (n + 2) / 16, -n * (n + 2) * (n + 8) / 48)


def information_expansion(m1: ArrayLike, m2: ArrayLike) -> Expansion:
    r"""Mutual information, in nats, between two groups of neurons of one layer.

    With :math:`\epsilon` as for `entropy_expansion`, which is :math:`\nu r` in a network of aspect ratio r = L / n,

    .. math:: I = \frac{m_1 m_2}{8} \epsilon^2 - \frac{m_1 m_2 (3 m_1 + 3 m_2 + 20)}{48} \epsilon^3 + O(\epsilon^4) .

    Parameters
    ----------
    m1, m2 : array_like, broadcastable
        Numbers of neurons in the groups, at least 0.

    Returns
    -------
    Expansion
        Coefficients of :math:`\epsilon^2` and :math:`\epsilon^3`.

    Examples
    --------
    >>> print(np.round(information_expansion(1, [1, 4]), 4))
    [[ 0.125   0.5   ]
     [-0.5417 -2.9167]]
    """
    first, second = nonnegative("m1", m1), nonnegative("m2", m2)
    product = first * second
    return Expansion(product / 8, -product * (3 * (first + second) + 20) / 48)


def optimal_aspect_ratio(n_out: ArrayLike, *, nu: float) -> Array:
    r"""Ratio r = L / n of depth to width that maximises the information between halves of the last layer.

    :math:`r^* = \frac{4}{20 + 3 n_L} \frac1\nu`, the maximum of `information_expansion` cut after the cube, at
    :math:`\epsilon = \nu r` and :math:`m_1 + m_2 = n_L`, however the layer is divided. It lies at an :math:`\epsilon`
    of up to 0.15, where the terms that are cut off are not negligible: an estimate, not the maximum of I itself.

    Parameters
    ----------
    n_out : array_like, shape (...)
        Neurons :math:`n_L` of the last layer, at least 2.
    nu : float
        Slope of the vertex, see `vertex_slope`.

    Returns
    -------
    array, shape (...)

    Notes
    -----
    Roberts, Yaida and Hanin, appendix A.

    Examples
    --------
    >>> print(optimal_aspect_ratio(10, nu=5.0))
    0.016
    """
    n = positive("n_out", n_out)
    if np.any(n < 2):
        raise ValueError(f"n_out must be at least 2; got {np.min(n):g}")
    return 4 / (20 + 3 * n) / positive_scalar("nu", nu)


def _width_ratios(widths: Sequence[int] | None, layers: int) -> Array:
    """Ratios n_l / n_{l-1} for l = 1, ...; the first multiplies a vertex that vanishes, and is 1."""
    if widths is None:
        return np.ones(layers)
    sizes = np.array([integer("widths", n, minimum=1) for n in widths], dtype=float)
    if len(sizes) != layers - 1:
        raise ValueError(f"widths must hold those of layers 1 to depth - 1, {layers - 1} in number; got {len(sizes)}")
    return np.append(1.0, sizes[1:] / sizes[:-1])
