import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from theory.generalization import (
    coherence,
    coherence_gaussian,
    coherence_of_groups,
    coherence_stability_bound,
    expected_sample_coherence,
    quadratic_gd_gap,
    unbiased_coherence,
)

tables = arrays(float, st.tuples(st.integers(2, 6), st.integers(1, 5)), elements=st.floats(-100, 100)).filter(
    lambda g: np.abs(g).max() > 1e-3
)


@settings(max_examples=100, deadline=None)
@given(g=tables, scale=st.floats(1e-100, 1e100), sign=st.sampled_from([-1.0, 1.0]))
def test_coherence_has_no_scale_and_no_order_and_lies_between_0_and_1(g, scale, sign):
    alpha = coherence(g)
    assert 0 <= alpha <= 1
    assert coherence(sign * scale * g) == pytest.approx(alpha, abs=1e-12)
    assert coherence(g[::-1]) == pytest.approx(alpha, abs=1e-12)
    assert coherence(np.concatenate([g, g])) == pytest.approx(alpha, abs=1e-12)
    assert -1 / (len(g) - 1) - 1e-12 <= unbiased_coherence(g) <= 1


def test_extremes():
    assert coherence(np.eye(7)) == pytest.approx(1 / 7, rel=1e-15)
    assert coherence(np.ones((7, 3))) == 1.0
    assert coherence([[1.0, 2.0], [-1.0, -2.0]]) == 0.0
    assert unbiased_coherence(np.eye(7)) == pytest.approx(0.0, abs=1e-15)
    assert coherence([[1e200, 0.0], [0.0, 1e200]]) == 0.5
    assert coherence([[1e-200, 0.0], [0.0, 1e-200]]) == 0.5
    assert np.isnan(coherence(np.zeros((3, 2))))
    assert np.isnan(coherence_gaussian([0.0, 0.0], variance=0.0))
    stacked = coherence(np.stack([np.eye(2), np.zeros((2, 2))]))
    assert stacked[0] == 0.5
    assert np.isnan(stacked[1])


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 8), min_size=1, max_size=5))
def test_groups_are_orthogonal_gradients(sizes):
    gradients = np.repeat(np.eye(len(sizes)), sizes, axis=0)
    assert coherence_of_groups(np.array(sizes) / sum(sizes)) == pytest.approx(coherence(gradients), rel=1e-13)


@settings(max_examples=100, deadline=None)
@given(alpha=st.floats(0, 1), m=st.integers(1, 10**6))
def test_samples_show_too_much_by_a_share_of_what_is_missing(alpha, m):
    shown = expected_sample_coherence(alpha, m)
    assert shown - alpha == pytest.approx((1 - alpha) / m, abs=1e-15)
    assert 1 / m <= shown * (1 + 1e-15)
    assert expected_sample_coherence(alpha, m + 1) <= shown


def test_known_values():
    assert coherence_of_groups([0.5, 0.3, 0.2]) == pytest.approx(0.38, rel=1e-15)
    assert coherence_gaussian([3.0, 4.0], variance=[0.0, 12.5, 37.5]).tolist() == [1.0, 0.5, 0.25]
    assert expected_sample_coherence([[0.0], [1.0]], [1, 2, 4]).tolist() == [[1.0, 0.5, 0.25], [1.0, 1.0, 1.0]]
    assert quadratic_gd_gap(3.0, 10, 15, 0.1) == pytest.approx(0.238233, abs=5e-7)
    assert quadratic_gd_gap(2.0, 4, [0, 1, 2], 1.0).tolist() == [0.0, 0.5, 0.5]
    assert quadratic_gd_gap(1.0, 1, 1, 1e-18) == pytest.approx(1e-18, rel=1e-15)
    assert quadratic_gd_gap(1.0, 2, 3, 2.0) == 1.0


def test_stability_bound_is_its_sum():
    alphas, eta = np.array([0.1, 0.4, 0.9]), np.array([0.3, 0.2, 0.1])
    expected = (
        sum(np.prod(1 + 2.5 * eta[t + 1 :]) * eta[t] * np.sqrt(2 * (1 - alphas[t])) for t in range(3)) * 1.7**2 / 9
    )
    options = {"lipschitz": 1.7, "smoothness": 2.5, "num_examples": 9}
    assert coherence_stability_bound(alphas, eta, **options) == pytest.approx(expected, rel=1e-14)
    stacked = coherence_stability_bound([alphas, np.ones(3)], eta, **options)
    np.testing.assert_allclose(stacked, [expected, 0.0], rtol=1e-14)
    assert coherence_stability_bound([], [], **options) == 0.0


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: coherence([1.0, 2.0]), "gradients"),
        (lambda: coherence(np.zeros((0, 3))), "gradients"),
        (lambda: coherence([[np.nan]]), "gradients"),
        (lambda: unbiased_coherence([[1.0, 2.0]]), "at least 2 rows"),
        (lambda: coherence_of_groups([0.5, 0.4]), "fractions"),
        (lambda: coherence_of_groups(1.0), "fractions"),
        (lambda: coherence_gaussian([1.0], variance=-1.0), "variance"),
        (lambda: coherence_gaussian([], variance=1.0), "mean"),
        (lambda: expected_sample_coherence(1.1, 3), "alpha"),
        (lambda: expected_sample_coherence(0.5, 0), "m must be"),
        (lambda: quadratic_gd_gap(1.0, 3, -1, 0.1), "num_steps"),
        (lambda: quadratic_gd_gap(1.0, 3, 1, 2.1), "step_size"),
        (
            lambda: coherence_stability_bound([0.5], [0.1, 0.1], lipschitz=1, smoothness=1, num_examples=2),
            "alphas must have one entry a step",
        ),
        (
            lambda: coherence_stability_bound([0.5], [0.1], lipschitz=-1, smoothness=1, num_examples=2),
            "lipschitz",
        ),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
