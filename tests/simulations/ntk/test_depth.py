"""Deep kernels by quadrature and classifiers by them, on cases with known answers."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations import ntk as sim


def test_hermite_polynomials_are_orthonormal():
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    weights = weights / weights.sum()
    values = np.stack([np.asarray(sim.hermite_activation(jnp.asarray(nodes), jnp.eye(6)[k])) for k in range(6)])
    np.testing.assert_allclose(values * weights @ values.T, np.eye(6), atol=1e-12)


def test_one_layer_of_a_parabola():
    # s = rho^2, s' = 2 rho: T = rho^2 + 2 rho^2
    found = sim.polynomial_kernels(jnp.array([0.0, 0.3, 0.9]), jnp.array([0.0, 0.0, 1.0]), depth=1)
    rho = np.array([1.0, 0.7, 0.1])
    np.testing.assert_allclose(found.nngp[1], np.log(rho**2), atol=1e-12)
    np.testing.assert_allclose(found.ntk[1], np.log(3 * rho**2), atol=1e-12)
    np.testing.assert_allclose(found.ntk[0], np.log(rho), atol=1e-15)


def test_close_inputs_keep_their_distance_through_layers():
    delta = 1e-12
    found = sim.polynomial_kernels(jnp.array([delta]), jnp.sqrt(jnp.array([0.0, 0.5, 0.5])), depth=8).nngp[:, 0]
    np.testing.assert_allclose(-np.asarray(found), delta * 1.5 ** np.arange(9), rtol=1e-9)


def test_exact_arithmetic_of_a_cubic():
    found = sim.monomial_kernels(Fraction(1, 2), 3, 2)
    assert found == [Fraction(1, 2), Fraction(4, 8), Fraction(13, 512)]


def test_arcs_and_their_labels():
    arc = sim.labelled_arc(jax.random.key(0), n=50, n_test=40, draws=3, waves=8.0, noise=0.0)
    assert arc.labels.shape == (3, 50)
    np.testing.assert_array_equal(arc.labels[0], np.sign(np.sin(8 * arc.angles)))
    noisy = sim.labelled_arc(jax.random.key(0), n=4000, n_test=4, draws=1, waves=8.0, noise=0.2)
    flipped = np.mean(noisy.labels[0] != np.sign(np.sin(8 * noisy.angles)))
    assert flipped == pytest.approx(0.2, abs=0.03)


def test_votes():
    apart = sim.separation(jnp.array([0.0, 1.0]), jnp.array([0.1, 0.9, 2.0]))
    assert apart[0, 0] == pytest.approx(1 - np.cos(0.1))
    labels = jnp.array([1.0, -1.0, 1.0])
    np.testing.assert_array_equal(sim.nearest_label(apart, labels), [1.0, -1.0])
    flat = sim.weighted_vote(jnp.zeros((2, 3)), labels)
    np.testing.assert_allclose(flat, 1.0)
    regression = sim.regression_vote(jnp.log(jnp.eye(3) + 1e-300), jnp.log(jnp.eye(3) + 1e-300), labels)
    np.testing.assert_allclose(regression, labels)
