"""Initial value problems that theory.deep_linear has in closed form, with exact entries, and integrators for them."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from benchmarks import _references as references
from theory import deep_linear

Array = NDArray[np.float64]

CHECKED = 100  # entries of a solution that are compared with a reference in many digits
CHECKED_MATRICES = 5
DIGITS = 60


class Problem(NamedTuple):
    """An initial value problem of theory.deep_linear, and its solution at some entries in many digits.

    ``rate`` gets and returns the state as one vector, with NumPy's or JAX's functions alike; ``read`` turns a table of
    states, one a time, into the entries that are compared. Errors are relative to ``scale``: for modes to each entry,
    for matrices to the largest of each.
    """

    name: str
    closed: Callable[[], Array]
    rate: Callable[[Any], Any]
    start: Array
    times: Array
    read: Callable[[Array], Array]
    exact: Array
    scale: Array

    def error(self, entries: Array) -> float:
        """Return the largest relative error of the entries that have a reference."""
        return float(np.max(np.abs(entries - self.exact) / self.scale))


def problems(rng: np.random.Generator) -> Iterator[Problem]:
    """Yield modes followed for a while, modes asked for at one time, layers of unequal strength, and whole matrices."""
    for depth in (2, 5):
        yield _modes(rng, depth, modes=100, moments=50)
        yield _modes(rng, depth, modes=5000, moments=1)
    yield _unequal_layers(rng, modes=100, moments=50)
    yield _matrices(rng, (12, 8, 6), moments=50)
    yield _matrices(rng, (12, 8, 6), moments=1)


def _modes(rng: np.random.Generator, depth: int, *, modes: int, moments: int) -> Problem:
    s = rng.uniform(0.5, 3.0, modes)
    u0 = s * 10 ** rng.uniform(-2, -0.3, modes)
    times = _moments(moments)
    rows, columns = rng.integers(moments, size=CHECKED), rng.integers(modes, size=CHECKED)
    with mp.workdps(DIGITS):
        exact = [
            float(references.mode_strength(times[i], s=s[j], u0=u0[j], depth=depth))
            for i, j in zip(rows, columns, strict=True)
        ]
    return Problem(
        f"mode_strength, depth {depth}: {modes} modes x {_counted(moments)}",
        lambda: deep_linear.mode_strength(times[:, None], s=s, u0=u0, depth=depth)[rows, columns],
        lambda u: depth * u ** (2 - 2 / depth) * (s - u),
        u0,
        times,
        lambda states: states[rows, columns],
        np.array(exact),
        np.array(exact),
    )


def _unequal_layers(rng: np.random.Generator, *, modes: int, moments: int) -> Problem:
    s = rng.uniform(0.5, 3.0, modes)
    a0, b0 = rng.uniform(0.05, 1.5, (2, modes))
    times = _moments(moments)
    rows, columns = rng.integers(moments, size=CHECKED), rng.integers(modes, size=CHECKED)
    with mp.workdps(DIGITS):
        exact = [
            [float(x) for x in references.unbalanced_modes(times[i], s=s[j], a0=a0[j], b0=b0[j])]
            for i, j in zip(rows, columns, strict=True)
        ]

    def rate(state: Any) -> Any:
        a, b = state[:modes], state[modes:]
        numpy = np if isinstance(state, np.ndarray) else jnp
        return numpy.concatenate([b * (s - a * b), a * (s - a * b)])

    def closed() -> Array:
        found = deep_linear.unbalanced_modes(times[:, None], s=s, a0=a0, b0=b0)
        return np.stack(found, axis=-1)[rows, columns]

    return Problem(
        f"unbalanced_modes: {modes} modes x {_counted(moments)}",
        closed,
        rate,
        np.concatenate([a0, b0]),
        times,
        lambda states: np.stack([states[:, :modes], states[:, modes:]], axis=-1)[rows, columns],
        np.array(exact),
        np.abs(exact),
    )


def _matrices(rng: np.random.Generator, sizes: tuple[int, int, int], *, moments: int) -> Problem:
    n_in, hidden, n_out = sizes
    modes = min(sizes)
    frames = [np.linalg.qr(rng.standard_normal((n, modes)))[0] for n in sizes]
    strengths = rng.uniform(0.3, 0.9, modes)
    w1, w2 = (frames[1] * strengths) @ frames[0].T, (frames[2] * strengths) @ frames[1].T
    sigma = rng.standard_normal((n_out, n_in)) / np.sqrt(n_in)
    times = _moments(moments)
    checked = np.unique(np.linspace(0, moments - 1, CHECKED_MATRICES).astype(int))
    with mp.workdps(DIGITS):
        grams = references.riccati(w1, w2, sigma, times[checked])
    exact = np.array([np.array(gram.tolist(), dtype=float)[n_in:, :n_in] for gram in grams])
    cut = hidden * n_in

    def rate(state: Any) -> Any:
        numpy = np if isinstance(state, np.ndarray) else jnp
        first, second = state[:cut].reshape(hidden, n_in), state[cut:].reshape(n_out, hidden)
        error = sigma - second @ first
        return numpy.concatenate([(second.T @ error).ravel(), (error @ first.T).ravel()])

    def read(states: Array) -> Array:
        first = states[checked, :cut].reshape(-1, hidden, n_in)
        second = states[checked, cut:].reshape(-1, n_out, hidden)
        return second @ first

    return Problem(
        f"two_layer_flow: {n_in}x{hidden}x{n_out} x {_counted(moments)}",
        lambda: deep_linear.two_layer_flow(w1, w2, sigma, times).product[checked],
        rate,
        np.concatenate([w1.ravel(), w2.ravel()]),
        times,
        read,
        exact,
        np.abs(exact).max(axis=(1, 2), keepdims=True),
    )


def by_scipy(problem: Problem, method: str) -> Callable[[float], Array]:
    """Return the solution by SciPy as a function of the relative tolerance."""

    def solve(rtol: float) -> Array:
        end = problem.times[-1]
        return solve_ivp(
            lambda t, y: problem.rate(y),
            (0.0, end),
            problem.start,
            t_eval=problem.times,
            method=method,
            rtol=rtol,
            atol=1e-3 * rtol,
        ).y.T

    return solve


def by_diffrax(problem: Problem) -> Callable[[float], Array]:
    """Return the solution by diffrax as a function of the relative tolerance, which is traced: one compilation."""

    @jax.jit
    def integrate(start: jax.Array, rtol: jax.Array) -> jax.Array:
        controller = diffrax.PIDController(rtol=rtol, atol=1e-3 * rtol)
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, args: problem.rate(y)),
            diffrax.Dopri8(),
            t0=0.0,
            t1=problem.times[-1],
            dt0=None,
            y0=start,
            saveat=diffrax.SaveAt(ts=jnp.asarray(problem.times)),
            # its interpolation is less accurate than its steps, so that stepping onto the times is the quicker way
            stepsize_controller=diffrax.ClipStepSizeController(controller, step_ts=problem.times),
            adjoint=diffrax.ForwardMode(),
            max_steps=100_000,
        )
        assert solution.ys is not None
        return solution.ys

    return lambda rtol: np.asarray(integrate(problem.start, rtol))


def _moments(number: int) -> Array:
    """Return times up to 4, or one time in the middle of learning."""
    return np.linspace(0, 4, number + 1)[1:] if number > 1 else np.array([1.5])


def _counted(moments: int) -> str:
    return f"{moments} times" if moments > 1 else "1 time"
