import jax
import numpy as np
import pytest
from scipy.stats import norm

from simulations import generalization as sim

KEYS = jax.random.split(jax.random.key(1), 3)


def test_without_a_signal_every_classifier_is_a_coin():
    found = sim.train_linear_classifiers(KEYS, 6, np.zeros(4), np.ones(4))
    np.testing.assert_allclose(found, 0.5)


def test_in_one_dimension_the_direction_is_all_there_is():
    found = sim.train_linear_classifiers(KEYS, 40, np.array([2.0]), np.array([1.5]))
    np.testing.assert_allclose(found, norm.cdf(-2 / 1.5), rtol=1e-12)


def test_many_points_find_the_best_weights():
    means, scales = np.array([1.0, 0.5]), np.array([1.0, 0.25])
    found = sim.train_linear_classifiers(KEYS, 40_000, means, scales)
    np.testing.assert_allclose(found.least_squares, norm.cdf(-np.linalg.norm(means / scales)), rtol=1e-3)
    along_mean = norm.cdf(-(means @ means) / np.linalg.norm(scales * means))
    np.testing.assert_allclose(found.class_mean, along_mean, rtol=0.05)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sim.train_linear_classifiers(KEYS, 3, np.ones(4), np.ones(4)), "n must"),
        (lambda: sim.train_linear_classifiers(KEYS, 9, np.ones(4), np.ones(3)), "scales"),
        (lambda: sim.train_linear_classifiers(KEYS, 9, np.ones(4), np.zeros(4)), "scales"),
        (lambda: sim.train_linear_classifiers(KEYS, 9, np.ones((2, 2)), np.ones(4)), "means"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
