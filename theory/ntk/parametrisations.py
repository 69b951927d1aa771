r"""Abc parametrisations: which powers of the width stand where, and what wide networks then learn.

Weights are :math:`W^l = n^{-a_l} w^l`, entries of :math:`w^l` start as :math:`N(0, n^{-2 b_l})`, and SGD moves
:math:`w^l` at the learning rate :math:`\eta n^{-c}`, for l = 1, ..., L + 1 of which L are hidden; no biases, inputs
and outputs of fixed dimension. Exponents are compared exactly: integers and fractions as they are, floats to 1e-9.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from numbers import Rational, Real
from typing import Any, NamedTuple

from theory.validation import integer, scalar

Number = float | Fraction

CLOSE = Fraction(1, 10**9)  # floats that differ by less are meant to be equal
HALF = Fraction(1, 2)


class Parametrisation(NamedTuple):
    """Exponents a and b of the layers 1, ..., L + 1, and c of the learning rate."""

    a: tuple[Number, ...]
    b: tuple[Number, ...]
    c: Number


class ABC(NamedTuple):
    """What a parametrisation does when the width grows.

    ``feature_exponent`` and ``output_exponent`` are those of the changes of the last hidden layer and of the output,
    n to that power. ``layer_r`` holds r of every hidden layer, as if it were the last.
    """

    r: Number
    stable: bool
    nontrivial: bool
    regime: str
    feature_exponent: Number
    output_exponent: Number
    layer_r: tuple[Number, ...]


def abc_exponents(a: Sequence[Any], b: Sequence[Any], c: Any) -> ABC:
    r"""Exponents of learning in an abc parametrisation, and its regime.

    After any number of steps of SGD, from the first on, coordinates of the last hidden layer have moved by
    :math:`n^{-r}` and the output by :math:`n^{1 - \min(a_{L+1} + b_{L+1} + r,\, 2 a_{L+1} + c)}`, with

    .. math:: r = \min(a_{L+1} + b_{L+1},\, 2 a_{L+1} + c) + c - 1 + \min_{1 \le l \le L} (2 a_l + 1_{l = 1}) .

    The minimum over layers up to k gives the r of layer k, so that the fastest layer below drives all above it.

    *Stable*: nothing grows with n, and activations do not vanish at the start; exactly when :math:`a_1 + b_1 = 0`,
    :math:`a_l + b_l = 1/2` for 1 < l <= L, :math:`a_{L+1} + b_{L+1} \ge 1/2`, :math:`r \ge 0`,
    :math:`2 a_{L+1} + c \ge 1` and :math:`a_{L+1} + b_{L+1} + r \ge 1`. *Nontrivial*: stable, and the output moves at
    order one, one of the last two being an equality. Then features move for r = 0, and the network is a kernel machine
    for r > 0. Those of an unstable parametrisation say that something grows, not how fast.

    Parameters
    ----------
    a, b : sequences of numbers, length L + 1
        Exponents of multipliers and of initial standard deviations, from the first layer on; L >= 1.
    c : number
        Exponent of the learning rate.

    Returns
    -------
    ABC
        Regime ``"feature"``, ``"kernel"``, ``"trivial"`` (stable, but nothing is learned) or ``"unstable"``. Exponents
        are fractions where all arguments are integers or fractions, floats otherwise.

    Raises
    ------
    ValueError
        If lengths differ, are below 2, or an exponent is not finite.
    TypeError
        If an exponent is no real number.

    References
    ----------
    Yang and Hu (2021), section 3: stability, nontriviality and the dynamical dichotomy.

    Examples
    --------
    >>> abc_exponents([0, 0, 0], [0, 0.5, 0.5], 1)[:4]  # the standard parametrisation, learning rate over width
    (0.5, True, True, 'kernel')
    """
    p = _fractions(a, b, c)
    slack = Fraction(0) if p.exact else CLOSE
    last, readout = p.a[-1] + p.b[-1], 2 * p.a[-1] + p.c
    signal = min(last, readout) + p.c - 1  # of the gradient in the last hidden layer, and the learning rate
    moves = [2 * exponent + (layer == 0) for layer, exponent in enumerate(p.a[:-1])]
    layer_r = tuple(signal + min(moves[: layer + 1]) for layer in range(len(moves)))
    r = layer_r[-1]
    output = min(last + r, readout)
    hidden = zip(p.a[1:-1], p.b[1:-1], strict=True)
    stable = (
        abs(p.a[0] + p.b[0]) <= slack
        and all(abs(a_l + b_l - HALF) <= slack for a_l, b_l in hidden)
        and min(last - HALF, r, output - 1) >= -slack
    )
    nontrivial = stable and output - 1 <= slack
    if not stable:
        regime = "unstable"
    elif not nontrivial:
        regime = "trivial"
    else:
        regime = "feature" if r <= slack else "kernel"
    plain: Callable[[Fraction], Number] = (lambda value: value) if p.exact else _plain
    layers = tuple(map(plain, layer_r))
    return ABC(plain(r), stable, nontrivial, regime, plain(-r), plain(1 - output), layers)


def abc_shift(a: Sequence[Any], b: Sequence[Any], c: Any, *, theta: Any) -> Parametrisation:
    r"""Parametrisation that does the same: :math:`a_l + \theta`, :math:`b_l - \theta`, :math:`c - 2 \theta`.

    Multipliers n^-theta, starting weights n^theta and a learning rate n^(2 theta) larger cancel in every step, at any
    width: from the same draws outputs and activations follow the same path.

    Parameters
    ----------
    a, b, c
        As for `abc_exponents`.
    theta : number
        Any real one.

    Returns
    -------
    Parametrisation

    Raises
    ------
    ValueError, TypeError
        As `abc_exponents`, and if theta is no finite real number.

    References
    ----------
    Yang and Hu (2021), section 3: the redundancy of abc parametrisations.

    Examples
    --------
    >>> abc_shift([0, 1], [0, 0], -1, theta=-0.5) == abc_preset("mup", n_hidden=1)
    True
    """
    p = _fractions(a, b, c)
    shift, exact = _fraction("theta", theta)
    plain: Callable[[Fraction], Number] = (lambda value: value) if p.exact and exact else _plain
    moved = tuple(plain(value + shift) for value in p.a), tuple(plain(value - shift) for value in p.b)
    return Parametrisation(*moved, plain(p.c - 2 * shift))


def abc_preset(name: str, *, n_hidden: int) -> Parametrisation:
    """Exponents of a parametrisation by its name.

    ========================  ================  ==============  ===  ===========================
    name                      a                 b               c    regime
    ========================  ================  ==============  ===  ===========================
    ``"sp"``, standard        0 ... 0           0, 1/2 ... 1/2  0    unstable
    ``"sp_lr_over_width"``    0 ... 0           0, 1/2 ... 1/2  1    kernel
    ``"ntp"``, tangent        0, 1/2 ... 1/2    0 ... 0         0    kernel
    ``"mfp"``, mean field     0, 1              0, 0            -1   feature, one hidden layer
    ``"mup"``, maximal update -1/2, 0 ..., 1/2  1/2 ... 1/2     0    feature
    ========================  ================  ==============  ===  ===========================

    Parameters
    ----------
    name : str
        One of the above.
    n_hidden : int
        Hidden layers L >= 1; "mfp" has one.

    Returns
    -------
    Parametrisation
        Floats.

    Raises
    ------
    ValueError
        If the name is unknown, or there are fewer than one hidden layer, or more than one with "mfp".
    """
    depth = integer("n_hidden", n_hidden, minimum=1)
    zeros, halves = (0.0,) * depth, (0.5,) * depth
    known = {
        "sp": Parametrisation((0.0, *zeros), (0.0, *halves), 0.0),
        "sp_lr_over_width": Parametrisation((0.0, *zeros), (0.0, *halves), 1.0),
        "ntp": Parametrisation((0.0, *halves), (0.0, *zeros), 0.0),
        "mfp": Parametrisation((0.0, 1.0), (0.0, 0.0), -1.0),
        "mup": Parametrisation((-0.5, *zeros[1:], 0.5), (0.5, *halves), 0.0),
    }
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(map(repr, known))}; got {name!r}")
    if name == "mfp" and depth > 1:
        raise ValueError(f"n_hidden must be 1 for 'mfp'; got {depth}")
    return known[name]


class _Exponents(NamedTuple):
    """Exponents in fractions, and whether all of them were given exactly."""

    a: tuple[Fraction, ...]
    b: tuple[Fraction, ...]
    c: Fraction
    exact: bool


def _fractions(a: Sequence[Any], b: Sequence[Any], c: Any) -> _Exponents:
    layers = []
    for name, values in (("a", a), ("b", b)):
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise TypeError(f"{name} must be a sequence of numbers; got {values!r}")
        layers.append([_fraction(f"{name}[{i}]", value) for i, value in enumerate(values)])
    if len(layers[0]) != len(layers[1]) or len(layers[0]) < 2:
        lengths = f"{len(layers[0])} and {len(layers[1])}"
        raise ValueError(f"a and b must have the same length, hidden layers plus one and at least 2; got {lengths}")
    rate, exact = _fraction("c", c)
    exact = exact and all(is_exact for layer in layers for _, is_exact in layer)
    multipliers, deviations = (tuple(value for value, _ in layer) for layer in layers)
    return _Exponents(multipliers, deviations, rate, exact)


def _fraction(name: str, value: Any) -> tuple[Fraction, bool]:
    if isinstance(value, Rational) and not isinstance(value, bool):
        return Fraction(int(value.numerator), int(value.denominator)), True
    if isinstance(value, bool | str) or not (isinstance(value, Real) or hasattr(value, "__array__")):
        raise TypeError(f"{name} must be a real number; got {value!r}")
    return Fraction(scalar(name, value)), False


def _plain(value: Fraction) -> float:
    """Turn back into a float a sum that is a short decimal or fraction up to the rounding of its terms."""
    simple = value.limit_denominator(10**6)
    return float(simple if abs(simple - value) < Fraction(1, 10**13) else value)
