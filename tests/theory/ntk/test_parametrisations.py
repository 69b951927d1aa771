"""Abc parametrisations: the table of the presets, exact arithmetic, the symmetry, the dichotomy, and bad input."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import ntk

HALF = Fraction(1, 2)
quarters = st.integers(-8, 8).map(lambda k: Fraction(k, 4))


@st.composite
def exponents(draw):
    """Exponents whose networks start with activities of order one, half of them with a readout that just learns."""
    layers = draw(st.integers(1, 4))
    a = [draw(quarters) for _ in range(layers + 1)]
    total = [Fraction(0), *[HALF] * (layers - 1), HALF + abs(draw(quarters))]
    return a, [t - v for t, v in zip(total, a, strict=True)], draw(st.one_of(quarters, st.just(1 - 2 * a[-1])))


@pytest.mark.parametrize(
    ("name", "depth", "r", "regime"),
    [
        ("sp", 1, 0, "unstable"),
        ("sp", 3, -1, "unstable"),
        ("sp_lr_over_width", 1, 1.5, "kernel"),
        ("sp_lr_over_width", 2, 0.5, "kernel"),
        ("ntp", 1, 0.5, "kernel"),
        ("ntp", 4, 0.5, "kernel"),
        ("mfp", 1, 0, "feature"),
        ("mup", 1, 0, "feature"),
        ("mup", 3, 0, "feature"),
    ],
)
def test_presets(name, depth, r, regime):
    found = ntk.abc_exponents(*ntk.abc_preset(name, n_hidden=depth))
    assert found.r == r == -found.feature_exponent
    assert found.regime == regime
    assert found.stable == (regime != "unstable")
    assert found.output_exponent == (0 if found.stable else found.output_exponent)
    assert len(found.layer_r) == depth


@given(exponents(), quarters)
def test_shifts_change_nothing(of, theta):
    assert ntk.abc_exponents(*ntk.abc_shift(*of, theta=theta)) == ntk.abc_exponents(*of)


@given(exponents())
def test_every_nontrivial_parametrisation_is_one_of_two(of):
    found = ntk.abc_exponents(*of)
    assert found.nontrivial == (found.regime in ("feature", "kernel"))
    if found.nontrivial:
        assert found.regime == ("feature" if found.r == 0 else "kernel")
        assert found.output_exponent == 0
    if found.stable:
        assert found.r >= 0
        assert found.output_exponent <= 0


@given(exponents())
def test_deeper_layers_move_at_least_as_fast(of):
    layers = ntk.abc_exponents(*of).layer_r
    assert list(layers) == sorted(layers, reverse=True)


@given(exponents())
def test_floats_mean_the_fractions_next_to_them(of):
    a, b, c = of
    third = Fraction(1, 3)
    a, b = [v + third for v in a], [v - third for v in b]
    exact = ntk.abc_exponents(a, b, c)
    found = ntk.abc_exponents(np.array(a, dtype=float), [float(v) for v in b], float(c))
    assert found[1:4] == exact[1:4]
    assert found.r == pytest.approx(float(exact.r), abs=1e-13)
    assert isinstance(found.r, float)
    assert isinstance(exact.r, Fraction)


def test_decimals_come_back_short():
    found = ntk.abc_exponents([-0.4, 0.1, 0.3], [0.4, 0.4, 0.5], 0.4)
    assert found.r == 0.4
    assert found.regime == "kernel"


def test_every_condition_of_stability_can_be_the_one_that_fails():
    a, b, c = ntk.abc_preset("mup", n_hidden=2)
    assert ntk.abc_exponents(a, b, c).stable
    for broken in [
        (a, (0.25, *b[1:]), c),
        (a, (0.5, 0.75, 0.5), c),
        ((-0.5, 0, 1), (0.5, 0.5, -0.6), c),
        ((-0.6, 0, 0.5), (0.6, 0.5, 0.5), c),
        ((-0.5, 0.5, 0), (0.5, 0, 1), 0.5),
        ((-0.125, 0.375, 0.5), (0.125, 0.125, 0), 0),
    ]:
        assert ntk.abc_exponents(*broken).regime == "unstable"


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda: ntk.abc_exponents([0], [0], 0), ValueError, "length"),
        (lambda: ntk.abc_exponents([0, 0], [0, 0, 0], 0), ValueError, "length"),
        (lambda: ntk.abc_exponents([0, np.nan], [0, 0], 0), ValueError, r"a\[1\]"),
        (lambda: ntk.abc_exponents([0, 0], [0, 0], np.inf), ValueError, "c must"),
        (lambda: ntk.abc_exponents([0, 0], [0, "x"], 0), TypeError, r"b\[1\]"),
        (lambda: ntk.abc_exponents(0, [0, 0], 0), TypeError, "a must"),
        (lambda: ntk.abc_exponents([0, 0], [0, 0], True), TypeError, "c must"),
        (lambda: ntk.abc_shift([0, 0], [0, 0], 0, theta=np.nan), ValueError, "theta"),
        (lambda: ntk.abc_preset("mup", n_hidden=0), ValueError, "n_hidden"),
        (lambda: ntk.abc_preset("mfp", n_hidden=2), ValueError, "n_hidden"),
        (lambda: ntk.abc_preset("other", n_hidden=1), ValueError, "name"),
    ],
)
def test_bad_input_is_named(call, error, word):
    with pytest.raises(error, match=word):
        call()
