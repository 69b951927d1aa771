"""Learning from bags: losses by hand, minima, and the noise and the bags that were asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations import kernel_regression as sim
from simulations.replicates import over_replicates


def _learn(key, *, weights=(1.0,), scales=(0.0,), noise=0.5, shared=False, alike=False, n=12, p=2, k=3, labelings=4):
    return sim.learn_from_bags(
        key, jnp.array(weights), jnp.array(scales), 1.0, noise, shared, alike, n, p, k, labelings
    )


@given(st.integers(0, 2**31 - 1))
def test_losses_by_hand(seed):
    rng = np.random.default_rng(seed)
    x, y, theta = rng.normal(size=(6, 2)), rng.normal(size=3), rng.normal(size=2)
    found = sim.bag_losses(theta, x, y)
    by_hand = [np.mean([(y[i // 2] - x[i] @ theta) ** 2 for i in range(6)])]
    by_hand.append(np.mean([(y[a] - 0.5 * (x[2 * a] + x[2 * a + 1]) @ theta) ** 2 for a in range(3)]))
    np.testing.assert_allclose([found.instance, found.bag], by_hand, rtol=1e-12)


@given(st.integers(0, 2**31 - 1), st.floats(0.1, 1))
def test_fits_are_least_squares_of_stacked_rows(seed, weight):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(12, 2)), rng.normal(size=4)
    rows = np.vstack([np.sqrt((1 - weight) / 4) * x.reshape(4, 3, 2).mean(axis=1), np.sqrt(weight / 12) * x])
    labels = np.concatenate([np.sqrt((1 - weight) / 4) * y, np.sqrt(weight / 12) * np.repeat(y, 3)])
    np.testing.assert_allclose(sim.fit_bags(x, y, weight), np.linalg.lstsq(rows, labels)[0], rtol=1e-9, atol=1e-10)


def test_single_labels_without_noise_are_learnt_exactly():
    found = _learn(jax.random.key(0), noise=0.0, k=1, weights=(0.0, 1.0))
    np.testing.assert_allclose(found.risk, 0, atol=1e-20)
    np.testing.assert_allclose(found.overlap, 1, rtol=1e-10)
    # and so are bags by the bag loss
    np.testing.assert_allclose(_learn(jax.random.key(1), noise=0.0, weights=(0.0,)).risk, 0, atol=1e-20)


def test_risks_are_those_of_the_bag_loss_with_its_noise():
    # two parameters from 4 means: noise p / (m - p - 1), and Laplace noise of scale b adds 2 b^2 k to that of a label
    keys = jax.random.split(jax.random.key(2), 20_000)
    one = np.zeros(1)
    fits = over_replicates(sim.learn_from_bags, keys, one, np.array([0.0, 0.7]), 1.0, 0.5, False, False, 24, 2, 3, 4)
    expected = (0.5 + np.array([0.0, 2 * 0.7**2 * 3])) * 2 / (8 - 2 - 1)
    mean, error = fits.risk[:, 0].mean(axis=0), fits.risk[:, 0].std(axis=0) / np.sqrt(len(keys))
    assert np.all(np.abs(mean - expected) < 6 * error)


def test_noise_that_bags_share_does_not_average():
    keys = jax.random.split(jax.random.key(3), 4000)
    own, shared = (
        jax.vmap(lambda key, shared=shared: _learn(key, n=24, weights=(0.0,), shared=shared).risk)(keys).mean()
        for shared in (False, True)
    )
    assert float(shared / own) == pytest.approx(3, rel=0.2)


def test_bags_of_similar_labels_say_more():
    keys = jax.random.split(jax.random.key(4), 400)
    drawn, alike = (
        jax.vmap(lambda key, alike=alike: _learn(key, alike=alike, labelings=1, noise=0.01).overlap)(keys).mean()
        for alike in (False, True)
    )
    assert float(drawn) == pytest.approx(1 / 3, abs=0.05)
    assert float(alike) > 0.8


def test_weights_and_scales_share_their_draws():
    key = jax.random.key(5)
    both = _learn(key, weights=(0.2, 1.0), scales=(0.0, 0.4))
    assert both.risk.shape == (2, 2)
    np.testing.assert_allclose(both.risk[1, 1], _learn(key, scales=(0.4,)).risk[0, 0], rtol=1e-11)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": 13}, "n must be a multiple of bag_size; got 13 and 3"),
        ({"weights": (1.5,)}, r"weights must be in \[0, 1\]; got 1.5 at index"),
        ({"scales": (-1.0,)}, "laplace_scales must be nonnegative"),
        ({"noise": -1.0}, "noise_var must be nonnegative"),
        ({"p": 0}, "p must be at least 1; got 0"),
    ],
)
def test_bad_bags_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        _learn(jax.random.key(0), **changed)


def test_labels_and_parameters_have_to_fit():
    with pytest.raises(ValueError, match="bag_labels must hold one label for each bag of 6 samples; got 4"):
        sim.bag_losses(np.zeros(2), np.ones((6, 2)), np.ones(4))
    with pytest.raises(ValueError, match=r"parameters must have shape \(2,\); got \(3,\)"):
        sim.bag_losses(np.zeros(3), np.ones((6, 2)), np.ones(3))
