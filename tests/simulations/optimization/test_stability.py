import jax
import numpy as np
import pytest

from simulations.optimization import (
    LinearModel,
    RayleighMinimum,
    descent_threshold,
    gaussian_displacements,
    mean_square_growth,
    mean_square_threshold,
    rayleigh_quotient,
    resampled_mean_squares,
    sample_gradients,
    sgd_displacements,
    train_network,
)

KEY = jax.random.key(0)


def test_one_sample_multiplies_displacements_by_a_number():
    model = LinearModel([[2.0]])
    moved = sgd_displacements(KEY, model, [1.0], learning_rate=0.1, batch_size=3, n_steps=5, n_replicates=4)
    np.testing.assert_allclose(moved, np.full((4, 1), 0.6**5), rtol=1e-12)


def test_orthogonal_samples_shrink_the_coordinates_that_are_drawn():
    model = LinearModel(np.eye(3))
    moved = sgd_displacements(KEY, model, [1.0] * 3, learning_rate=0.5, batch_size=1, n_steps=6, n_replicates=2000)
    draws = np.log(moved) / np.log(0.5)
    np.testing.assert_allclose(draws, np.rint(draws), atol=1e-9)
    assert (draws.sum(axis=1).round() == 6).all()
    np.testing.assert_allclose(draws.mean(axis=0), 2, atol=0.15)


def test_gaussian_inputs_have_their_mean_contraction():
    moved = gaussian_displacements(
        KEY, [1.0, 0.5], [1.0, 2.0], learning_rate=0.2, batch_size=4, n_steps=3, n_replicates=20000
    )
    standard_error = moved.std(axis=0) / np.sqrt(len(moved))
    assert (np.abs(moved.mean(axis=0) - [0.8**3, 2 * 0.9**3]) < 5 * standard_error).all()


def test_growth_of_one_sample_is_exact_and_of_two_a_mean_over_draws():
    options = {"batch_size": 1, "n_particles": 256, "n_steps": 50, "burn_in": 10}
    growth = mean_square_growth(KEY, LinearModel([[2.0]]), learning_rate=0.1, **options)
    np.testing.assert_allclose(growth, 2 * np.log(0.6), rtol=1e-9)
    # two orthogonal samples of norm 1: each direction's square is multiplied by 1 or by (1 - eta)^2, evenly
    growth = mean_square_growth(KEY, LinearModel(np.eye(2)), learning_rate=2.5, **options)
    assert growth.mean() == pytest.approx(np.log((1 + 1.5**2) / 2), abs=0.02)


def test_mean_square_threshold_of_orthogonal_samples():
    found = mean_square_threshold(
        KEY,
        LinearModel(2 * np.eye(3)),
        batch_size=1,
        bracket=(0.25, 1.0),
        n_particles=128,
        n_steps=60,
        burn_in=20,
        n_replicates=4,
        n_bisections=10,
    )
    np.testing.assert_allclose(found, 0.5, rtol=5e-3)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_descent_threshold_of_a_quadratic(momentum):
    model = LinearModel(np.diag([1.0, 2.0, 3.0]))
    found = descent_threshold(KEY, model, bracket=(0.1, 3.0), momentum=momentum)
    # Hessian diag(1, 4, 9) / 3; the largest root of z^2 - (1 + beta - eta h) z + beta leaves the circle at -1
    assert found == pytest.approx(2 * (1 + momentum) / 3, rel=1e-6)


def test_trained_network_has_no_residual_and_the_gradients_of_its_outputs():
    network = train_network(KEY, n_samples=3, dimension=2, width=4)
    assert np.abs(network.deviation(network.point)).max() < 1e-12
    assert np.abs(network.gradient(network.point)).max() < 1e-11
    gradients = sample_gradients(network)
    assert gradients.shape == (3, 16)
    step = np.random.default_rng(0).normal(size=16)
    slope = (network.deviation(network.point + 1e-6 * step) - network.deviation(network.point - 1e-6 * step)) / 2e-6
    np.testing.assert_allclose(gradients @ step, slope, rtol=1e-6, atol=1e-9)


def test_thresholds_of_a_trained_network_and_of_its_linearisation_agree():
    network = train_network(KEY, n_samples=3, dimension=2, width=4)
    linear = LinearModel(sample_gradients(network))
    sharpness = np.linalg.norm(linear.features, 2) ** 2 / 3
    bracket = (0.5 / sharpness, 4 / sharpness)
    trained = descent_threshold(KEY, network, bracket=bracket)
    assert trained == pytest.approx(float(descent_threshold(KEY, linear, bracket=bracket)), rel=1e-5)


def test_rayleigh_minimum_is_scale_invariant_and_stationary():
    A = np.diag([3.0, 1.0, 2.0])
    model = RayleighMinimum(A, norm=2.0)
    np.testing.assert_allclose(np.abs(model.point), [0, 2, 0], atol=1e-12)
    assert np.abs(model.gradient(model.point)).max() < 1e-14
    w = np.array([1.0, -2.0, 0.5])
    assert rayleigh_quotient(3 * w, A) == pytest.approx(float(rayleigh_quotient(w, A)), rel=1e-14)
    assert abs(model.gradient(w) @ w) < 1e-14
    np.testing.assert_allclose(model.deviation(w), [1, 0, 0.5], atol=1e-12)


def test_descent_threshold_grows_with_the_squared_norm_of_scale_invariant_weights():
    A = np.diag([3.0, 1.0, 2.0])
    small, large = (
        float(descent_threshold(KEY, RayleighMinimum(A, norm=norm), bracket=(0.1 * norm**2, 2 * norm**2)))
        for norm in (1.0, 3.0)
    )
    assert large / small == pytest.approx(9, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: sgd_displacements(KEY, m, [1.0, 2.0], learning_rate=1.0, **counts()), "start must have 1 entries"),
        (lambda m: sgd_displacements(KEY, m, [1.0], learning_rate=0.0, **counts()), "learning_rate must be positive"),
        (lambda m: sgd_displacements(KEY, m, [1.0], learning_rate=1.0, **counts(batch_size=0)), "batch_size must be"),
        (lambda m: gaussian_displacements(KEY, [-1.0], [1.0], learning_rate=1.0, **counts()), "eigenvalues must be"),
        (lambda m: descent_threshold(KEY, m, bracket=(1.0, 0.5)), "bracket must be"),
        (lambda m: descent_threshold(KEY, m, bracket=(0.5, 1.0), momentum=0.999), "momentum must be at most 0.99"),
        (lambda m: train_network(KEY, n_samples=9, dimension=1, width=3), "more parameters than the 9 samples"),
        (lambda m: RayleighMinimum([[1.0, 2.0], [0.0, 1.0]], norm=1.0), "square and symmetric"),
        (lambda m: RayleighMinimum(np.eye(2), norm=0.0), "norm must be positive"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(LinearModel([[1.0]]))


def counts(**changes):
    return {"batch_size": 1, "n_steps": 1, "n_replicates": 1, **changes}


def test_resampled_mean_squares_are_unbiased_whatever_the_number_of_particles():
    # two orthogonal samples: a coordinate's square is multiplied by 1 or by 4, and so is the mean square, by 2.5
    model = LinearModel(np.eye(2))
    for particles in (2, 64):
        found = resampled_mean_squares(
            KEY,
            model,
            [1.0, 0.0],
            learning_rate=3.0,
            batch_size=1,
            n_particles=particles,
            n_steps=4,
            n_replicates=4000,
        )
        error = found.std(axis=0, ddof=1) / np.sqrt(4000)
        assert (np.abs(found.mean(axis=0) - 2.5 ** np.arange(1, 5)) < 5 * error).all()
    # particles pay in noise what they do not pay in bias
    assert error[-1] < 0.05 * 2.5**4


def test_growth_rates_are_biased_downwards_by_few_particles():
    model = LinearModel(np.eye(2))
    few, many = (
        np.mean(
            [
                mean_square_growth(
                    key, model, learning_rate=3.0, batch_size=1, n_particles=n, n_steps=50, burn_in=5
                ).mean()
                for key in jax.random.split(KEY, 20)
            ]
        )
        for n in (2, 256)
    )
    assert few < many - 0.02
    assert many == pytest.approx(np.log(2.5), abs=0.01)


def test_resampling_names_bad_input():
    with pytest.raises(ValueError, match="start must have 1 entries"):
        resampled_mean_squares(
            KEY,
            LinearModel([[1.0]]),
            [1.0, 2.0],
            learning_rate=1.0,
            batch_size=1,
            n_particles=2,
            n_steps=1,
            n_replicates=1,
        )
