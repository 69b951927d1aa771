import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.in_context import gram_moments, one_step_risk, optimal_step

sizes = st.integers(1, 40)
variances = st.floats(0.0, 5.0)
seconds = st.floats(0.1, 4.0)
kurtoses = st.floats(1.0, 6.0)


@given(sizes, sizes, variances, seconds, kurtoses)
def test_the_optimum_is_a_minimum_of_the_risk(n, d, s2, m2, kurtosis):
    problem = {"n_context": n, "dim": d, "noise_var": s2, "second_moment": m2, "fourth_moment": kurtosis * m2**2}
    best = optimal_step(**problem)
    around = one_step_risk(best.step_size * np.array([0.9, 0.999, 1.0, 1.001, 1.1]), **problem)
    assert around.argmin() == 2
    np.testing.assert_allclose(around[2], best.risk, rtol=1e-11, atol=1e-11 * (s2 + d * m2))
    assert best.normalized_step_size == pytest.approx(n * best.step_size)


@given(sizes, sizes, variances, st.floats(0.2, 5.0))
def test_rescaled_inputs_rescale_the_step(n, d, s2, a):
    unit = optimal_step(n_context=n, dim=d, noise_var=s2)
    scaled = optimal_step(n_context=n, dim=d, noise_var=a**2 * s2, second_moment=a**2, fourth_moment=3 * a**4)
    assert scaled.step_size == pytest.approx(unit.step_size / a**2)
    assert scaled.risk == pytest.approx(a**2 * unit.risk)


@given(sizes, sizes, st.floats(0.0, 1.0), st.floats(0.2, 3.0))
def test_scaling_at_test_is_scaling_the_moments(n, d, step, a):
    scaled = one_step_risk(step, n_context=n, dim=d, noise_var=0.3, test_scale=a)
    moments = one_step_risk(step, n_context=n, dim=d, noise_var=0.3, second_moment=a**2, fourth_moment=3 * a**4)
    assert scaled == pytest.approx(moments, rel=1e-11)


def test_more_examples_never_hurt_and_the_risk_falls_to_the_noise():
    risks = [optimal_step(n_context=n, dim=3, noise_var=0.5).risk for n in (1, 2, 5, 10, 100, 10**8)]
    assert np.all(np.diff(risks) < 0)
    assert risks[-1] == pytest.approx(0.5, abs=1e-6)


def test_known_values():
    assert optimal_step(n_context=12, dim=4, noise_var=0.7).step_size == pytest.approx(1 / 17.7)
    uniform = optimal_step(n_context=10, dim=10, second_moment=1 / 3, fourth_moment=1 / 5)
    assert uniform.normalized_step_size == pytest.approx(150 / 99)
    assert uniform.risk == pytest.approx(1.6498316, abs=1e-7)
    signs = optimal_step(n_context=7, dim=1, fourth_moment=1.0)
    assert (signs.step_size, signs.risk) == (1 / 7, 0.0)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (2, 3), (6, 2)])
def test_gram_moments_agree_with_samples(n, d):
    found = gram_moments(n_context=n, dim=d, second_moment=1 / 3, fourth_moment=1 / 5)
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (100_000, n, d))
    gram = np.einsum("pna,pnb->pab", x, x)
    for value, samples in zip(found, (np.trace(gram, axis1=1, axis2=2), (gram**2).sum(axis=(1, 2))), strict=True):
        assert abs(samples.mean() - value) < 6 * samples.std() / np.sqrt(len(x))


def test_extreme_moments_keep_their_digits():
    with mpmath.workdps(40):
        m2, m4, n, d = mpmath.mpf(10) ** -9, mpmath.mpf(3) * mpmath.mpf(10) ** -18, 10**7, 3
        exact = m2 * d * (1 - n * m2 / (m4 / m2 + (n + d - 2) * m2))
    found = optimal_step(n_context=n, dim=d, second_moment=1e-9, fourth_moment=3e-18)
    assert found.risk == pytest.approx(float(exact), rel=1e-13)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_context": 0}, "n_context must be at least 1; got 0"),
        ({"dim": 0}, "dim must be at least 1"),
        ({"noise_var": -1.0}, "noise_var must be nonnegative; got -1"),
        ({"second_moment": 0.0}, "second_moment must be positive"),
        ({"fourth_moment": 0.5}, "fourth_moment must be at least second_moment squared, 1; got 0.5"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        optimal_step(**({"n_context": 2, "dim": 2} | change))
    with pytest.raises(ValueError, match="step_size must be finite"):
        one_step_risk(np.nan, n_context=2, dim=2)
