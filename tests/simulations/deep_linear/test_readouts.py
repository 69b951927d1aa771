import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear.initial_conditions import decoupled, gaussian, haar
from simulations.deep_linear.networks import product, stack_layers
from simulations.deep_linear.readouts import (
    conserved_quantities,
    conserved_vector,
    distance,
    gram,
    mode_coupling,
    mode_strengths,
    singular_values,
)

KEY = jax.random.key(2)


def test_modes_of_decoupled_weights():
    u, v = haar(jax.random.key(0), 3), haar(jax.random.key(1), 4)
    weights = decoupled(KEY, [[0.5, 2.0, 1.0], [0.4, -0.3, 3.0]], u=u, v=v)
    np.testing.assert_allclose(mode_strengths(weights, u, v[:, :3]), [0.2, -0.6, 3.0], rtol=1e-13)
    np.testing.assert_allclose(singular_values(weights), [3.0, 0.6, 0.2], rtol=1e-13)
    assert float(mode_coupling(weights, u, v[:, :3])) < 1e-14
    turned = (weights[0], haar(KEY, 3) @ weights[1])
    assert float(mode_coupling(turned, u, v[:, :3])) > 0.1


def test_conserved_quantities_and_gram():
    first, second = gaussian(KEY, [4, 3, 2], std=1.0)
    (difference,) = conserved_quantities((first, second))
    np.testing.assert_allclose(difference, second.T @ second - first @ first.T)
    assert conserved_vector((first,)).shape == (0,)
    square = gaussian(KEY, [3, 3, 3, 3], std=1.0)
    np.testing.assert_allclose(conserved_vector(stack_layers(square)), conserved_vector(square), rtol=1e-15)
    total = gram((first, second))
    np.testing.assert_allclose(total[4:, :4], product((first, second)), rtol=1e-13)
    np.testing.assert_allclose(total[:4, :4], first.T @ first, rtol=1e-13)
    with pytest.raises(ValueError, match="two layers"):
        gram((first,))


def test_distance():
    assert float(distance((jnp.zeros((2, 2)), jnp.ones((1, 2))), (jnp.ones((2, 2)), jnp.zeros((1, 2))))) == 6**0.5
