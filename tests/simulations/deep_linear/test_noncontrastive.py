"""Learning without contrastive pairs: losses, gradients and integrators on cases with known answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear import noncontrastive as sim
from simulations.deep_linear.noncontrastive_training import (
    descend_without_contrast,
    flow_without_contrast,
    largest_surviving_decay,
    passage_times,
)


@pytest.fixture
def drawn():
    """Unaligned networks, and anisotropic covariances."""
    rng = np.random.default_rng(11)
    w, w_a, root, noise = (rng.standard_normal(shape) for shape in ((2, 3), (2, 3), (3, 3), (3, 3)))
    return sim.Networks(*map(jnp.asarray, (w, w_a, rng.standard_normal((2, 2))))), root @ root.T, noise @ noise.T


def scalar(w, p, **rule):
    """Networks of one weight each, and how they learn; the target starts at the online network."""
    one = jnp.full((1, 1), w)
    return sim.Networks(one, one, jnp.full((1, 1), p)), sim.isotropic(1, **rule)


def fitted(online=(1, 2), target=(1, 2), predictor=(1, 1)):
    """Check networks of given shapes against two inputs."""
    return sim.check_networks([np.ones(shape) for shape in (online, target, predictor)], sim.isotropic(2))


def value(networks):
    """Return the online weight of networks of one weight each."""
    return networks.online[0, 0]


def predictor(networks):
    """Return the predictor of networks of one weight each."""
    return networks.predictor[0, 0]


def test_sampled_loss_is_the_population_loss_of_its_moments(drawn):
    networks, x_cov, aug_cov = drawn
    learning = sim.Learning.of(x_cov, aug_cov)
    roots = [np.linalg.cholesky(cov) for cov in (x_cov, aug_cov)]
    # samples with exactly these moments: mean and both scatters along orthogonal columns
    means, first, second = (np.sqrt(9.0) * np.eye(9)[:, 3 * k : 3 * k + 3].T for k in range(3))
    views = sim.Views(*(jnp.asarray(roots[0] @ means + roots[1] @ scatter) for scatter in (first, second)))
    order = (networks.online, networks.predictor, networks.target)
    np.testing.assert_allclose(sim.sampled_loss(*order, views), sim.population_loss(*order, learning), rtol=1e-13)
    on_views = sim.velocity(networks, learning, views)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), on_views, sim.velocity(networks, learning))


def test_velocity_descends_the_loss_with_the_target_held_still(drawn):
    networks, x_cov, aug_cov = drawn
    learning = sim.Learning.of(x_cov, aug_cov, alpha_p=2.0, ema_rate=0.3)
    v = sim.velocity(networks, learning)
    direction = np.random.default_rng(0).standard_normal((2, 3))

    def change(field, step):
        matrix = getattr(networks, field)
        moved = networks._replace(**{field: matrix + step * direction[:, : matrix.shape[1]]})
        return float(sim.population_loss(moved.online, moved.predictor, moved.target, learning))

    for field, factor in (("online", 1.0), ("predictor", 2.0)):
        slope = (change(field, 1e-4) - change(field, -1e-4)) / 2e-4
        rate = np.asarray(getattr(v, field))
        assert slope == pytest.approx(-np.sum(rate * direction[:, : rate.shape[1]]) / factor, rel=1e-6)
    np.testing.assert_allclose(v.target, 0.3 * (networks.online - networks.target))


def test_stop_gradient_makes_the_difference():
    networks, held = scalar(0.5, 0.8, aug_var=0.5)
    _, loose = scalar(0.5, 0.8, aug_var=0.5, stop_gradient=False)
    # J = w^2 [(p - 1)^2 + aug_var (p^2 + 1)] / 2 through both branches, and p w (p w kappa - w_a) through one
    assert value(sim.velocity(networks, held)) == pytest.approx(-0.8 * (0.8 * 0.5 * 1.5 - 0.5))
    assert value(sim.velocity(networks, loose)) == pytest.approx(-0.5 * ((0.8 - 1) ** 2 + 0.5 * (0.8**2 + 1)))


def test_symmetric_predictor_stays_symmetric_and_a_still_one_stays(drawn):
    networks, x_cov, aug_cov = drawn
    v = sim.velocity(networks, sim.Learning.of(x_cov, aug_cov, predictor="symmetric"))
    raw = sim.velocity(networks, sim.Learning.of(x_cov, aug_cov))
    np.testing.assert_allclose(v.predictor, (raw.predictor + raw.predictor.T) / 2)
    still = sim.velocity(networks, sim.Learning.of(x_cov, aug_cov, alpha_p=0.0))
    assert (still.predictor == 0).all()


def test_drawn_views_have_their_covariances():
    learning = sim.Learning.of([[1.0, 0.3], [0.3, 0.5]], [[0.4, -0.1], [-0.1, 0.2]])
    first, second = sim.draw_views(jax.random.key(0), learning, 200_000)
    np.testing.assert_allclose(first @ second.T / 200_000, learning.x_cov, atol=0.02)
    np.testing.assert_allclose(second @ second.T / 200_000, learning.x_cov + learning.aug_cov, atol=0.02)
    same = sim.draw_views(jax.random.key(0), learning, 10, 1.0)
    np.testing.assert_array_equal(same.first, same.second)


def test_flow_and_descent_of_one_weight_without_predictor():
    networks, learning = scalar(0.7, 1.0, aug_var=0.4, alpha_p=0.0, weight_decay=0.1, predictor_decay=0.0)
    flowed = flow_without_contrast(networks, learning, times=[1.0, 3.0], observe=value)
    np.testing.assert_allclose(flowed, 0.7 * np.exp(-0.5 * np.array([1.0, 3.0])), rtol=1e-10)
    descended = descend_without_contrast(networks, learning, learning_rate=0.1, steps=[0, 7], observe=value)
    np.testing.assert_allclose(descended, [0.7, 0.7 * 0.95**7], rtol=1e-13)


def test_moving_target_relaxes_to_the_online_network():
    networks, learning = scalar(0.6, 0.0, alpha_p=0.0, ema_rate=0.5)
    networks = networks._replace(target=jnp.zeros((1, 1)))
    found = flow_without_contrast(networks, learning, times=[2.0])
    np.testing.assert_allclose(found.target[0, 0, 0], 0.6 * (1 - np.exp(-1.0)), rtol=1e-10)
    np.testing.assert_allclose(found.online[0, 0, 0], 0.6)


def test_passage_times_invert_the_flow_in_both_directions():
    for start, levels in ((0.3, [0.4, 0.6]), (1.3, [1.2, 1.05])):
        networks, learning = scalar(start, start)
        times = passage_times(networks, learning, observe=predictor, levels=levels)
        np.testing.assert_allclose(
            flow_without_contrast(networks, learning, times=times, observe=predictor), levels, rtol=1e-9
        )


def test_passage_that_never_comes_is_an_error():
    networks, learning = scalar(0.5, 0.5)
    with pytest.raises(RuntimeError, match="max_steps"):
        passage_times(networks, learning, observe=predictor, levels=[1.5], max_steps=200)


def test_bisection_finds_a_decay_between_survival_and_collapse():
    networks, learning = scalar(1.2, 1.2)
    edge = largest_surviving_decay(networks, learning, highest=1.0, learning_rate=0.2, steps=2000, halvings=10)
    for factor, alive in ((0.97, True), (1.03, False)):
        rule = sim.isotropic(1, weight_decay=factor * float(edge))
        end = descend_without_contrast(networks, rule, learning_rate=0.2, steps=[5000], observe=value)
        assert (abs(end[0]) > 0.1) == alive


def test_aligned_networks_show_their_modes():
    rng = np.random.default_rng(3)
    u, v = np.linalg.qr(rng.standard_normal((3, 3)))[0], np.linalg.qr(rng.standard_normal((5, 3)))[0]
    networks = sim.aligned_networks(u, v, p=[0.1, -0.2, 0.5], s=[0.4, 0.0, 1.0], target_ratio=0.5)
    found = sim.modes_in(networks, u)
    np.testing.assert_allclose(found, [[0.1, -0.2, 0.5], [0.4, 0.0, 1.0], [0.2, 0.0, 0.5]], atol=1e-14)
    np.testing.assert_allclose(sim.commutator(networks), 0, atol=1e-14)
    assert sim.predictor_along(networks, u[:, 1]) == pytest.approx(-0.2)


def test_predictors_that_are_set_are_roots_of_correlations():
    rng = np.random.default_rng(5)
    online = jnp.asarray(rng.standard_normal((3, 4)))
    f = online @ online.T
    for found in (
        sim.root_predictor(online, sim.isotropic(4, lift=0.0)),
        sim.iterated_predictor(f, 0.0),
    ):
        np.testing.assert_allclose(found @ found, f, atol=1e-10)
    lifted = sim.root_predictor(online, sim.isotropic(4, lift=0.3))
    np.testing.assert_allclose(lifted, sim.iterated_predictor(f, 0.3), atol=1e-10)
    assert np.linalg.eigvalsh(lifted - sim.iterated_predictor(f, 0.0)) == pytest.approx(
        0.3 * np.linalg.eigvalsh(f)[-1] * np.ones(3)
    )


def test_tracked_correlations_forget_at_their_pace():
    outputs = np.stack([np.full((1, 2), 2.0), np.full((1, 2), 3.0)])
    np.testing.assert_allclose(sim.track_correlations(np.ones((1, 1)), outputs, 0.75), [[0.25 * 9 + 0.75 * 1.75]])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sim.Learning.of(np.ones((2, 3)), np.eye(2)), "x_cov must be square"),
        (lambda: sim.Learning.of(np.eye(2), np.eye(3)), "aug_cov must have the shape"),
        (lambda: sim.isotropic(2, predictor="deep"), "predictor must be one of"),
        (lambda: sim.isotropic(2, weight_decay=-0.1), "weight_decay must be nonnegative"),
        (lambda: sim.isotropic(2, ema_rate=0.0), "ema_rate must be positive"),
        (lambda: fitted(online=(1, 3)), "online must have 2"),
        (lambda: fitted(target=(2, 2)), "target must have the shape"),
        (lambda: fitted(predictor=(2, 2)), "predictor must have shape"),
        (lambda: sim.aligned_networks(np.eye(2), np.eye(2), p=[0.1], s=[0.2]), "p and s must"),
        (lambda: descend_without_contrast(*scalar(1.0, 1.0), learning_rate=0.1, steps=[3, 2]), "steps must be"),
        (lambda: descend_without_contrast(*scalar(1.0, 1.0), learning_rate=0.0, steps=[3]), "learning_rate must"),
        (lambda: flow_without_contrast(*scalar(1.0, 1.0), times=[2.0, 1.0]), "times must be increasing"),
        (lambda: passage_times(*scalar(0.5, 0.5), observe=predictor, levels=[0.7, 0.6]), "levels must lead away"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()


def test_flow_that_needs_more_steps_says_so():
    with pytest.raises(RuntimeError, match="max_steps"):
        flow_without_contrast(*scalar(1.0, 1.0, weight_decay=0.1), times=[100.0], max_steps=3)
