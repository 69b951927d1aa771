r"""Linear attention that is trained to continue linear sequences, with its population loss summed exactly.

Sequences are :math:`x_{t+1} = W x_t` with W diagonal on the unit circle; tokens are
:math:`e_t = (0_d, x_t, x_{t-1})`, :math:`x_0 = 0`. The layer predicts the next token in the first d entries of

.. math:: f_t = e_t + W_{PV} \, \frac{E_t E_t^*}{t - 1} \, W_{KQ} \, e_t, \qquad E_t = (e_1, \ldots, e_t) .

The loss is a polynomial in the phases of W and in :math:`x_1`, so that averages over roots of unity and over quadrature
nodes (or all sign patterns) are exact.
"""

from functools import partial
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Complex, Float, Key

from simulations import validation
from simulations.in_context.attention import Layer, forward

LAWS = ("gaussian", "rademacher", "one_hot", "uniform")
_CHUNK = 512


class Sequences(NamedTuple):
    """First tokens and eigenvalues of W, one sequence a row, with weights that sum to 1."""

    first: Float[Array, "sequences dim"]
    eigenvalues: Complex[Array, "sequences dim"]
    weight: Float[Array, " sequences"]


class Blocks(NamedTuple):
    """Both weight matrices of the layer, W_PV and W_KQ, real and of shape (..., 3 d, 3 d)."""

    value: Float[Array, "... width width"]
    key_query: Float[Array, "... width width"]


class PositionMoments(NamedTuple):
    """Averages at each position: of |prediction|^2, of Re<prediction, next token>, and of |next token|^2."""

    prediction: Float[Array, " positions"]
    overlap: Float[Array, " positions"]
    target: Float[Array, " positions"]


class QuadraticForm(NamedTuple):
    """Population loss as a quadratic form in the products of the entries of both matrices, summed over positions."""

    gram: Float[Array, "products products"]
    overlap: Float[Array, "products dim"]
    constant: Float[Array, ""]


def first_tokens(law: str, *, dim: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return atoms (n, d) and weights (n,) whose moments up to degree seven are those of a law of the first token.

    Independent coordinates that are Gaussian or uniform on (-scale, scale) take four Gauss nodes each; signs and
    one-hot vectors +-scale are enumerated.
    """
    validation.choice("law", law, LAWS)
    if law == "one_hot":
        return scale * np.concatenate([np.eye(dim), -np.eye(dim)]), np.full(2 * dim, 0.5 / dim)
    if law == "rademacher":
        points, weights = np.array([-1.0, 1.0]), np.ones(2)
    elif law == "gaussian":
        points, weights = np.polynomial.hermite_e.hermegauss(4)
    else:
        points, weights = np.polynomial.legendre.leggauss(4)
    weights = weights / weights.sum()
    atoms = np.stack([g.ravel() for g in np.meshgrid(*[points] * dim, indexing="ij")], axis=1)
    joint = np.stack([g.ravel() for g in np.meshgrid(*[weights] * dim, indexing="ij")], axis=1).prod(axis=1)
    return scale * atoms, joint


def enumerate_sequences(first: ArrayLike, weight: ArrayLike, *, order: int, relative: bool = False) -> Sequences:
    """Pair every first token with every tuple of ``order``-th roots of unity.

    A polynomial in the phases is averaged exactly when no power in it is a nonzero multiple of ``order``. Three times
    the number of tokens is enough for the squared error of any layer, one more than that number for
    :func:`scaled_identities`, whose powers are differences of two positions. For the two blocks alone the phases
    matter only ``relative`` to the first, which is then held at 1: multiplying W by a phase multiplies prediction and
    next token alike.
    """
    atoms = np.asarray(validation.finite("first", first, ndim=2))
    masses = np.asarray(validation.nonnegative("weight", weight, ndim=1))
    roots = np.exp(2j * np.pi * np.arange(validation.integer("order", order, minimum=1)) / order)
    phases = [roots] * atoms.shape[1]
    if relative:
        phases[0] = roots[:1]
    grid = np.stack([g.ravel() for g in np.meshgrid(*phases, indexing="ij")], axis=1)
    return Sequences(
        jnp.asarray(np.repeat(atoms, len(grid), axis=0)),
        jnp.asarray(np.tile(grid, (len(atoms), 1))),
        jnp.asarray(np.repeat(masses, len(grid)) / len(grid)),
    )


def sample_eigenvalues(key: Key[Array, ""], shape: tuple[int, ...]) -> Complex[Array, "..."]:
    """Draw independent uniform points on the unit circle."""
    return jnp.exp(2j * jnp.pi * jax.random.uniform(key, shape))


def sequence(
    first: Float[Array, " dim"], eigenvalues: Complex[Array, " dim"], length: int
) -> Complex[Array, "length dim"]:
    """Return x_1, ..., x_length by repeated multiplication."""
    start = first.astype(complex)
    return jax.lax.scan(lambda x, _: (eigenvalues * x, x), start, length=length)[1]


def predict(blocks: Blocks, x: Complex[Array, "length dim"]) -> Complex[Array, "length-1 dim"]:
    """Run the layer over x_1, ..., x_t and return its predictions of x_3, ..., x_{t+1}, causally, from t = 2 on."""
    length, dim = x.shape
    before = jnp.concatenate([jnp.zeros((1, dim)), x[:-1]])
    tokens = jnp.concatenate([jnp.zeros_like(x), x, before], axis=1)
    position = jnp.arange(length)
    mask = jnp.where(position[:, None] >= position, 1 / jnp.maximum(position, 1)[:, None], 0.0)
    eye = jnp.eye(3 * dim)
    layer = Layer(key=eye[None], query=blocks.key_query[None], value=eye[None], projection=blocks.value[None])
    return forward(layer, tokens, mask)[-1, 1:, :dim]


def scaled_identities(a: ArrayLike, b: ArrayLike, dim: int) -> Blocks:
    """Return the start of training: block (1, 2) of W_PV is b I, block (3, 2) of W_KQ is a I, all else is zero."""
    eye, zero = jnp.eye(dim), jnp.zeros((3 * dim, 3 * dim))
    return Blocks(
        value=zero.at[:dim, dim : 2 * dim].set(jnp.asarray(b) * eye),
        key_query=zero.at[2 * dim :, dim : 2 * dim].set(jnp.asarray(a) * eye),
    )


@partial(jax.jit, static_argnames="horizon")
def population_loss(blocks: Blocks, sequences: Sequences, horizon: int) -> Float[Array, ""]:
    """Half the mean squared error of the next token, summed over positions 2, ..., horizon - 1: the loss of training.

    Every sequence passes through the layer; differentiable in both matrices.
    """

    def error(first: Array, eigenvalues: Array) -> Array:
        x = sequence(first, eigenvalues, horizon)
        return 0.5 * jnp.sum(jnp.abs(predict(blocks, x[:-1]) - x[2:]) ** 2)

    return _weighted_sum(error, sequences)


@partial(jax.jit, static_argnames="length")
def position_moments(blocks: Blocks, sequences: Sequences, length: int) -> PositionMoments:
    """Average squares and overlaps of predictions and next tokens at positions 2, ..., length."""

    def one(first: Array, eigenvalues: Array) -> PositionMoments:
        x = sequence(first, eigenvalues, length + 1)
        found, target = predict(blocks, x[:-1]), x[2:]
        return PositionMoments(
            jnp.sum(jnp.abs(found) ** 2, axis=1),
            jnp.sum(jnp.real(found.conj() * target), axis=1),
            jnp.sum(jnp.abs(target) ** 2, axis=1),
        )

    return _weighted_sum(one, sequences)


@partial(jax.jit, static_argnames="length")
def covariance_averages(sequences: Sequences, length: int) -> Float[Array, "2 positions"]:
    """Average x_t^* S x_t and |S x_t|^2 at positions 2, ..., length, S the covariance of the tokens before t."""

    def one(first: Array, eigenvalues: Array) -> Array:
        x = sequence(first, eigenvalues, length)
        outer = jnp.cumsum(x[:-1, :, None] * x[:-1, None, :].conj(), axis=0)
        covariance = outer / jnp.arange(1, length)[:, None, None]
        moved = jnp.einsum("tij,tj->ti", covariance, x[1:])
        return jnp.stack([jnp.real(jnp.sum(x[1:].conj() * moved, axis=1)), jnp.sum(jnp.abs(moved) ** 2, axis=1)])

    return _weighted_sum(one, sequences)


@jax.jit
def descent_matrix(x: Complex[Array, "length dim"], step_size: ArrayLike) -> Complex[Array, "dim dim"]:
    """Take one step of gradient descent from zero on half the squared error of x_{i+1} from W x_i, by autodiff."""

    def loss(w: Array) -> Array:
        complex_w = w[0] + 1j * w[1]
        return 0.5 * jnp.sum(jnp.abs(x[1:] - x[:-1] @ complex_w.T) ** 2)

    step = -jnp.asarray(step_size) * jax.grad(loss)(jnp.zeros((2, x.shape[1], x.shape[1])))
    return step[0] + 1j * step[1]


@partial(jax.jit, static_argnames=("length", "two_blocks"))
def quadratic_forms(sequences: Sequences, length: int, two_blocks: bool = False) -> QuadraticForm:
    """Average the population losses of all horizons 3, ..., length as forms in the products W_PV[r, j] W_KQ[k, l].

    The prediction is bilinear in both matrices, so the loss of training is this form in their products, exactly. Tokens
    vanish in their first d entries, where weights act on nothing; ``two_blocks`` also drops all products but those of
    block (1, 2) of W_PV with block (3, 2) of W_KQ, which long sequences call for. Costs O(S T F^2) for S sequences and
    F = 8 d^3 products, or d^3.
    """
    dim = sequences.first.shape[1]
    now, before = slice(0, dim), slice(dim, 2 * dim)
    column, row, last = (now, before, now) if two_blocks else (slice(None),) * 3

    def one(first: Array, eigenvalues: Array) -> tuple[Array, Array]:
        x = sequence(first, eigenvalues, length)
        tokens = jnp.concatenate([x, jnp.concatenate([jnp.zeros((1, dim)), x[:-1]])], axis=1)[:-1]
        seen = jnp.cumsum(tokens[:, column, None] * tokens[:, None, row].conj(), axis=0)
        seen = seen[1:] / jnp.arange(1, length - 1)[:, None, None]
        products = (seen[..., None] * tokens[1:, None, None, last]).reshape(length - 2, -1)
        return _real_rows(products), _real_rows(x[2:])

    def reduce(weight: Array, values: tuple[Array, Array]) -> QuadraticForm:
        products, targets = (jnp.moveaxis(value, 1, 0).reshape(length - 2, -1, value.shape[-1]) for value in values)
        weighted = products * jnp.repeat(weight, 2)[:, None]
        gram, overlap = (jnp.swapaxes(weighted, 1, 2) @ other for other in (products, targets))
        return QuadraticForm(gram, overlap, jnp.sum(targets**2 * jnp.repeat(weight, 2)[:, None], axis=(1, 2)))

    return jax.tree.map(lambda leaf: jnp.cumsum(leaf, axis=0), _weighted_sum(one, sequences, reduce))


def quadratic_form(sequences: Sequences, horizon: int, two_blocks: bool = False) -> QuadraticForm:
    """Return the last of :func:`quadratic_forms`, the loss of training on ``horizon`` tokens."""
    return jax.tree.map(lambda leaf: leaf[-1], quadratic_forms(sequences, horizon, two_blocks))


def form_loss(blocks: Blocks, form: QuadraticForm) -> Float[Array, ""]:
    """Evaluate the loss of :func:`quadratic_form` at both matrices."""
    dim = form.overlap.shape[1]
    if form.gram.shape[0] == dim**3:
        value, key_query = blocks.value[:dim, dim : 2 * dim], blocks.key_query[2 * dim :, dim : 2 * dim]
    else:
        value, key_query = blocks.value[:dim, dim:], blocks.key_query[dim:, dim:]
    products = jnp.einsum("rj,kl->jklr", value, key_query).reshape(-1, dim)
    return 0.5 * (jnp.sum(products * (form.gram @ products)) - 2 * jnp.sum(products * form.overlap) + form.constant)


@partial(jax.jit, static_argnames="max_steps")
def flow(start: Blocks, form: QuadraticForm, times: Float[Array, " times"], max_steps: int = 100_000) -> Blocks:
    """Follow the gradient flow of all entries of both matrices, by an eighth-order integrator at a tolerance of 1e-12.

    Returns the matrices at the times, which rise from 0.
    """
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_velocity),
        diffrax.Dopri8(),
        0.0,
        times[-1],
        None,
        start,
        args=form,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=1e-12, atol=1e-14),
        max_steps=max_steps,
    )
    return solution.ys


@partial(jax.jit, static_argnames="max_steps")
def train(start: Blocks, form: QuadraticForm, tolerance: float = 1e-10, max_steps: int = 100_000) -> Blocks:
    """Follow the gradient flow of all entries of both matrices until it has come to rest.

    That is when no entry of the gradient exceeds ``tolerance`` times the largest entry at the start; the integrator's
    own noise is a hundredth of the default.
    """
    first = _largest(_velocity(0.0, start, form))

    def settled(t: Any, y: Blocks, args: QuadraticForm, **_: Any) -> Array:
        return _largest(_velocity(t, y, args)) < tolerance * first

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_velocity),
        diffrax.Dopri8(),
        0.0,
        jnp.inf,
        None,
        start,
        args=form,
        saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.PIDController(rtol=1e-12, atol=1e-14),
        event=diffrax.Event(settled),
        max_steps=max_steps,
    )
    return jax.tree.map(lambda leaf: leaf[-1], solution.ys)


def _velocity(t: Any, blocks: Blocks, form: QuadraticForm) -> Blocks:
    return jax.tree.map(jnp.negative, jax.grad(form_loss)(blocks, form))


def _largest(tree: Any) -> Array:
    return jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(tree)]))


def _real_rows(values: Complex[Array, "positions entries"]) -> Float[Array, "positions 2 entries"]:
    """Put real and imaginary parts on rows of their own: products of the rows then sum to real parts of overlaps."""
    return jnp.stack([jnp.real(values), jnp.imag(values)], axis=1)


def _add_up(weight: Float[Array, " sequences"], values: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.tensordot(weight, leaf, axes=1), values)


def _weighted_sum(function: Any, sequences: Sequences, reduce: Any = _add_up) -> Any:
    """Sum a function of first token and eigenvalues over weighted sequences, in chunks that bound the memory.

    ``reduce`` maps the weights of a chunk and the function's values to that chunk's part of the sum.
    """
    count = sequences.weight.size
    size = min(count, _CHUNK)
    padding = -count % size
    chunks = jax.tree.map(
        lambda leaf: jnp.concatenate([leaf, jnp.zeros((padding, *leaf.shape[1:]), leaf.dtype)]).reshape(
            -1, size, *leaf.shape[1:]
        ),
        sequences,
    )

    def part(chunk: Sequences) -> Any:
        return reduce(chunk.weight, jax.vmap(function)(chunk.first, chunk.eigenvalues))

    def add(total: Any, chunk: Sequences) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, part(chunk)), None

    shape = eqx.filter_eval_shape(part, jax.tree.map(lambda leaf: leaf[0], chunks))
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape)
    return jax.lax.scan(add, zero, chunks)[0]
