import numpy as np
import pytest

from simulations.optimization import (
    UNFINISHED,
    descent_path,
    linear_margins,
    logistic_losses,
    perceptron_path,
    random_separable,
    search_worst_cases,
    steps_to_separate,
)


def data_sets(seed=0, n_sets=5, n_samples=8, dimension=3, **options):
    rng = np.random.default_rng(seed)
    return random_separable(rng, n_sets=n_sets, n_samples=n_samples, dimension=dimension, **options)


def test_random_data_are_separable_with_the_least_margin():
    margins = linear_margins(data_sets(n_sets=200, n_samples=20, least_margin=0.1))
    assert margins.min() >= 0.1
    assert (linear_margins(data_sets(n_sets=200)) > 0).mean() > 0.99


@pytest.mark.parametrize("normalized", [False, True])
def test_descent_follows_differences_of_the_loss(normalized):
    rows = data_sets(n_sets=1)
    path = descent_path(rows, step_size=2.0, n_steps=5, normalized=normalized)
    assert (path[0, 0] == 0).all()
    for theta, after in zip(path[0, :-1], path[0, 1:], strict=True):
        around = np.concatenate([theta + 1e-6 * np.eye(3), theta - 1e-6 * np.eye(3)])[None]
        high, low = np.split(logistic_losses(rows, around)[0], 2)
        share = np.mean(1 / (1 + np.exp(rows[0] @ theta))) if normalized else 1
        np.testing.assert_allclose(after - theta, -2 * (high - low) / 2e-6 / share, atol=1e-8)


def test_perceptron_by_hand():
    path = perceptron_path([[[3.0, 0.0], [-1.0, 1.0]]], n_steps=4)
    np.testing.assert_allclose(path, [[[0, 0], [0.5, 0.25], [0, 0.75], [0.75, 0.75], [0.5, 1.0]]])
    normalized = perceptron_path([[[3.0, 0.0], [-1.0, 1.0]]], n_steps=3, normalized=True)
    np.testing.assert_allclose(normalized, [[[0, 0], [1, 0.5], [0, 1.5], [3, 1.5]]])


@pytest.mark.parametrize("step_size", [10.0, np.inf])
@pytest.mark.parametrize("normalized", [False, True])
def test_steps_are_counted_up_to_the_first_separating_iterate(step_size, normalized):
    rows = data_sets(seed=3, n_samples=15, least_margin=0.05)
    steps = steps_to_separate(rows, step_size=step_size, normalized=normalized)
    if np.isinf(step_size):
        path = perceptron_path(rows, n_steps=int(steps.max()), normalized=normalized)
    else:
        path = descent_path(rows, step_size=step_size, n_steps=int(steps.max()), normalized=normalized)
    separated = (np.einsum("std,snd->stn", path, rows) > 0).all(axis=-1)
    assert separated.argmax(axis=1).tolist() == steps.tolist()


def test_unfinished_runs_say_so():
    impossible = [[[1.0], [-1.0]]]
    assert steps_to_separate(impossible, max_steps=50).tolist() == [UNFINISHED]


def test_normalized_updates_keep_their_size_when_every_sigmoid_underflows():
    path = descent_path([[[1.0, 0.0], [1.0, 1.0]]], step_size=1e5, n_steps=30, normalized=True)
    assert np.isfinite(path).all()
    assert (np.diff(path[0, :, 0]) > 0.99e5).all()


def test_large_steps_take_the_path_of_the_perceptron():
    rows = data_sets(seed=5, n_samples=4, dimension=2)
    limit = perceptron_path(rows, n_steps=3)
    scaled = descent_path(rows, step_size=1e8, n_steps=3) / 1e8
    np.testing.assert_allclose(scaled, limit, atol=1e-6)


def test_every_data_set_may_have_its_own_step_size():
    rows = data_sets(n_sets=3)
    together = descent_path(rows, step_size=[0.5, 5.0, 50.0], n_steps=6)
    for s, gamma in enumerate((0.5, 5.0, 50.0)):
        np.testing.assert_array_equal(together[s], descent_path(rows[s : s + 1], step_size=gamma, n_steps=6)[0])


def test_losses_do_not_overflow():
    losses = logistic_losses([[[1.0], [2.0]]], [[[0.0], [1e5], [-1e5]]])
    np.testing.assert_allclose(losses, [[np.log(2), 0, 1.5e5]], rtol=1e-12)


@pytest.mark.parametrize("normalized", [False, True])
def test_search_climbs_within_its_range_of_margins(normalized):
    options = {"n_chains": 4, "n_samples": 6, "dimension": 2, "margins": (0.1, 0.4), "normalized": normalized}
    start = search_worst_cases(np.random.default_rng(0), n_proposals=200, **options)
    found = search_worst_cases(np.random.default_rng(0), n_proposals=2000, **options)
    margins = linear_margins(found.signed_features)
    assert (margins >= 0.1 - 1e-9).all()
    assert (margins <= 0.4 + 1e-9).all()
    np.testing.assert_allclose(np.linalg.norm(found.signed_features, axis=-1).max(axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(found.difficulty, found.steps * margins**2, rtol=1e-8)
    assert (steps_to_separate(found.signed_features, normalized=normalized) == found.steps).all()
    assert (found.difficulty >= start.difficulty).all()
    again = search_worst_cases(np.random.default_rng(0), n_proposals=2000, **options)
    np.testing.assert_array_equal(again.signed_features, found.signed_features)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: perceptron_path([[1.0]], n_steps=1), r"must have shape \(S, rows, d\)"),
        (lambda: descent_path([[[np.inf]]], step_size=1.0, n_steps=1), "must be finite"),
        (lambda: descent_path([[[1.0]]], step_size=np.inf, n_steps=1), "step_size must be finite"),
        (lambda: descent_path([[[1.0]]], step_size=-1.0, n_steps=1), "step_size must be positive"),
        (lambda: descent_path([[[1.0]]], step_size=[1.0, 2.0], n_steps=1), "step_size must be one number or 1 of them"),
        (lambda: steps_to_separate([[[1.0]]], step_size=0.0), "step_size must be positive"),
        (lambda: steps_to_separate([[[1.0]]], max_steps=0), "max_steps must be at least 1"),
        (lambda: logistic_losses([[[1.0]]], [[[1.0, 2.0]]]), "weights must have shape"),
        (lambda: data_sets(n_sets=0), "n_sets must be at least 1"),
        (
            lambda: search_worst_cases(
                np.random.default_rng(0), n_chains=1, n_samples=2, dimension=2, n_proposals=1, margins=(0.5, 0.2)
            ),
            "margins must be 0 < low < high <= 1",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
