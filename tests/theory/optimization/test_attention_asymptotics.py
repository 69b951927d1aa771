import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.special import expit

from theory.optimization import (
    attention_svm_features,
    direction_constant,
    direction_cosine,
    finite_part,
    margin_offsets,
    offset_decay_exponent,
    solve_attention_svm,
)


def two_inputs():
    """Two inputs of two tokens each: both margins support, features neither parallel nor orthogonal."""
    tokens = np.array([[[1.0, 0.2], [-0.3, 0.1]], [[0.4, 1.0], [0.1, -0.5]]])
    queries = np.array([[1.0, 0.3], [-0.2, 0.8]])
    scores = np.array([[0.7, -0.4], [1.5, 0.2]])
    return tokens, queries, scores


def flow(tokens, queries, scores, times, start):
    """Weights along the gradient flow of the logistic loss, two tokens an input, in log time."""
    features, _ = attention_svm_features(tokens, queries, [0, 0])
    flat = features.reshape(len(features), -1)
    lead = scores[:, 0] - scores[:, 1]

    def velocity(tau, w):
        leak = expit(-flat @ w)
        slope = expit(-(scores[:, 0] - leak * lead)) * lead * leak * (1 - leak) / len(lead)
        return np.exp(tau) * slope @ flat

    taus = np.log1p(times)
    options = {"method": "Radau", "rtol": 1e-10, "atol": 1e-12}
    return solve_ivp(velocity, (0, taus[-1]), start.ravel(), t_eval=taus, **options).y.T, flat


def test_margins_of_the_gradient_flow_are_log_time_plus_the_offsets():
    tokens, queries, scores = two_inputs()
    svm = solve_attention_svm(tokens, queries, [0, 0])
    features, _ = attention_svm_features(tokens, queries, [0, 0])
    assert svm.support.all()
    times = np.array([1e6, 1e9, 1e12])
    weights, flat = flow(tokens, queries, scores, times, np.zeros((2, 2)))
    offsets = margin_offsets(scores, [0, 0], svm.duals, svm.pairs)
    error = np.abs(weights @ flat.T - np.log(times)[:, None] - offsets).max(axis=1)
    assert error[-1] < 1e-4
    slope = np.log(error[0] / error[-1]) / np.log(times[-1] / times[0])
    assert slope == pytest.approx(offset_decay_exponent(features, svm.duals, svm.margins), abs=0.05)


def test_angle_of_the_gradient_flow_closes_with_the_constant():
    tokens, queries, scores = two_inputs()
    svm = solve_attention_svm(tokens, queries, [0, 0])
    start = np.array([[0.3, -0.7], [1.1, 0.4]])
    weights, flat = flow(tokens, queries, scores, np.array([1e12]), start)
    offsets = margin_offsets(scores, [0, 0], svm.duals, svm.pairs)
    cosine = direction_cosine(weights[-1].reshape(2, 2), svm.W)
    observed = (1 - cosine**2) * np.sum(weights[-1] ** 2) / 2
    assert observed == pytest.approx(direction_constant(flat, offsets, initial_weights=start), rel=1e-3)
    without = direction_constant(flat, offsets)
    moved = start.ravel() - np.linalg.pinv(flat) @ (flat @ start.ravel())
    assert direction_constant(flat, offsets, initial_weights=start) == pytest.approx(without + moved @ moved / 2)


def test_offset_by_hand():
    # loss slope 1/2 at score 0, lead 3, two inputs, multiplier 1/4
    offsets = margin_offsets([[0.0, -3.0], [5.0, 0.0]], [0, 0], [0.25], [[0, 1]])
    np.testing.assert_allclose(offsets, [np.log(0.5 * 3 / 2 / 0.25)], rtol=1e-15)


@given(scale=st.floats(1e-3, 1e3))
def test_offsets_shift_with_multipliers_and_survive_large_scores(scale):
    plain = margin_offsets([[0.0, -1.0]], [0], [1.0], [[0, 1]])
    np.testing.assert_allclose(margin_offsets([[0.0, -1.0]], [0], [scale], [[0, 1]]), plain - np.log(scale), atol=1e-12)
    high = margin_offsets([[700.0, -1.0]], [0], [1.0], [[0, 1]])
    np.testing.assert_allclose(high, [np.log(701.0) - 700.0], rtol=1e-14)


def test_decay_exponent_of_known_gram_matrices():
    orthogonal = np.diag([1.0, 2.0, 3.0])
    assert offset_decay_exponent(orthogonal, [1.0, 0.25, 1 / 9], np.ones(3)) == pytest.approx(1)
    # Gram matrix [[2, 1], [1, 2]] has multipliers 1/3, and eigenvalues 1 and 1/3 after they scale it
    pair = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    assert offset_decay_exponent(pair, [1 / 3, 1 / 3], [1.0, 1.0]) == pytest.approx(1 / 3)
    aside = np.vstack([pair, [0.0, 0.6, 0.6]])
    assert offset_decay_exponent(aside, [1 / 3, 1 / 3, 0.0], [1.0, 1.0, 1.2]) == pytest.approx(0.2)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_decay_exponent_never_exceeds_one(seed):
    rng = np.random.default_rng(seed)
    tokens, queries, optimal = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4)), rng.integers(0, 3, 2)
    svm = solve_attention_svm(tokens, queries, optimal)
    features, _ = attention_svm_features(tokens, queries, optimal)
    assert 0 <= offset_decay_exponent(features, svm.duals, svm.margins) <= 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-50, 50), scale=st.floats(1e-2, 1e2))
def test_constant_ignores_common_growth_and_is_quadratic_in_offsets(seed, shift, scale):
    rng = np.random.default_rng(seed)
    features, offsets = rng.normal(size=(3, 2, 3)), rng.normal(size=3)
    constant = direction_constant(features, offsets)
    assert direction_constant(features, offsets + shift) == pytest.approx(constant, rel=1e-6, abs=1e-9)
    assert direction_constant(features, scale * offsets) == pytest.approx(scale**2 * constant, rel=1e-9)
    flat = features.reshape(3, -1)
    inverse = np.linalg.inv(flat @ flat.T)
    formula = offsets @ inverse @ offsets - (inverse @ offsets).sum() ** 2 / inverse.sum()
    assert constant == pytest.approx(formula / 2, rel=1e-8, abs=1e-10)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_finite_part_has_the_offsets_as_margins_and_keeps_what_features_do_not_see(seed):
    rng = np.random.default_rng(seed)
    features, offsets, start = rng.normal(size=(3, 2, 3)), rng.normal(size=3), rng.normal(size=(2, 3))
    part = finite_part(features, offsets, initial_weights=start)
    np.testing.assert_allclose(np.tensordot(features, part, 2), offsets, atol=1e-9)
    # the move from the start is a combination of features, and the shortest part has no other share
    flat = features.reshape(3, -1)
    moved = (part - start).ravel()
    np.testing.assert_allclose(moved - np.linalg.pinv(flat) @ (flat @ moved), 0, atol=1e-9)
    np.testing.assert_allclose(finite_part(features, offsets).ravel(), np.linalg.pinv(flat) @ offsets, atol=1e-9)
    direction = np.linalg.pinv(flat) @ np.ones(3)
    across = part.ravel() - part.ravel() @ direction / (direction @ direction) * direction
    constant = direction_constant(features, offsets, initial_weights=start)
    assert constant == pytest.approx(across @ across / 2, rel=1e-8, abs=1e-12)


def test_weights_along_the_flow_are_the_machine_times_log_time_plus_the_finite_part():
    tokens, queries, scores = two_inputs()
    svm = solve_attention_svm(tokens, queries, [0, 0])
    start = np.array([[0.3, -0.7], [1.1, 0.4]])
    weights, flat = flow(tokens, queries, scores, np.array([1e12]), start)
    offsets = margin_offsets(scores, [0, 0], svm.duals, svm.pairs)
    part = finite_part(flat, offsets, initial_weights=start)
    np.testing.assert_allclose(weights[-1] - np.log(1e12) * svm.W.ravel(), part, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: margin_offsets([[1.0, 0.0]], [0], [0.0], [[0, 1]]), "duals must be positive"),
        (lambda: margin_offsets([[1.0, 0.0]], [0], [1.0], [[0, 0]]), "scores must be highest at the optimal token"),
        (lambda: margin_offsets([[1.0, 0.0]], [2], [1.0], [[0, 1]]), "optimal must hold 1 tokens in"),
        (lambda: margin_offsets([[1.0, 0.0]], [0], [1.0], [[0, 2]]), "pairs must be"),
        (lambda: margin_offsets([[1.0, 0.0]], [0], [1.0, 2.0], [[0, 1]]), r"pairs must have shape \(m, 2\)"),
        (lambda: offset_decay_exponent(np.eye(2), [0.0, 0.0], [1.0, 1.0]), "duals must not all be zero"),
        (lambda: offset_decay_exponent(np.eye(2), [1.0], [1.0]), "one entry for each of the 1 duals"),
        (lambda: offset_decay_exponent(np.eye(2), [1.0, -1.0], [1.0, 1.0]), "duals must be nonnegative"),
        (lambda: direction_constant([[1.0, 1.0], [2.0, 2.0]], [0.0, 1.0]), "linearly independent"),
        (lambda: direction_constant(np.ones((2, 1)), [0.0, 1.0]), "linearly independent"),
        (lambda: direction_constant(np.eye(2), [0.0]), "one entry for each of the 1 offsets"),
        (lambda: direction_constant(np.eye(2), [0.0, 1.0], initial_weights=[1.0]), "2 entries of a feature"),
        (lambda: finite_part(np.eye(2), [0.0]), "one entry for each of the 1 offsets"),
        (lambda: finite_part(np.eye(2), [0.0, 1.0], initial_weights=[1.0]), "2 entries of a feature"),
        (lambda: direction_constant([1.0], [0.0]), r"features must have shape \(m, ...\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_indices_must_be_integers():
    with pytest.raises(TypeError, match="pairs must be integers"):
        margin_offsets([[1.0, 0.0]], [0], [1.0], [[0.0, 1.0]])
