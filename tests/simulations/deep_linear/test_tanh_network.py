import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear.spectra import spectral_moments
from simulations.deep_linear.tanh_network import _forward, tanh_lengths, tanh_pass, tanh_tangent

KEY = jax.random.key(13)


@pytest.mark.parametrize("ensemble", ["gaussian", "orthogonal"])
def test_jacobian_matches_finite_differences(ensemble):
    n, depth, gain = 5, 4, 1.3
    start_key, layers_key = jax.random.split(KEY)
    direction = np.asarray(jax.random.normal(start_key, (n,)))
    start = np.sqrt(n * 0.7) * direction / np.linalg.norm(direction)
    got = tanh_pass(KEY, n=n, depth=depth, gain=gain, q0=0.7, ensemble=ensemble)
    assert got.lengths.shape == (depth + 1,)
    np.testing.assert_allclose(got.lengths[0], 0.7, rtol=1e-14)
    step = 1e-5
    ends = start + step * np.concatenate([np.eye(n), -np.eye(n)])
    final = jax.vmap(lambda h: _forward(h, layers_key, depth, ensemble, jnp.asarray(gain))[0])(ends)
    expected = (final[:n] - final[n:]).T / (2 * step)
    np.testing.assert_allclose(got.jacobian, expected, atol=1e-8)


def test_lengths_alone_are_those_of_the_pass():
    settings = {"n": 6, "depth": 5, "gain": 1.2, "q0": 0.4, "ensemble": "orthogonal"}
    np.testing.assert_allclose(tanh_lengths(KEY, **settings), tanh_pass(KEY, **settings).lengths, rtol=1e-13)


def test_small_signals_pass_a_linear_isometry():
    got = tanh_pass(KEY, n=8, depth=6, gain=0.9, q0=1e-20, ensemble="orthogonal")
    np.testing.assert_allclose(got.lengths, 1e-20 * 0.81 ** np.arange(7), rtol=1e-10)
    np.testing.assert_allclose(spectral_moments(got.jacobian, order=1), 0.81**6, rtol=1e-10)
    silent = tanh_tangent(KEY, n=4000, depth=3, gain=1.0, q0=0.0)
    np.testing.assert_allclose(silent.lengths, 0.0)
    np.testing.assert_allclose(silent.growth, 1.0, rtol=0.2)


def test_tangent_law_is_that_of_explicit_weights():
    n, depth, draws = 5, 3, 3000
    keys = jax.random.split(KEY, draws)
    settings = {"n": n, "depth": depth, "gain": 1.5, "q0": 0.8}

    def explicit(key):
        signal = tanh_pass(key, **settings)
        return signal.lengths[-1], spectral_moments(signal.jacobian, order=1)[0]

    def implicit(key):
        signal = tanh_tangent(key, **settings)
        return signal.lengths[-1], signal.growth[-1]

    def moments(samples):
        q, g = map(np.asarray, samples)
        return np.stack([q, q**2, g, q * g])

    first = moments(jax.jit(jax.vmap(explicit))(keys))
    second = moments(jax.jit(jax.vmap(implicit))(jax.random.split(jax.random.key(1), draws)))
    error = np.sqrt((first.var(axis=1) + second.var(axis=1)) / draws)
    assert (np.abs(first.mean(axis=1) - second.mean(axis=1)) < 5 * error).all()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"n": 0}, "n"),
        ({"depth": 0}, "depth"),
        ({"gain": -1.0}, "gain"),
        ({"q0": -0.1}, "q0"),
        ({"q0": np.nan}, "q0"),
        ({"ensemble": "uniform"}, "ensemble"),
    ],
)
def test_bad_input_names_the_argument(change, name):
    settings = {"n": 3, "depth": 2, "gain": 1.0, "q0": 0.5} | change
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        tanh_pass(KEY, **settings)
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        tanh_lengths(KEY, **settings)
