"""Evidence: what is refused at the door, and what the store gives back."""

import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from paper_checks.evidence import Exact, Limit, Samples, Sizes, Steps, components, from_arrays, normalise, to_arrays

ARRAYS = hnp.arrays(
    float, hnp.array_shapes(min_dims=2, max_dims=3, max_side=4), elements=st.floats(-1e300, 1e300, allow_nan=False)
)
x = sympy.Symbol("x")


def equal(one, other):
    if isinstance(one, Exact):
        return one == other
    if isinstance(one, tuple):
        return type(one) is type(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    return np.array_equal(one, other)


@given(ARRAYS)
def test_what_is_encoded_comes_back(values):
    steps = np.arange(len(values))
    for evidence in (values, values[0, 0], Samples(values), Steps(steps, values), Sizes(steps, values)):
        evidence = normalise(evidence, "it")
        assert equal(from_arrays(to_arrays(evidence, "0") | to_arrays(values, "01"), "0"), evidence)


@pytest.mark.parametrize("expressions", [(1, "2/3"), (x**2 + 1, sympy.sqrt(2) * sympy.pi), (sympy.Rational(1, 3),)])
def test_exact_expressions_come_back(expressions):
    exact = normalise(Exact(expressions), "it")
    assert from_arrays(to_arrays(exact, "7"), "7") == exact
    assert all(isinstance(e, sympy.Basic) for e in exact.expressions)


def test_an_absent_name_is_a_key_error():
    with pytest.raises(KeyError):
        from_arrays(to_arrays(np.ones(2), "1"), "0")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_with_its_place(bad):
    values = np.ones((2, 3))
    values[1, 2] = bad
    for evidence, field in [
        (values, ""),
        (Samples(values), r" \(values\)"),
        (Steps([1, 2], values), r" \(values\)"),
        (Sizes([1, bad], np.ones((2, 3))), r" \(sizes\)"),
        (Limit(values), r" \(value\)"),
        (Limit(np.ones((2, 3)), values), r" \(coefficient\)"),
    ]:
        with pytest.raises(ValueError, match=rf"^the measurement{field} must be finite; got .* at index \("):
            normalise(evidence, "the measurement")


@pytest.mark.parametrize("bad", [sympy.nan, sympy.oo, -sympy.oo, sympy.zoo, float("nan"), x + sympy.oo])
def test_exact_expressions_must_be_finite(bad):
    with pytest.raises(ValueError, match="the prediction must be finite"):
        normalise(Exact((1, bad)), "the prediction")


@pytest.mark.parametrize("rounded", [0.5, "1e-3", x + 0.1, sympy.Float(1)])
def test_exact_expressions_must_be_exact(rounded):
    with pytest.raises(ValueError, match="the measurement must be exact; got the floating-point"):
        normalise(Exact((1, rounded)), "the measurement")


@pytest.mark.parametrize("empty", [[], np.ones((3, 0)), Samples(np.ones((40, 0))), Steps([], []), Exact(())])
def test_what_is_empty_is_refused(empty):
    with pytest.raises(ValueError, match="must hold at least one"):
        normalise(empty, "the measurement")


@pytest.mark.parametrize("flat", [Samples(1.0), Steps([1], 1.0), Sizes([1], [1.0])])
def test_missing_leading_axes_are_refused(flat):
    with pytest.raises(ValueError, match="leading axes"):
        normalise(flat, "the measurement")


@pytest.mark.parametrize("strange", [None, np.array([object()]), 1j, Samples(np.ones((40, 1), dtype=complex))])
def test_what_is_no_real_number_is_refused(strange):
    with pytest.raises(ValueError, match="must be an array of real numbers"):
        normalise(strange, "the measurement")


def test_everything_becomes_float64_in_its_own_shape():
    for value in (3, True, np.float32(2), np.arange(6).reshape(2, 3), jnp.ones((2, 1)), [[1], [2]]):
        array = normalise(value, "it")
        assert array.dtype == np.float64
        assert array.shape == np.shape(value)
    assert normalise(Limit(1), "it") == Limit(np.array(1.0), None)


def test_components_join_shapes_behind_shared_axes():
    joined = components(np.zeros((4, 2, 3)), np.ones(4), leading=1)
    assert joined.shape == (4, 7)
    assert components(1.0, [2.0, 3.0]).tolist() == [1.0, 2.0, 3.0]
