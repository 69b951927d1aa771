import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear import opposing_signals as sim
from simulations.deep_linear.networks import loss

BETA = np.array([0.7, -1.1])
LAW = {"magnitude": 3.0, "probability": 0.2, "gamma": 0.5}
DATA = sim.Outliers.make(BETA, **LAW)
RNG = np.random.default_rng(0)
WEIGHTS = (jnp.asarray(RNG.standard_normal((4, 3))), jnp.asarray(RNG.standard_normal((1, 4))))


def test_population_has_the_moments_of_the_data():
    task = sim.population(DATA)
    x, y = np.asarray(task.inputs), np.asarray(task.targets)[0]
    np.testing.assert_allclose(x @ x.T, np.diag([1, 1, 0.2 * 9]), atol=1e-14)
    # gamma |o| is uncorrelated with every input, gamma o is not
    np.testing.assert_allclose(x @ y, np.append(BETA, 0), atol=1e-14)
    np.testing.assert_allclose(y @ y, BETA @ BETA + 0.25 * 1.8, rtol=1e-14)
    other = sim.population(sim.Outliers.make(BETA, **LAW, signal="consistent"))
    np.testing.assert_allclose(x @ np.asarray(other.targets)[0], np.append(BETA, 0.5 * 1.8), atol=1e-14)


def test_groups_mix_to_the_population():
    mixed = 0.1 * (loss(WEIGHTS, sim.group(DATA, 1)) + loss(WEIGHTS, sim.group(DATA, -1)))
    mixed += 0.8 * loss(WEIGHTS, sim.group(DATA, 0))
    assert float(mixed) == pytest.approx(float(loss(WEIGHTS, sim.population(DATA))), rel=1e-13)


def test_samples_agree_with_the_exact_averages():
    found = sim.sample_groups(jax.random.key(3), DATA, WEIGHTS, n=100_000)
    exact = [float(loss(WEIGHTS, task)) for task in (sim.population(DATA), *(sim.group(DATA, s) for s in (1, -1, 0)))]
    np.testing.assert_allclose(found.losses, exact, rtol=0.05)
    for k, sign in enumerate((1, -1)):
        slope = jax.grad(loss)(WEIGHTS, sim.group(DATA, sign))[0][:, -1]
        np.testing.assert_allclose(found.gradients[k], slope, rtol=0.05)


def test_sharpness_of_one_unit_at_its_minimum():
    # v = 2, a = 1/2: the Jacobian (a, v; 0, v) has rows of squared length 4.25 and 4 alpha
    weights = (jnp.array([[0.5, 0.0]]), jnp.array([[2.0]]))
    task = sim.population(sim.Outliers.make([1.0], magnitude=5.0, probability=0.04, gamma=1.0))
    assert float(sim.sharpness(weights, task)) == pytest.approx(4.25, rel=1e-12)
    np.testing.assert_allclose(sim.outlier_image(weights, task), [0, 4, 0], atol=1e-12)


def test_watching_keeps_the_largest_sizes_of_a_plain_loop():
    task = sim.population(DATA)
    seen = sim.watch_descent(WEIGHTS, task, learning_rate=0.03, n_steps=25)
    weights, outlier, output = WEIGHTS, [], []
    for _ in range(26):
        outlier.append(np.linalg.norm(weights[0][:, -1]))
        output.append(np.linalg.norm(weights[1]))
        slopes = jax.grad(loss)(weights, task)
        last, weights = weights, tuple(w - 0.03 * g for w, g in zip(weights, slopes, strict=True))
    assert float(seen.outlier) == pytest.approx(max(outlier), rel=1e-12)
    assert float(seen.output) == pytest.approx(max(output), rel=1e-12)
    np.testing.assert_allclose(seen.weights[0], last[0], rtol=1e-11)


def test_neutral_step_leaves_the_size_of_the_column():
    layer = WEIGHTS[0].at[:, -1].set(0.3 * WEIGHTS[1][0])
    weights, task = (layer, WEIGHTS[1]), sim.population(DATA)
    rate = sim.neutral_rate(weights, task, low=1e-4, high=1e3)
    assert float(sim.outlier_growth(weights, task, rate)) == pytest.approx(1, rel=1e-10)
    assert (
        float(sim.outlier_growth(weights, task, 0.9 * rate)) < 1 < float(sim.outlier_growth(weights, task, 1.1 * rate))
    )


def test_critical_step_of_a_known_minimum():
    # from v = a the run ends at v^2 = 1: alpha = 16, so 2 / 16
    start = (jnp.array([[0.5, 1e-6]]), jnp.array([[0.5]]))
    task = sim.population(sim.Outliers.make([1.0], magnitude=8.0, probability=0.25, gamma=1.0))
    rate = sim.critical_rate(start, task, low=1e-3, high=0.4, n_steps=400)
    assert float(rate) == pytest.approx(0.125, rel=1e-8)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"magnitude": 0.0}, "magnitude must be positive"),
        ({"probability": 0.0}, r"probability must be in \(0, 1\]"),
        ({"gamma": np.nan}, "gamma must be finite"),
        ({"signal": "mixed"}, "signal must be one of 'opposing', 'consistent'"),
    ],
)
def test_bad_laws_are_named(change, match):
    with pytest.raises(ValueError, match=match):
        sim.Outliers.make(BETA, **(LAW | change))


def test_bad_runs_are_named():
    task = sim.population(DATA)
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        sim.watch_descent(WEIGHTS, task, learning_rate=0.0, n_steps=3)
    with pytest.raises(ValueError, match="n_steps must be at least 1"):
        sim.watch_descent(WEIGHTS, task, learning_rate=0.1, n_steps=0)
    with pytest.raises(ValueError, match="low must be positive"):
        sim.neutral_rate(WEIGHTS, task, low=0.0, high=1.0)
    with pytest.raises(ValueError, match="weights must map 3 inputs"):
        sim.critical_rate((jnp.ones((2, 2)), jnp.ones((1, 2))), task, low=0.1, high=1.0, n_steps=3)
