import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve

from theory.neural_collapse import (
    near_collapse_minimizer,
    near_collapse_response,
    response_block_singular_values,
    within_class_response,
)

PROBLEMS = [
    {"k": 3, "n": 2, "d": 4, "lam_w": 0.3, "lam_h": 0.4, "beta": 2.0},
    {"k": 2, "n": 3, "d": 3, "lam_w": 1.0, "lam_h": 0.25, "beta": 0.3},
    {"k": 2, "n": 1, "d": 2, "lam_w": 0.05, "lam_h": 0.8, "beta": 20.0},
]


def gradients(w, h, h0, n, lam_w, lam_h, beta):
    """Gradients of the objective times K n, written out."""
    k = w.shape[0]
    residual = w @ h - np.repeat(np.eye(k), n, axis=1)
    return residual @ h.T + n * lam_w * w, w.T @ residual + lam_h * h + beta * (h - h0)


def hessian(w, h, n, lam_w, lam_h, beta, step=1e-5):
    """Jacobian of the gradients by central differences, in (W, H) flattened row by row."""
    x = np.concatenate([w.ravel(), h.ravel()])

    def slope(x):
        now = x[: w.size].reshape(w.shape), x[w.size :].reshape(h.shape)
        return np.concatenate([g.ravel() for g in gradients(*now, h, n, lam_w, lam_h, beta)])

    return np.stack([(slope(x + e) - slope(x - e)) / (2 * step) for e in step * np.eye(x.size)], axis=1)


def frame_of(d, k, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, k)))[0]


def decays(problem):
    return {"weight_decay": problem["lam_w"], "feature_decay": problem["lam_h"]}


@given(
    k=st.integers(2, 5), n=st.integers(1, 4), extra=st.integers(0, 3), c=st.floats(0.01, 0.99), ratio=st.floats(0.1, 10)
)
def test_minimiser_is_stationary_with_the_known_value(k, n, extra, c, ratio):
    lam_w, lam_h = c * ratio, c / ratio
    frame = frame_of(k + extra, k)
    w, h = near_collapse_minimizer(k, n, k + extra, weight_decay=lam_w, feature_decay=lam_h, frame=frame)
    for gradient in gradients(w, h, h, n, lam_w, lam_h, 1.0):
        np.testing.assert_allclose(gradient, 0, atol=1e-12)
    residual = w @ h - np.repeat(np.eye(k), n, axis=1)
    value = np.sum(residual**2) / (2 * k * n) + lam_w / (2 * k) * np.sum(w**2) + lam_h / (2 * k * n) * np.sum(h**2)
    assert value == pytest.approx(c * (2 - c) / 2, rel=1e-12)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_response_is_the_inverse_hessian(problem):
    k, n, d, beta = (problem[key] for key in ("k", "n", "d", "beta"))
    frame = frame_of(d, k)
    w, h = near_collapse_minimizer(k, n, d, **decays(problem), frame=frame)
    change = np.random.default_rng(1).normal(size=h.shape)
    push = np.concatenate([np.zeros(w.size), beta * change.ravel()])
    moved = solve(hessian(w, h, n, problem["lam_w"], problem["lam_h"], beta), push)
    got = near_collapse_response(change, frame, samples_per_class=n, beta=beta, **decays(problem))
    np.testing.assert_allclose(got.features.ravel(), moved[w.size :], atol=2e-8)
    np.testing.assert_allclose(got.weights.ravel(), moved[: w.size], atol=2e-8)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_spectrum_is_that_of_the_response(problem):
    k, n, d, beta = (problem[key] for key in ("k", "n", "d", "beta"))
    frame = frame_of(d, k, seed=4)
    whole = np.empty((d * k * n, d * k * n))
    for i in range(d * k * n):
        # Column-stacked, so that classes are blocks.
        basis = np.zeros(d * k * n)
        basis[i] = 1.0
        change = near_collapse_response(
            basis.reshape(k * n, d).T, frame, samples_per_class=n, beta=beta, **decays(problem)
        )
        whole[:, i] = change.features.T.ravel()
    got = response_block_singular_values(k, n, d, beta=beta, **decays(problem))
    np.testing.assert_allclose(whole, whole.T, atol=1e-13)
    np.testing.assert_allclose(np.linalg.eigvalsh(whole), got.full, atol=1e-13)
    size = d * n
    np.testing.assert_allclose(np.linalg.svd(whole[:size, :size], compute_uv=False), got.intra, atol=1e-13)
    across = np.linalg.svd(whole[:size, size : 2 * size], compute_uv=False)
    assert across[0] == pytest.approx(got.inter, abs=1e-13)
    np.testing.assert_allclose(across[1:], 0, atol=1e-13)


@given(c=st.floats(0.02, 0.98), ratio=st.floats(0.2, 5), beta=st.floats(0.01, 1e4))
def test_the_least_factor_is_that_of_spread_inside_the_frame(c, ratio, beta):
    got = response_block_singular_values(3, 2, 4, weight_decay=c * ratio, feature_decay=c / ratio, beta=beta)
    assert got.full[0] == pytest.approx(beta / (beta + 1 / ratio), rel=1e-12)
    assert got.full[-1] == 1
    assert got.full.shape == (24,)


def test_decay_of_features_tightens_and_decay_of_weights_loosens():
    def spectrum(lam_w, lam_h):
        return response_block_singular_values(3, 2, 4, weight_decay=lam_w, feature_decay=lam_h, beta=2.0)

    base, features, weights = spectrum(0.5, 0.2), spectrum(0.5, 0.3), spectrum(0.8, 0.2)
    assert features.intra[-1] < base.intra[-1] < weights.intra[-1]
    assert weights.inter < base.inter


def test_paper_form_is_the_first_order_in_the_tie():
    lam_w, lam_h = 0.3, 0.2
    errors = []
    for beta in (200.0, 400.0):
        got = response_block_singular_values(3, 2, 4, weight_decay=lam_w, feature_decay=lam_h, beta=beta)
        tau, c = np.sqrt(lam_h / lam_w), np.sqrt(lam_w * lam_h)
        errors.append([got.intra[-1] - (1 - tau / beta), got.inter - 2 * lam_h * (1 - c) / beta])
    np.testing.assert_allclose(np.divide(*errors), 4, rtol=0.02)


def test_within_class_response_at_a_stationary_point():
    rng = np.random.default_rng(2)
    k, n, d, lam_w, lam_h, beta = 3, 4, 2, 0.2, 0.3, 0.7
    h0 = rng.normal(size=(d, k * n))
    labels = np.repeat(np.eye(k), n, axis=1)
    h = h0
    for _ in range(2000):
        w = np.linalg.solve(h @ h.T + n * lam_w * np.eye(d), h @ labels.T).T
        h = np.linalg.solve((lam_h + beta) * np.eye(d) + w.T @ w, w.T @ labels + beta * h0)
    for gradient in gradients(w, h, h0, n, lam_w, lam_h, beta):
        np.testing.assert_allclose(gradient, 0, atol=1e-10)

    def deviations(x):
        return x - np.repeat(x.reshape(d, k, n).mean(axis=2), n, axis=1)

    got = within_class_response(deviations(h0), w, feature_decay=lam_h, beta=beta)
    np.testing.assert_allclose(got, deviations(h), atol=1e-10)
    assert np.sum(got**2) <= (beta / (beta + lam_h)) ** 2 * np.sum(deviations(h0) ** 2)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"num_classes": 1}, "num_classes"),
        ({"dim": 2}, "dim"),
        ({"weight_decay": 10.0}, "weight_decay"),
        ({"feature_decay": 0.0}, "feature_decay"),
        ({"frame": np.eye(3)}, "frame"),
        ({"frame": np.ones((4, 3))}, "frame"),
    ],
)
def test_bad_minimisers(change, name):
    arguments = {"num_classes": 3, "samples_per_class": 2, "dim": 4, "weight_decay": 0.5, "feature_decay": 0.5}
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        near_collapse_minimizer(**(arguments | change))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"delta_h0": np.ones((4, 5))}, "delta_h0"),
        ({"frame": np.ones((4, 3))}, "frame"),
        ({"samples_per_class": 0}, "samples_per_class"),
        ({"beta": 0.0}, "beta"),
    ],
)
def test_bad_responses(change, name):
    arguments = {"delta_h0": np.ones((4, 6)), "frame": np.eye(4, 3), "samples_per_class": 2, "beta": 1.0}
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        near_collapse_response(**(arguments | change), weight_decay=0.5, feature_decay=0.5)
    with pytest.raises(ValueError, match=r"^weights\b"):
        within_class_response(np.ones((3, 2)), np.ones((2, 2)), feature_decay=0.1, beta=1.0)
