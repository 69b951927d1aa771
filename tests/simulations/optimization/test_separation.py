import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from simulations.optimization import attention_separable, linear_margins


def separable_by_linear_programming(rows):
    n, d = rows.shape
    return linprog(np.zeros(d), A_ub=-rows, b_ub=-np.ones(n), bounds=(None, None)).status == 0


def test_margins_by_hand():
    right = [[1.0, 1.0], [1.0, -1.0], [5.0, 0.0]]
    around = [[1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]]
    opposite = [[2.0, 3.0], [-2.0, -3.0], [1.0, 0.0]]
    copies = [[3.0, 4.0]] * 3
    np.testing.assert_allclose(linear_margins([right, around, opposite, copies]), [1, 0, 0, 5], atol=1e-12)
    assert linear_margins(np.zeros((1, 2, 2)))[0] == 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 12), d=st.integers(1, 5), scale=st.floats(1e-5, 1e5))
def test_margins_are_positive_exactly_for_feasible_programs(seed, n, d, scale):
    rows = np.random.default_rng(seed).normal(size=(4, n, d))
    margins = linear_margins(scale * rows)
    assert [separable_by_linear_programming(r) for r in rows] == (margins > 0).tolist()
    np.testing.assert_allclose(
        linear_margins(np.repeat(rows, 2, axis=1)) * scale, margins, rtol=1e-7, atol=1e-9 * scale
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 4), T=st.integers(2, 4), d=st.integers(1, 3))
def test_attention_is_separable_exactly_for_feasible_programs(seed, n, T, d):
    rng = np.random.default_rng(seed)
    tokens, queries, optimal = rng.normal(size=(3, n, T, d)), rng.normal(size=(3, n, d)), rng.integers(0, T, (3, n))
    expected = []
    for x, z, o in zip(tokens, queries, optimal, strict=True):
        rows = [np.outer(x[i, o[i]] - x[i, t], z[i]).ravel() for i in range(n) for t in range(T) if t != o[i]]
        expected.append(separable_by_linear_programming(np.array(rows)))
    assert attention_separable(tokens, queries, optimal).tolist() == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linear_margins([[1.0]]), "signed_features must have 3 dimensions"),
        (lambda: linear_margins([[[np.nan]]]), "signed_features must be finite"),
        (lambda: attention_separable(np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2)), [[0, 0]]), "queries must have shape"),
        (lambda: attention_separable(np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 3)), [[0, 2]]), "optimal must hold"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
