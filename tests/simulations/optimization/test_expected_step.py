import numpy as np
import pytest

from simulations.optimization import exact_mean_square_threshold, expected_step_matrix, gaussian_nodes


def test_nodes_have_the_moments_of_a_gaussian():
    x, p = gaussian_nodes([4.0, 0.25])
    assert p.sum() == pytest.approx(1)
    np.testing.assert_allclose(p @ x, 0, atol=1e-14)
    np.testing.assert_allclose(x.T @ (p[:, None] * x), np.diag([4.0, 0.25]), atol=1e-14)
    np.testing.assert_allclose(p @ x**4, [3 * 16, 3 / 16], rtol=1e-13)
    assert p @ (x[:, 0] ** 2 * x[:, 1] ** 2) == pytest.approx(1)


def test_expected_step_is_the_mean_of_steps():
    rng = np.random.default_rng(0)
    x, A, eta = rng.normal(size=(3, 2)), rng.normal(size=(2, 2)), 0.3
    p = np.array([0.5, 0.3, 0.2])
    steps = [np.eye(2) - eta * np.outer(row, row) for row in x]
    mean = sum(w * s @ A @ s for w, s in zip(p, steps, strict=True))
    matrix = expected_step_matrix(x, p, np.arange(3)[:, None], eta)
    np.testing.assert_allclose(matrix @ A.ravel(), mean.ravel(), rtol=1e-12)


def test_threshold_of_one_sample_and_of_orthogonal_ones():
    # delta is multiplied by 1 - 4 eta, whatever the batch
    np.testing.assert_allclose(exact_mean_square_threshold([[[2.0]]], batch_size=3), 0.5, rtol=1e-12)
    # each coordinate is multiplied by 1 - eta every third time
    np.testing.assert_allclose(exact_mean_square_threshold([np.eye(3)]), 2, rtol=1e-12)


def test_repeated_samples_change_nothing_and_weights_count_as_repetitions():
    x = np.random.default_rng(1).normal(size=(4, 4, 2))
    single = exact_mean_square_threshold(x, batch_size=2)
    np.testing.assert_allclose(exact_mean_square_threshold(np.repeat(x, 2, axis=1), batch_size=2), single, rtol=1e-11)
    twice = np.concatenate([x, x[:, :1]], axis=1)
    weighted = exact_mean_square_threshold(x, weights=[0.4, 0.2, 0.2, 0.2], batch_size=2)
    np.testing.assert_allclose(exact_mean_square_threshold(twice, batch_size=2), weighted, rtol=1e-11)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_nodes([-1.0]), "eigenvalues must be nonnegative"),
        (lambda: exact_mean_square_threshold(np.eye(2)), r"features must have 3 dimension\(s\)"),
        (lambda: exact_mean_square_threshold([[[1.0, 0.0]]]), "features must span all 2 dimensions"),
        (lambda: exact_mean_square_threshold([np.eye(2)], weights=[0.5, 0.6]), "weights must be 2 numbers that sum"),
        (lambda: exact_mean_square_threshold([np.eye(9)], batch_size=5), r"batch_size must keep n\^B at most"),
        (lambda: exact_mean_square_threshold([np.eye(2)], batch_size=0), "batch_size must be at least 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
