"""Random matrices in banded form against whole ones, differentiated networks, and clustered data."""

import math

import jax
import numpy as np
import pytest

from simulations import kernel_regression as sim


def apart(first, second):
    """Distance of two means in standard errors."""
    return abs(first.mean() - second.mean()) / math.sqrt(first.var() / len(first) + second.var() / len(second))


@pytest.mark.parametrize("spike", [0.5, 2.0])
def test_bands_have_the_spectrum_of_whole_wigner_matrices(spike):
    banded = sim.spiked_wigner_band(jax.random.key(0), spike=spike, n=8, n_replicates=4000)
    whole = sim.dense_spiked_wigner(jax.random.key(1), spike=spike, n=8, n_replicates=4000)
    assert apart(banded.eigenvalue, whole.eigenvalue) < 5
    assert apart(banded.overlap, whole.overlap) < 5
    assert banded.eigenvalue.std() == pytest.approx(whole.eigenvalue.std(), rel=0.1)


@pytest.mark.parametrize(("n", "p"), [(8, 4), (4, 8), (5, 5)])
def test_bands_have_the_spectrum_of_whole_covariances(n, p):
    banded = sim.spiked_covariance_band(jax.random.key(0), spike=3.0, n=n, p=p, n_replicates=4000)
    whole = sim.dense_spiked_covariance(jax.random.key(1), spike=3.0, n=n, p=p, n_replicates=4000)
    assert apart(banded.eigenvalue, whole.eigenvalue) < 5
    assert apart(banded.overlap, whole.overlap) < 5


def test_a_few_rows_hold_an_outlier():
    short, long = (
        sim.spiked_wigner_band(jax.random.key(2), spike=4.0, n=40, n_replicates=3000, rows=rows) for rows in (20, 40)
    )
    assert apart(short.eigenvalue, long.eigenvalue) < 5
    assert apart(short.overlap, long.overlap) < 5


def test_a_batch_of_all_samples_has_no_noise():
    tops = sim.batch_hessian_tops(
        jax.random.key(3), eigenvalues=[5.0, 2.0], n_params=6, noise_std=1.0, batch_size=3, n_samples=3, n_replicates=2
    )
    np.testing.assert_allclose(tops, [[5.0, 2.0, 0.0]] * 2, atol=1e-12)


def test_derivatives_of_a_network_with_one_parameter_for_each_part():
    parts = sim.differentiate_network(
        jax.random.key(4), n_samples=3, n_inputs=1, n_hidden=1, n_outputs=2, loss="cross_entropy", distinct=1
    )
    P = 1 + 1 + 2 + 2
    assert parts.hessian.shape == (P, P)
    assert parts.jacobian.shape == (3, 2, P)
    np.testing.assert_allclose(parts.hessian, parts.hessian.T, atol=1e-15)
    np.testing.assert_allclose(parts.jacobian[0], parts.jacobian[2])  # inputs repeat
    np.testing.assert_allclose(parts.loss_hessian.sum(axis=2), 0, atol=1e-15)
    np.testing.assert_allclose(parts.loss_gradient.sum(axis=1), 0, atol=1e-15)
    # the last biases add to the scores
    np.testing.assert_allclose(parts.jacobian[:, :, -2:], np.broadcast_to(np.eye(2), (3, 2, 2)))


def test_logistic_curvature_is_a_quarter_of_the_covariance():
    spectrum = sim.cluster_hessian_spectrum(
        jax.random.key(5), n_clusters=1, snr=0.0, d=3, n_samples=6000, n_classes=2, n_replicates=1
    )
    np.testing.assert_allclose(spectrum, 0.25, atol=0.03)
    softmax = sim.cluster_hessian_spectrum(
        jax.random.key(5), n_clusters=1, snr=0.0, d=2, n_samples=6000, n_classes=4, n_replicates=1
    )[0]
    np.testing.assert_allclose(softmax, [0.25] * 6 + [0.0] * 2, atol=0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda key: sim.spiked_wigner_band(key, spike=-1.0, n=5, n_replicates=2), "spike must be"),
        (lambda key: sim.spiked_covariance_band(key, spike=2.0, n=1, p=5, n_replicates=2), "n must be"),
        (
            lambda key: sim.cluster_hessian_spectrum(
                key, n_clusters=3, snr=1.0, d=4, n_samples=10, n_classes=2, n_replicates=1
            ),
            "n_samples must be a multiple",
        ),
        (
            lambda key: sim.differentiate_network(
                key, n_samples=3, n_inputs=1, n_hidden=1, n_outputs=2, loss="hinge", distinct=None
            ),
            "loss must be",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(jax.random.key(0))
