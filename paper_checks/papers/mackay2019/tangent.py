"""How the best response moves with the penalty: its slope, and how far its tangent reaches."""

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Steps
from paper_checks.papers.mackay2019.paper import (
    PAPER,
    Array,
    draw_problem,
    lengths,
    modes_of,
    predicted_weights,
    train_networks,
    weights_of,
)
from simulations.deep_linear import best_response as sim
from theory import deep_linear


@PAPER.claim(
    "response_derivative",
    statement=r"""Along the best response the weights of the function move by $d(Q^T s)/d\lambda = -V (g (1 - g)
    s)$.""",
    source="best-response Jacobian, section on the local linear model",
    agreement=Identity(rtol=1e-9),
    controls=(
        "g for g (1 - g)",
        "opposite sign",
        "derivative in e^lambda",
        "ln d for 2 ln d",
        "weights penalised for the Jacobian",
    ),
)
def response_derivative(run: Run) -> Trial:
    """Train networks, and differentiate each through the condition that its gradient vanishes."""
    problem = draw_problem(run)
    penalties = np.linspace(-4, 4, run.size("penalties", quick=9, standard=17, full=33))
    v, d, s = modes_of(problem)

    def measure(penalty: str = "jacobian") -> Array:
        trained = train_networks(run, problem, penalties, penalty=penalty)

        def one(network: sim.Network, at: jax.Array) -> jax.Array:
            return sim.response_derivative(network, problem.x, problem.targets, at, penalty=penalty)

        return np.asarray(jax.vmap(one)(trained.network, jnp.asarray(penalties)))

    def predict() -> Array:
        return deep_linear.best_response_derivative(problem.x, problem.targets, penalties)

    def sigmoid(power: float) -> Array:
        return 1 / (1 + np.exp(penalties[:, None]) / d**power)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "g for g (1 - g)": lambda: -(sigmoid(2.0) * s) @ v.T,
            "opposite sign": lambda: -predict(),
            "derivative in e^lambda": lambda: predict() / np.exp(penalties)[:, None],
            "ln d for 2 ln d": lambda: -(sigmoid(1.0) * (1 - sigmoid(1.0)) * s) @ v.T,
        },
        counterexamples={"weights penalised for the Jacobian": lambda: measure("weights")},
        scale=lambda: lengths(predict()),
    )


@PAPER.claim(
    "local_linear_error",
    statement=r"""With sigmoids replaced by their tangents at $\lambda_0$ the weights of the function are off by
    $O((\lambda - \lambda_0)^2)$.""",
    source="local linear model of the best response (rate derived)",
    agreement=ConvergenceOrder(order=2, resolution=1e-4, accuracy=1e-13),
    controls=("gates kept as they are", "slope g for g (1 - g)", "slope of the other sign", "second-order term added"),
)
def local_linear_error(run: Run) -> Trial:
    """Train networks ever closer to three points of contact."""
    problem = draw_problem(run)
    contacts, steps = np.array([-1.5, 0.2, 1.7]), 0.2 * 0.5 ** np.arange(5)
    around = contacts + steps[:, None]
    data = problem.x, problem.targets

    def measure() -> Steps:
        weights = weights_of(train_networks(run, problem, around.ravel()))
        return Steps(steps, weights.reshape(*around.shape, -1))

    def expansion(first: float, second: float = 0.0) -> Steps:
        slope = deep_linear.best_response_derivative(*data, contacts)
        bend = deep_linear.best_response_curvature(*data, contacts) / 2
        h = steps[:, None, None]
        return Steps(steps, predicted_weights(problem, contacts) + first * slope * h + second * bend * h**2)

    def predict() -> Steps:
        lines = [
            deep_linear.local_best_response(*data, at, around=float(contact))
            for contact, at in zip(contacts, around.T, strict=True)
        ]
        return Steps(steps, np.stack(lines, axis=1))

    def too_steep() -> Steps:
        v, d, s = modes_of(problem)
        slope = -(s / (1 + np.exp(contacts[:, None]) / d**2)) @ v.T
        return Steps(steps, predicted_weights(problem, contacts) + slope * steps[:, None, None])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "gates kept as they are": lambda: expansion(0.0),
            "slope g for g (1 - g)": too_steep,
            "slope of the other sign": lambda: expansion(-1.0),
            "second-order term added": lambda: expansion(1.0, 1.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "tangent_curvature",
    statement=r"""The error of the tangent is $\tfrac{h^2}{2} V (g (1 - g)(1 - 2 g) s)$ for $h = \lambda - \lambda_0$,
    up to $-\tfrac{h^3}{6} V (g (1 - g)(1 - 6 g + 6 g^2) s)$.""",
    source="local linear model of the best response (derived)",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-10),
    controls=("1 - g for 1 - 2 g", "square of g (1 - g)", "opposite sign", "third derivative of the other sign"),
)
def tangent_curvature(run: Run) -> Trial:
    """Train networks near three points of contact, and take off the tangent that implicit differentiation gives there.

    What is left is doubled and divided by h^2, which leaves an accuracy of 1e-15 over the square of the finest step.
    """
    problem = draw_problem(run)
    contacts, steps = np.array([-1.5, 0.2, 1.7]), 0.2 * 0.5 ** np.arange(5)
    around = contacts + np.append(steps, 0.0)[:, None]

    def measure() -> Steps:
        trained = train_networks(run, problem, around.ravel())
        weights = weights_of(trained).reshape(*around.shape, -1)
        networks = jax.tree.map(lambda leaf: leaf[-contacts.size :], trained.network)

        def one(network: sim.Network, at: jax.Array) -> jax.Array:
            return sim.response_derivative(network, problem.x, problem.targets, at)

        slope = np.asarray(jax.vmap(one)(networks, jnp.asarray(contacts)))
        h = steps[:, None, None]
        return Steps(steps, 2 * (weights[:-1] - weights[-1] - h * slope) / h**2)

    def third_derivative() -> Array:
        v, d, s = modes_of(problem)
        g = 1 / (1 + np.exp(contacts[:, None]) / d**2)
        return -(g * (1 - g) * (1 - 6 * g + 6 * g**2) * s) @ v.T

    def predict(sign: float = 1.0) -> Limit:
        curvature = deep_linear.best_response_curvature(problem.x, problem.targets, contacts)
        return Limit(curvature, sign * third_derivative() / 3)

    def variant(bend) -> Limit:
        v, d, s = modes_of(problem)
        return Limit((bend(1 / (1 + np.exp(contacts[:, None]) / d**2)) * s) @ v.T, third_derivative() / 3)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 - g for 1 - 2 g": lambda: variant(lambda g: g * (1 - g) ** 2),
            "square of g (1 - g)": lambda: variant(lambda g: (g * (1 - g)) ** 2),
            "opposite sign": lambda: variant(lambda g: -g * (1 - g) * (1 - 2 * g)),
            "third derivative of the other sign": lambda: predict(-1.0),
        },
        scale="largest",
    )
