"""The references are themselves held against quadrature, integration of the flow, and identities, in many digits."""

import mpmath as mp
import numpy as np
import pytest

from benchmarks import _references as references


@pytest.fixture(autouse=True)
def _sixty_digits():
    with mp.workdps(60):
        yield


def close(found, expected, digits=30):
    return abs(found - expected) <= mp.mpf(10) ** -digits * abs(expected)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 10])
@pytest.mark.parametrize(("u0", "u"), [(0.02, 1.5), (1.2, 0.3), (1e-6, 2e-6)])
def test_mode_time_is_the_integral_of_the_inverse_speed(depth, u0, u):
    s, tau = mp.mpf(1.7), mp.mpf(0.3)
    power = 2 - mp.mpf(2) / depth
    knots = [mp.exp(x) for x in mp.linspace(mp.log(u0), mp.log(u), 12)]
    integral = mp.quad(lambda v: tau / (depth * v**power * (s - v)), knots)
    assert close(references.mode_time(u, s=s, u0=u0, depth=depth, tau=tau), integral)


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 50])
@pytest.mark.parametrize("eigenvalue", [1, 0.3])
def test_mode_strength_inverts_mode_time(depth, eigenvalue):
    s, u0, t = 1.3, 0.04, 0.6
    u = references.mode_strength(t, s=s, u0=u0, depth=depth, tau=2, input_eigenvalue=eigenvalue)
    lam = mp.mpf(eigenvalue)
    tau = 2 * lam ** (1 - mp.mpf(2) / depth)
    assert close(references.mode_time(lam * u, s=s, u0=lam * u0, depth=depth, tau=tau), mp.mpf(t))


def test_infinite_depth_is_the_limit_of_depth_times_time():
    limit = references.mode_time(1.6, s=1.7, u0=0.5, depth=mp.inf)
    deep = [depth * references.mode_time(1.6, s=1.7, u0=0.5, depth=depth) for depth in (200, 400)]
    assert (deep[0] - limit) / (deep[1] - limit) == pytest.approx(2, rel=0.03)
    u = references.mode_strength(2.0, s=1.7, u0=0.5, depth=mp.inf)
    assert close(references.mode_time(u, s=1.7, u0=0.5, depth=mp.inf), mp.mpf(2))


@pytest.mark.parametrize(("product", "eta"), [(0.4, 0.0), (-0.04, 0.0), (0.0, 0.1), (0.0, 0.9)])
@pytest.mark.parametrize(("p0", "p"), [(0.3, 0.5), (1.5, 0.9)])
def test_predictor_time_is_the_integral_of_the_inverse_speed(product, eta, p0, p):
    def slowness(x):
        return 1 / ((x**2 + mp.mpf(product)) * (1 - (1 + mp.mpf(0.25)) * x) - mp.mpf(eta) * x)

    found = references.predictor_time(p, p0=p0, product=product, weight_decay=eta, aug_var=0.25)
    assert close(found, mp.quad(slowness, mp.linspace(p0, p, 12)), digits=25)


@pytest.mark.parametrize(("a0", "b0"), [(0.3, 1.1), (-0.7, 0.2), (0.4, -0.1)])
def test_unbalanced_modes_conserve_and_obey_their_equations(a0, b0):
    def at(t):
        return references.unbalanced_modes(t, s=0.8, a0=a0, b0=b0, tau=1.5)

    a, b = at(0.9)
    assert close(a**2 - b**2, mp.mpf(a0) ** 2 - mp.mpf(b0) ** 2)
    assert close(mp.diff(lambda t: at(t)[0], 0.9), b * (mp.mpf(0.8) - a * b) / 1.5, 20)
    assert close(mp.diff(lambda t: at(t)[1], 0.9), a * (mp.mpf(0.8) - a * b) / 1.5, 20)
    assert at(0) == pytest.approx([a0, b0])


def test_hyperbolic_time_is_an_integral():
    s, c = mp.mpf(1.3), mp.mpf(0.7)
    integral = mp.quad(lambda v: 1 / ((s - v) * mp.sqrt(c**2 + 4 * v**2)), mp.linspace(-0.5, 1.1, 8))
    assert close(references.hyperbolic_time(1.1, s=s, u0=-0.5, invariant=c), integral, 28)


@pytest.mark.parametrize("imbalance", [0.0, 0.7])
def test_riccati_obeys_the_flow_of_the_gram_matrix(imbalance):
    rng = np.random.default_rng(1)
    h = np.linalg.qr(rng.normal(size=(2, 2)))[0]
    w1 = (h * [0.3, 0.8]) @ np.linalg.qr(rng.normal(size=(3, 2)))[0].T
    w2 = (np.linalg.qr(rng.normal(size=(2, 2)))[0] * np.sqrt(np.square([0.3, 0.8]) + imbalance)) @ h.T
    sigma = rng.normal(size=(2, 3))
    step = mp.mpf(10) ** -15
    before, now, after = references.riccati(w1, w2, sigma, [0.8 - step, 0.8, 0.8 + step], imbalance=imbalance)
    f = np.block([[-imbalance / 2 * np.eye(3), sigma.T], [sigma, imbalance / 2 * np.eye(2)]])
    velocity = mp.matrix(f.tolist()) * now + now * mp.matrix(f.tolist()) - now * now
    assert mp.mnorm((after - before) / (2 * step) - velocity) < 1e-25
    q = np.concatenate([w1.T, w2])
    (start,) = references.riccati(w1, w2, sigma, [0.0], imbalance=imbalance)
    assert np.array(start.tolist(), dtype=float) == pytest.approx(q @ q.T)


def test_end_to_end_velocity_of_two_layers_is_that_of_the_layers():
    rng = np.random.default_rng(2)
    w, g = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    w1, w2 = np.sqrt(s)[:, None] * vt, u * np.sqrt(s)
    found = np.array(references.end_to_end_velocity(w, g, depth=2).tolist(), dtype=float)
    assert found == pytest.approx(w2 @ (w2.T @ g) + (g @ w1.T) @ w1, rel=1e-13)


def test_end_to_end_velocity_tends_to_infinite_depth():
    rng = np.random.default_rng(3)
    w, g = rng.normal(size=(2, 2)), rng.normal(size=(2, 2))
    limit = references.end_to_end_velocity(w, g, depth=np.inf)
    gaps = [mp.mnorm(references.end_to_end_velocity(w, g, depth=d) / d - limit) for d in (50, 100)]
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize("q", [1e-6, 0.7, 1e4])
def test_tanh_averages_obey_stein(q):
    # Stein: E z tanh(rz) sech^2(rz) = r E [sech^4 - 2 tanh^2 sech^2]; with tanh^2 = 1 - sech^2 both averages enter
    with mp.workdps(30):
        r = mp.sqrt(mp.mpf(q))
        square, fourth = (references.tanh_average(q, derivative=d) for d in (False, True))
        sech2 = 1 - square
        knots = sorted({mp.mpf(0), mp.mpf(12), *(x for k in range(14) if (x := 2**k / r / 4) < 12)})
        density = mp.sqrt(2 / mp.pi)
        left = density * mp.quad(
            lambda z: z * mp.exp(-(z**2) / 2) * mp.tanh(r * z) * mp.sech(r * z) ** 2, knots, method="tanh-sinh"
        )
        assert close(left, r * (3 * fourth - 2 * sech2), 15)


def test_tanh_fixed_point_is_one():
    with mp.workdps(40):
        for gain in (1.0001, 1.7):
            q = references.tanh_fixed_point(gain)
            assert close(mp.mpf(gain) ** 2 * references.tanh_average(q, derivative=False), q, 28)


def test_second_moment_of_one_factor_is_marchenko_pastur_at_finite_width():
    assert close(references.gaussian_second_moment(5, 1), mp.mpf(2) + mp.mpf(1) / 5)


def test_lyapunov_exponent_of_a_scalar_is_the_mean_logarithm_of_a_gaussian():
    (exponent,) = references.lyapunov_exponents(1)
    assert close(exponent, -(mp.euler + mp.log(2)) / 2)
