from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear.initial_conditions import (
    balanced,
    decoupled,
    fan_in_gaussian,
    gaussian,
    haar,
    imbalanced,
    orthogonal,
)
from simulations.deep_linear.networks import product

KEY = jax.random.key(7)


def eye_error(gram):
    return float(jnp.abs(gram - jnp.eye(gram.shape[0])).max())


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (6, 6), (6, 2)])
def test_haar_columns_are_orthonormal(n, columns):
    q = haar(KEY, n, columns)
    assert q.shape == (n, columns)
    assert eye_error(q.T @ q) < 1e-14


def test_haar_moments():
    # Over O(n): E q_ij = 0, E q_ij^2 = 1/n, E q_ij^4 = 3/(n(n+2)), E q_11^2 q_22^2 = (n+1)/(n(n-1)(n+2)).
    n, draws = 3, 20_000
    q = np.asarray(jax.vmap(lambda key: haar(key, n))(jax.random.split(KEY, draws)))
    for values, expected in [
        (q[:, 0, 0], 0.0),
        (q[:, 1, 2], 0.0),
        (q[:, 2, 1] ** 2, 1 / n),
        (q[:, 0, 0] ** 4, 3 / (n * (n + 2))),
        (q[:, 0, 0] ** 2 * q[:, 1, 1] ** 2, (n + 1) / (n * (n - 1) * (n + 2))),
        (np.linalg.det(q), 0.0),
    ]:
        assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(draws)


def test_gaussian_scales():
    wide = gaussian(KEY, [200, 100, 50], std=0.3)
    assert [w.shape for w in wide] == [(100, 200), (50, 100)]
    assert abs(float(wide[0].std()) - 0.3) < 0.01
    fan_in = fan_in_gaussian(KEY, [200, 100, 50], gain=2.0)
    for layer in fan_in:
        assert abs(float(layer.std()) * np.sqrt(layer.shape[1]) - 2.0) < 0.1
    np.testing.assert_allclose(gaussian(KEY, [3, 2], std=2.0)[0], 4 * gaussian(KEY, [3, 2], std=0.5)[0], rtol=1e-15)
    assert abs(float(jnp.vdot(wide[0][:50, :100], wide[1]) / jnp.linalg.norm(wide[1]) / 0.3)) < 5


def test_orthogonal_layers_are_isometries_where_shapes_allow():
    layers = orthogonal(KEY, [5, 8, 8, 8, 3], gain=1.5)
    for layer in layers:
        rows, columns = layer.shape
        small = layer @ layer.T if rows <= columns else layer.T @ layer
        assert eye_error(small / 1.5**2) < 1e-14
    assert float(jnp.abs(layers[1] - layers[2]).max()) > 0.1


def test_decoupled_weights_diagonalise_the_product():
    u, v = haar(jax.random.key(1), 4), haar(jax.random.key(2), 6)
    strengths = jnp.array([[0.3, -0.2], [1.0, 2.0], [0.5, 0.1]])
    weights = decoupled(KEY, strengths, u=u, v=v, hidden=[5, 3])
    assert [w.shape for w in weights] == [(5, 6), (3, 5), (4, 3)]
    expected = jnp.zeros((4, 6)).at[:2, :2].set(jnp.diag(jnp.prod(strengths, axis=0)))
    np.testing.assert_allclose(u.T @ product(weights) @ v, expected, atol=1e-14)
    np.testing.assert_allclose(jnp.linalg.svd(weights[1], compute_uv=False)[:2], [2.0, 1.0], rtol=1e-13)
    single = decoupled(KEY, strengths[:1], u=u, v=v)
    np.testing.assert_allclose(u[:, :2].T @ single[0] @ v[:, :2], jnp.diag(strengths[0]), atol=1e-14)


@pytest.mark.parametrize("widths", [[4, 3, 5], [3, 6, 4, 3], [5, 5, 5, 5, 5]])
def test_balanced_layers(widths):
    strengths = jnp.linspace(0.5, 1.5, 3)
    weights = balanced(KEY, widths, strengths=strengths)
    for below, above in pairwise(weights):
        np.testing.assert_allclose(above.T @ above, below @ below.T, atol=1e-14)
    values = jnp.linalg.svd(product(weights), compute_uv=False)[:3]
    np.testing.assert_allclose(jnp.sort(values), strengths ** (len(widths) - 1), rtol=1e-12)


@pytest.mark.parametrize(
    ("widths", "imbalance"), [((5, 3, 4), 0.8), ((2, 4, 4), 0.8), ((5, 4, 2), -0.6), ((4, 3, 5), 0.0)]
)
def test_imbalanced_layers(widths, imbalance):
    first, second = imbalanced(KEY, widths, imbalance=imbalance, strengths=[0.7, 0.2])
    assert first.shape == (widths[1], widths[0])
    assert second.shape == (widths[2], widths[1])
    np.testing.assert_allclose(second.T @ second - first @ first.T, imbalance * np.eye(widths[1]), atol=1e-14)
    weaker = first if imbalance >= 0 else second
    np.testing.assert_allclose(jnp.linalg.svd(weaker, compute_uv=False)[:2], [0.7, 0.2], rtol=1e-13)


@pytest.mark.parametrize(
    "make",
    [
        lambda key: gaussian(key, [3, 4, 2], std=1.0),
        lambda key: orthogonal(key, [3, 4, 4, 2]),
        lambda key: balanced(key, [3, 4, 2], strengths=[1.0, 0.5]),
        lambda key: imbalanced(key, (3, 2, 4), imbalance=0.5, strengths=[0.1]),
        lambda key: decoupled(key, np.ones((2, 2)), u=np.eye(3), v=np.eye(2)),
    ],
)
def test_the_key_decides_everything(make):
    again = zip(make(KEY), make(KEY), strict=True)
    assert all(bool((a == b).all()) for a, b in again)
    other = zip(make(KEY), make(jax.random.key(8)), strict=True)
    assert all(bool((a != b).any()) for a, b in other)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: haar(KEY, 0), "n"),
        (lambda: haar(KEY, 2, 3), "columns"),
        (lambda: gaussian(KEY, [3], std=1.0), "widths"),
        (lambda: gaussian(KEY, [3, 0], std=1.0), "widths"),
        (lambda: gaussian(KEY, [3, 2], std=-1.0), "std"),
        (lambda: fan_in_gaussian(KEY, [3, 2], gain=np.nan), "gain"),
        (lambda: orthogonal(KEY, [3, 2], gain=[1.0, 2.0]), "gain"),
        (lambda: decoupled(KEY, np.ones((0, 2)), u=np.eye(2), v=np.eye(2)), "strengths"),
        (lambda: decoupled(KEY, np.ones((1, 3)), u=np.eye(2), v=np.eye(3)), "u"),
        (lambda: decoupled(KEY, np.ones((1, 2)), u=np.eye(2), v=np.ones((2, 1))), "v"),
        (lambda: decoupled(KEY, np.ones((3, 2)), u=np.eye(2), v=np.eye(2), hidden=[2]), "hidden"),
        (lambda: decoupled(KEY, np.ones((2, 2)), u=np.eye(2), v=np.eye(2), hidden=[1]), "hidden"),
        (lambda: balanced(KEY, [2, 3], strengths=[1.0, 1.0, 1.0]), "strengths"),
        (lambda: balanced(KEY, [2, 3], strengths=[-1.0]), "strengths"),
        (lambda: imbalanced(KEY, (4, 3, 2), imbalance=1.0, strengths=[1.0]), "widths"),
        (lambda: imbalanced(KEY, (2, 3, 4), imbalance=-1.0, strengths=[1.0]), "widths"),
        (lambda: imbalanced(KEY, (2, 3), imbalance=0.0, strengths=[1.0]), "widths"),
        (lambda: imbalanced(KEY, (2, 3, 3), imbalance=0.0, strengths=[1.0] * 3), "strengths"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        call()
