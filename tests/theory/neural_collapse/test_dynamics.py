import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from theory.neural_collapse import (
    central_path_flow,
    central_path_loss,
    linearized_flow,
    linearized_flow_spectrum,
    nc1_rates,
    renormalized_central_path,
    ufm_gradient_flow_bias,
    ufm_gradient_flow_modes,
)


def variabilities(path, k):
    """Tr Sigma_W and Tr Sigma_B of features (..., d, K n) ordered by class."""
    grouped = path.reshape(*path.shape[:-1], k, -1)
    means = grouped.mean(axis=-1)
    within = np.sum((grouped - means[..., None]) ** 2, axis=(-3, -2, -1)) / path.shape[-1]
    return within, np.sum((means - means.mean(axis=-1, keepdims=True)) ** 2, axis=(-2, -1)) / k


def eliminated_loss(h, k, lam_w, lam_h):
    """Loss of the features alone, the head found by ridge regression as an augmented least-squares problem."""
    samples = h.shape[1]
    n = samples // k
    labels = np.repeat(np.eye(k), n, axis=1)
    design = np.vstack([h.T, np.sqrt(n * lam_w) * np.eye(h.shape[0])])
    head = np.linalg.lstsq(design, np.vstack([labels.T, np.zeros((h.shape[0], k))]), rcond=None)[0].T
    fit = np.sum((head @ h - labels) ** 2) + n * lam_w * np.sum(head**2)
    return (fit + lam_h * np.sum(h**2)) / (2 * samples)


def test_central_path_descends_the_eliminated_loss():
    rng = np.random.default_rng(0)
    k, n, d, lam_w, lam_h = 3, 2, 2, 0.2, 0.1
    h = rng.normal(size=(d, k * n))
    times = [0.0, 1e-4, 0.5, 0.5, 2.0]
    path = central_path_flow(h, times, num_classes=k, weight_decay=lam_w, feature_decay=lam_h)
    assert path.shape == (5, d, k * n)
    np.testing.assert_array_equal(path[0], h)
    np.testing.assert_array_equal(path[2], path[3])
    slope = np.empty_like(h)
    for index in np.ndindex(*h.shape):
        up, down = h.copy(), h.copy()
        up[index] += 1e-6
        down[index] -= 1e-6
        slope[index] = (eliminated_loss(up, k, lam_w, lam_h) - eliminated_loss(down, k, lam_w, lam_h)) / 2e-6
    np.testing.assert_allclose((path[1] - h) / 1e-4, -k * n * slope, atol=1e-3)
    losses = [eliminated_loss(now, k, lam_w, lam_h) for now in path]
    assert np.all(np.diff(losses) <= 0)


@pytest.mark.parametrize(("k", "n", "d", "lam_h"), [(3, 4, 2, 0.0), (4, 3, 6, 0.3), (2, 5, 3, 1.0)])
def test_collapse_is_monotone_and_rates_are_derivatives(k, n, d, lam_h):
    h = np.random.default_rng(k).normal(size=(d, k * n))
    step = 1e-3
    problem = {"num_classes": k, "weight_decay": 0.3, "feature_decay": lam_h}
    times = np.concatenate([[1 - step, 1.0, 1 + step], np.linspace(1.1, 4, 30)])
    path = central_path_flow(h, times, **problem)
    within, between = variabilities(path, k)
    rates = nc1_rates(path[1], **problem)
    assert (within[2] - within[0]) / (2 * step) == pytest.approx(rates.d_trace_w, rel=1e-5)
    assert (between[2] - between[0]) / (2 * step) == pytest.approx(rates.d_trace_b, rel=1e-5)
    assert np.all(np.diff(within / between) < 0)
    growth = np.exp(2 * lam_h * times)
    assert np.all(np.diff(growth * within) < 0)
    assert np.all(np.diff(growth * between) > 0)


@given(seed=st.integers(0, 200), k=st.integers(2, 4), n=st.integers(1, 4), d=st.integers(1, 5), lam_h=st.floats(0, 1))
def test_signs_of_the_rates(seed, k, n, d, lam_h):
    h = np.random.default_rng(seed).normal(size=(d, k * n))
    within, between = variabilities(h, k)
    got = nc1_rates(h, num_classes=k, weight_decay=0.2, feature_decay=lam_h)
    assert got.d_trace_w <= -2 * lam_h * within + 1e-12
    assert got.d_trace_b >= -2 * lam_h * between - 1e-12


@pytest.mark.parametrize("decay", [0.0, 0.4, 2.0, 3.0])
def test_modes_solve_their_differential_equation(decay):
    m0, t, s = np.array([1e-6, 0.3, 5.0]), np.array([0.0, 0.2, 1.0, 4.0]), 2.0
    exact = solve_ivp(
        lambda _, m: 2 * m * (s - decay - m), (0, 4), m0, t_eval=t, method="DOP853", rtol=1e-12, atol=1e-15
    ).y.T
    np.testing.assert_allclose(ufm_gradient_flow_modes(m0, t, target=s, decay=decay), exact, rtol=1e-9)


@given(
    s=st.floats(0.1, 5),
    decay=st.floats(0, 6),
    m0=st.just(0.0) | st.floats(1e-100, 5),
    t=st.floats(0, 1e3),
    u=st.floats(0, 1e3),
)
def test_modes_form_a_semigroup(s, decay, m0, t, u):
    first = ufm_gradient_flow_modes([m0], [t], target=s, decay=decay)[0]
    both = ufm_gradient_flow_modes(first, [u], target=s, decay=decay)[0]
    once = ufm_gradient_flow_modes([m0], [t + u], target=s, decay=decay)[0]
    np.testing.assert_allclose(both, once, rtol=1e-9, atol=1e-300)


def test_modes_at_extreme_times():
    got = ufm_gradient_flow_modes([1e-12, 0.0, 3.0], [1e6], target=[1.0, 2.0, 2.0])
    np.testing.assert_allclose(got, [[1.0, 0.0, 2.0]], rtol=1e-14)
    assert ufm_gradient_flow_modes([1.0], [1e6], target=1.0, decay=5.0)[0, 0] == 0
    assert ufm_gradient_flow_modes([0.5], [3.0], target=1.0, decay=1.0)[0, 0] == pytest.approx(0.5 / 4)


def test_bias_and_linearised_flow():
    k, n, d = 3, 4, 2
    labels = np.repeat(np.eye(k), n, axis=1) - 1 / k
    # (W, H)' = (Yc H^T, W^T Yc) as one symmetric matrix on (vec W, vec H).
    coupling = np.zeros((k * d, d * k * n))
    for a in range(k):
        for i in range(d):
            for j in range(k * n):
                coupling[a * d + i, i * k * n + j] = labels[a, j]
    matrix = np.block([[np.zeros((k * d, k * d)), coupling], [coupling.T, np.zeros((d * k * n, d * k * n))]])
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix), linearized_flow_spectrum(k, n, d), atol=1e-13)
    assert ufm_gradient_flow_bias(1e-9, num_classes=4, num_samples=8) == pytest.approx(2e-9, rel=1e-7)


def test_linearised_flow_solves_its_differential_equation():
    rng = np.random.default_rng(5)
    k, n, d = 3, 4, 2
    centred = np.repeat(np.eye(k), n, axis=1) - 1 / k
    w0, h0 = rng.normal(size=(k, d)), rng.normal(size=(d, k * n))

    def velocity(_, flat):
        w, h = flat[: k * d].reshape(k, d), flat[k * d :].reshape(d, k * n)
        return np.concatenate([(centred @ h.T).ravel(), (w.T @ centred).ravel()])

    t = [0.0, 0.1, 1.5]
    start = np.concatenate([w0.ravel(), h0.ravel()])
    exact = solve_ivp(velocity, (0, 1.5), start, t_eval=t, method="DOP853", rtol=1e-12, atol=1e-12).y.T
    got = linearized_flow(w0, h0, t)
    np.testing.assert_allclose(got.weights.reshape(3, -1), exact[:, : k * d], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got.features.reshape(3, -1), exact[:, k * d :], rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 100), k=st.integers(2, 4), n=st.integers(1, 4), d=st.integers(1, 4), t=st.floats(0, 3))
def test_linearised_flow_forms_a_semigroup_and_keeps_its_invariant(seed, k, n, d, t):
    rng = np.random.default_rng(seed)
    w0, h0 = rng.normal(size=(k, d)), rng.normal(size=(d, k * n))
    flow = linearized_flow(w0, h0, [t, t + 0.5])
    again = linearized_flow(flow.weights[0], flow.features[0], [0.5])
    size = np.abs(flow.features[1]).max()
    np.testing.assert_allclose(again.weights[0], flow.weights[1], atol=1e-12 * size)
    np.testing.assert_allclose(again.features[0], flow.features[1], atol=1e-12 * size)
    before, now = (w.T @ w - h @ h.T for w, h in ((w0, h0), (flow.weights[1], flow.features[1])))
    np.testing.assert_allclose(now, before, atol=1e-12 * size**2)


def test_loss_of_the_renormalised_path_is_its_potential():
    k, omega, step = 4, np.array([0.3, 1.7]), 1e-6
    for j in range(2):
        shift = step * np.eye(2)[j]
        slope = (central_path_loss(omega + shift, num_classes=k) - central_path_loss(omega - shift, num_classes=k)) / (
            2 * step
        )
        assert -slope == pytest.approx(omega[j] / (k + omega[j] ** 2) ** 2, rel=1e-8)
    assert central_path_loss([[0.0], [1e8]], num_classes=3) == pytest.approx([1 / 3, 1 / 6])


def test_renormalised_path_solves_its_differential_equation():
    w0, t, k = np.array([0.05, 0.7, 2.0]), np.array([0.0, 1.0, 30.0, 1000.0]), 4
    exact = solve_ivp(
        lambda _, w: w / (k + w**2) ** 2, (0, 1000), w0, t_eval=t, method="DOP853", rtol=1e-12, atol=1e-15
    ).y.T
    np.testing.assert_allclose(renormalized_central_path(w0, t, num_classes=k), exact, rtol=1e-10)


@given(w0=st.floats(1e-8, 1e4), t=st.floats(0, 1e12), k=st.integers(2, 1000))
def test_renormalised_path_to_full_precision(w0, t, k):
    got = renormalized_central_path([w0], [t], num_classes=k)[0, 0]
    with mpmath.workdps(60):
        w, start = mpmath.mpf(got), mpmath.mpf(w0)
        excess = k**2 * mpmath.log(w / start) + k * (w**2 - start**2) + (w**4 - start**4) / 4 - mpmath.mpf(t)
        slope = k**2 + 2 * k * w**2 + w**4
        assert abs(excess / slope) < 4e-15 * (1 + mpmath.log(w / start))


def test_renormalised_path_grows_with_the_fourth_root_and_equalises():
    t = np.array([1e6, 1e8])
    w = renormalized_central_path([0.5, 1.0], t, num_classes=3)
    ratio = w[:, 1] / w[:, 0] - 1
    np.testing.assert_allclose(w[1] / (4 * t[1]) ** 0.25, 1, rtol=1e-3)
    constants = [9 * np.log(w0) + 3 * w0**2 + w0**4 / 4 for w0 in (0.5, 1.0)]
    np.testing.assert_allclose(ratio * 4 * t, constants[1] - constants[0], rtol=1e-2)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: central_path_flow(np.ones((2, 5)), [1], num_classes=2, weight_decay=1, feature_decay=0), "h0"),
        (lambda: central_path_flow(np.ones((2, 4)), [], num_classes=2, weight_decay=1, feature_decay=0), "t"),
        (lambda: central_path_flow(np.ones((2, 4)), [2, 1], num_classes=2, weight_decay=1, feature_decay=0), "t"),
        (lambda: nc1_rates(np.ones((2, 4)), num_classes=1, weight_decay=1, feature_decay=0), "num_classes"),
        (lambda: nc1_rates(np.ones((2, 4)), num_classes=2, weight_decay=0, feature_decay=0), "weight_decay"),
        (lambda: nc1_rates(np.ones((2, 4)), num_classes=2, weight_decay=1, feature_decay=-1), "feature_decay"),
        (lambda: ufm_gradient_flow_modes([-1.0], [1.0], target=1.0), "m0"),
        (lambda: ufm_gradient_flow_modes([1.0], [-1.0], target=1.0), "t"),
        (lambda: ufm_gradient_flow_modes([1.0], [1.0], target=[1.0, 2.0]), "target"),
        (lambda: ufm_gradient_flow_modes([1.0], [1.0], target=1.0, decay=-1.0), "decay"),
        (lambda: ufm_gradient_flow_bias([1.0], num_classes=3, num_samples=4), "num_samples"),
        (lambda: linearized_flow_spectrum(3, 4, 0), "dim"),
        (lambda: linearized_flow(np.ones((2, 3)), np.ones((3, 5)), [1.0]), "features"),
        (lambda: linearized_flow(np.ones((2, 3)), np.ones((2, 4)), [1.0]), "features"),
        (lambda: linearized_flow(np.ones((2, 3)), np.ones((3, 4)), [-1.0]), "t"),
        (lambda: linearized_flow(np.ones((2, 3)), np.ones((3, 4)), [1e3]), "t"),
        (lambda: central_path_loss([1.0, 1.0], num_classes=2), "omega"),
        (lambda: central_path_loss([-1.0], num_classes=2), "omega"),
        (lambda: central_path_loss(1.0, num_classes=2), "omega"),
        (lambda: renormalized_central_path([0.0], [1.0], num_classes=2), "omega0"),
        (lambda: renormalized_central_path([1.0, 1.0], [1.0], num_classes=2), "omega0"),
        (lambda: renormalized_central_path([1.0], [-1.0], num_classes=2), "t"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        call()
