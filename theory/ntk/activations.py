"""Activation functions by name: their values, their derivatives, and what makes some of them special."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from theory.validation import finite, scalar

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Activation:
    """An activation function.

    Pass one to any solver of this wing to give an activation of your own together with its derivative.

    Attributes
    ----------
    value : callable
        phi, elementwise on float64 arrays.
    derivative : callable or None
        phi'; None where it is not known in closed form. Kernels do not need it.
    name : str
        How messages call it, and for the names below what selects a closed form.
    slopes : (float, float) or None
        Slopes on the negative and on the positive side of a piecewise linear function with its kink at zero.
    """

    value: Function
    derivative: Function | None = None
    name: str = "custom"
    slopes: tuple[float, float] | None = None

    @property
    def homogeneous(self) -> bool:
        """Whether phi(t z) = t phi(z) for t > 0."""
        return self.slopes is not None


ActivationLike = str | tuple[str, Any] | Callable[[Array], Array] | Activation
"""What the solvers take for an activation; `resolve` says what each form means."""


def leaky_relu(slope_neg: float) -> Activation:
    """Return z for z > 0 and ``slope_neg`` z for z < 0; slope 0 is relu, 1 linear, -1 the absolute value."""
    slope = scalar("slope_neg", slope_neg)
    return Activation(
        value=lambda z: np.where(z > 0, z, slope * z),
        derivative=lambda z: np.where(z > 0, 1.0, np.where(z < 0, slope, (1 + slope) / 2)),
        name="leaky_relu",
        slopes=(slope, 1.0),
    )


def hermite(coeffs: Any) -> Activation:
    """Return the sum of ``coeffs[j]`` times the orthonormal Hermite polynomial h_j = He_j / sqrt(j!)."""
    c = finite("coeffs", coeffs, ndim=1)
    if c.size == 0:
        raise ValueError("coeffs must hold at least one number; got none")
    j = np.arange(c.size)
    plain = c * np.exp(-0.5 * special.gammaln(j + 1))  # coefficients on He_j
    slope = np.polynomial.hermite_e.hermeder(plain)
    return Activation(
        value=lambda z: np.asarray(np.polynomial.hermite_e.hermeval(z, plain), dtype=float),
        derivative=lambda z: np.asarray(np.polynomial.hermite_e.hermeval(z, slope), dtype=float),
        name="hermite",
    )


def _gelu(z: Array) -> Array:
    return z * special.ndtr(z)


def _gelu_derivative(z: Array) -> Array:
    return special.ndtr(z) + z * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


def _swish_derivative(z: Array) -> Array:
    gate = special.expit(z)
    return gate * (1 + z * special.expit(-z))


NAMED = {
    "linear": Activation(lambda z: +z, np.ones_like, "linear", (1.0, 1.0)),
    "relu": Activation(lambda z: np.maximum(z, 0.0), lambda z: np.heaviside(z, 0.5), "relu", (0.0, 1.0)),
    "erf": Activation(special.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-z * z), "erf"),
    "tanh": Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2, "tanh"),
    "sin": Activation(np.sin, np.cos, "sin"),
    "gelu": Activation(_gelu, _gelu_derivative, "gelu"),
    "swish": Activation(lambda z: z * special.expit(z), _swish_derivative, "swish"),
}
"""The activations that a plain string selects."""

PARAMETRIC = {"leaky_relu": leaky_relu, "hermite": hermite}
"""The activations that a pair (name, parameter) selects."""


def resolve(activation: ActivationLike) -> Activation:
    """Return the activation that ``activation`` stands for.

    Parameters
    ----------
    activation : str, tuple, callable or Activation
        A name out of `NAMED`: ``relu`` is max(0, z), ``erf`` is erf(z), ``gelu`` z times the normal distribution
        function, ``swish`` z / (1 + exp(-z)). A pair ``("leaky_relu", slope_neg)`` or ``("hermite", coeffs)``. A
        function of float64 arrays, or an `Activation`, which can hold its derivative as well.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If it is nothing of these.
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        if activation not in NAMED:
            raise ValueError(f"activation must be one of {_known()}; got {activation!r}")
        return NAMED[activation]
    if isinstance(activation, tuple):
        if len(activation) != 2 or activation[0] not in PARAMETRIC:
            raise ValueError(f"activation must be one of {_known()}; got {activation!r}")
        return PARAMETRIC[activation[0]](activation[1])
    if callable(activation):
        return Activation(activation, name=getattr(activation, "__name__", "custom"))
    raise TypeError(f"activation must be a name, a pair, a function or an Activation; got {activation!r}")


def _known() -> str:
    return ", ".join([*map(repr, NAMED), "('leaky_relu', slope_neg)", "('hermite', coeffs)"])
