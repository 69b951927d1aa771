import numpy as np
import pytest

from simulations import generalization as sim


def test_losses_of_known_members():
    h = np.array([[0.0, 1.0, -2.0]] * 4)
    s = np.exp(h[0]) / np.exp(h[0]).sum()
    found = sim.loss_by_quadrature(h, [0.0, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(found, [1 / s - 1, -np.log(s), 2 * (1 - np.sqrt(s)), 1 - s], rtol=1e-13)


def test_risk_at_ends_of_the_simplex():
    p, s = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert sim.surrogate_risk(p, s, [1.0, 0.0]).tolist() == [np.inf, 0.0]
    assert sim.surrogate_risk(p, s, [2.0, 3.0]).tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("tau", "least"),
    [
        (0.0, (np.sqrt([0.6, 0.3, 0.1]).sum()) ** 2 - 1),
        (1.0, -(np.array([0.6, 0.3, 0.1]) @ np.log([0.6, 0.3, 0.1]))),
        (1.5, 2 * (1 - np.sqrt(0.46))),
        (2.0, 0.4),
        (3.0, 0.2),
    ],
)
def test_least_risks_that_are_known(tau, least):
    assert sim.least_risk([[0.3, 0.6, 0.1]], [tau])[0] == pytest.approx(least, rel=1e-13)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 1.5, 2.0])
def test_classes_that_hardly_ever_happen_cost_next_to_nothing(tau):
    for rare in (1e-40, 1e-200, 1e-310):
        least = sim.least_risk([[0.6, 0.4, 0.0], [0.6, 0.4, rare]], [tau, tau])
        assert least[1] == pytest.approx(least[0], rel=1e-13)


def test_a_floor_holds_and_costs():
    p = np.array([[0.9, 0.1]])
    assert sim.least_risk(p, [1.0], floor=0.2)[0] == pytest.approx(-0.9 * np.log(0.8) - 0.1 * np.log(0.2), rel=1e-13)
    assert sim.least_risk(p, [1.0], floor=0.5)[0] == pytest.approx(np.log(2), rel=1e-13)


def test_random_softmaxes_have_no_smaller_risk():
    rng = np.random.default_rng(5)
    p, s = rng.dirichlet(np.full(6, 0.5), 20), rng.dirichlet(np.ones(6), 1000)
    for tau in (0.0, 0.7, 1.0, 1.5, 2.0, 2.5):
        least = np.repeat(sim.least_risk(p, np.full(20, tau)), 50)
        assert (sim.surrogate_risk(np.repeat(p, 50, axis=0), s, np.full(1000, tau)) >= least - 1e-13).all()


def test_ties_are_broken_against_the_likeliest():
    p = np.array([[0.5, 0.3, 0.2]] * 3)
    s = np.array([[0.4, 0.4, 0.2], [0.5, 0.3, 0.2], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(sim.error_regret(p, s), [0.2, 0.0, 0.3])


@pytest.mark.parametrize("ties", sim.TIES)
def test_tied_instances_have_the_regret_of_errors_they_promise(ties):
    for c in (2, 3, 7):
        for beta in (0.0, 0.3 / (c - 1), 1 / (c - 1)):
            p, s = sim.tied_instance(beta, num_classes=c, ties=ties)
            assert p.sum() == pytest.approx(1)
            assert p.min() >= -1e-16
            assert s.sum() == pytest.approx(1)
            assert sim.error_regret(np.abs(p)[None], s[None])[0] == pytest.approx(beta, abs=1e-15)


def test_the_search_finds_what_is_known_for_two_classes():
    # sum of exponentials: 1 - sqrt(1 - beta^2)
    found = sim.least_regret(np.random.default_rng(1), 0.6, 0.0, num_classes=2, chains=3, n_steps=200)
    assert found == pytest.approx(0.2, rel=1e-6)
    assert found >= 0.2 - 1e-13


def test_largest_error_regrets_that_are_known():
    assert sim.largest_error_regret(0.2, 0.0, num_classes=4, ties="two") == pytest.approx(0.6, rel=1e-12)
    assert sim.largest_error_regret(0.02, 2.0, num_classes=5, ties="all") == pytest.approx(0.1, rel=1e-12)
    assert sim.largest_error_regret(9.0, 1.0, num_classes=3, ties="two") == 1.0
    assert sim.largest_error_regret(0.01, 3.0, num_classes=2, ties="two") == 0.0


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sim.loss_by_quadrature([[0.0, 1.0]], [1.0, 2.0]), "tau"),
        (lambda: sim.surrogate_risk([[0.5, 0.5]], [[0.5, 0.25, 0.25]], [1.0]), "shapes"),
        (lambda: sim.surrogate_risk([[0.5, 0.6]], [[0.5, 0.5]], [1.0]), "p must sum to 1"),
        (lambda: sim.surrogate_risk([[1.0]], [[1.0]], [1.0]), "2 to 64 classes"),
        (lambda: sim.least_risk([[0.5, 0.5]], [-1.0]), "tau"),
        (lambda: sim.least_risk([[0.5, 0.5]], [1.0], floor=0.6), "floor"),
        (lambda: sim.least_regret(np.random.default_rng(0), 1.0, 1.0, num_classes=2, chains=1, n_steps=1), "beta"),
        (lambda: sim.least_regret(np.random.default_rng(0), 0.5, 1.0, num_classes=1, chains=1, n_steps=1), "classes"),
        (lambda: sim.tied_instance(0.6, num_classes=3, ties="all"), "beta"),
        (lambda: sim.tied_instance(0.1, num_classes=3, ties="three"), "ties"),
        (lambda: sim.largest_error_regret(-0.1, 1.0, num_classes=3, ties="two"), "t must be"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
