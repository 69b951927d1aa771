"""The Marchenko-Pastur law against many digits and quadrature, its equation, its symmetries, and bad input."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import deep_linear
from theory import kernel_regression as kr

ratios = st.floats(-3, 3).map(lambda power: 10.0**power)
variances = st.floats(-3, 3).map(lambda power: 10.0**power)
angles, sizes = st.floats(0.01, np.pi - 0.01), st.floats(-6, 6).map(lambda power: 10.0**power)


def in_digits(z, g, s):
    g, s, z = mp.mpf(g), mp.mpf(s), mp.mpmathify(z)
    low, high = s * (1 - mp.sqrt(g)) ** 2, s * (1 + mp.sqrt(g)) ** 2
    return (s * (1 - g) - z + mp.sqrt(z - low) * mp.sqrt(z - high)) / (2 * g * s * z)


@given(ratios, variances, sizes, angles)
def test_the_transform_has_all_its_digits_off_the_axis(g, s, size, angle):
    z = complex(s * (1 + g) * size * np.exp(1j * angle))
    with mp.workdps(60):
        exact = complex(in_digits(z, g, s))
    found = complex(kr.mp_stieltjes(z, ratio=g, variance=s))
    # next to an edge of the spectrum the transform is that of a square root of the distance
    ends = np.array(kr.mp_support(ratio=g, variance=s))
    lost = 1 + np.max(ends / np.abs(z - ends))
    assert abs(found - exact) <= 1e-14 * lost * abs(exact)


@given(ratios, variances, st.floats(-8, 8))
def test_below_the_spectrum_it_is_real_positive_and_has_its_digits(g, s, log_size):
    z = -s * 10**log_size
    found = complex(kr.mp_stieltjes(z, ratio=g, variance=s))
    with mp.workdps(60):
        assert found.real == pytest.approx(float(mp.re(in_digits(z, g, s))), rel=1e-13)
    assert found.real > 0
    assert found.imag == 0


@given(ratios, sizes, angles)
def test_it_solves_its_equation_and_maps_the_upper_half_plane_into_itself(g, size, angle):
    z = (1 + g) * size * np.exp(1j * angle)
    m = kr.mp_stieltjes(z, ratio=g)
    terms = np.array([g * z * m**2, z * m, -(1 - g) * m, 1])
    assert abs(terms.sum()) <= 1e-13 * np.abs(terms).sum()
    assert m.imag > 0
    assert kr.mp_stieltjes(np.conj(z), ratio=g) == np.conj(m)
    assert (z * m).real <= abs(z * m)


@given(ratios, st.floats(0.02, 0.98), variances)
def test_the_density_is_what_the_transform_has_on_the_axis(g, share, s):
    low, high = kr.mp_support(ratio=g, variance=s)
    x = low + share * (high - low)
    # rounding of x moves it against an end of the spectrum
    lost = 1 + x / (high - x) + x / (x - low)
    density = kr.mp_density(x, ratio=g, variance=s)
    assert density == pytest.approx(kr.mp_stieltjes(x, ratio=g, variance=s).imag / np.pi, rel=1e-14 * lost)
    # the law of deep linear networks counts samples per feature, and inputs of variance 1/p
    other = deep_linear.mp_density(x / (g * s), alpha=1 / g) / (g * s)
    assert density == pytest.approx(other, rel=1e-13 * lost)


@pytest.mark.parametrize("g", [0.3, 0.8, 1.0, 1.7, 25.0])
@pytest.mark.parametrize("s", [1.0, 0.2])
def test_integrals_of_the_density(g, s):
    low, high = kr.mp_support(ratio=g, variance=s)
    nodes = np.pi * (np.arange(4000) + 0.5) / 4000
    x = (low + high) / 2 + (high - low) / 2 * np.cos(nodes)
    weights = kr.mp_density(x, ratio=g, variance=s) * np.sin(nodes) * (high - low) / 2 * np.pi / nodes.size
    atom = max(0.0, 1 - 1 / g)
    accuracy = 1e-3 if g == 1 else 1e-12  # at g = 1 the density has a pole, of power one half
    assert weights.sum() + atom == pytest.approx(1, rel=accuracy)
    assert weights @ x == pytest.approx(s, rel=1e-12)
    assert weights @ x**2 == pytest.approx(s**2 * (1 + g), rel=1e-12)
    z = np.array([-0.4, 1 + 0.5j, 3 - 2j])
    transforms = (weights / (x - z[:, None])).sum(axis=1) - atom / z
    np.testing.assert_allclose(kr.mp_stieltjes(z, ratio=g, variance=s), transforms, rtol=1e-10 if g != 1 else 1e-3)
    if g < 1:
        assert weights @ np.log(x / s) == pytest.approx(-1 - (1 - g) / g * np.log1p(-g), rel=1e-10)


@given(ratios, variances)
def test_rows_and_columns_share_their_spectrum(g, s):
    swapped, ends = kr.mp_support(ratio=1 / g, variance=g * s), kr.mp_support(ratio=g, variance=s)
    # 1/g is rounded, which next to g = 1 is much to the lower end
    np.testing.assert_allclose(swapped, ends, rtol=1e-12, atol=1e-14 * s * (1 + g))
    z = s * (-0.7 + 0.2j)
    rows, columns = kr.mp_stieltjes(z, ratio=1 / g, variance=g * s), kr.mp_stieltjes(z, ratio=g, variance=s)
    assert rows == pytest.approx(g * columns - (1 - g) / z, rel=1e-9)


@given(st.floats(1e-12, 0.5))
def test_the_lower_end_keeps_its_digits_next_to_one(apart):
    with mp.workdps(40):
        exact = float((1 - mp.sqrt(1 + mp.mpf((1 + apart) - 1))) ** 2)
    assert kr.mp_support(ratio=1 + apart).low == pytest.approx(exact, rel=1e-14)


def test_values_at_zero_and_shapes():
    assert kr.mp_stieltjes(0.0, ratio=0.5) == 2
    assert kr.mp_density(0.0, ratio=1.0) == 0
    assert kr.mp_stieltjes(np.zeros((3, 1)) - 1, ratio=[0.5, 2.0], variance=2.0).shape == (3, 2)
    assert kr.mp_support(ratio=[0.5, 2.0]).low.shape == (2,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kr.mp_support(ratio=0.0), "ratio must be positive"),
        (lambda: kr.mp_density(1.0, ratio=0.5, variance=-1.0), "variance must be positive"),
        (lambda: kr.mp_density([1.0, np.nan], ratio=0.5), "x must be finite"),
        (lambda: kr.mp_stieltjes([1j, 0.0], ratio=1.0), "z must not be 0 where ratio >= 1"),
        (lambda: kr.mp_stieltjes(complex(1, np.inf), ratio=1.0), "imaginary parts of z must be finite"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_no_number_is_refused():
    with pytest.raises(TypeError, match="z must be a complex number"):
        kr.mp_stieltjes("i", ratio=1.0)
