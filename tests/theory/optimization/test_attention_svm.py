import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize, nnls

from theory.optimization import (
    InfeasibleError,
    _max_margin,
    attention_svm_features,
    direction_cosine,
    feasible_attention_weights,
    locally_optimal,
    locally_optimal_selections,
    separability_probability,
    solve_attention_svm,
    solve_generalized_attention_svm,
)


def random_instance(seed, n=2, T=3, d=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, T, d)), rng.normal(size=(n, d)), rng.integers(0, T, size=n)


def random_rotation(seed, d):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


@pytest.mark.parametrize("norm", ["fro", "nuc"])
def test_one_pair_of_tokens_by_hand(norm):
    # one margin: W is F over its squared norm, and F = (x_0 - x_1) z^T has rank one, so both norms agree
    svm = solve_attention_svm([[[2.0, 1.0], [0.0, 1.0]]], [[0.0, 3.0]], [0], norm=norm)
    np.testing.assert_allclose(svm.W, [[0, 1 / 6], [0, 0]], atol=1e-9)
    assert svm.value == pytest.approx(1 / 6, abs=1e-9)
    assert svm.support.tolist() == [True]
    assert svm.pairs.tolist() == [[0, 1]]


def test_multipliers_of_two_orthogonal_margins_by_hand():
    # F = diag(2, 0) and diag(0, 1): W = diag(1/2, 1), multipliers 1/4 and 1; as a nuclear-norm problem 1/2 and 1
    tokens = [[[2.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]]
    queries = [[1.0, 0.0], [0.0, 1.0]]
    fro = solve_attention_svm(tokens, queries, [0, 0])
    nuc = solve_attention_svm(tokens, queries, [0, 0], norm="nuc")
    np.testing.assert_allclose(fro.W, np.diag([0.5, 1.0]), atol=1e-14)
    np.testing.assert_allclose(fro.duals, [0.25, 1.0], atol=1e-14)
    np.testing.assert_allclose(nuc.duals, [0.5, 1.0], atol=1e-8)
    assert nuc.value == pytest.approx(1.5, abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 3), T=st.integers(2, 4), d=st.integers(3, 5))
def test_frobenius_solution_satisfies_the_kkt_conditions(seed, n, T, d):
    tokens, queries, optimal = random_instance(seed, n, T, d)
    features, _ = attention_svm_features(tokens, queries, optimal)
    svm = solve_attention_svm(tokens, queries, optimal)
    scale = svm.value
    np.testing.assert_allclose(np.tensordot(svm.duals, features, 1), svm.W, atol=1e-10 * scale)
    assert svm.duals.min() >= 0
    assert svm.margins.min() >= 1 - 1e-10
    np.testing.assert_allclose(svm.duals * (svm.margins - 1), 0, atol=1e-10 * svm.duals.max())
    assert svm.duals.sum() == pytest.approx(scale**2, rel=1e-10)
    assert svm.gap < 1e-10
    assert svm.kkt_residual < 1e-10


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 3), T=st.integers(2, 4), d=st.integers(3, 4))
def test_nuclear_solution_is_certified_by_its_multipliers(seed, n, T, d):
    tokens, queries, optimal = random_instance(seed, n, T, d)
    features, _ = attention_svm_features(tokens, queries, optimal)
    svm = solve_attention_svm(tokens, queries, optimal, norm="nuc")
    subgradient = np.tensordot(svm.duals, features, 1)
    assert np.linalg.norm(subgradient, 2) <= 1 + 1e-7
    assert svm.duals.sum() == pytest.approx(svm.value, rel=1e-7)
    assert svm.margins.min() >= 1 - 1e-7
    assert svm.value == pytest.approx(np.linalg.norm(svm.W, "nuc"), rel=1e-12)
    # the Frobenius problem's minimiser is feasible here too, and the other way round
    fro = solve_attention_svm(tokens, queries, optimal)
    assert svm.value <= np.linalg.norm(fro.W, "nuc") * (1 + 1e-7)
    assert fro.value <= np.linalg.norm(svm.W) * (1 + 1e-7)


def test_frobenius_solution_is_that_of_least_distance_programming():
    tokens, queries, optimal = random_instance(5, n=4, T=4, d=5)
    features, _ = attention_svm_features(tokens, queries, optimal)
    flat = features.reshape(len(features), -1)
    matrix = np.vstack([flat.T, np.ones(len(flat))])
    residual = matrix @ nnls(matrix, np.append(np.zeros(25), 1.0))[0] - np.append(np.zeros(25), 1.0)
    np.testing.assert_allclose(
        solve_attention_svm(tokens, queries, optimal).W.ravel(), -residual[:-1] / residual[-1], atol=1e-10
    )


def test_nuclear_value_is_that_of_the_factored_problem():
    tokens, queries, optimal = random_instance(3, n=2, T=2, d=2)
    features, _ = attention_svm_features(tokens, queries, optimal)

    def margins(y):
        return np.tensordot(features, y[:4].reshape(2, 2) @ y[4:].reshape(2, 2).T, 2) - 1

    rng = np.random.default_rng(0)
    fits = [
        minimize(
            lambda y: 0.5 * y @ y,
            rng.normal(size=8),
            constraints={"type": "ineq", "fun": margins},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        for _ in range(5)
    ]
    best = min(fit.fun for fit in fits if margins(fit.x).min() > -1e-9)
    assert solve_attention_svm(tokens, queries, optimal, norm="nuc").value == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize("norm", ["fro", "nuc"])
def test_infeasible_margins_raise_with_a_farkas_certificate(norm):
    # the same input twice, with opposite tokens to select
    pair = [[1.0, 2.0], [0.5, -1.0]]
    with pytest.raises(InfeasibleError, match="no matrix W satisfies all 2 margin constraints") as caught:
        solve_attention_svm([pair, pair], [[1.0, 1.0]] * 2, [0, 1], norm=norm)
    np.testing.assert_allclose(caught.value.weights, [0.5, 0.5], atol=1e-12)
    assert caught.value.residual < 1e-14
    assert isinstance(caught.value, ValueError)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 8), T=st.integers(2, 4), d=st.integers(1, 3))
def test_infeasibility_is_reported_exactly_where_linear_programming_finds_it(seed, n, T, d):
    tokens, queries, optimal = random_instance(seed, n, T, d)
    features, _ = attention_svm_features(tokens, queries, optimal)
    flat = features.reshape(len(features), -1)
    program = linprog(np.zeros(d * d), A_ub=-flat, b_ub=-np.ones(len(flat)), bounds=(None, None))
    assert program.status in (0, 2)
    if program.status == 0:
        assert solve_attention_svm(tokens, queries, optimal).margins.min() >= 1 - 1e-9
        return
    with pytest.raises(InfeasibleError) as caught:
        solve_attention_svm(tokens, queries, optimal)
    weights = caught.value.weights
    np.testing.assert_allclose(weights @ flat, 0, atol=1e-8 * np.linalg.norm(flat, axis=1).max())
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)


def test_nothing_is_called_infeasible_without_proof(monkeypatch):
    monkeypatch.setattr(_max_margin, "_solve", lambda features, norm: None)
    with pytest.raises(RuntimeError, match="neither solved nor proved infeasible"):
        solve_attention_svm(*random_instance(0))


@pytest.mark.parametrize("norm", ["fro", "nuc"])
def test_certificates_notice_a_wrong_answer(norm):
    tokens, queries, optimal = random_instance(4)
    features, _ = attention_svm_features(tokens, queries, optimal)
    svm = solve_attention_svm(tokens, queries, optimal, norm=norm)
    gap, residual = _max_margin.certificate(features, svm.W, svm.duals, norm)
    assert max(gap, residual) < 1e-7
    noise = 0.01 * svm.value * np.random.default_rng(0).normal(size=svm.W.shape)
    assert _max_margin.certificate(features, svm.W + noise, svm.duals, norm)[0] > 1e-5
    assert _max_margin.certificate(features, svm.W, 1.01 * svm.duals, norm)[1] > 5e-3
    assert _max_margin.certificate(features, -svm.W, svm.duals, norm) == (np.inf, np.inf)


def test_an_answer_that_cannot_be_certified_is_refused(monkeypatch):
    solved = _max_margin._solve
    monkeypatch.setattr(_max_margin, "_solve", lambda F, norm: (1.001 * solved(F, norm)[0], solved(F, norm)[1]))
    with pytest.raises(RuntimeError, match="instead of 1e-06"):
        solve_attention_svm(*random_instance(0), norm="nuc")


def test_equal_tokens_cannot_be_told_apart():
    with pytest.raises(InfeasibleError):
        solve_attention_svm([[[1.0, 2.0], [1.0, 2.0]]], [[1.0, 0.0]], [0])


@pytest.mark.parametrize("norm", ["fro", "nuc"])
def test_solution_turns_with_tokens_and_queries_and_shrinks_with_their_scale(norm):
    tokens, queries, optimal = random_instance(11)
    U, V = random_rotation(1, 4), random_rotation(2, 4)
    svm = solve_attention_svm(tokens, queries, optimal, norm=norm)
    turned = solve_attention_svm(tokens @ U.T, queries @ V.T, optimal, norm=norm)
    scaled = solve_attention_svm(1e5 * tokens, 1e-2 * queries, optimal, norm=norm)
    np.testing.assert_allclose(turned.W, U @ svm.W @ V.T, atol=1e-6 * svm.value)
    assert turned.value == pytest.approx(svm.value, rel=1e-8)
    np.testing.assert_allclose(scaled.W, svm.W / 1e3, atol=1e-9 * svm.value)


def test_order_of_inputs_does_not_matter():
    tokens, queries, optimal = random_instance(12, n=3)
    order = [2, 0, 1]
    np.testing.assert_allclose(
        solve_attention_svm(tokens, queries, optimal).W,
        solve_attention_svm(tokens[order], queries[order], optimal[order]).W,
        atol=1e-12,
    )


def test_fields_are_items_too():
    svm = solve_attention_svm(*random_instance(0))
    assert svm["W"] is svm.W
    assert svm["value"] == svm.value
    with pytest.raises(KeyError, match="no field 'weights'"):
        svm["weights"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 4), T=st.integers(2, 5), extra=st.integers(0, 2))
def test_explicit_weights_have_unit_margins(seed, n, T, extra):
    d = max(T - 1, n) + extra
    tokens, queries, optimal = random_instance(seed, n, T, d)
    W = feasible_attention_weights(tokens, queries, optimal)
    features, _ = attention_svm_features(tokens, queries, optimal)
    terms = np.linalg.norm(features, axis=(1, 2)).max() * np.linalg.norm(W)
    np.testing.assert_allclose(np.tensordot(features, W, 2), 1, atol=1e-12 * max(1, terms))


def test_explicit_weights_need_dimensions_and_independence():
    tokens, queries, optimal = random_instance(0, n=3, T=3, d=2)
    with pytest.raises(ValueError, match=r"d >= max\(T - 1, n\) = 3; got d = 2"):
        feasible_attention_weights(tokens, queries, optimal)
    tokens, queries, optimal = random_instance(0, n=2, T=3, d=4)
    with pytest.raises(ValueError, match="queries must be linearly independent"):
        feasible_attention_weights(tokens, np.repeat(queries[:1], 2, axis=0), optimal)
    tokens[:, 2] = 2 * tokens[:, 1] - tokens[:, 0]
    with pytest.raises(ValueError, match="linearly independent differences"):
        feasible_attention_weights(tokens, queries, [0, 0])


@pytest.mark.parametrize(("n", "d"), [(3, 1), (5, 2), (6, 2)])
def test_separable_sign_patterns_are_as_many_as_cover_counts(n, d):
    rng = np.random.default_rng(n)
    rows = np.array([np.outer(rng.normal(size=d), rng.normal(size=d)).ravel() for _ in range(n)])

    def separable(signs):
        return linprog(np.zeros(d * d), A_ub=-np.array(signs)[:, None] * rows, b_ub=-np.ones(n), bounds=(None, None))

    feasible = sum(separable(signs).status == 0 for signs in itertools.product([-1, 1], repeat=n))
    assert feasible == round(2**n * separability_probability(n, d))


def test_separability_is_certain_up_to_the_dimension_and_even_at_twice_it():
    assert separability_probability(9, 3) == 1.0
    assert separability_probability(18, 3) == pytest.approx(0.5, abs=1e-15)
    assert separability_probability(10, 1) == pytest.approx(2.0**-9, rel=1e-13)
    assert separability_probability(10**6, 3) < 1e-300


def test_best_scores_are_locally_optimal_and_worst_are_not():
    tokens, queries, _ = random_instance(8, n=2, T=3, d=5)
    scores = np.random.default_rng(8).normal(size=(2, 3))
    assert locally_optimal(tokens, queries, scores, scores.argmax(axis=1))
    assert not locally_optimal(tokens, queries, scores, scores.argmin(axis=1))


def test_a_worse_token_is_locally_optimal_behind_a_shield():
    # token 1 scores below token 2, but token 0, on the line between them, is its only support token
    tokens, queries = [[[1.0, 0.0], [2.0, 0.0], [-5.0, 0.0]]], [[1.0, 0.0]]
    scores = [[0.0, 1.0, 2.0]]
    assert locally_optimal(tokens, queries, scores, [1])
    found = locally_optimal_selections(tokens, queries, scores)
    assert [selected.tolist() for selected, _ in found] == [[1], [2]]
    assert found[0][1].W[0, 0] == pytest.approx(1.0)


def test_selections_are_limited():
    tokens, queries, _ = random_instance(0, n=7, T=4, d=2)
    with pytest.raises(ValueError, match="at most 4096 selections"):
        locally_optimal_selections(tokens, queries, np.zeros((7, 4)))


def test_generalized_problem_with_single_tokens_is_the_plain_one():
    tokens, queries, optimal = random_instance(21)
    plain = solve_attention_svm(tokens, queries, optimal)
    general = solve_generalized_attention_svm(tokens, queries, [[int(t)] for t in optimal])
    np.testing.assert_allclose(general.W, plain.W, atol=1e-12)
    np.testing.assert_allclose(general.duals, plain.duals, atol=1e-12)


def test_generalized_problem_keeps_ties_and_margins():
    tokens, queries, _ = random_instance(22, n=2, T=4, d=5)
    svm = solve_generalized_attention_svm(tokens, queries, [[0, 2], [3, 1]])
    logits = np.einsum("ntd,de,ne->nt", tokens, svm.W, queries)
    assert logits[0, 0] == pytest.approx(logits[0, 2], abs=1e-12)
    assert logits[1, 3] == pytest.approx(logits[1, 1], abs=1e-12)
    assert (logits[0, 0] - logits[0, [1, 3]]).min() == pytest.approx(1, abs=1e-10)
    assert (logits[1, 1] - logits[1, [0, 2]]).min() == pytest.approx(1, abs=1e-10)
    # no larger than the least norm without the ties
    assert svm.value >= solve_attention_svm(tokens[:, [0, 1, 3]], queries, [0, 1]).value - 1e-12
    assert svm.pairs.tolist() == [[0, 1], [0, 3], [1, 0], [1, 2]]


def test_generalized_problem_allows_an_input_that_only_ties():
    tokens, queries, _ = random_instance(23, n=2, T=2, d=4)
    svm = solve_generalized_attention_svm(tokens, queries, [[0], [0, 1]])
    logits = np.einsum("ntd,de,ne->nt", tokens, svm.W, queries)
    assert logits[1, 0] == pytest.approx(logits[1, 1], abs=1e-12)
    with pytest.raises(ValueError, match="leave out a token"):
        solve_generalized_attention_svm(tokens, queries, [[0, 1], [0, 1]])


def test_ties_can_make_margins_impossible():
    # three tokens on a line: the ends tie only where the middle ties too
    with pytest.raises(InfeasibleError):
        solve_generalized_attention_svm([[[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]], [[1.0, 0.0]], [[0, 2]])


@given(seed=st.integers(0, 10**6), a=st.floats(1e-150, 1e150), b=st.floats(-1e150, -1e-150))
def test_cosine_ignores_scale_and_knows_sign(seed, a, b):
    u, v = np.random.default_rng(seed).normal(size=(2, 3, 2))
    cosine = direction_cosine(u, v)
    assert direction_cosine(a * u, v) == pytest.approx(cosine, abs=1e-14)
    assert direction_cosine(u, b * v) == pytest.approx(-cosine, abs=1e-14)
    assert direction_cosine(u, u) == pytest.approx(1, abs=1e-15)
    assert direction_cosine(u, v) == pytest.approx(direction_cosine(v, u), abs=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, z, o: solve_attention_svm(x, z, o, norm="max"), "norm must be 'fro' or 'nuc'; got 'max'"),
        (lambda x, z, o: solve_attention_svm(x[0], z, o), r"tokens must have 3 dimension\(s\)"),
        (lambda x, z, o: solve_attention_svm(x[:, :1], z, o), "T >= 2"),
        (lambda x, z, o: solve_attention_svm(x, z[:1], o), r"queries must have shape \(n, d\) = \(2, 4\)"),
        (lambda x, z, o: solve_attention_svm(x, z, [0]), r"optimal must have shape \(n,\) = \(2,\)"),
        (lambda x, z, o: solve_attention_svm(x, z, [0, 3]), r"optimal must be in \[0, 3\)"),
        (lambda x, z, o: solve_attention_svm(x * np.nan, z, o), "tokens must be finite"),
        (lambda x, z, o: locally_optimal(x, z, np.zeros((2, 2)), o), r"scores must have shape \(n, T\) = \(2, 3\)"),
        (lambda x, z, o: solve_generalized_attention_svm(x, z, [[0]]), "for each of the 2 inputs"),
        (lambda x, z, o: solve_generalized_attention_svm(x, z, [[0, 0], [1]]), "distinct tokens"),
        (lambda x, z, o: solve_generalized_attention_svm(x, z, [[], [1]]), "at least one an input"),
        (lambda x, z, o: direction_cosine(x, z), "b must have the shape of a"),
        (lambda x, z, o: direction_cosine(x, 0 * x), "b must not be zero"),
        (lambda x, z, o: separability_probability(0, 2), "n_samples must be at least 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*random_instance(0))


def test_token_indices_must_be_integers():
    tokens, queries, _ = random_instance(0)
    with pytest.raises(TypeError, match="optimal must be integers"):
        solve_attention_svm(tokens, queries, [0.0, 1.0])
