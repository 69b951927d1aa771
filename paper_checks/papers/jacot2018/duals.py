"""Duals of activations, by closed forms and by series, against quadrature in polar coordinates."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.papers.jacot2018.paper import PAPER
from simulations import ntk as sim
from theory import ntk
from theory.ntk.activations import resolve

Array = np.ndarray
# about 1e5 nodes, whose weights add up to one within a few hundred roundings
QUADRATURE = 1e-13


def _covariances(run: Run) -> Array:
    """Draw second moments (k11, k12, k22), one triple a row, with variances from 0.2 to 2."""
    rng = run.rng()
    number = run.size("covariances", quick=12, standard=48, full=512)
    k11, k22 = rng.uniform(0.2, 2.0, (2, number))
    return np.stack([k11, rng.uniform(-0.95, 0.95, number) * np.sqrt(k11 * k22), k22], axis=1)


def _measured(name: str, covariances: Array) -> Array:
    activation = sim.ACTIVATIONS[name]
    return np.asarray(jax.lax.map(lambda k: sim.moments(activation, *k), covariances))


def _predicted(name: str, covariances: Array) -> Array:
    return np.stack(ntk.dual_activation(*covariances.T, activation=name), axis=1)


def _gauss_hermite(name: str, covariances: Array, n_nodes: int) -> Array:
    return np.stack(ntk.gauss_hermite_dual(*covariances.T, activation=name, n_nodes=n_nodes), axis=1)


@PAPER.claim(
    "dual_relu",
    statement=r"""For relu and $\cos\theta = k_{12} / \sqrt{k_{11} k_{22}}$: $E[\phi(u) \phi(v)] = \sqrt{k_{11}
    k_{22}} [\sin\theta + (\pi - \theta) \cos\theta] / 2 \pi$ and $E[\phi'(u) \phi'(v)] = (\pi - \theta) / 2 \pi$.""",
    source="limiting kernels of relu networks (arc-cosine kernels)",
    agreement=Identity(rtol=QUADRATURE),
    controls=("theta for pi - theta", "sqrt(2) relu", "without the sine"),
)
def dual_relu(run: Run) -> Trial:
    """Compare the closed form with quadrature along the arcs between the kinks."""
    k = _covariances(run)
    root = np.sqrt(k[:, 0] * k[:, 2])
    theta = np.arccos(k[:, 1] / root)

    def variant(angle: Array, sine: float = 1.0, above: float = 1.0) -> Array:
        value = root * (sine * np.sin(theta) + angle * np.cos(theta)) / (2 * np.pi)
        return above * np.stack([value, angle / (2 * np.pi)], axis=1)

    return Trial(
        predict=lambda: _predicted("relu", k),
        measure=lambda: _measured("relu", k),
        controls={
            "theta for pi - theta": lambda: variant(theta),
            "sqrt(2) relu": lambda: variant(np.pi - theta, above=2.0),
            "without the sine": lambda: variant(np.pi - theta, sine=0.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "dual_erf",
    statement=r"""For erf and $s = (1 + 2 k_{11}) (1 + 2 k_{22})$: $E[\phi(u) \phi(v)] = \frac{2}{\pi} \arcsin (2
    k_{12} / \sqrt s)$ and $E[\phi'(u) \phi'(v)] = \frac{4}{\pi} / \sqrt{s - 4 k_{12}^2}$.""",
    source="limiting kernels of erf networks",
    agreement=Identity(rtol=QUADRATURE),
    controls=("erf(z / sqrt 2)", "2 / pi for 4 / pi", "arcsin of the correlation"),
)
def dual_erf(run: Run) -> Trial:
    """Compare the closed form with quadrature."""
    k = _covariances(run)

    def rescaled() -> Array:
        value, derivative = ntk.dual_activation(*(k / 2).T, activation="erf")
        return np.stack([value, derivative / 2], axis=1)

    def correlation() -> Array:
        value = 2 / np.pi * np.arcsin(k[:, 1] / np.sqrt(k[:, 0] * k[:, 2]))
        return np.stack([value, _predicted("erf", k)[:, 1]], axis=1)

    return Trial(
        predict=lambda: _predicted("erf", k),
        measure=lambda: _measured("erf", k),
        controls={
            "erf(z / sqrt 2)": rescaled,
            "2 / pi for 4 / pi": lambda: _predicted("erf", k) * [1.0, 0.5],
            "arcsin of the correlation": correlation,
        },
        scale="largest",
    )


@PAPER.claim(
    "dual_closed",
    statement=r"""sin has $E[\phi \phi] = e^{-(k_{11} + k_{22})/2} \sinh k_{12}$ and $E[\phi' \phi'] =
    e^{-(k_{11} + k_{22})/2} \cosh k_{12}$; gelu has a closed form with one arcsine.""",
    source="limiting kernels, other activations with closed forms (derived here)",
    agreement=Identity(rtol=QUADRATURE),
    controls=("sinh and cosh exchanged", "gelu taken for relu"),
)
def dual_closed(run: Run) -> Trial:
    """Compare the closed forms of sin and gelu with quadrature."""
    k = _covariances(run)

    def predict(of_sin: Callable[[Array], Array] = lambda a: a, for_gelu: str = "gelu") -> Array:
        return np.stack([of_sin(_predicted("sin", k)), _predicted(for_gelu, k)])

    return Trial(
        predict=predict,
        measure=lambda: np.stack([_measured(name, k) for name in ("sin", "gelu")]),
        controls={
            "sinh and cosh exchanged": lambda: predict(lambda a: a[:, ::-1]),
            "gelu taken for relu": lambda: predict(for_gelu="relu"),
        },
        scale="largest",
    )


@PAPER.claim(
    "dual_quadrature",
    statement=r"""Of a smooth activation without closed form (tanh, swish) both duals come from one-dimensional
    quadrature to rounding accuracy; Gauss-Hermite rules do not reach it at the poles of tanh, and fail at the kink
    of relu.""",
    source="limiting kernels of other activations (numerics)",
    agreement=Identity(rtol=QUADRATURE),
    controls=("Gauss-Hermite, 40 nodes", "Gauss-Hermite, 160 nodes", "relu by Gauss-Hermite, 80 nodes"),
)
def dual_quadrature(run: Run) -> Trial:
    """Series from trapezoidal coefficients against quadrature in two dimensions."""
    # poles are the nearer, the larger the variances: small ones alone might be drawn
    k = np.concatenate([_covariances(run), [[4.0, 2.0, 4.0]]])
    names = ("tanh", "swish", "relu")

    def by_gauss_hermite(n_nodes: int, wrong: tuple[str, ...]) -> Array:
        return np.stack([_gauss_hermite(a, k, n_nodes) if a in wrong else _predicted(a, k) for a in names])

    return Trial(
        predict=lambda: np.stack([_predicted(name, k) for name in names]),
        measure=lambda: np.stack([_measured(name, k) for name in names]),
        controls={
            "Gauss-Hermite, 40 nodes": lambda: by_gauss_hermite(40, names[:2]),
            "Gauss-Hermite, 160 nodes": lambda: by_gauss_hermite(160, names[:2]),
            "relu by Gauss-Hermite, 80 nodes": lambda: by_gauss_hermite(80, names[2:]),
        },
        scale="largest",
    )


@PAPER.claim(
    "hermite_dual",
    statement=r"""With $\phi(\sqrt k z) = \sum_j a_j(k) h_j(z)$ in orthonormal Hermite polynomials, $E[\phi(u)
    \phi(v)] = \sum_j a_j(k_{11}) a_j(k_{22}) \rho^j$.""",
    source="dual activations as power series",
    agreement=Identity(rtol=QUADRATURE),
    controls=("unnormalised polynomials", "coefficients of one side", "one power more"),
)
def hermite_dual(run: Run) -> Trial:
    """Series of tanh and of erf against quadrature."""
    k = _covariances(run)
    rho = k[:, 1] / np.sqrt(k[:, 0] * k[:, 2])
    functions: dict[str, Any] = {"tanh": np.tanh, "erf": resolve("erf").value}
    j = np.arange(320)

    def predict(right: int = 2, shift: int = 0, weights: Array | float = 1.0) -> Array:
        found = []
        for phi in functions.values():
            a, b = (ntk.hermite_coefficients(phi, k[:, side], n_terms=j.size) for side in (0, right))
            found.append(np.sum(a * b * weights * rho[:, None] ** (j + shift), axis=1))
        return np.stack(found)

    return Trial(
        predict=predict,
        measure=lambda: np.stack([_measured(name, k)[:, 0] for name in functions]),
        controls={
            "unnormalised polynomials": lambda: predict(weights=1.0 / np.maximum(j, 1.0)),
            "coefficients of one side": lambda: predict(right=0),
            "one power more": lambda: predict(shift=1),
        },
        scale="largest",
    )
