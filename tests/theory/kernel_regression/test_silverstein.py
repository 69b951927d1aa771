"""Silverstein's equation: the right root everywhere, densities, edges, agreement with other solvers, and bad input."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import kernel_regression as kr

ratios = st.floats(-2, 2).map(lambda power: 10.0**power)
populations = st.lists(st.tuples(st.floats(-2, 1), st.floats(0.05, 1.0)), min_size=1, max_size=6).map(
    lambda pairs: (10 ** np.array(pairs)[:, 0], np.array(pairs)[:, 1] / sum(share for _, share in pairs))
)
points = st.tuples(st.floats(-1.0, 1.5), st.floats(-3, 1)).map(lambda p: complex(p[0], 10 ** p[1]))


def terms(z, v, s, w, g):
    return np.concatenate([[z * v, 1], -g * w * s * v / (1 + s * v)])


@given(populations, ratios, points)
@settings(max_examples=60)
def test_above_the_axis_it_is_where_a_contraction_ends(population, g, place):
    s, w = population
    z = place * s.max() * (1 + g)
    found = complex(kr.companion_stieltjes(z, s, w, ratio=g))
    assert found.imag > 0
    assert abs(np.sum(terms(z, found, s, w, g))) <= 1e-12 * np.abs(terms(z, found, s, w, g)).sum()
    v = 1j / abs(z)
    for _ in range(20_000):
        new = 1 / (g * np.sum(w * s / (1 + s * v)) - z)
        if abs(new - v) <= 1e-14 * abs(v):
            break
        v = new
    assert abs(found - v) <= 1e-7 * abs(v)


@pytest.mark.parametrize("seed", range(20))
def test_it_agrees_with_the_roots_of_a_polynomial_in_many_digits(seed):
    rng = np.random.default_rng(seed)
    s, w, g = 10 ** rng.uniform(-2, 1, 3), rng.dirichlet(np.ones(3)), 10 ** rng.uniform(-1.5, 1.5)
    top = kr.spectral_edges(s, w, ratio=g)[-1]
    z = np.concatenate([-(10 ** rng.uniform(-4, 3, 2)), rng.uniform(0.0, 1.2, 3)]) * top
    z = np.concatenate([z, z + 1j * top * 10 ** rng.uniform(-3, 0, 5)])
    found = kr.companion_stieltjes(z, s, w, ratio=g)
    with mp.workdps(60):
        for point, value in zip(z, found, strict=True):
            exact = _root(point, s, w, g)
            # rounding of z is amplified next to an edge
            slope = 1 / exact**2 - mp.mpf(g) * mp.fsum(
                mp.mpf(b) * mp.mpf(a) ** 2 / (1 + mp.mpf(a) * exact) ** 2 for a, b in zip(s, w, strict=True)
            )
            condition = float(abs(mp.mpmathify(complex(point)) / slope / exact))
            assert abs(complex(exact) - value) <= 1e-14 * (1 + condition) * abs(value)


def _root(z, s, w, g):
    """Find all roots of the equation, times its denominators, and pick the one that is a transform."""
    z, g, s, w = mp.mpmathify(complex(z)), mp.mpf(g), [mp.mpf(a) for a in s], [mp.mpf(a) for a in w]

    def product(factors):
        coefficients = [mp.mpf(1)]
        for a in factors:  # times (1 + a v), lowest power first
            coefficients = [
                (coefficients[i] if i < len(coefficients) else 0) + (a * coefficients[i - 1] if i else 0)
                for i in range(len(coefficients) + 1)
            ]
        return coefficients

    everything = product(s)
    total = [z * c for c in [mp.mpf(0), *everything]]
    for i, c in enumerate(everything):
        total[i] += c
    for j, (a, b) in enumerate(zip(s, w, strict=True)):
        for i, c in enumerate(product(s[:j] + s[j + 1 :])):
            total[i + 1] -= g * b * a * c
    roots = mp.polyroots(total[::-1], maxsteps=500, extraprec=400)
    above = [root for root in roots if mp.im(root) > mp.mpf(10) ** -25]
    if above:
        (root,) = above
        return root

    def slope(v):
        return 1 / v**2 - g * mp.fsum(b * a**2 / (1 + a * v) ** 2 for a, b in zip(s, w, strict=True))

    (root,) = [mp.re(root) for root in roots if slope(mp.re(root)) > 0]
    return root


@given(ratios, st.floats(0.1, 10.0), points)
def test_one_eigenvalue_is_marchenko_and_pastur(g, s, place):
    z = place * s * (1 + g)
    v = kr.companion_stieltjes(z, [s, s], [0.4, 0.6], ratio=g)
    assert v == pytest.approx(g * kr.mp_stieltjes(z, ratio=g, variance=s) - (1 - g) / z, rel=1e-9)
    np.testing.assert_allclose(
        kr.spectral_edges([s], [1.0], ratio=g), kr.mp_support(ratio=g, variance=s), rtol=1e-12, atol=1e-14 * s
    )


@given(populations, ratios, st.floats(-6, 3))
def test_at_minus_the_ridge_it_is_one_over_the_effective_ridge(population, g, log_ridge):
    s, w = population
    ridge = 10**log_ridge * s.max()
    v = kr.companion_stieltjes(-ridge, s, w, ratio=g)
    kappa, _ = kr.solve_kappa_gamma(s, multiplicities=100 * g * w, n=100, ridge=100 * ridge)
    assert v.real * kappa == pytest.approx(1, rel=1e-11)
    assert v.imag == 0


@given(populations, ratios)
@settings(max_examples=40)
def test_bands_hold_all_mass_and_the_first_moments(population, g):
    s, w = population
    edges = kr.spectral_edges(s, w, ratio=g)
    assert len(edges) % 2 == 0
    assert np.all(np.diff(edges) > 0)
    mass = mean = square = 0.0
    for low, high in edges.reshape(-1, 2):
        angle = np.pi * (np.arange(2000) + 0.5) / 2000
        # nodes that crowd at the lower end, which may be next to zero
        x = low + (high - low) * np.sin(angle / 2) ** 4
        weight = (high - low) * 2 * np.sin(angle / 2) ** 3 * np.cos(angle / 2) * np.pi / 2000
        density = kr.spectral_density(x, s, w, ratio=g) * weight
        mass, mean, square = mass + density.sum(), mean + density @ x, square + density @ x**2
    # narrow bands next to each other are hard on the quadrature
    assert mass == pytest.approx(min(1, 1 / g), rel=2e-3)
    assert mean == pytest.approx(w @ s, rel=2e-3)
    assert square == pytest.approx(w @ s**2 + g * (w @ s) ** 2, rel=2e-3)


@given(populations, ratios, st.floats(1e-3, 1e3))
def test_units_and_order_do_not_matter(population, g, unit):
    s, w = population
    order = np.random.default_rng(0).permutation(len(s))
    z = s.max() * np.array([-0.3, 0.5 + 0.1j, 2 + 1j])
    one = kr.companion_stieltjes(z, s, w, ratio=g)
    other = kr.companion_stieltjes(unit * z, unit * s[order], w[order], ratio=g)
    np.testing.assert_allclose(other * unit, one, rtol=1e-10)
    np.testing.assert_allclose(kr.companion_stieltjes(z.conj(), s, w, ratio=g), one.conj(), rtol=1e-14)


def test_gaps_open_as_samples_grow_and_separate_exactly():
    s, w = [1.0, 4.0, 9.0], [0.2, 0.5, 0.3]
    bands = [len(kr.spectral_edges(s, w, ratio=g)) // 2 for g in (1.0, 0.3, 0.01)]
    assert bands == [1, 2, 3]
    edges = kr.spectral_edges(s, w, ratio=0.01)
    for (low, high), share in zip(edges.reshape(-1, 2), w, strict=True):
        angle = np.pi * (np.arange(400) + 0.5) / 400
        x = (low + high) / 2 + (high - low) / 2 * np.cos(angle)
        density = kr.spectral_density(x, s, w, ratio=0.01)
        assert np.sum(density * np.sin(angle)) * (high - low) / 2 * np.pi / 400 == pytest.approx(share, rel=1e-9)
        assert kr.spectral_density([low - 1e-6, high + 1e-6], s, w, ratio=0.01).tolist() == [0, 0]


def test_zero_eigenvalues_and_weights_change_only_the_mass_at_zero():
    z = np.array([-0.5, 1 + 0.3j])
    whole = kr.companion_stieltjes(z, [0.0, 1.0, 2.0, 5.0], [0.5, 0.25, 0.25, 0.0], ratio=0.8)
    np.testing.assert_allclose(whole, kr.companion_stieltjes(z, [1.0, 2.0], [0.5, 0.5], ratio=0.4), rtol=1e-13)
    assert kr.companion_stieltjes(0.0, [1.0], [1.0], ratio=3.0) == pytest.approx(1 / 2)
    assert kr.spectral_density([-1.0, 0.0], [1.0], [1.0], ratio=1.0).tolist() == [0, 0]


def test_a_thousand_eigenvalues():
    s = np.arange(1.0, 1001) ** -1.0
    w = np.full(1000, 1e-3)
    z = np.concatenate([np.geomspace(1e-6, 10, 300), -np.geomspace(1e-9, 10, 100)])
    v = kr.companion_stieltjes(z, s, w, ratio=0.5)
    residual = [
        np.sum(terms(a, b, s, w, 0.5)) / np.abs(terms(a, b, s, w, 0.5)).sum() for a, b in zip(z, v, strict=True)
    ]
    assert np.max(np.abs(residual)) < 1e-12
    edges = kr.spectral_edges(s, w, ratio=0.5)
    inside = np.array([np.searchsorted(edges, x) % 2 == 1 for x in z.real])
    np.testing.assert_array_equal(v.imag > 0, inside)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z": 0.0}, "z must not be 0 where ratio times"),
        ({"z": np.nan}, "real and imaginary parts of z must be finite"),
        ({"eigenvalues": [-1.0, 1.0]}, "eigenvalues must be nonnegative"),
        ({"eigenvalues": [0.0, 0.0]}, "eigenvalues must include a positive one"),
        ({"weights": [0.5]}, "weights must have the shape of eigenvalues"),
        ({"weights": [0.5, 0.6]}, "weights must add up to 1; got 1.1"),
        ({"ratio": 0.0}, "ratio must be positive"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"z": 1j, "eigenvalues": [1.0, 2.0], "weights": [0.5, 0.5], "ratio": 1.0, **changes}
    with pytest.raises(ValueError, match=message):
        kr.companion_stieltjes(arguments["z"], arguments["eigenvalues"], arguments["weights"], ratio=arguments["ratio"])
