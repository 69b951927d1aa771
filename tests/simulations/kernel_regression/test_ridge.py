"""Ridge and least-norm fits against fits of drawn labels, and the search for the best ridge."""

import jax
import numpy as np
import pytest

from simulations import kernel_regression as sim

VARIANCES, COEFFICIENTS = np.array([1.0, 0.5, 2.0, 0.3, 1.0, 0.2]), np.array([0.3, -1.0, 0.5, 2.0, 0.1, 0.4])


def _by_hand(key, n, rows, solve):
    """Draw signs of coefficients and labels, fit weights, and average squared errors on new samples."""
    X = np.asarray(jax.random.normal(key, (rows, 6)))[:n] * np.sqrt(VARIANCES)
    rng = np.random.default_rng(0)
    bias, variance = [], []
    for _ in range(4000):
        beta = COEFFICIENTS * rng.choice([-1, 1], 6)
        bias.append(np.sum(VARIANCES * (solve(X, X @ beta) - beta) ** 2))
        variance.append(np.sum(VARIANCES * solve(X, rng.normal(size=n)) ** 2))
    return np.array(bias), np.array(variance)


def _close(found, draws):
    assert abs(float(found) - draws.mean()) <= 6 * draws.std() / np.sqrt(len(draws)) + 1e-12


@pytest.mark.parametrize("n", [4, 9])
def test_fits_with_a_ridge(n):
    key = jax.random.key(n)
    found = sim.ridge_parts(key, VARIANCES, COEFFICIENTS, np.array([0.4, 2.0]), n, 10)
    for i, ridge in enumerate((0.4, 2.0)):
        bias, variance = _by_hand(
            key, n, 10, lambda X, y, ridge=ridge: np.linalg.solve(X.T @ X / n + ridge * np.eye(6), X.T @ y / n)
        )
        _close(found.bias[i], bias)
        _close(found.variance[i], variance)


@pytest.mark.parametrize("n", [3, 10])
def test_fits_without(n):
    key = jax.random.key(n)
    found = sim.least_norm_parts(key, VARIANCES, COEFFICIENTS, n, 12, n < 6)
    bias, variance = _by_hand(key, n, 12, lambda X, y: np.linalg.pinv(X) @ y)
    _close(found.bias, bias)
    _close(found.variance, variance)
    if n == 10:
        assert float(found.bias) < 1e-20


@pytest.mark.parametrize("interpolate", [True, False])
def test_features_that_fill_up_the_shape_do_nothing(interpolate):
    key, n = jax.random.key(5), 3 if interpolate else 8
    padded, coefficients = np.append(VARIANCES[:4], np.zeros(2)), COEFFICIENTS[:2]
    drawn = (np.asarray(jax.random.normal(key, (9, 6)))[:n] * np.sqrt(padded))[:, :4]
    fit = np.linalg.pinv(drawn)
    missed = (fit @ drawn - np.eye(4))[:, :2]
    found = sim.least_norm_parts(key, padded, coefficients, n, 9, interpolate)
    assert float(found.bias) == pytest.approx(np.sum(VARIANCES[:4, None] * missed**2 * coefficients**2), abs=1e-12)
    assert float(found.variance) == pytest.approx(np.sum(VARIANCES[:4, None] * fit**2))
    # little ridge is none
    little = sim.ridge_parts(key, padded, coefficients, np.array([1e-11]), n, 9)
    assert float(little.variance[0]) == pytest.approx(float(found.variance), rel=1e-6)


def test_the_best_ridge_is_best_and_risks_are_those_of_solved_weights():
    key, labels = jax.random.key(2), sim.Labels(2.0, 0.5, np.array([0.1, 3.0]))
    shares, p, shape = np.array([0.5, 1.0, 3.0]), 4, (15, 5)
    found = sim.tuned_ridge(key, shares, p, labels, shape)
    drawn = np.asarray(jax.random.normal(key, shape))[:, :p]
    for i, n in enumerate((2, 4, 12)):
        X = drawn[:n]

        def risk(fit, X=X):
            return 2.0 / p * np.sum((fit @ X - np.eye(p)) ** 2) + 0.5 * np.sum(fit**2)

        def ridged(ridge, X=X, n=n):
            return np.linalg.solve(X.T @ X / n + ridge * np.eye(p), X.T / n)

        best = float(found.ridge[i])
        assert float(found.risk[i]) == pytest.approx(risk(ridged(best)), rel=1e-10)
        expected = [risk(ridged(0.1)), risk(ridged(3.0))]
        np.testing.assert_allclose(found.fixed[i], expected, rtol=1e-10)
        assert float(found.ridgeless[i]) == pytest.approx(risk(np.linalg.pinv(X)), rel=1e-8)
        assert all(risk(ridged(best * factor)) > float(found.risk[i]) for factor in (0.9, 0.99, 1.01, 1.1))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": 10}, "n must be a whole number from 1 to 9; got 10"),
        ({"variances": [1.0, -1.0]}, "variances must be nonnegative; got -1 at index"),
        ({"variances": [1.0, 1.0]}, r"coefficients must have shape \(q,\), q <= 2 variances"),
        ({"ridges": [0.0]}, "ridges must be positive"),
    ],
)
def test_bad_designs_are_refused(changed, message):
    options = {"variances": VARIANCES, "coefficients": COEFFICIENTS, "ridges": [0.1], "n": 4, "rows": 9} | changed
    with pytest.raises(ValueError, match=message):
        sim.ridge_parts(jax.random.key(0), **options)


@pytest.mark.parametrize(
    ("labels", "p", "message"),
    [
        (sim.Labels(1.0, 0.1, [0.1]), 7, "p must be a whole number from 1 to 6; got 7"),
        (sim.Labels(0.0, 0.1, [0.1]), 5, "signal must be positive"),
        (sim.Labels(1.0, -0.1, [0.1]), 5, "noise_var must be nonnegative"),
        (sim.Labels(1.0, 0.1, [0.0]), 5, "ridges must be positive"),
    ],
)
def test_bad_labels_are_refused(labels, p, message):
    with pytest.raises(ValueError, match=message):
        sim.tuned_ridge(jax.random.key(0), [0.5], p, labels, (8, 6))
