import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from simulations.neural_collapse import (
    Factors,
    aligned_start,
    central_path,
    eliminated_loss,
    feature_model,
    gradient_descent,
    gradient_flow,
    growth_rates,
    path_endpoint,
    product_singular_values,
    random_factors,
    renormalised_path,
    variability,
    variability_rates,
    whitened_features,
)

KEY = jax.random.key(9)
K, N_PER_CLASS, DIM = 3, 2, 3
SAMPLES = K * N_PER_CLASS
BIASED = feature_model([N_PER_CLASS] * K, dims=(DIM,), weight_decays=[0.0], feature_decay=0.0, bias=True)
H = np.random.default_rng(0).normal(size=(2, 4, 6))


def test_flow_is_the_limit_of_descent():
    model = feature_model([2, 1], dims=(2, 2), weight_decays=[0.1, 0.1], feature_decay=0.1)
    start = random_factors(KEY, model, scale=0.7)
    flow = gradient_flow(model, start, times=[0.0, 0.3, 2.0])
    for got, given in zip(jax.tree.leaves(flow), jax.tree.leaves(start), strict=True):
        np.testing.assert_array_equal(got[0], given)
    coarse, fine = (
        gradient_descent(model, start, learning_rate=2.0 / steps, steps=[steps]).features[-1] for steps in (1000, 2000)
    )
    np.testing.assert_allclose(2 * fine - coarse, flow.features[-1], atol=1e-6)
    faster = gradient_flow(model, start, times=[0.0, 0.09, 0.6], rate=1 / 0.3)
    np.testing.assert_allclose(faster.features, flow.features, rtol=1e-9)


def test_an_aligned_start_has_the_modes_that_it_was_given():
    for model in (BIASED, feature_model([4, 2, 1], dims=(5, 3), weight_decays=[0.1, 0.1], feature_decay=0.1)):
        start = aligned_start(model, KEY, [0.5, 0.2])
        np.testing.assert_allclose(product_singular_values(start, model), [0.5, 0.2, 0.0], atol=1e-14)
        gram = start.weights[0].T @ start.weights[0]
        np.testing.assert_allclose(gram, start.features @ start.features.T, atol=1e-14)


def test_aligned_modes_move_alone():
    start = aligned_start(BIASED, KEY, [0.05])

    def observe(factors, model):
        return product_singular_values(factors, model), factors.bias

    modes, bias = gradient_flow(BIASED, start, times=[0.5, 2.0], rate=SAMPLES, observe=observe)
    s = np.sqrt(N_PER_CLASS)
    exact = solve_ivp(
        lambda _, m: 2 * m * (s - m), (0, 2), [0.05], t_eval=[0.5, 2.0], method="DOP853", rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(modes[:, 0], exact.y[0], rtol=1e-10)
    np.testing.assert_allclose(modes[:, 1:], 0, atol=1e-12)
    np.testing.assert_allclose(bias, np.tile((1 - np.exp(-SAMPLES * np.array([0.5, 2.0])))[:, None] / K, K), rtol=1e-9)


def test_growth_from_zero_counts_the_centred_labels():
    zero = Factors(jnp.zeros((DIM, SAMPLES)), (jnp.zeros((K, DIM)),), jnp.full(K, 1 / K))
    rates = np.asarray(growth_rates(BIASED, zero, rate=SAMPLES))
    count = DIM * (K - 1)
    np.testing.assert_allclose(rates[:count], -np.sqrt(2), rtol=1e-12)
    np.testing.assert_allclose(rates[-count:], np.sqrt(2), rtol=1e-12)
    np.testing.assert_allclose(rates[count:-count], 0, atol=1e-12)


def ridge_head(h, k, lam_w):
    n = h.shape[1] // k
    labels = np.repeat(np.eye(k), n, axis=1)
    return labels @ h.T @ np.linalg.inv(h @ h.T + n * lam_w * np.eye(h.shape[0])), labels


def test_central_path_against_an_independent_integration():
    k, lam_w, lam_h = 3, 0.3, 0.2

    def velocity(_, flat):
        h = flat.reshape(4, 6)
        head, labels = ridge_head(h, k, lam_w)
        return -(head.T @ (head @ h - labels) + lam_h * h).ravel()

    problem = {"num_classes": k, "weight_decay": lam_w, "feature_decay": lam_h}
    exact = solve_ivp(velocity, (0, 3), H[0].ravel(), t_eval=[1, 3], method="DOP853", rtol=1e-12, atol=1e-13).y.T
    got = central_path(H, times=[0.0, 1.0, 3.0], **problem)
    assert got.loss.shape == (2, 3)
    for i, flat in enumerate(exact):
        within, between = variability(jnp.asarray(flat.reshape(4, 6)), k)
        np.testing.assert_allclose(got.variability.within[0, i + 1], within, rtol=1e-9)
        np.testing.assert_allclose(got.variability.between[0, i + 1], between, rtol=1e-9)
    np.testing.assert_allclose(path_endpoint(H[0], time=3.0, **problem).ravel(), exact[1], atol=1e-10)
    assert np.all(np.diff(got.loss, axis=1) < 0)


def test_eliminated_loss_is_the_least_over_heads():
    h, k, lam_w, lam_h = H[0], 3, 0.3, 0.2
    head, labels = ridge_head(h, k, lam_w)

    def value(w):
        fit = np.sum((w @ h - labels) ** 2) / 12
        return fit + lam_w / 6 * np.sum(w**2) + lam_h / 12 * np.sum(h**2)

    np.testing.assert_allclose(eliminated_loss(jnp.asarray(h), k, lam_w, lam_h), value(head), rtol=1e-12)
    assert value(head + 0.01) > value(head)


def test_rates_are_derivatives_along_the_path():
    problem = {"num_classes": 3, "weight_decay": 0.3, "feature_decay": 0.2}
    step = 1e-3
    path = central_path(H, times=[0.0, step, 2 * step], **problem).variability
    rates = variability_rates(H, **problem)
    for values, rate in zip(path, rates, strict=True):
        slope = (-3 * values[:, 0] + 4 * values[:, 1] - values[:, 2]) / (2 * step)
        np.testing.assert_allclose(slope, rate, rtol=1e-4)
    np.testing.assert_allclose(variability_rates(H[1], **problem).within, rates.within[1])


def test_whitened_features_are_what_they_promise():
    h = np.asarray(whitened_features(KEY, 4, 3, 5, signal=[0.5, 2.0]))
    means = h.reshape(5, 4, 3).mean(axis=2)
    within = h - np.repeat(means, 3, axis=1)
    np.testing.assert_allclose(within @ within.T / 12, np.eye(5), atol=1e-13)
    np.testing.assert_allclose(means.sum(axis=1), 0, atol=1e-13)
    np.testing.assert_allclose(np.linalg.svd(means)[1], [2, 0.5, 0, 0], atol=1e-13)


def test_renormalised_path_stays_normalised_and_descends():
    k, n = 3, 4
    h = whitened_features(KEY, k, n, 3, signal=[0.4, 1.1])
    got = renormalised_path(h, num_classes=k, times=[0.0, 40.0, 4000.0])
    assert np.all(np.diff(got.loss) < 0)
    assert got.covariance_drift.max() < 1e-12
    assert got.turned.max() < 1e-12
    np.testing.assert_allclose(np.linalg.svd(got.means, compute_uv=False)[:, :2], got.signal[:, :2], rtol=1e-12)
    grouped = h.reshape(3, k, n).mean(axis=2)
    np.testing.assert_allclose(got.means[0], grouped - grouped.mean(axis=1, keepdims=True), atol=1e-12)

    # Each singular value moves by itself: dw/dt = -(1/n) d/dw [1 / (2 (K + w^2))], integrated apart.
    def speed(_, w):
        return w / (k + w**2) ** 2 / n

    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-13}
    exact = solve_ivp(speed, (0, 4000), [1.1, 0.4], t_eval=[40, 4000], **options)
    np.testing.assert_allclose(got.signal[1:], exact.y.T, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: gradient_flow(BIASED, random_factors(KEY, BIASED), times=[1.0, 0.5]), "times"),
        (lambda: gradient_flow(BIASED, random_factors(KEY, BIASED), times=[0.0]), "times"),
        (lambda: gradient_flow(BIASED, random_factors(KEY, BIASED), times=[1.0], rate=0.0), "rate"),
        (lambda: aligned_start(BIASED, KEY, [1.0, 1.0, 1.0]), "modes"),
        (lambda: aligned_start(BIASED, KEY, [-1.0]), "modes"),
        (lambda: central_path(H, num_classes=4, weight_decay=1, feature_decay=0, times=[1.0]), "features"),
        (lambda: central_path(H, num_classes=3, weight_decay=0, feature_decay=0, times=[1.0]), "weight_decay"),
        (lambda: variability_rates(H, num_classes=3, weight_decay=1, feature_decay=-1), "feature_decay"),
        (lambda: path_endpoint(H, num_classes=3, weight_decay=1, feature_decay=0, time=1.0), "features"),
        (lambda: whitened_features(KEY, 3, 2, 4, signal=[1.0]), "dim"),
        (lambda: whitened_features(KEY, 3, 2, 2, signal=[1.0, 1.0, 1.0]), "signal"),
        (lambda: renormalised_path(H[0], num_classes=3, times=[1.0]), "features"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        call()


def test_an_integrator_that_gives_up_is_an_error(monkeypatch):
    monkeypatch.setattr("simulations.neural_collapse.integrate.MAX_STEPS", 3)
    model = feature_model([3, 1], dims=(2,), weight_decays=[0.1], feature_decay=0.1)
    with pytest.raises(RuntimeError, match="could not be integrated"):
        gradient_flow(model, random_factors(KEY, model), times=[50.0])
