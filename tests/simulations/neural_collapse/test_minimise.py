import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.neural_collapse import (
    class_logits,
    distinct_values,
    feature_model,
    follow_minimum,
    geometry,
    gradient_descent,
    head_product,
    last_layer_products,
    layer_singular_values,
    logits,
    lowest_curvatures,
    minimise,
    neighbouring_products,
    objective,
    product_singular_values,
    random_factors,
)

KEY = jax.random.key(4)
SIZES = (3, 2)
# Two layers over features of five samples of two classes, small enough to know the answer: with the product's singular
# value z, each class of size s^2 costs (z - s)^2 / 10 + (3/2) 0.02 z^(2/3), minimised on a grid.
DEEP = feature_model(SIZES, dims=(3, 2), weight_decays=[0.01, 0.04], feature_decay=0.02)
FOUND = minimise(DEEP, KEY, scales=(0.02, 0.5, 1.0), starts=4)


def value_by_hand(factors, model, sizes):
    h, (w1, w2) = np.asarray(factors.features), (np.asarray(w) for w in factors.weights)
    hidden = w1 @ h
    out = w2 @ (np.maximum(hidden, 0) if model.relu else hidden)
    if factors.bias is not None:
        out = out + np.asarray(factors.bias)[:, None]
    labels = np.repeat(np.eye(len(sizes)), sizes, axis=1)
    if model.loss == "squared":
        fit = 0.5 * np.mean(np.sum((out - labels) ** 2, axis=0))
    else:
        fit = np.mean(np.log(np.exp(out).sum(axis=0)) - np.sum(out * labels, axis=0))
    decays = [float(lam) for lam in model.decays]
    penalty = sum(lam * np.sum(x**2) for lam, x in zip(decays, (h, w1, w2), strict=True))
    if factors.bias is not None:
        penalty += float(model.bias_decay) * np.sum(np.asarray(factors.bias) ** 2)
    return fit + 0.5 * penalty


def mode_costs(size):
    z = np.linspace(0, 2, 200_001)
    return (z - np.sqrt(size)) ** 2 / 10 + 1.5 * 0.02 * z ** (2 / 3)


@pytest.mark.parametrize(
    ("loss", "bias", "relu"), [("squared", False, True), ("squared", True, False), ("cross_entropy", True, True)]
)
def test_objective_by_hand(loss, bias, relu):
    model = feature_model(
        (3, 2, 2),
        dims=(4, 3),
        weight_decays=[0.1, 0.2],
        feature_decay=0.3,
        loss=loss,
        bias=bias,
        bias_decay=0.5 * bias,
        relu=relu,
    )
    factors = random_factors(KEY, model, scale=0.8)
    np.testing.assert_allclose(objective(factors, model), value_by_hand(factors, model, (3, 2, 2)), rtol=1e-12)


def test_every_minimum_of_a_small_model_is_found():
    large, small = mode_costs(3), mode_costs(2)
    # A mode is on at its interior minimum, off at zero; the larger target goes first.
    on = [cost[100_000:].min() for cost in (large, small)]
    expected = sorted([on[0] + on[1], on[0] + small[0], large[0] + small[0]])
    np.testing.assert_allclose(distinct_values(FOUND.losses), expected, rtol=1e-8)
    best = FOUND.best()
    assert best.losses == FOUND.losses.min()
    assert best.factors.features.shape == (3, 5)
    grid = np.linspace(0, 2, 200_001)
    np.testing.assert_allclose(
        product_singular_values(best.factors, DEEP), [grid[large.argmin()], grid[small.argmin()]], atol=1e-5
    )


def test_a_followed_minimum_outlives_its_being_global():
    # The larger mode costs (z - s)^2 / 10 + (3/2) lam z^(2/3): its interior minimum, while there is one, on a grid.
    lam = np.array([0.02, 0.08, 0.15, 0.18, 0.19, 0.22])
    single = feature_model((3, 2), dims=(2, 1), weight_decays=[0.02, 0.02], feature_decay=0.02)
    start = minimise(single, KEY, scales=(0.5, 1.0), starts=4).best()
    got = follow_minimum(single, start.factors, decays=np.tile(lam[:, None], (1, 3)))
    z = np.linspace(1e-3, 2, 200_001)
    cost = (z - np.sqrt(3)) ** 2 / 10 + 1.5 * lam[:, None] * z ** (2 / 3)
    interior = (np.diff(cost[:, :-1]) < 0) & (np.diff(cost[:, 1:]) >= 0)
    expected = [row[1:-1][mask].min() + 0.2 if mask.any() else 0.5 for row, mask in zip(cost, interior, strict=True)]
    np.testing.assert_allclose(got.losses, expected, rtol=1e-9)
    assert got.losses[0] < 0.5
    assert np.any(got.losses > 0.5)
    assert got.losses[-1] == pytest.approx(0.5, rel=1e-12)
    assert got.gradients.max() < 1e-12


def test_end_points_are_stationary_to_rounding_and_minima():
    assert FOUND.gradients.max() < 1e-13
    assert FOUND.steps.max() < 3000
    assert lowest_curvatures(FOUND.factors, DEEP).min() > -1e-12


def test_neighbouring_factors_are_balanced():
    factors = FOUND.factors
    for outer, inner in neighbouring_products(factors, DEEP):
        np.testing.assert_allclose(outer, inner, atol=1e-12)
    np.testing.assert_allclose(*last_layer_products(factors, DEEP), atol=1e-12)
    best = FOUND.best().factors
    values = layer_singular_values(best, DEEP)
    assert values.shape == (3, 2)
    np.testing.assert_allclose(values * np.sqrt(DEEP.decays)[:, None], np.broadcast_to(values[0] * 0.02**0.5, (3, 2)))


def test_readouts_agree_with_each_other():
    best = FOUND.best().factors
    head = head_product(best.weights)
    shape = geometry(best.features, DEEP.labels, head)
    assert shape.spread < 1e-12
    np.testing.assert_allclose(shape.alignment, class_logits(best, DEEP), atol=1e-12)
    np.testing.assert_allclose(shape.feature_gram, shape.means.T @ shape.means, atol=1e-14)
    np.testing.assert_allclose(np.linalg.svd(logits(best, DEEP))[1], product_singular_values(best, DEEP), atol=1e-12)


def test_bias_alone():
    # Decay so heavy that features and weights vanish from every start leaves the bias, which is then a mean of labels.
    model = feature_model(SIZES, dims=(2,), weight_decays=[2.0], feature_decay=2.0, bias=True, bias_decay=1.0)
    found = minimise(model, KEY, starts=2)
    np.testing.assert_allclose(found.factors.features, 0, atol=1e-12)
    np.testing.assert_allclose(found.factors.bias, np.tile([0.3, 0.2], (6, 1)), atol=1e-12)


def test_many_decays_at_once_are_the_same_as_one_by_one():
    table = np.array([[0.02, 0.01, 0.04], [0.4, 0.4, 0.4]])
    both = minimise(DEEP, KEY, scales=(0.02, 0.5, 1.0), starts=4, decays=table, memory_bytes=150_000)
    assert both.losses.shape == (2, 12)
    np.testing.assert_allclose(both.losses[0], FOUND.losses, rtol=1e-12)
    best = both.best()
    assert best.losses.shape == (2,)
    assert best.factors.weights[1].shape == (2, 2, 2)
    np.testing.assert_allclose(best.losses[1], 0.5, rtol=1e-12)


def test_cross_entropy_of_two_classes_is_logistic():
    # Two balanced classes, one layer: half the margin a solves a scalar problem, log(1 + e^-a) + lam sqrt(n) a.
    model = feature_model((2, 2), dims=(2,), weight_decays=[0.05], feature_decay=0.05, loss="cross_entropy")
    a = np.linspace(0, 10, 1_000_001)
    expected = (np.log1p(np.exp(-a)) + 0.05 * np.sqrt(2) * a).min()
    np.testing.assert_allclose(minimise(model, KEY, starts=2).best().losses, expected, rtol=1e-10)


def test_descent_follows_the_gradient_and_checkpoints():
    start = random_factors(KEY, DEEP, scale=0.3)

    losses = gradient_descent(DEEP, start, learning_rate=0.1, steps=[0, 1, 2, 500], observe=objective)
    slope = jax.grad(objective)(start, DEEP)
    after = jax.tree.map(lambda x, g: x - 0.1 * g, start, slope)
    np.testing.assert_allclose(losses[:2], [objective(start, DEEP), objective(after, DEEP)], rtol=1e-13)
    assert np.all(np.diff(losses) < 0)


def test_distinct_values():
    assert distinct_values([]).tolist() == []
    assert distinct_values([2.0, 1.0, 1.0 + 1e-12, 2.0]).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"class_sizes": [3]}, "class_sizes"),
        ({"class_sizes": [3, 0]}, "class_sizes"),
        ({"dims": [0, 2]}, "dims"),
        ({"dims": [3]}, "weight_decays"),
        ({"weight_decays": [0.1, -0.1]}, "weight_decays"),
        ({"feature_decay": np.nan}, "feature_decay"),
        ({"bias_decay": -1.0}, "bias_decay"),
        ({"loss": "hinge"}, "loss"),
    ],
)
def test_bad_models(change, name):
    arguments = {"class_sizes": [3, 2], "dims": [2, 2], "weight_decays": [0.1, 0.1], "feature_decay": 0.1} | change
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        feature_model(arguments.pop("class_sizes"), **arguments)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"scales": []}, "scales"),
        ({"scales": [0.0]}, "scales"),
        ({"starts": 0}, "starts"),
        ({"max_steps": 0}, "max_steps"),
        ({"newton_steps": -1}, "newton_steps"),
        ({"decays": jnp.ones((2, 2))}, "decays"),
    ],
)
def test_bad_minimisations(change, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        minimise(DEEP, KEY, **change)


def test_bad_paths():
    with pytest.raises(ValueError, match=r"^decays\b"):
        follow_minimum(DEEP, random_factors(KEY, DEEP), decays=np.ones((0, 3)))
    with pytest.raises(ValueError, match=r"^start\b"):
        follow_minimum(DEEP, random_factors(KEY, DEEP)._replace(bias=jnp.zeros(2)), decays=np.ones((1, 3)))


def test_bad_descents():
    start = random_factors(KEY, DEEP)
    with pytest.raises(ValueError, match=r"^steps\b"):
        gradient_descent(DEEP, start, learning_rate=0.1, steps=[3, 3])
    with pytest.raises(ValueError, match=r"^steps\b"):
        gradient_descent(DEEP, start, learning_rate=0.1, steps=[])
    with pytest.raises(ValueError, match=r"^learning_rate\b"):
        gradient_descent(DEEP, start, learning_rate=0.0, steps=[1])
    with pytest.raises(ValueError, match=r"^start\b"):
        gradient_descent(DEEP, start._replace(bias=jnp.zeros(2)), learning_rate=0.1, steps=[1])
