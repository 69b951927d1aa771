"""Outliers of random matrices and of Hessians: transitions, symmetries, ranks, and bad input."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import kernel_regression as kr

signals, ratios = st.floats(1e-3, 1e3), st.floats(1e-3, 1e2)


@given(signals, st.floats(1e-3, 1e3))
def test_a_wigner_outlier_solves_the_equation_of_the_resolvent(spike, sigma):
    found = kr.wigner_outlier(spike, sigma=sigma)
    assert 0 <= found.overlap_sq < 1
    assert found.location >= 2 * sigma * (1 - 1e-15)
    if spike > 1.001 * sigma:
        # v.(x - W)^-1 v is the Stieltjes transform of the semicircle, and equals 1/theta at an outlier
        x, s = mp.mpf(float(found.location)), mp.mpf(sigma)
        assert float(2 * spike / (x + mp.sqrt(x**2 - 4 * s**2))) == pytest.approx(1, rel=1e-6)


@given(signals, ratios)
def test_a_covariance_outlier_swaps_rows_and_columns(signal, ratio):
    found = kr.spiked_covariance_outlier(1 + signal, ratio=ratio)
    edge = (1 + ratio**0.5) ** 2
    assert found.location >= edge * (1 - 1e-12)
    assert 0 <= found.overlap_sq <= 1
    # the Gram matrix has the same nonzero spectrum: outlier and edge are symmetric in (l - 1) and gamma / (l - 1)
    shown = (1 + signal) * (1 + ratio / signal)
    assert found.location == pytest.approx(shown if signal > ratio**0.5 else edge, rel=1e-12)


@given(st.floats(1e-6, 0.5), ratios)
def test_location_and_overlap_are_continuous_at_the_transition(step, ratio):
    below, above = (kr.spiked_covariance_outlier(1 + ratio**0.5 * (1 + sign * step), ratio=ratio) for sign in (-1, 1))
    assert below.overlap_sq == 0
    assert 0 < above.overlap_sq <= 2 * step
    assert 0 <= above.location - below.location <= (1 + ratio) * step**2 * 4


def test_the_overlap_is_the_derivative_of_the_location():
    for spike, ratio in ((4.0, 0.5), (9.0, 3.0), (2.5, 0.1)):
        slope = mp.diff(lambda top, g=ratio: top * (1 + g / (top - 1)), spike)
        found = kr.spiked_covariance_outlier(spike, ratio=ratio)
        assert float(slope * spike / found.location) == pytest.approx(float(found.overlap_sq), rel=1e-12)


@given(st.integers(1, 50), st.integers(1, 50))
def test_effective_batches(batch, more):
    size = kr.effective_batch_size(batch, n_samples=batch + more)
    assert 1 / size == pytest.approx(1 / batch - 1 / (batch + more), rel=1e-12)
    assert kr.effective_batch_size(batch) == batch
    lifted = kr.batch_hessian_outlier([1.0, 3.0], n_params=10, batch_size=batch, noise_std=0.3, n_samples=batch + more)
    assert (lifted >= [1.0, 3.0]).all()
    whole = kr.batch_hessian_outlier([1.0, 3.0], n_params=10, batch_size=batch, noise_std=0.3, n_samples=batch)
    np.testing.assert_array_equal(whole, [1.0, 3.0])


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 6), st.integers(0, 10**6))
def test_a_split_adds_up_and_has_at_most_its_rank(samples, outputs, parameters, seed):
    rng = np.random.default_rng(seed)
    jacobian = rng.standard_normal((samples, outputs, parameters))
    curvature, slope = rng.standard_normal((samples, outputs, outputs)), rng.standard_normal((samples, outputs))
    bend = rng.standard_normal((samples, outputs, parameters, parameters))
    found = kr.hessian_split(jacobian, curvature, slope, bend)
    expected = sum(jacobian[i].T @ curvature[i] @ jacobian[i] for i in range(samples)) / samples
    np.testing.assert_allclose(found.gauss_newton, expected, atol=1e-12)
    rest = np.einsum("ic,icpq->pq", slope, bend) / samples
    np.testing.assert_allclose(found.residual, rest, atol=1e-12)
    most = kr.gauss_newton_rank_bound(n_samples=samples, n_outputs=outputs, n_params=parameters)
    assert np.linalg.matrix_rank(found.gauss_newton, tol=1e-9) <= most


def test_softmax_has_one_direction_fewer_and_clusters_are_counted():
    count = {"n_samples": 6, "n_outputs": 3, "n_params": 66}
    assert kr.gauss_newton_rank_bound(**count) == 18
    assert kr.gauss_newton_rank_bound(**count, loss="cross_entropy") == 12
    assert kr.gauss_newton_rank_bound(n_samples=100, n_outputs=3, n_params=66) == 66
    weak = kr.cluster_hessian_outliers(n_clusters=5, snr=0.4, ratio=0.2)
    assert weak.number == 0
    assert weak.location == pytest.approx(weak.edge, rel=1e-12)
    assert kr.cluster_hessian_outliers(n_clusters=5, snr=0.5, ratio=0.2).number == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kr.wigner_outlier(-1.0), "spike must be nonnegative"),
        (lambda: kr.wigner_outlier(1.0, sigma=0.0), "sigma must be positive"),
        (lambda: kr.spiked_covariance_outlier(0.5, ratio=1.0), "spike must be at least 1"),
        (lambda: kr.spiked_covariance_outlier(2.0, ratio=0.0), "ratio must be positive"),
        (lambda: kr.effective_batch_size(5, n_samples=4), "n_samples must be at least batch_size = 5"),
        (lambda: kr.batch_hessian_outlier(1.0, n_params=0, batch_size=1, noise_std=1.0), "n_params must be at least"),
        (lambda: kr.hessian_split([[[1.0]]], [[1.0]], [[1.0]], [[[[1.0]]]]), "loss_hessian must have shape"),
        (lambda: kr.gauss_newton_rank_bound(n_samples=1, n_outputs=1, n_params=1, loss="l1"), "loss must be"),
        (lambda: kr.cluster_hessian_outliers(n_clusters=2, snr=1.0, ratio=0.5, n_classes=1), "n_classes must be"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
