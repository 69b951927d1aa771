from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from theory.neural_collapse import (
    Fate,
    critical_class_size,
    mode_singular_value,
    ufm_mse_bias_decay_minimizer,
    ufm_mse_local_minima,
    ufm_mse_minimizer,
)

# Least values and singular values of the product found by direct minimisation (L-BFGS, 12 to 20 random starts), when
# the formulas were derived: class sizes, widths, feature decay, weight decays, bias, value, singular values.
DIRECT = [
    ([5] * 4, [6], 0.01, [0.02], False, 0.1184911064, [1.95323] * 4),
    ([5] * 4, [6], 0.03, [0.04], False, 0.2618386677, [1.54325] * 4),
    ([5] * 4, [6, 6], 0.005, [0.01, 0.02], False, 0.1002029498, [2.07937] * 4),
    ([4] * 3, [5, 5, 5], 0.003, [0.006, 0.01, 0.004], False, 0.0437098889, [1.95555] * 3),
    ([4] * 3, [5, 4, 5, 4], 0.003, [0.003] * 4, False, 0.0296179041, [1.97608] * 3),
    ([5] * 4, [2], 0.01, [0.02], False, 0.3092455532, [1.95323, 1.95323, 0, 0]),
    ([5] * 4, [6, 2], 0.005, [0.01, 0.02], False, 0.3001014749, [2.07937, 2.07937, 0, 0]),
    ([5] * 4, [6], 0.01, [0.02], True, 0.0888683298, [1.95323] * 3 + [0]),
    ([5] * 4, [6, 5], 0.005, [0.01, 0.02], True, 0.0751522124, [2.07937] * 3 + [0]),
    ([5] * 4, [6, 2], 0.005, [0.01, 0.02], True, 0.1751014749, [2.07937, 2.07937, 0, 0]),
    ([8, 5, 3, 1], [5], 0.01, [0.01], False, 0.0745654591, [2.65843, 2.06607, 1.56205, 0.83]),
    ([8, 5, 3, 1], [5], 0.02, [0.015], False, 0.1248401364, [2.53398, 1.94162, 1.43760, 0.70555]),
    ([8, 5, 3, 1], [5, 5], 0.003, [0.01, 0.006], False, 0.0513370969, [2.76, 2.16183, 1.65084, 0.90061]),
    ([8, 5, 3, 1], [5, 5, 4], 0.003, [0.003] * 3, False, 0.0327743933, [2.79794, 2.20170, 1.69285, 0.94761]),
    ([8, 5, 3, 1], [5, 2], 0.003, [0.01, 0.006], False, 0.1487712059, [2.76, 2.16183, 0, 0]),
    ([8, 5, 3, 1], [5], 0.01, [0.01], True, 0.0527245363, [2.34785, 1.72725, 0.94235, 0]),
    ([8, 5, 3, 1], [5, 5], 0.003, [0.01, 0.006], True, 0.0371598527, [2.44662, 1.81861, 1.01690, 0]),
]


def objective(features, weights, bias, sizes, feature_decay, weight_decays):
    labels = np.repeat(np.eye(len(sizes)), sizes, axis=1)
    out = features
    for w in weights:
        out = w @ out
    value = np.sum((out + bias[:, None] - labels) ** 2) / (2 * labels.shape[1])
    decayed = sum(lam * np.sum(w**2) for lam, w in zip(weight_decays, weights, strict=True))
    return value + 0.5 * (decayed + feature_decay * np.sum(features**2))


sizes_strategy = st.lists(st.integers(1, 12), min_size=2, max_size=5)
decay_strategy = st.lists(st.floats(1e-4, 0.1), min_size=1, max_size=4)


@pytest.mark.parametrize("case", DIRECT)
def test_matches_direct_minimisation(case):
    sizes, dims, feature_decay, weight_decays, bias, value, sigma = case
    got = ufm_mse_minimizer(sizes, weight_decays=weight_decays, feature_decay=feature_decay, dims=dims, bias=bias)
    assert got.loss == pytest.approx(value, abs=6e-11)
    np.testing.assert_allclose(got.product_singular_values, sigma, atol=6e-6)


def test_no_start_finds_anything_lower():
    sizes, dims, feature_decay, weight_decays = [4, 2, 1], (2, 2), 0.01, [0.02, 0.03]
    best = ufm_mse_minimizer(sizes, weight_decays=weight_decays, feature_decay=feature_decay, dims=dims, bias=True)
    shapes = [(2, 7), (2, 2), (3, 2), (3,)]
    ends = np.cumsum([np.prod(shape) for shape in shapes])

    def value(x):
        h, w1, w2, b = (part.reshape(shape) for part, shape in zip(np.split(x, ends[:-1]), shapes, strict=True))
        return objective(h, [w1, w2], b, sizes, feature_decay, weight_decays)

    rng = np.random.default_rng(3)
    found = [
        minimize(value, scale * rng.normal(size=ends[-1]), method="BFGS", options={"gtol": 1e-7}).fun
        for scale in (0.3, 1.0)
        for _ in range(3)
    ]
    assert min(found) == pytest.approx(best.loss, abs=1e-10)


@given(sizes=sizes_strategy, decays=decay_strategy, feature_decay=st.floats(1e-4, 0.1), data=st.data())
def test_factors_realise_what_the_solution_says(sizes, decays, feature_decay, data):
    dims = data.draw(st.lists(st.integers(1, 6), min_size=len(decays), max_size=len(decays)))
    bias = data.draw(st.booleans())
    best = ufm_mse_minimizer(sizes, weight_decays=decays, feature_decay=feature_decay, dims=dims, bias=bias)
    for rng in (None, np.random.default_rng(0)):
        features, weights = best.factors(rng=rng)
        assert [w.shape[1] for w in weights] == dims
        value = objective(features, weights, best.bias, sizes, feature_decay, decays)
        assert value == pytest.approx(best.loss, rel=1e-12)
        head = weights[0]
        for w in weights[1:]:
            head = w @ head
        first = np.cumsum([0, *sizes[:-1]])
        means = features[:, first]
        np.testing.assert_allclose(np.repeat(means, sizes, axis=1), features, atol=1e-12)
        np.testing.assert_allclose(means.T @ means, best.feature_gram, atol=1e-9)
        np.testing.assert_allclose(head @ head.T, best.classifier_gram, atol=1e-9)
        np.testing.assert_allclose(head @ means + best.bias[:, None], best.logits, atol=1e-9)
        for factor, predicted in zip((features, *weights), best.layer_singular_values, strict=True):
            s = np.zeros(len(sizes))
            found = np.linalg.svd(factor, compute_uv=False)[: len(sizes)]
            s[: found.size] = found
            np.testing.assert_allclose(s, -np.sort(-predicted), atol=1e-9)


@given(sizes=sizes_strategy, decays=decay_strategy, feature_decay=st.floats(1e-4, 0.1), bias=st.booleans())
def test_the_factors_are_stationary(sizes, decays, feature_decay, bias):
    best = ufm_mse_minimizer(sizes, weight_decays=decays, feature_decay=feature_decay, bias=bias)
    features, weights = best.factors()
    labels = np.repeat(np.eye(len(sizes)), sizes, axis=1)
    chain = [features, *weights]
    inner = [features]
    for w in weights:
        inner.append(w @ inner[-1])
    signal = (inner[-1] + best.bias[:, None] - labels) / labels.shape[1]
    if bias:
        np.testing.assert_allclose(signal.sum(axis=1), 0, atol=1e-12)
    for factor, before, lam in zip(chain[:0:-1], inner[-2::-1], decays[::-1], strict=True):
        np.testing.assert_allclose(signal @ before.T + lam * factor, 0, atol=1e-10)
        signal = factor.T @ signal
    np.testing.assert_allclose(signal + feature_decay * features, 0, atol=1e-10)


@given(sizes=sizes_strategy, decays=decay_strategy, feature_decay=st.floats(1e-4, 0.3))
def test_small_classes_collapse_first(sizes, decays, feature_decay):
    best = ufm_mse_minimizer(sizes, weight_decays=decays, feature_decay=feature_decay)
    n_c = critical_class_size(num_samples=sum(sizes), weight_decays=decays, feature_decay=feature_decay)
    lengths = np.diagonal(best.classifier_gram)
    for size, length, mean in zip(sizes, lengths, np.diagonal(best.feature_gram), strict=True):
        if abs(size / n_c - 1) > 1e-9:
            assert (length > 0) == (mean > 0) == (size > n_c)
    order = np.argsort(sizes)
    assert np.all(np.diff(lengths[order]) >= -1e-12)
    for i, j in pairwise(order):
        if sizes[i] < sizes[j] and lengths[j] > 0:
            assert lengths[i] < lengths[j]


@given(sizes=sizes_strategy, decays=decay_strategy, seed=st.integers(0, 100), bias=st.booleans())
def test_naming_the_classes_differently_changes_nothing_else(sizes, decays, seed, bias):
    order = np.random.default_rng(seed).permutation(len(sizes))
    a = ufm_mse_minimizer(sizes, weight_decays=decays, feature_decay=0.01, bias=bias)
    b = ufm_mse_minimizer(np.array(sizes)[order], weight_decays=decays, feature_decay=0.01, bias=bias)
    assert a.loss == pytest.approx(b.loss, rel=1e-12)
    np.testing.assert_allclose(a.logits[np.ix_(order, order)], b.logits, atol=1e-9)
    np.testing.assert_allclose(a.feature_gram[np.ix_(order, order)], b.feature_gram, atol=1e-9)


def test_balanced_geometry():
    free = ufm_mse_minimizer([5] * 4, weight_decays=[0.01, 0.02], feature_decay=0.005, bias=True)
    centring = np.eye(4) - 0.25
    sigma = free.product_singular_values[0]
    q = (sigma**2 * 0.005 * 0.01 * 0.02) ** (1 / 3)
    np.testing.assert_allclose(free.feature_gram, q / 0.005 / 5 * centring, atol=1e-12)
    np.testing.assert_allclose(free.classifier_gram, q**2 / 0.0002 * centring, atol=1e-12)
    np.testing.assert_allclose(free.logits - 0.25, sigma / np.sqrt(5) * centring, atol=1e-12)
    narrow = ufm_mse_minimizer([5] * 4, weight_decays=[0.01, 0.02], feature_decay=0.005, dims=[6, 2], bias=True)
    eigenvalues = np.linalg.eigvalsh(narrow.feature_gram)
    np.testing.assert_allclose(eigenvalues, [0, 0, q / 0.005 / 5, q / 0.005 / 5], atol=1e-12)
    assert narrow.fates == (Fate.SURVIVES, Fate.SURVIVES, Fate.RANK, Fate.NO_TARGET)


def test_features_of_middling_classes_are_the_longest():
    best = ufm_mse_minimizer([60, 40, 24, 14, 8, 3], weight_decays=[0.05], feature_decay=0.0045)
    # Lengths as found on features and heads of trained networks of the same objective.
    features = [0.5533, 0.5838, 0.6083, 0.5989, 0.4973, 0]
    np.testing.assert_allclose(np.sqrt(np.diagonal(best.feature_gram)), features, atol=6e-5)
    np.testing.assert_allclose(
        np.sqrt(np.diagonal(best.classifier_gram)), [1.286, 1.108, 0.894, 0.672, 0.422, 0], atol=6e-4
    )
    assert best.fates[-1] is Fate.THRESHOLD
    assert best.rank == 5


@pytest.mark.parametrize(("sizes", "depth"), [([4] * 3, 2), ([9, 6, 4], 2), ([9, 6, 4], 3), ([7, 5, 5, 1], 2)])
@pytest.mark.parametrize("bias", [False, True])
def test_local_minima_are_nested(sizes, depth, bias):
    n = sum(sizes)
    for scale in (0.3, 0.9, 1.2, 1.6):
        lam = scale * (0.5 * 5 / depth) ** (depth / (depth + 1)) / n
        minima = ufm_mse_local_minima(sizes, weight_decays=[lam] * depth, feature_decay=lam, bias=bias)
        best = ufm_mse_minimizer(sizes, weight_decays=[lam] * depth, feature_decay=lam, bias=bias)
        assert minima.losses.min() == pytest.approx(best.loss, rel=1e-13)
        assert minima.ranks[np.argmin(minima.losses)] == best.rank
        assert minima.losses[0] == pytest.approx(np.sum(best.target_singular_values**2) / (2 * n), rel=1e-13)
        assert np.array_equal(minima.ranks, np.arange(minima.ranks.size))


def test_one_layer_has_a_single_minimum_and_width_limits_the_rest():
    single = ufm_mse_local_minima([4, 3], weight_decays=[0.1], feature_decay=0.1)
    assert single.losses.shape == (1,)
    narrow = ufm_mse_local_minima([4, 4, 4], weight_decays=[0.01] * 2, feature_decay=0.01, dims=[5, 2])
    assert narrow.ranks.tolist() == [0, 1, 2]


@given(k=st.integers(2, 6), n=st.integers(1, 9), lam_b=st.floats(0, 50), decays=st.tuples(*[st.floats(1e-3, 0.2)] * 2))
def test_bias_decay_is_optimal_in_every_part(k, n, lam_b, decays):
    got = ufm_mse_bias_decay_minimizer(k, n, weight_decay=decays[0], feature_decay=decays[1], bias_decay=lam_b)
    s, samples, c = np.sqrt(n), k * n, np.sqrt(decays[0] * decays[1])

    def value(sigma, constant, bias):
        # The constant mode of the target has singular value s, and a bias b adds sqrt(K N) b to it.
        fit = (k - 1) * (sigma - s) ** 2 + (constant + np.sqrt(k * samples) * bias - s) ** 2
        return fit / (2 * samples) + c * ((k - 1) * sigma + constant) + lam_b / 2 * k * bias**2

    best = value(got.singular_value, got.constant_singular_value, got.bias)
    assert got.loss == pytest.approx(best, rel=1e-10, abs=1e-13)
    for step in (1e-3, -1e-3):
        assert value(max(got.singular_value + step, 0), got.constant_singular_value, got.bias) >= best - 1e-14
        assert value(got.singular_value, max(got.constant_singular_value + step, 0), got.bias) >= best - 1e-14
        assert value(got.singular_value, got.constant_singular_value, got.bias + step) >= best - 1e-14


def test_bias_decay_interpolates():
    def problem(lam_b):
        return ufm_mse_bias_decay_minimizer(4, 5, weight_decay=0.02, feature_decay=0.01, bias_decay=lam_b)

    free = ufm_mse_minimizer([5] * 4, weight_decays=[0.02], feature_decay=0.01, bias=True)
    none = ufm_mse_minimizer([5] * 4, weight_decays=[0.02], feature_decay=0.01)
    assert problem(0).loss == pytest.approx(free.loss, rel=1e-13)
    assert problem(1e12).loss == pytest.approx(none.loss, rel=1e-10)
    border = 4 * np.sqrt(5 * 0.02 * 0.01)
    border /= 1 - border
    assert problem(border * 0.999).constant_singular_value == 0
    assert problem(border * 1.001).constant_singular_value > 0
    assert problem(1e12).constant_singular_value == pytest.approx(
        mode_singular_value(np.sqrt(5), num_samples=20, decays=[0.02, 0.01]), rel=1e-9
    )


def test_summary_tells_the_fate_of_every_mode():
    text = repr(ufm_mse_minimizer([8, 5, 3], weight_decays=[0.1, 0.1], feature_decay=0.001, dims=[3, 1], bias=True))
    assert "free bias" in text
    assert all(fate.value in text for fate in (Fate.SURVIVES, Fate.RANK, Fate.NO_TARGET))


@pytest.mark.parametrize(
    ("change", "name", "error"),
    [
        ({"class_sizes": [5]}, "class_sizes", ValueError),
        ({"class_sizes": [5, 0]}, "class_sizes", ValueError),
        ({"class_sizes": [5.0, 2.0]}, "class_sizes", TypeError),
        ({"class_sizes": [[5, 2]]}, "class_sizes", ValueError),
        ({"weight_decays": []}, "weight_decays", ValueError),
        ({"weight_decays": [0.1, -0.1]}, "weight_decays", ValueError),
        ({"feature_decay": 0.0}, "feature_decay", ValueError),
        ({"feature_decay": np.nan}, "feature_decay", ValueError),
        ({"dims": [3, 3]}, "dims", ValueError),
        ({"dims": [0]}, "dims", ValueError),
        ({"dims": [2.0]}, "dims", TypeError),
        ({"bias": "yes"}, "bias", TypeError),
    ],
)
@pytest.mark.parametrize("solver", [ufm_mse_minimizer, ufm_mse_local_minima])
def test_bad_input_names_the_argument(solver, change, name, error):
    arguments = {"class_sizes": [3, 2], "weight_decays": [0.1], "feature_decay": 0.1} | change
    with pytest.raises(error, match=rf"^{name}\b"):
        solver(arguments.pop("class_sizes"), **arguments)


def test_bad_bias_decay():
    with pytest.raises(ValueError, match=r"^bias_decay\b"):
        ufm_mse_bias_decay_minimizer(3, 2, weight_decay=0.1, feature_decay=0.1, bias_decay=-1)
    with pytest.raises(ValueError, match=r"^num_classes\b"):
        ufm_mse_bias_decay_minimizer(1, 2, weight_decay=0.1, feature_decay=0.1, bias_decay=1)
