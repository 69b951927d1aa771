import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize

from theory.neural_collapse import critical_bias_decay, simplex_etf, ufm_mse_bias_decay_minimizer, ufm_mse_minimizer


def decays(lam_w, lam_h):
    return {"weight_decay": lam_w, "feature_decay": lam_h}


@given(k=st.integers(2, 8), n=st.integers(1, 20), lam_w=st.floats(1e-4, 0.3), lam_h=st.floats(1e-4, 0.3))
def test_constant_mode_appears_at_the_critical_decay(k, n, lam_w, lam_h):
    assume(k * np.sqrt(n * lam_w * lam_h) < 0.95)
    critical = critical_bias_decay(k, n, **decays(lam_w, lam_h))
    below, above = (
        ufm_mse_bias_decay_minimizer(k, n, **decays(lam_w, lam_h), bias_decay=f * critical) for f in (0.999, 1.001)
    )
    assert below.constant_singular_value == 0
    assert 0 < above.constant_singular_value < 2e-3 * np.sqrt(n)


@given(k=st.integers(2, 6), n=st.integers(1, 9), lam_w=st.floats(1e-3, 0.1), lam_h=st.floats(1e-3, 0.1))
def test_ends_are_the_free_bias_and_no_bias(k, n, lam_w, lam_h):
    for bias_decay, bias in ((0.0, True), (1e12, False)):
        got = ufm_mse_bias_decay_minimizer(k, n, **decays(lam_w, lam_h), bias_decay=bias_decay)
        end = ufm_mse_minimizer([n] * k, weight_decays=[lam_w], feature_decay=lam_h, bias=bias)
        assert got.loss == pytest.approx(end.loss, rel=1e-9)
        assert got.singular_value == pytest.approx(end.product_singular_values[0], rel=1e-9)
        assert got.bias == pytest.approx(end.bias[0], abs=1e-9)


def test_direct_minimisation():
    k, n, lam_w, lam_h, lam_b = 3, 2, 0.03, 0.02, 0.4
    labels = np.repeat(np.eye(k), n, axis=1)

    def value(x):
        w, h, b = x[: k * k].reshape(k, k), x[k * k : -k].reshape(k, k * n), x[-k:]
        r = w @ h + b[:, None] - labels
        slopes = r @ h.T / (k * n) + lam_w * w, w.T @ r / (k * n) + lam_h * h, r.mean(axis=1) + lam_b * b
        loss = np.sum(r**2) / (2 * k * n) + (lam_w * np.sum(w**2) + lam_h * np.sum(h**2) + lam_b * np.sum(b**2)) / 2
        return loss, np.concatenate([slope.ravel() for slope in slopes])

    start = np.random.default_rng(0).normal(size=k * k + k * k * n + k)
    best = minimize(value, start, jac=True, method="BFGS", options={"gtol": 1e-9})
    got = ufm_mse_bias_decay_minimizer(k, n, **decays(lam_w, lam_h), bias_decay=lam_b)
    assert got.loss == pytest.approx(best.fun, rel=1e-9)
    np.testing.assert_allclose(best.x[-k:], got.bias, rtol=1e-6)


def test_the_geometry_below_the_threshold_is_a_simplex():
    k, n = 4, 3
    critical = critical_bias_decay(k, n, **decays(0.01, 0.02))
    got = ufm_mse_bias_decay_minimizer(k, n, **decays(0.01, 0.02), bias_decay=0.5 * critical)
    outputs = got.singular_value / np.sqrt(n) * (k - 1) / k * simplex_etf(k).T @ simplex_etf(k)
    assert np.trace(outputs) == pytest.approx((k - 1) * got.singular_value / np.sqrt(n))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"num_classes": 1}, "num_classes"),
        ({"samples_per_class": 0}, "samples_per_class"),
        ({"weight_decay": 0.0}, "weight_decay"),
        ({"weight_decay": 1.0}, "weight_decay"),
        ({"feature_decay": -1.0}, "feature_decay"),
    ],
)
def test_bad_input_names_the_argument(change, name):
    arguments = {"num_classes": 3, "samples_per_class": 4, "weight_decay": 0.01, "feature_decay": 0.1}
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        critical_bias_decay(**(arguments | change))
