"""Distilled readouts: each at the minimum of its own loss, and cases with a known answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations import kernel_regression as sim


def _problem(seed, n=7, p=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)), rng.normal(size=n), rng


@given(st.integers(0, 2**31 - 1), st.floats(0.05, 5))
def test_no_other_readout_has_less_loss(seed, ridge):
    phi, y, rng = _problem(seed)
    weights = rng.uniform(size=3)
    found = sim.distil(phi, y, ridge, weights)
    teachers = [y, *np.asarray(found.fits)[:-1]]

    def loss(readout, teacher, weight):
        fit = phi @ readout
        return weight * np.sum((fit - y) ** 2) + (1 - weight) * np.sum((fit - teacher) ** 2) + ridge * readout @ readout

    for readout, teacher, weight in zip(np.asarray(found.readouts), teachers, weights, strict=True):
        least = loss(readout, teacher, weight)
        for _ in range(5):
            assert loss(readout + 1e-3 * rng.normal(size=4), teacher, weight) > least
    np.testing.assert_allclose(found.fits, np.asarray(found.readouts) @ phi.T, atol=1e-12)


def test_labels_alone_give_ridge_regression_at_every_step():
    phi, y, _ = _problem(0)
    found = sim.distil(phi, y, 0.3, jnp.ones(4))
    direct = np.linalg.lstsq(np.vstack([phi, np.sqrt(0.3) * np.eye(4)]), np.append(y, np.zeros(4)))[0]
    np.testing.assert_allclose(found.readouts, np.tile(direct, (4, 1)), rtol=1e-11)


def test_a_ridge_on_changes_leads_to_least_squares():
    phi, y, _ = _problem(1)
    found = sim.distil(phi, y, 0.3, jnp.full(400, 0.5), True)
    np.testing.assert_allclose(found.readouts[-1], np.linalg.lstsq(phi, y)[0], rtol=1e-9)


@pytest.mark.parametrize(("wanted", "best"), [("labels", 1.0), ("teacher", 0.0), ("beyond", 1.7)])
def test_the_weight_that_reaches_its_targets(wanted, best):
    phi, y, rng = _problem(2)
    asked = rng.normal(size=(5, 4))
    first = np.asarray(sim.distil(phi, y, 0.3, jnp.array([1.0, 1.0])).readouts[-1])
    second = np.asarray(sim.distil(phi, y, 0.3, jnp.array([1.0, 0.0])).readouts[-1])
    target = asked @ {"labels": first, "teacher": second, "beyond": 1.7 * first - 0.7 * second}[wanted]
    found = sim.tune_last_weight(phi, y, 0.3, jnp.ones(1), asked, target)
    assert float(found.weight) == pytest.approx(best, abs=1e-9)
    assert float(found.loss) < 1e-20
    inside = sim.tune_last_weight(phi, y, 0.3, jnp.ones(1), asked, target, 0.0, 1.0)
    assert float(inside.weight) == pytest.approx(min(best, 1.0), abs=1e-9)


def test_problems_side_by_side():
    phi, y, _ = _problem(3)
    weights = jnp.array([[0.1, 0.2], [0.9, 0.4]])
    both = jax.vmap(sim.distil, in_axes=(None, None, None, 0))(phi, y, 0.3, weights)
    np.testing.assert_allclose(both.fits[1], sim.distil(phi, y, 0.3, weights[1]).fits, rtol=1e-12)
