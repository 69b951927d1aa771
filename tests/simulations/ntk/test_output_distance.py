"""Laws of networks' outputs and their distances to a Gaussian, on cases with a known answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from simulations import ntk as sim
from simulations.ntk.output_distance import _gain

LINEAR, RELU = sim.ACTIVATIONS["linear"], sim.ACTIVATIONS["relu"]


def test_linear_units_make_a_mixture_over_chi_squared_variances():
    law = sim.output_law(LINEAR, width=24)
    variance, share = (stats.chi2(24).ppf((np.arange(4000) + 0.5) / 4000) / 24, 1 / 4000)
    x = np.asarray(law.at)[::25]
    expected = share * stats.norm.cdf(x[:, None] / np.sqrt(variance)).sum(axis=1) - stats.norm.cdf(x)
    np.testing.assert_allclose(np.asarray(law.difference)[::25], expected, atol=2e-5)
    fine = np.asarray(law.difference)
    area = 2 * (np.abs(fine[:-1]) + np.abs(fine[1:])).sum() / 2 * 0.02
    assert float(law.distance) == pytest.approx(area, rel=1e-4)


def test_relu_units_make_a_mixture_over_numbers_of_active_units():
    width = 24
    law = sim.output_law(RELU, width=width)
    active = np.arange(1, width + 1)
    share = stats.binom(width, 0.5).pmf(active)
    quantiles = (np.arange(2000) + 0.5) / 2000
    variance = 2 / width * stats.chi2(active[:, None]).ppf(quantiles)
    x = np.asarray(law.at)[25:250:25]
    mixed = stats.norm.cdf(x[:, None, None] / np.sqrt(variance)).mean(axis=2) @ share + 0.5**width
    np.testing.assert_allclose(np.asarray(law.difference)[25:250:25], mixed - stats.norm.cdf(x), atol=5e-5)


def test_random_signs_keep_linear_units_gaussian():
    assert float(sim.output_law(LINEAR, width=30, weights="signs").distance) < 1e-8


def test_distance_knows_no_scale_and_uniform_weights_are_between():
    one, other = (float(sim.output_law(RELU, width=30, variance=k).distance) for k in (1.0, 3.0))
    assert one == pytest.approx(other, rel=1e-8)
    by_law = [float(sim.output_law(RELU, width=30, weights=law).distance) for law in ("signs", "uniform", "normal")]
    assert by_law == sorted(by_law)


def test_gain_is_a_difference_of_means_by_quadrature():
    x = np.linspace(-14, 14, 280_001)

    def mean(sigma, turn):
        density = stats.norm.pdf(x, scale=sigma) * (x[1] - x[0])
        return np.sum((2 * np.maximum(np.abs(x) - turn, 0) - np.abs(x)) * density)

    turn, step = 1.7, 1e-4
    slope = (mean(1 + step, turn) - mean(1 - step, turn)) / (4 * step)
    for sigma in (0.8, 1.3):
        expected = mean(sigma, turn) - mean(1.0, turn) - slope * (sigma**2 - 1)
        assert float(_gain(sigma**2, turn)) == pytest.approx(expected, abs=1e-7)


def test_drawn_linear_networks_are_as_far_as_their_law():
    keys = jax.random.split(jax.random.key(0), 40_000)
    found = sim.sampled_distance(keys, keys[:4000], LINEAR, widths=(24, 48), depth=1)
    assert found.shape == (2, 40_000)
    for values, width in zip(found, (24, 48), strict=True):
        expected = float(sim.output_law(LINEAR, width=width).distance)
        assert abs(values.mean() - expected) < 5 * values.std() / 200 + 1e-3 * expected


def test_units_of_constant_power_leave_nothing():
    keys = jax.random.split(jax.random.key(1), 8)
    found = sim.sampled_distance(keys, keys, jnp.sign, widths=(4, 8), depth=2)
    np.testing.assert_allclose(found, 0, atol=1e-15)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sim.output_law(RELU, width=1), "width"),
        (lambda: sim.output_law(RELU, width=30, variance=0.0), "variance"),
        (lambda: sim.output_law(RELU, width=30, weights="cauchy"), "weights"),
        (
            lambda: sim.sampled_distance(
                jax.random.split(jax.random.key(0), 2),
                jax.random.split(jax.random.key(0), 2),
                RELU,
                widths=(4,),
                depth=0,
            ),
            "depth",
        ),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
