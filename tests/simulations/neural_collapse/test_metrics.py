import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.neural_collapse import class_means, collapse_metrics

LABELS = jnp.array([2, 0, 1, 1, 0, 2, 2, 0])
RNG = np.random.default_rng(6)
FEATURES = RNG.normal(size=(4, 8))
HEAD = RNG.normal(size=(3, 4))
BIAS = RNG.normal(size=3)


def unit(matrix):
    return matrix / np.linalg.norm(matrix)


def test_metrics_by_their_definitions():
    labels = np.asarray(LABELS)
    means = np.stack([FEATURES[:, np.flatnonzero(np.equal(labels, k))].mean(axis=1) for k in range(3)], axis=1)
    np.testing.assert_allclose(class_means(jnp.asarray(FEATURES), LABELS, 3), means, atol=1e-14)
    within = FEATURES - means[:, labels]
    sigma_w = within @ within.T / 8
    spokes = means - means.mean(axis=1, keepdims=True)
    sigma_b = spokes @ spokes.T / 3
    got = collapse_metrics(jnp.asarray(FEATURES), LABELS, jnp.asarray(HEAD), jnp.asarray(BIAS))
    np.testing.assert_allclose(got.nc1, np.trace(sigma_w @ np.linalg.pinv(sigma_b, rcond=1e-6)) / 3, rtol=1e-10)
    np.testing.assert_allclose(got.nc1_trace, np.trace(sigma_w) / np.trace(sigma_b), rtol=1e-12)
    simplex = unit(np.eye(3) - 1 / 3)
    np.testing.assert_allclose(got.nc2_etf, np.linalg.norm(unit(spokes.T @ spokes) - simplex), rtol=1e-12)
    np.testing.assert_allclose(got.nc2_orthogonal, np.linalg.norm(unit(means.T @ means) - unit(np.eye(3))), rtol=1e-12)
    np.testing.assert_allclose(got.nc2_classifier_etf, np.linalg.norm(unit(HEAD @ HEAD.T) - simplex), rtol=1e-12)
    np.testing.assert_allclose(got.nc3, np.linalg.norm(unit(HEAD) - unit(spokes.T)), rtol=1e-12)
    bare = collapse_metrics(jnp.asarray(FEATURES), LABELS, jnp.asarray(HEAD), centred=False)
    np.testing.assert_allclose(bare.nc3, np.linalg.norm(unit(HEAD) - unit(means.T)), rtol=1e-12)
    predicted = np.argmax(HEAD @ FEATURES + BIAS[:, None], axis=0)
    nearest = np.argmin(np.linalg.norm(FEATURES[:, :, None] - means[:, None], axis=0), axis=1)
    assert got.nc4 == np.mean(predicted != nearest)
    assert got.nc4.dtype == jnp.float64


def test_a_collapsed_simplex_has_no_distance():
    frame = jnp.asarray(np.eye(3) - 1 / 3)
    got = collapse_metrics(frame[:, LABELS], LABELS, 2.0 * frame)
    np.testing.assert_allclose([got.nc1, got.nc1_trace, got.nc2_etf, got.nc2_classifier_etf, got.nc3], 0, atol=1e-12)
    assert got.nc4 == 0


def test_leading_axes_are_kept():
    stack = jnp.asarray(RNG.normal(size=(5, 4, 8)))
    heads = jnp.asarray(RNG.normal(size=(5, 3, 4)))
    got = collapse_metrics(stack, LABELS, heads)
    single = jax.vmap(lambda h, w: collapse_metrics(h, LABELS, w))(stack, heads)
    for one, other in zip(got, single, strict=True):
        assert one.shape == (5,)
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_one_sample_a_class_has_no_spread():
    got = collapse_metrics(jnp.asarray(FEATURES[:, :3]), jnp.arange(3), jnp.asarray(HEAD))
    assert got.nc1 == pytest.approx(0)
