"""Bounds by information: finite learners, Gaussian learning, contraction, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import ncx2

from theory import generalization as gen

shapes = st.tuples(st.integers(2, 4), st.integers(2, 3), st.integers(1, 3), st.integers(0, 10**6))


@given(shapes, st.floats(0.1, 8))
def test_gap_of_a_gibbs_learner_is_its_information(shape, gamma):
    many, kinds, n, seed = shape
    rng = np.random.default_rng(seed)
    found = gen.gibbs_generalization(
        rng.uniform(size=(many, kinds)), rng.dirichlet(np.ones(kinds)), n=n, inverse_temperature=gamma
    )
    both = found.mutual_information + found.lautum_information
    assert found.gap == pytest.approx(both / gamma, rel=1e-9, abs=1e-13)
    assert 0 <= found.gap <= gen.mutual_information_bound(found.mutual_information, n) + 1e-12
    assert found.gap <= gamma / (2 * n) + 1e-12
    assert found.joint.sum() == pytest.approx(1)


@given(st.integers(0, 10**6))
def test_divergence_never_rises_from_layer_to_layer(seed):
    rng = np.random.default_rng(seed)
    joint = rng.dirichlet(np.ones(2 * 3 * 3 * 2)).reshape(2, 3, 3, 2)
    data, weights = joint.sum(axis=(0, 1)), joint.sum(axis=(2, 3))
    maps = [rng.integers(0, 3, (2, 3)), rng.integers(0, 2, (3, 3))]  # of three symbols not all need occur
    found = gen.layerwise_kl(joint, weights[:, :, None, None] * data, maps)
    assert found.shape == (3,)
    assert np.all(np.diff(found) <= 1e-12)
    assert np.all(found >= 0)


@given(st.integers(2, 10**6), st.integers(1, 40), st.floats(0.1, 5), st.floats(0, 3))
def test_gap_of_a_mean_lies_below_both_bounds(n, d, sigma, noise):
    gap = gen.gaussian_location_gap(n, d, sigma=sigma)
    quadratic, exact = (
        gen.gaussian_location_bound(n, d, sigma=sigma, noise_std=noise, form=form) for form in ("quadratic", "cgf")
    )
    assert gap <= exact * (1 + 1e-9) <= quadratic * (1 + 2e-9)
    information = gen.gaussian_location_information(n, d, sigma=sigma, noise_std=noise)
    assert n * information.individual <= information.full * (1 + 1e-9)


def test_a_mean_without_noise_keeps_everything():
    found = gen.gaussian_location_information(5, 2, sigma=1.3)
    assert found.full == np.inf
    assert found.individual == pytest.approx(math.log(5 / 4))
    assert gen.gaussian_location_gap(5, 2, sigma=1.3) == pytest.approx(1.352)
    assert gen.gaussian_location_bound(5, 2, sigma=1.3) == pytest.approx(2.7096, abs=1e-4)
    assert gen.gaussian_location_bound(5, 2, sigma=1.3, form="cgf") == pytest.approx(2.1429, abs=1e-4)


@given(st.integers(0, 10**6))
def test_linear_layers_bound_no_less_than_the_last(seed):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((4, 6)), rng.standard_normal((2, 4)), rng.standard_normal((1, 2))]
    plain = gen.wasserstein_layer_bounds(weights, 50, sigma=0.7)
    clipped = gen.wasserstein_layer_bounds(weights, 50, sigma=0.7, clip=True)
    assert plain.shape == clipped.shape == (4,)
    assert np.all(np.diff(plain) <= 1e-12)  # products of operator norms only exceed what they bound
    assert np.all(clipped >= plain * (1 - 1e-12))


@given(st.integers(2, 10**6), st.integers(1, 30))
def test_layer_divergence_falls_with_samples_and_rank(n, rank):
    assert gen.gaussian_layer_kl(n, rank) == pytest.approx(rank * gen.gaussian_layer_kl(n, 1), rel=1e-12)
    assert gen.gaussian_layer_kl(n + 1, rank) < gen.gaussian_layer_kl(n, rank)


@given(st.floats(0.01, 0.99), st.integers(1, 40), st.integers(1, 40))
def test_noise_contracts_more_the_more_of_it_there_is(rate, width, other):
    for contraction in (
        lambda r: gen.dropout_contraction(r, width),
        lambda r: gen.dropconnect_contraction(r, width, other),
    ):
        assert 0 <= contraction(min(rate + 0.005, 1.0)) <= contraction(rate) <= 1
    assert gen.dropout_contraction(rate, width) == pytest.approx(1 - rate**width, rel=1e-12)
    assert 0 <= gen.gaussian_noise_contraction(1.0, rate + 1) <= gen.gaussian_noise_contraction(1.0, rate) <= 1


def test_errors_of_class_means():
    one = gen.class_mean_errors(20, 5, mean_norm=1.5, sigma=1.0)
    many = gen.class_mean_errors(2000, 5, mean_norm=1.5, sigma=1.0)
    assert one.gap == pytest.approx(one.population - one.training, abs=1e-12)
    assert one.gap > many.gap > 0
    assert one.gap / many.gap == pytest.approx(100, rel=0.2)


@pytest.mark.parametrize(("n", "delta"), [(2, 0.0), (4, 0.7), (50, 0.3), (9, 3.0)])
def test_errors_of_class_means_on_a_line(n, delta):
    right = ndtr(delta * math.sqrt(n))  # the mean has the right sign
    fresh = ndtr(-delta) * right + ndtr(delta) * (1 - right)
    found = gen.class_mean_errors(n, 1, mean_norm=2 * delta, sigma=2.0)
    assert found.population == pytest.approx(fresh, rel=1e-11)
    # a training point lies on the wrong side of 0 as M sees it: M times it is negative
    spread = math.sqrt(1 - 1 / n)

    def density(m):
        return math.exp(-n * (m - delta) ** 2 / 2) * math.sqrt(n / (2 * math.pi)) * ndtr(-abs(m) / spread)

    seen = sum(quad(density, *ends, epsabs=1e-14, epsrel=1e-12)[0] for ends in ((-math.inf, 0), (0, math.inf)))
    assert found.training == pytest.approx(seen, rel=1e-9)


@pytest.mark.parametrize(
    ("n", "d", "mean", "sigma", "errors"),
    [(5, 4, 1.0, 1.0, (0.229371, 0.094410)), (30, 3, 0.5, 0.8, (0.284064, 0.248485))],
)
def test_errors_of_class_means_by_another_integral(n, d, mean, sigma, errors):
    # over |M| and its angle to the mean, by the non-central chi-square law of both
    found = gen.class_mean_errors(n, d, mean_norm=mean, sigma=sigma)

    def over_radius(values):
        delta = mean / sigma
        return quad(
            lambda z: values(z / math.sqrt(n)) * 2 * z * ncx2.pdf(z * z, d, n * delta**2), 0, math.inf, epsrel=1e-11
        )[0]

    training = over_radius(lambda m: ndtr(-m / math.sqrt(1 - 1 / n)))
    assert found.training == pytest.approx(training, rel=1e-9)
    assert (found.population, found.training) == pytest.approx(errors, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gen.mutual_information_bound(-1, 5), "information must be nonnegative"),
        (lambda: gen.individual_sample_bound([]), "information must hold at least one"),
        (
            lambda: gen.gibbs_generalization([[0.0, 1.0]], [1.0], n=1, inverse_temperature=1.0),
            "p_z must have one weight",
        ),
        (lambda: gen.gibbs_generalization([[0.0] * 9], [1 / 9] * 9, n=40, inverse_temperature=1.0), "multisets"),
        (lambda: gen.layerwise_kl(np.ones((1, 1, 1)), np.ones((1, 1, 1)), []), "joint must have 0 axes"),
        (lambda: gen.layerwise_kl(np.ones((2, 1, 1)), np.ones((2, 1, 1)), [[[0], [0]]]), "joint must sum to 1"),
        (lambda: gen.gaussian_location_bound(5, 2, sigma=1.0, form="other"), "form must be"),
        (lambda: gen.gaussian_location_gap(5, 2, sigma=-1.0), "sigma must be"),
        (lambda: gen.dropout_contraction(1.5, 3), "rate must be in"),
        (lambda: gen.gaussian_noise_contraction(1.0, 0.0), "noise_std must be positive"),
        (lambda: gen.class_mean_errors(0, 2, mean_norm=1.0, sigma=1.0), "n must be at least"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
