r"""Linear students trained by gradient descent on drawn samples, in the dimension they have.

A student w descends :math:`\tfrac12 |y - X^T w|^2`, by :math:`w \leftarrow w + \eta X (y - X^T w)`. That is linear in
teacher, noise and initial weights, so is w after k steps, :math:`w_k = w_0 + S_k X (y - X^T w_0)`, where
:math:`S_1 = \eta` and :math:`S_{j+k} = S_j + S_k - S_j X X^T S_k`. Doubling thus takes 2^m steps of a tiny rate in m
matrix products, and means of squared errors over teacher, noise and initial weights are sums of squares of matrices.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation


class Sample(NamedTuple):
    """What tells drawn inputs apart: a key, and how many features and samples there are."""

    key: PRNGKeyArray
    n_features: ArrayLike
    n_samples: ArrayLike


class Errors(NamedTuple):
    """Mean squared errors on new samples and on those of training, both with noise."""

    test: Float[Array, "..."]
    train: Float[Array, "..."]


class Students(NamedTuple):
    """Powers of teacher weights, of initial weights and of noise."""

    teacher: ArrayLike
    initial: ArrayLike
    noise: ArrayLike


class Stopped(NamedTuple):
    """The step after which a test error rises, in units of time, with that error and the one after the last step."""

    time: Float[Array, ""]
    test: Float[Array, ""]
    late: Float[Array, ""]


def draw_inputs(sample: Sample, shape: tuple[int, int]) -> Float[Array, "N P"]:
    """Draw inputs of variance 1/N an entry; rows and columns beyond the sample, in a shape that all share, are zero.

    Raises
    ------
    ValueError
        If the sample does not fit into the shape; so do all functions below that draw inputs.
    """
    validation.count("n_features", sample.n_features, maximum=shape[0])
    validation.count("n_samples", sample.n_samples, maximum=shape[1])
    present = _features(sample, shape)[:, None] * (jnp.arange(shape[1]) < sample.n_samples)
    return jax.random.normal(sample.key, shape) / jnp.sqrt(sample.n_features) * present


def _checked(students: Students, learning_rate: ArrayLike = 1.0) -> None:
    for name, power in students._asdict().items():
        validation.nonnegative(name, power)
    validation.positive("learning_rate", learning_rate, ndim=0)


def _features(sample: Sample, shape: tuple[int, ...]) -> Float[Array, " N"]:
    return (jnp.arange(shape[0]) < sample.n_features) * 1.0


def spectral_means(sample: Sample, shape: tuple[int, int]) -> Float[Array, " functions"]:
    r"""Means over eigenvalues of :math:`X X^T`, zeros included, of :math:`x^2, e^{-x}, 1/(1+x)`.

    From the first is taken a multiple of x - P/N, whose mean over designs is zero, and that varies with it.
    """
    X = draw_inputs(sample, shape)
    x = jnp.linalg.eigvalsh(X @ X.T)
    absent = shape[0] - sample.n_features  # zeros of rows that are none
    alpha = sample.n_samples / sample.n_features
    functions = jnp.stack([x**2, jnp.exp(-x), 1 / (1 + x)])
    means = (functions.sum(axis=1) - absent * jnp.array([0.0, 1.0, 1.0])) / sample.n_features
    return means.at[0].add(-2 * (1 + alpha) * (jnp.sum(x) / sample.n_features - alpha))


def descent_errors(
    sample: Sample,
    students: Students,
    learning_rate: ArrayLike,
    doublings: ArrayLike,
    shape: tuple[int, int],
    kept: int,
) -> Errors:
    """Errors of gradient descent on drawn inputs after 2^m steps, for the last ``kept`` numbers m up to ``doublings``.

    Averaged over teacher, noise and initial weights; ``students`` may hold arrays, which come last in the results.
    Costs two products of N x N matrices a doubling.

    Raises
    ------
    ValueError
        If a power is negative, ``learning_rate`` not positive, ``kept`` < 1 or ``doublings`` < ``kept`` - 1.
    """
    _checked(students, learning_rate)
    validation.count("doublings", doublings, minimum=validation.integer("kept", kept, minimum=1) - 1)
    X = draw_inputs(sample, shape)
    G = X @ X.T
    S = double(jnp.asarray(learning_rate) * jnp.diag(_features(sample, shape)), G, doublings - kept + 1)

    def observe(S: Array, _: None) -> tuple[Array, Errors]:
        return double(S, G, 1), average_errors(S, X, sample, students)

    return jax.lax.scan(observe, S, length=kept)[1]


def double(S: Float[Array, "N N"], G: Float[Array, "N N"], times: ArrayLike) -> Float[Array, "N N"]:
    """Double the number of steps that S stands for, so many times."""
    return jax.lax.fori_loop(0, times, lambda _, S: 2 * S - S @ (G @ S), S)


def average_errors(S: Array, X: Array, sample: Sample, students: Students) -> Errors:
    """Errors of the student after the steps that S stands for, averaged over teacher, noise and initial weights."""
    return _average(S @ X, X, sample, students)


def least_norm_errors(sample: Sample, students: Students, shape: tuple[int, int]) -> Errors:
    """Errors of the fit nearest to initial weights, where gradient descent ends, with fewer samples than features.

    Raises
    ------
    ValueError
        If a power is negative.
    """
    _checked(students)
    X = draw_inputs(sample, shape)
    absent = jnp.diag((jnp.arange(shape[1]) >= sample.n_samples) * 1.0)
    return _average(jnp.linalg.solve(X.T @ X + absent, X.T).T, X, sample, students)


def _average(learnt: Array, X: Array, sample: Sample, students: Students) -> Errors:
    """Errors of a student whose weights are those that labels leave by ``learnt``, and what they leave of the first."""
    teacher, initial, noise = (jnp.asarray(power) for power in students)
    N, P = sample.n_features, sample.n_samples
    kept = jnp.diag(_features(sample, X.shape)) - learnt @ X.T  # of initial weights, and of the teacher in the error
    absorbed = jnp.diag((jnp.arange(X.shape[1]) < P) * 1.0) - X.T @ learnt
    power, away, residual = (jnp.sum(part**2) for part in (kept, learnt, X.T @ kept))
    return Errors(
        (teacher + initial) * power / N + noise * away / N + noise,
        ((teacher + initial) * residual + noise * jnp.sum(absorbed**2)) / P,
    )


def descend_with_draws(
    key: PRNGKeyArray, X: Float[Array, "N P"], students: Students, learning_rate: ArrayLike, doublings: int, kept: int
) -> Float[Array, " kept"]:
    """Test errors on given inputs with teacher, noise and initial weights drawn, after the last 2^m steps.

    Raises
    ------
    ValueError
        If a power is negative, ``learning_rate`` not positive, ``kept`` < 1 or ``doublings`` < ``kept`` - 1.
    """
    _checked(students, learning_rate)
    validation.count("doublings", doublings, minimum=validation.integer("kept", kept, minimum=1) - 1)
    for_teacher, for_initial, for_noise = jax.random.split(key, 3)
    N, P = X.shape
    teacher = jnp.sqrt(students.teacher) * jax.random.normal(for_teacher, (N,))
    initial = jnp.sqrt(students.initial) * jax.random.normal(for_initial, (N,))
    labels = X.T @ teacher + jnp.sqrt(students.noise) * jax.random.normal(for_noise, (P,))
    G = X @ X.T
    pull = X @ (labels - X.T @ initial)
    S = double(jnp.asarray(learning_rate) * jnp.eye(N), G, doublings - kept + 1)

    def observe(S: Array, _: None) -> tuple[Array, Array]:
        return double(S, G, 1), jnp.mean((initial + S @ pull - teacher) ** 2) + students.noise

    return jax.lax.scan(observe, S, length=kept)[1]


def descend(
    w: Float[Array, " N"], X: Float[Array, "N P"], y: Float[Array, " P"], learning_rate: ArrayLike, steps: int
) -> Float[Array, " N"]:
    """Take steps of gradient descent one by one."""
    return jax.lax.fori_loop(0, steps, lambda _, w: w + learning_rate * X @ (y - X.T @ w), w)


def stop_early(
    sample: Sample,
    students: Students,
    learning_rate: ArrayLike,
    shape: tuple[int, int],
    doublings: int,
) -> Stopped:
    """Find by bisection the number of steps, below 2^doublings, after which the next raises the test error.

    Errors are averaged over teacher, noise and initial weights; times are steps times their size, and ``late`` is the
    error after 2^doublings steps. Bisection goes through the steps' binary digits, with powers of the map of a step.
    What is still missed is multiplied along, not subtracted: with at least as many samples as features it is known to
    rounding however little is left, and signals may be as large as 1e60.

    Raises
    ------
    ValueError
        If a power is negative, ``learning_rate`` not positive or ``doublings`` < 1.
    """
    _checked(students, learning_rate)
    validation.integer("doublings", doublings, minimum=1)
    X = draw_inputs(sample, shape)
    G = X @ X.T
    present = jnp.diag(_features(sample, shape))

    def power(maps: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        S, kept = maps
        return (double(S, G, 1), kept @ kept), maps

    one = (jnp.asarray(learning_rate * present), jnp.eye(shape[0]) - learning_rate * G)
    (last, _), powers = jax.lax.scan(power, one, length=doublings)
    # rounding puts a little outside of the span of few samples, where nothing is learnt
    rounding = jnp.where(jnp.asarray(sample.n_samples) < sample.n_features, 1e-28, 0.0) * jnp.trace(G)

    def error(S: Array) -> Array:
        return average_errors(S, X, sample, students).test

    def falls(S: Array, missed: Array) -> Array:
        """Whether the error falls, to first order in a step: twice the mean of (w - teacher) times its change."""
        left = jnp.sum(missed**2)
        gain = (jnp.asarray(students.teacher) + jnp.asarray(students.initial)) * left
        # with nothing but rounding left to learn, all that training can do is to follow the noise
        return (jnp.asarray(students.noise) * jnp.sum((S @ X) * missed) < gain) & (left > rounding)

    def digit(
        state: tuple[Array, Array, Array], power: tuple[tuple[Array, Array], Array]
    ) -> tuple[tuple[Array, Array, Array], None]:
        S, missed, time = state
        (step, kept), length = power
        ahead, rest = S + step - S @ (G @ step), kept @ missed
        go = falls(ahead, rest)
        return (jnp.where(go, ahead, S), jnp.where(go, rest, missed), time + jnp.where(go, length, 0.0)), None

    lengths = jnp.asarray(learning_rate) * 2.0 ** jnp.arange(doublings)
    start = (jnp.zeros_like(G), X, jnp.zeros(()))
    (S, _, time), _ = jax.lax.scan(digit, start, (powers, lengths), reverse=True)
    return Stopped(time + learning_rate / 2, error(S), error(last))


def ridge_errors(
    sample: Sample, ridges: Float[ArrayLike, " ridges"], students: Students, shape: tuple[int, int]
) -> Float[Array, " ridges"]:
    """Test errors of ridge regression on drawn inputs, averaged over teacher and noise.

    Raises
    ------
    ValueError
        If a power or a ridge is negative.
    """
    _checked(students)
    validation.nonnegative("ridges", ridges, ndim=1)
    X = draw_inputs(sample, shape)
    return jax.vmap(lambda ridge: _ridge_error(X, ridge, sample, students))(jnp.asarray(ridges))


def best_ridge(
    sample: Sample, students: Students, bracket: tuple[float, float], shape: tuple[int, int]
) -> Float[Array, ""]:
    """Ridge of least test error on drawn inputs, by bisection on the sign of its derivative between two logarithms.

    Raises
    ------
    ValueError
        If a power is negative, or the bracket does not rise from a positive number.
    """
    _checked(students)
    ends = validation.positive("bracket", bracket, ndim=1)
    validation.require("bracket", jnp.diff(ends), lambda step: step > 0, "two numbers that rise")
    X = draw_inputs(sample, shape)
    slope = jax.grad(lambda log_ridge: _ridge_error(X, jnp.exp(log_ridge), sample, students))

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        rising = slope(middle) > 0
        return jnp.where(rising, low, middle), jnp.where(rising, middle, high)

    low, high = jax.lax.fori_loop(0, 50, halve, (jnp.log(ends[0]), jnp.log(ends[1])))
    return jnp.exp((low + high) / 2)


def _ridge_error(X: Array, ridge: ArrayLike, sample: Sample, students: Students) -> Array:
    absent = jnp.diag(1 - _features(sample, X.shape))
    learnt = jnp.linalg.solve(X @ X.T + ridge * jnp.eye(len(X)) + absent, X)
    return _average(learnt, X, sample, students).test
