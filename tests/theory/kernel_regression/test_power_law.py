import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.kernel_regression import (
    krr_risk,
    powerlaw_critical_noise,
    powerlaw_fitting_ratio,
    powerlaw_krr_risk,
    powerlaw_relative_risk,
)

exponents = st.tuples(st.floats(1.05, 4.0), st.floats(0.02, 0.98)).map(
    lambda pair: (pair[0], 1 + pair[1] * 2 * pair[0])
)


@given(exponents, st.floats(0, 5))
def test_the_ratio_minimises_the_risk(pair, noise):
    alpha, beta = pair
    best = powerlaw_fitting_ratio(alpha=alpha, beta=beta, noise_rel=noise)
    others = powerlaw_relative_risk(np.linspace(0, 0.999, 400), alpha=alpha, beta=beta, noise_rel=noise)
    assert 0 <= best < 1
    assert powerlaw_relative_risk(best, alpha=alpha, beta=beta, noise_rel=noise) <= others.min() * (1 + 1e-12)


@given(exponents)
def test_interpolation_is_best_up_to_the_critical_noise(pair):
    alpha, beta = pair
    critical = powerlaw_critical_noise(alpha=alpha, beta=beta)
    below, above = (powerlaw_fitting_ratio(alpha=alpha, beta=beta, noise_rel=max(critical + e, 0)) for e in (0, 0.01))
    assert above > 0
    assert (below < 1e-20) == (critical >= 0)


@given(exponents, st.lists(st.floats(0, 10), min_size=2, max_size=5))
def test_more_noise_asks_for_less_fitting(pair, noises):
    alpha, beta = pair
    ratio = powerlaw_fitting_ratio(alpha=alpha, beta=beta, noise_rel=np.sort(noises))
    assert np.all(np.diff(ratio) >= 0)


@pytest.mark.parametrize(("alpha", "beta", "noise"), [(1.6, 1.3, 0.0), (1.6, 1.3, 1.5), (1.5, 2.0, 1.5)])
def test_finite_numbers_tend_to_the_limit(alpha, beta, noise):
    r = np.array([0.0, 0.3, 0.7])
    limit = powerlaw_relative_risk(r**2, alpha=alpha, beta=beta, noise_rel=noise)
    errors = []
    for n in (200, 800):
        base = powerlaw_krr_risk(alpha=alpha, beta=beta, n=n).test
        # choose gamma, hence r, by the ridge that it belongs to: delta = gamma n r, found by a few secants
        ridge = np.zeros_like(r)
        for _ in range(60):
            found = powerlaw_krr_risk(alpha=alpha, beta=beta, n=n, ridge=ridge, noise_var=noise * base)
            ridge = found.kappa * n * r
        errors.append(found.test / base - limit)
    assert np.abs(errors[1]).max() < 0.01 * limit.max()
    assert np.all(np.abs(errors[1]) <= np.abs(errors[0]) / 3 + 1e-9)


@pytest.mark.parametrize(("alpha", "beta"), [(1.1, 1.2), (1.6, 1.3), (2.5, 4.0)])
def test_tails_are_summed(alpha, beta):
    found = powerlaw_krr_risk(alpha=alpha, beta=beta, n=5.5, ridge=0.3)
    with mp.workdps(30):
        gamma, cut = mp.mpf(float(found.gamma)), 300

        def total(f):
            """Sum to the cut, and by Euler and Maclaurin beyond it."""
            derivative = [mp.diff(f, cut, order) for order in (1, 3, 5)]
            start = mp.log(cut)
            beyond = mp.quad(lambda u: f(mp.exp(u)) * mp.exp(u), [start + 12 * j for j in range(30)]) + f(cut) / 2
            return (
                mp.fsum(f(i) for i in range(1, cut))
                + beyond
                - mp.fdot(derivative, [mp.mpf(1) / 12, -mp.mpf(1) / 720, mp.mpf(1) / 30240])
            )

        z = total(lambda i: 1 / (1 + gamma * mp.mpf(i) ** alpha))
        bias = total(lambda i: mp.mpf(i) ** -beta / (1 + mp.mpf(i) ** -alpha / gamma) ** 2)
    assert found.z == pytest.approx(float(z), rel=1e-12)
    assert found.test == pytest.approx(float(bias) * found.noise_amplification, rel=1e-11)


def test_a_fast_spectrum_needs_no_tail():
    i = np.arange(1, 20_001.0)
    short, whole = krr_risk(i**-3, i**-5, n=8, ridge=0.01), powerlaw_krr_risk(alpha=3, beta=5, n=8, ridge=0.01)
    np.testing.assert_allclose(short, whole, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: powerlaw_fitting_ratio(alpha=1.0, beta=1.5), "alpha must be in"),
        (lambda: powerlaw_fitting_ratio(alpha=2.0, beta=1.0), "beta must be in"),
        (lambda: powerlaw_fitting_ratio(alpha=2.0, beta=5.0), "beta must be below 2 alpha"),
        (lambda: powerlaw_fitting_ratio(alpha=2.0, beta=2.0, noise_rel=-1), "noise_rel must be nonnegative"),
        (lambda: powerlaw_relative_risk(1.0, alpha=2.0, beta=2.0), "fitting_ratio must be below 1"),
        (lambda: powerlaw_relative_risk(-0.1, alpha=2.0, beta=2.0), "fitting_ratio must be in"),
        (lambda: powerlaw_krr_risk(alpha=2.0, beta=2.0, n=-1), "n must be positive"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
