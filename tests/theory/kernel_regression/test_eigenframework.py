import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from theory.kernel_regression import (
    krr_risk,
    learnability,
    optimal_ridge,
    rf_risk,
    solve_kappa_gamma,
)
from theory.kernel_regression._sums import DirectSums, Spectrum, TabulatedSums

logs = st.floats(-12, 0)
spectra = st.lists(st.tuples(logs, st.floats(-6, 0)), min_size=3, max_size=25).map(
    lambda pairs: 10 ** np.array(pairs).T
)
sizes = st.floats(0.05, 0.95)
ridges = st.floats(-12, 6).map(lambda power: 10.0**power)


def near(n, apart):
    """A number of features whose distance from n is a power of ten of it, on either side, or infinite."""
    return np.inf if apart is None else n * (1 + apart)


aparts = st.one_of(
    st.none(), st.tuples(st.sampled_from([-1, 1]), st.floats(-4, -0.05)).map(lambda pair: pair[0] * 10 ** pair[1])
)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("points", [1, 6])  # summed directly, and from a table
def test_all_fields_agree_with_sixty_digits(seed, points):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(4, 40))
    lam, v2 = 10 ** rng.uniform(-12, 0, count), 10 ** rng.uniform(-6, 0, count)
    n = rng.uniform(1, 0.9 * count)
    k = np.inf if seed % 4 == 0 else n * (1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-4, -0.1))
    ridge = 0.0 if seed % 5 == 0 else 10 ** rng.uniform(-12, 6)
    found = rf_risk(lam, v2, n=[n] * points, k=k, ridge=ridge, noise_var=0.1)
    with mp.workdps(60):
        lams, m_n, m_k = [mp.mpf(x) for x in lam], mp.mpf(n), mp.mpf(k) if k < np.inf else mp.mpf(10) ** 200
        d = mp.mpf(ridge)

        def z(g):
            return mp.fsum(x / (x + g) for x in lams)

        def equation(t):
            g = mp.exp(t)
            return g * (m_n - z(g)) * (1 - z(g) / m_k) - d if ridge else z(g) - min(m_n, m_k)

        near_root = mp.log(mp.mpf(float(found.gamma[0])))
        g = mp.exp(mp.findroot(equation, (near_root - mp.mpf("1e-6"), near_root + mp.mpf("1e-6")), tol=1e-45))
        q, kappa = mp.fsum((x / (x + g)) ** 2 for x in lams), g * (1 - z(g) / m_k)
        x = (q * (m_k - 2 * z(g)) + z(g) ** 2) / (m_n * (m_k - q))
        bias = mp.fsum(
            (g / (y + g) - kappa * y / (y + g) ** 2 * m_k / (m_k - q)) * mp.mpf(v)
            for y, v in zip(lams, v2, strict=True)
        )
        test = (bias + mp.mpf(0.1)) / (1 - x)
        wanted = (kappa, g, z(g), q, 1 / (1 - x), test, (1 - z(g) / m_n) ** 2 * test)
        for name, value, exact in zip(found._fields, found, wanted, strict=True):
            assert np.all(np.abs(value - float(exact)) <= 1e-12 * float(exact) + 1e-40), name


@given(spectra, sizes, aparts, ridges)
def test_both_equations_hold_and_bounds_are_kept(pair, share, apart, ridge):
    lam, v2 = pair
    n = share * len(lam)
    k = near(n, apart)
    kappa, gamma, z, q, amplification, test, train = rf_risk(lam, v2, n=n, k=k, ridge=ridge, noise_var=0.2)
    modes = np.sum(lam / (lam + gamma))
    if n <= k:
        assert modes + ridge / kappa == pytest.approx(n, rel=1e-12)
    else:
        assert modes + k * kappa / gamma == pytest.approx(k, rel=1e-12)
    assert 0 < kappa <= gamma
    assert 0 < q <= z <= min(n, k)
    assert amplification >= 1
    assert test >= 0.2
    assert 0 <= train <= test


@given(spectra, sizes, aparts, ridges, st.floats(1e-3, 1e3))
def test_units_of_eigenvalues_do_not_matter(pair, share, apart, ridge, unit):
    lam, v2 = pair
    n = share * len(lam)
    one = rf_risk(lam, v2, n=n, k=near(n, apart), ridge=ridge, noise_var=0.1)
    other = rf_risk(unit * lam, v2, n=n, k=near(n, apart), ridge=unit * ridge, noise_var=0.1)
    np.testing.assert_allclose(other[:2], unit * np.array(one[:2]), rtol=1e-11)
    np.testing.assert_allclose(other[2:], one[2:], rtol=1e-11)


@given(spectra, sizes, aparts.filter(lambda apart: apart is not None), ridges)
def test_samples_and_features_are_interchangeable_in_gamma(pair, share, apart, ridge):
    lam, _ = pair
    n = share * len(lam)
    k = near(n, apart)
    _, one = solve_kappa_gamma(lam, n=n, k=k, ridge=ridge)
    _, other = solve_kappa_gamma(lam, n=k, k=n, ridge=ridge * k / n)
    assert other == pytest.approx(one, rel=1e-11)


@given(spectra, sizes, aparts, ridges)
def test_multiplicities_stand_for_repetition_in_any_order(pair, share, apart, ridge):
    lam, v2 = pair
    many = 1 + np.arange(len(lam)) % 3
    n = share * many.sum()
    arguments = {"n": n, "k": near(n, apart), "ridge": ridge, "noise_var": 0.1}
    grouped = rf_risk(lam, v2, multiplicities=many, **arguments)
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(len(lam)), many))
    np.testing.assert_allclose(rf_risk(lam[rows], v2[rows], **arguments), grouped, rtol=1e-11)


@given(spectra, sizes, aparts)
def test_the_effective_ridge_grows_with_the_ridge(pair, share, apart):
    lam, v2 = pair
    n = share * len(lam)
    kappa = rf_risk(lam, v2, n=n, k=near(n, apart), ridge=np.geomspace(1e-8, 1e4, 30)).kappa
    assert np.all(np.diff(kappa) > 0)


@pytest.mark.parametrize(("n", "k"), [(3, 3), (3, 4), (3, np.inf), (4, 3), (5, 5)])
def test_without_noise_the_ridgeless_risk_is_the_limit_of_small_ridges(n, k):
    lam, v2 = [1.0, 2.0, 5.0], [1.0, 3.0, 0.5]
    risk = rf_risk(lam, v2, n=n, k=k, ridge=[1e-15, 0.0]).test
    assert risk[0] == pytest.approx(risk[1], rel=1e-5, abs=1e-6)
    assert risk[1] == (pytest.approx(26 / 17, rel=1e-14) if n == k == 3 else 0)
    assert optimal_ridge(lam, v2, n=n, k=k).test == pytest.approx(risk[1], rel=1e-7)
    assert (rf_risk(lam, v2, n=n, k=k, noise_var=0.1).test == np.inf) == (n == 3)


def test_the_best_ridge_is_found_where_samples_features_and_modes_are_as_many():
    lam, v2 = np.geomspace(1e-4, 1, 30), np.geomspace(1e-3, 1, 30)
    grid = np.append(np.geomspace(1e-12, 100, 4000), 0.0)
    for noise in (0.0, 1e-6, 0.1):
        risks = rf_risk(lam, v2, n=30, k=30, ridge=grid, noise_var=noise).test
        assert optimal_ridge(lam, v2, n=30, k=30, noise_var=noise).test == pytest.approx(np.min(risks), rel=1e-5)


@given(spectra, sizes, st.floats(0, 2))
@example(np.ones((2, 3)), 0.5, 0.0)
@settings(max_examples=40)
def test_more_samples_and_more_features_help_at_the_best_ridge(pair, share, noise):
    lam, v2 = pair
    n = share * len(lam) * np.array([0.5, 1.0, 2.0])
    risk = optimal_ridge(lam, v2, n=n[:, None], k=np.append(n, np.inf), noise_var=noise).test
    assert np.all(np.diff(risk, axis=0) <= 1e-9 * risk[1:])
    assert np.all(np.diff(risk, axis=1) <= 1e-9 * risk[:, 1:])


def test_at_a_fixed_ridge_more_features_can_hurt():
    i = np.arange(1, 401.0)
    risk = rf_risk(i**-1.4, i**-1.3, n=40, k=[20, 39, 41, 160], ridge=1e-6, noise_var=0.3).test
    assert risk[1] > 10 * risk[0] > 10 * risk[3]


@given(spectra, sizes, st.floats(-3, 2))
@settings(max_examples=30)
def test_no_ridge_beats_the_optimal_one(pair, share, log_noise):
    lam, v2 = pair
    n, noise = share * len(lam), 10**log_noise
    best = optimal_ridge(lam, v2, n=n, noise_var=noise)
    others = krr_risk(lam, v2, n=n, ridge=np.append(np.geomspace(1e-14, 1e6, 2000), 0.0), noise_var=noise)
    assert best.test <= others.test.min() * (1 + 1e-9)
    if np.isfinite(best.ridge):
        at = krr_risk(lam, v2, n=n, ridge=best.ridge, noise_var=noise)
        assert at.test == pytest.approx(best.test, rel=1e-6)


def test_optimal_ridges_that_are_known():
    isotropic = optimal_ridge([1.0], [0.5], multiplicities=[80], n=[40, 80, 200], k=np.inf, noise_var=3.0)
    np.testing.assert_allclose(isotropic.ridge, 6.0, rtol=1e-6)
    assert optimal_ridge([1.0, 0.5], [0.0, 0.0], n=1, noise_var=1.0).ridge == np.inf
    i = np.arange(1, 3001.0)
    assert optimal_ridge(i**-1.5, i**-2.5, n=30).ridge == 0.0  # faster than the kernel: interpolate


def test_the_ridgeless_limits():
    i = np.arange(1, 1001.0)
    lam, v2 = i**-1.3, i**-1.6
    few = rf_risk(lam, v2, n=100, k=[60, 250], ridge=[0.0, 0.0], noise_var=0.1)
    np.testing.assert_allclose(few.z, [60, 100])
    np.testing.assert_allclose(few.train, [(1 - 60 / 100) ** 2 * few.test[0], 0])
    assert few.kappa[0] == 0
    close = rf_risk(lam, v2, n=100, k=[60, 250], ridge=1e-13, noise_var=0.1)
    np.testing.assert_allclose(close.test, few.test, rtol=1e-8)
    peak = rf_risk(lam, v2, n=100, k=100)
    assert peak.test == np.inf
    assert peak.train == 0
    exact = rf_risk([1.0, 0.5, 0.0], [1.0, 1.0, 0.3], n=10, k=5, noise_var=0.1)  # all learnt but a lost mode
    assert exact.gamma == 0
    assert exact.test == pytest.approx(0.4 / (1 - 2 / 10))
    assert rf_risk([1.0, 0.5], [1.0, 1.0], n=2, k=5).noise_amplification == np.inf


def test_features_without_number_are_kernel_regression_at_rate_one_over_k():
    i = np.arange(1, 1001.0)
    limit = krr_risk(i**-1.3, i**-1.6, n=100, ridge=0.02).test
    excess = rf_risk(i**-1.3, i**-1.6, n=100, k=[1e3, 1e4, 1e5, 1e9], ridge=0.02).test / limit - 1
    assert excess[0] / excess[1] == pytest.approx(10, rel=0.15)
    assert excess[1] / excess[2] == pytest.approx(10, rel=0.02)
    assert excess[3] < 1e-6


def test_learnabilities_sum_to_the_samples_that_are_spent():
    lam = np.array([1.0, 0.0, 0.3, 0.01, 0.2])
    found = learnability(lam, n=[2.0, 3.0], ridge=[[0.0], [0.5]])
    assert found.shape == (2, 2, 5)
    np.testing.assert_allclose(found[0].sum(axis=-1), [2, 3])
    assert np.all((found[1] < found[0]) | (lam == 0))
    assert np.all(found[..., 1] == 0)


def test_broadcast_shapes_and_scalars():
    grid = rf_risk([1.0, 0.5, 0.2], [1, 1, 1], n=np.ones((4, 1)), k=[1.0, 2.0, np.inf], ridge=0.1)
    assert all(field.shape == (4, 3) for field in grid)
    one = rf_risk([1.0, 0.5], [1, 1], n=1, k=1, ridge=0.1)
    assert all(np.ndim(field) == 0 for field in one)
    assert one.effective_ridge == one.kappa
    assert one.degrees_of_freedom == one.z
    assert one.fitting_ratio == pytest.approx((1 - one.z) ** 2)


@given(spectra, st.lists(st.floats(-45, 12), min_size=1, max_size=30))
def test_tables_reproduce_the_sums(pair, t):
    lam, v2 = pair
    spectrum = Spectrum(lam, np.ones_like(lam), v2)
    points = np.array(t)
    np.testing.assert_allclose(TabulatedSums(spectrum)(points), DirectSums(spectrum)(points), rtol=5e-14)


def test_a_million_modes_keep_twelve_digits():
    i = np.arange(1, 1_000_001.0)
    n = np.geomspace(3, 3000, 20)
    kappa, gamma = solve_kappa_gamma(i**-1.5, n=n, ridge=1e-6)
    z = np.array([np.sum(1 / (1 + g * i**1.5)) for g in gamma])
    np.testing.assert_allclose(z + 1e-6 / kappa, n, rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eigenvalues": [-1.0, 1.0]}, "eigenvalues must be nonnegative"),
        ({"eigenvalues": [0.0, 0.0]}, "eigenvalues must include a positive one"),
        ({"eigenvalues": [[1.0, 1.0]]}, "eigenvalues must have 1 dimension"),
        ({"coefficients_sq": [1.0]}, "coefficients_sq must have the shape of eigenvalues"),
        ({"coefficients_sq": [1.0, np.nan]}, "coefficients_sq must be finite"),
        ({"n": 0}, "n must be positive"),
        ({"n": np.inf}, "n must be finite"),
        ({"k": -1}, "k must be positive"),
        ({"k": np.nan}, "k must be finite"),
        ({"ridge": -0.1}, "ridge must be nonnegative"),
        ({"noise_var": [0.1, -1]}, "noise_var must be nonnegative; got -1 at index"),
        ({"multiplicities": [1.0]}, "multiplicities must have the shape"),
        ({"multiplicities": [1.0, 0.0]}, "multiplicities must be positive"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"eigenvalues": [1.0, 0.5], "coefficients_sq": [1.0, 1.0], "n": 1.0, **changes}
    with pytest.raises(ValueError, match=message):
        rf_risk(arguments.pop("eigenvalues"), arguments.pop("coefficients_sq"), **arguments)


@given(spectra, sizes)
def test_the_ridge_that_rounding_hides_is_found_or_refused(pair, share):
    lam, v2 = pair
    assume(np.ptp(np.log(lam)) > 1)
    n = share * len(lam)
    found = rf_risk(lam, v2, n=n, k=n * (1 + 1e-15), ridge=1e-300)
    assert np.isfinite(found.gamma)
    assert found.z == pytest.approx(n, rel=1e-12)
