import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.optimization import (
    batch_hessian_edge_shift,
    batch_hessian_outlier,
    batch_hessian_outlier_shift,
    effective_batch_size,
    learning_rate_exponent,
)


@pytest.mark.parametrize("spike", [0.5, 1.5, 3.0])
def test_outlier_is_that_of_a_large_random_matrix(spike):
    P = 400
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(P, P))
    noise = (noise + noise.T) / np.sqrt(2 * P)
    noise[0, 0] += spike
    values, vectors = np.linalg.eigh(noise)
    predicted = batch_hessian_outlier(spike, n_parameters=P, noise_variance=1.0, batch_size=P)
    assert predicted.eigenvalue == pytest.approx(values[-1], rel=0.04)
    assert predicted.overlap == pytest.approx(vectors[0, -1] ** 2, abs=0.1)


@given(spike=st.floats(1e-3, 1e3), variance=st.floats(1e-6, 1e3), batch=st.integers(1, 1000), rest=st.integers(1, 1000))
def test_outlier_never_lies_below_spike_or_edge(spike, variance, batch, rest):
    out = batch_hessian_outlier(
        spike, n_parameters=50, noise_variance=variance, batch_size=batch, n_samples=batch + rest
    )
    infinite = batch_hessian_outlier(spike, n_parameters=50, noise_variance=variance, batch_size=batch)
    edge = 2 * np.sqrt(50 * variance * rest / (batch * (batch + rest)))
    assert out.eigenvalue >= max(edge, spike) * (1 - 1e-12)
    assert 0 <= out.overlap <= 1
    # a finite data set contains part of the batch's noise
    assert out.eigenvalue <= infinite.eigenvalue
    assert out.overlap >= infinite.overlap


def test_outlier_meets_the_edge_without_a_step():
    above = batch_hessian_outlier(1 + 1e-9, n_parameters=10, noise_variance=1.0, batch_size=10)
    below = batch_hessian_outlier(1 - 1e-9, n_parameters=10, noise_variance=1.0, batch_size=10)
    assert above.eigenvalue == pytest.approx(below.eigenvalue, rel=1e-12)
    assert above.overlap == pytest.approx(0, abs=1e-8)
    assert below.overlap == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eigenvalue": 0.0}, "eigenvalue must be positive"),
        ({"n_parameters": 0}, "n_parameters must be at least 1"),
        ({"noise_variance": -1.0}, "noise_variance must be positive"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"n_samples": 5}, "n_samples must exceed batch_size, 5; got 5"),
        ({"n_samples": np.nan}, "n_samples must be finite"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"eigenvalue": 2.0, "n_parameters": 10, "noise_variance": 1.0, "batch_size": 5, **changes}
    with pytest.raises(ValueError, match=message):
        batch_hessian_outlier(arguments.pop("eigenvalue"), **arguments)


def test_shift_of_the_outlier_is_the_next_order_of_its_secular_equation():
    # the mean over Gaussian noise, from the spectrum of the noise and a random direction, with the control variates
    # v.Wv and v.W^2 v, whose means are 0 and (P + 1) / P
    rng, P, lam, draws = np.random.default_rng(0), 24, 3.0, 6000
    noise = rng.normal(size=(draws, P, P)) / np.sqrt(P)
    noise = (noise + noise.transpose(0, 2, 1)) / np.sqrt(2)
    along, squared = noise[:, 0, 0].copy(), (noise[:, 0] ** 2).sum(axis=1) - (P + 1) / P
    noise[:, 0, 0] += lam
    values, vectors = np.linalg.eigh(noise)
    limit = batch_hessian_outlier(lam, n_parameters=P, noise_variance=1 / P, batch_size=1)
    shift = batch_hessian_outlier_shift(lam, n_parameters=P, noise_variance=1 / P, batch_size=1)
    for found, base, predicted in (
        (values[:, -1], limit.eigenvalue, shift.eigenvalue),
        (vectors[:, 0, -1] ** 2, limit.overlap, shift.overlap),
    ):
        controls = np.stack([along, squared - squared.mean()], axis=1)
        slopes = np.linalg.lstsq(controls, found - found.mean(), rcond=None)[0]
        rest = found - base - np.stack([along, squared], axis=1) @ slopes
        assert abs(rest.mean() - predicted) < 5 * rest.std() / np.sqrt(draws) + 2 / P**2


def test_shifts_scale_as_eigenvalues_and_overlaps_do():
    one = batch_hessian_outlier_shift(3.0, n_parameters=50, noise_variance=0.02, batch_size=1)
    two = batch_hessian_outlier_shift(6.0, n_parameters=50, noise_variance=0.08, batch_size=1)
    assert two.eigenvalue == pytest.approx(2 * one.eigenvalue)
    assert two.overlap == pytest.approx(one.overlap)
    wide = batch_hessian_outlier_shift(3.0, n_parameters=100, noise_variance=0.01, batch_size=1)
    assert wide.eigenvalue == pytest.approx(one.eigenvalue / 2)
    assert batch_hessian_edge_shift(n_parameters=800, noise_variance=1 / 800, batch_size=1) == pytest.approx(
        batch_hessian_edge_shift(n_parameters=100, noise_variance=1 / 100, batch_size=1) / 4
    )


def test_subsets_without_replacement_have_the_effective_batch_size():
    values = np.arange(6.0)
    means = [np.mean(subset) for subset in itertools.combinations(values, 2)]
    # the variance of a subset's mean, over the variance of one value with the divisor N - 1
    assert 1 / effective_batch_size(2, 6) == pytest.approx(np.var(means) / np.var(values, ddof=1))
    assert effective_batch_size(7) == 7


def test_exponent_of_the_learning_rate_is_the_slope_of_the_outlier():
    def top(b, lam):
        return batch_hessian_outlier(lam, n_parameters=10**6, noise_variance=1.0, batch_size=b).eigenvalue

    for lam in (3.0, 1.2, 0.5):
        b = 10**6
        slope = -np.log(top(b + 1000, lam) / top(b - 1000, lam)) / np.log((b + 1000) / (b - 1000))
        exponent = learning_rate_exponent(lam, n_parameters=10**6, noise_variance=1.0, batch_size=b)
        assert exponent == pytest.approx(slope, rel=1e-5)
        assert exponent <= 0.5


@given(st.floats(1.2, 8.0))
def test_overlap_and_its_shift_are_derivatives_by_the_eigenvalue(lam):
    problem, step = {"n_parameters": 50, "noise_variance": 0.02, "batch_size": 1}, 1e-5
    for solve in (batch_hessian_outlier, batch_hessian_outlier_shift):
        above, below = (solve(lam + h, **problem).eigenvalue for h in (step, -step))
        assert solve(lam, **problem).overlap == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8)
