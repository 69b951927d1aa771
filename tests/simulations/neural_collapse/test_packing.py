import jax
import numpy as np
import pytest

from simulations.neural_collapse import random_directions, repel

KEY = jax.random.key(0)


def cosines(vectors):
    grams = np.swapaxes(vectors, 1, 2) @ np.asarray(vectors)
    return grams[:, *np.triu_indices(vectors.shape[2], 1)]


def test_random_directions_are_unit_and_isotropic():
    vectors = random_directions(KEY, 2, 3, replicates=4000)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-13)
    np.testing.assert_allclose(np.mean(np.asarray(vectors) ** 2, axis=(0, 2)), 1 / 3, atol=0.02)
    # The cosine of two random directions in three dimensions is uniform.
    np.testing.assert_allclose(np.mean(cosines(vectors) ** 2), 1 / 3, atol=0.02)


def test_three_directions_in_the_plane_settle_at_120_degrees():
    packed = repel(random_directions(KEY, 3, 2, replicates=5), sharpness=4.0)
    assert packed.gradient.max() < 1e-12
    np.testing.assert_allclose(cosines(packed.vectors), -0.5, atol=1e-10)
    np.testing.assert_allclose(packed.energy, -0.5, atol=1e-12)


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"^num_vectors\b"):
        random_directions(KEY, 1, 3, replicates=2)
    with pytest.raises(ValueError, match=r"^vectors\b"):
        repel(np.ones((3, 2)), sharpness=1.0)
    with pytest.raises(ValueError, match=r"^vectors\b"):
        repel(np.zeros((1, 3, 2)), sharpness=1.0)
    with pytest.raises(ValueError, match=r"^sharpness\b"):
        repel(np.ones((1, 3, 2)), sharpness=0.0)
