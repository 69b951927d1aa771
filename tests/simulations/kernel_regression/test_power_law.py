"""Brute-force tuning against sums in multiple precision and against a grid of ridges."""

import mpmath
import numpy as np
import pytest

from simulations import kernel_regression as sim


def _risk(log_kappa, alpha, beta, noise, n):
    """Sum in multiple precision; returns test risk and 1 - z / n."""
    kappa = mpmath.exp(log_kappa)
    head = 600

    def kept(i):
        return 1 / (1 + kappa * mpmath.mpf(i) ** alpha)

    def total(term):
        tail = mpmath.quad(lambda u: term(mpmath.exp(u)) * mpmath.exp(u), [mpmath.log(head + 0.5), 20, 60, 400])
        return mpmath.fsum(term(i) for i in range(1, head + 1)) + tail

    z, q, bias = (
        total(term) for term in (kept, lambda i: kept(i) ** 2, lambda i: (1 - kept(i)) ** 2 * mpmath.mpf(i) ** -beta)
    )
    return float(n / (n - q) * (bias + noise)), float(1 - z / n)


@pytest.mark.parametrize(("alpha", "beta"), [(1.6, 1.4), (2.0, 2.5)])
def test_the_ridgeless_risk_in_multiple_precision(alpha, beta):
    n = 20
    found = sim.tuned_power_law(alpha, beta, 0.5, n)
    low, high = -12.0, 0.0
    for _ in range(26):
        middle = (low + high) / 2
        low, high = (middle, high) if _risk(middle, alpha, beta, 0.0, n)[1] < 0 else (low, middle)
    assert found.ridgeless == pytest.approx(_risk(high, alpha, beta, 0.0, n)[0], rel=1e-5)
    around = [_risk(high + shift, alpha, beta, 0.5 * found.ridgeless, n) for shift in np.linspace(0, 3, 31)]
    best = min(around)
    assert found.fitting_ratio == pytest.approx(best[1] ** 2, abs=0.1)


def test_more_noise_asks_for_more_ridge():
    ratios = [sim.tuned_power_law(1.6, 1.4, noise, 100).fitting_ratio for noise in (0.0, 0.5, 2.0, 10.0)]
    assert np.all(np.diff(ratios) > 0)
    assert ratios[0] >= 0


@pytest.mark.parametrize(("name", "given"), [("alpha", -1.0), ("beta", 0.0), ("n", -3)])
def test_bad_input(name, given):
    arguments = {"alpha": 1.5, "beta": 1.5, "noise_rel": 0.1, "n": 10} | {name: given}
    with pytest.raises(ValueError, match=name):
        sim.tuned_power_law(**arguments)
