import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.generalization import (
    comp_sum_loss,
    conditional_risk,
    h_consistency_bound,
    h_consistency_transform,
    h_consistency_upper,
    minimal_risk,
)

members = st.one_of(st.floats(0, 3), st.sampled_from([0.0, 1.0, 1 - 1e-12, 1 + 1e-9, 2 - 1e-9, 2.0]))
regrets = st.floats(0, 1)
class_numbers = st.integers(2, 12)
weights = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1)), min_size=2, max_size=8).filter(lambda w: sum(w) > 0)


def exact_transform(beta, tau, c):
    with mpmath.workdps(60):
        b, t = mpmath.mpf(beta), mpmath.mpf(tau)
        if t >= 2:
            return b / ((t - 1) * mpmath.mpf(c) ** (t - 1))
        if t == 1:
            return ((1 + b) * mpmath.log(1 + b) + ((1 - b) * mpmath.log(1 - b) if b < 1 else 0)) / 2
        e = 1 / (2 - t)
        mean = ((1 + b) ** e + (1 - b) ** e) / 2
        if t < 1:
            return 2 ** (1 - t) / (1 - t) * (1 - mean ** (2 - t))
        return (mean ** (2 - t) - 1) / ((t - 1) * mpmath.mpf(c) ** (t - 1))


def exact_minimal_risk(p, tau):
    with mpmath.workdps(60):
        p, t = [mpmath.mpf(float(x)) for x in p], mpmath.mpf(tau)
        p = [x / sum(p) for x in p]
        if t >= 2:
            return sum(sorted(p)[:-1]) / (t - 1)
        if t == 1:
            return -sum(x * mpmath.log(x) for x in p if x > 0)
        return (sum(x ** (1 / (2 - t)) for x in p if x > 0) ** (2 - t) - 1) / (1 - t)


TAUS = [0.0, 0.3, 0.9, 1 - 1e-6, 1 - 1e-12, 1.0, 1 + 1e-12, 1 + 1e-6, 1.5, 1.9, 1.999, 2 - 1e-6, 2.0, 2.5, 3.0]


@pytest.mark.parametrize("tau", TAUS)
def test_transform_and_its_inverse_in_high_precision(tau):
    betas = np.array([1e-12, 1e-6, 1e-3, 0.05, 0.2, 0.45, 0.5, 0.9, 0.99, 1 - 1e-9, 1.0])
    found = h_consistency_transform(betas, tau=tau, num_classes=5)
    exact = [float(exact_transform(b, tau, 5)) for b in betas]
    np.testing.assert_allclose(found, exact, rtol=3e-15)
    np.testing.assert_allclose(h_consistency_bound(found, tau=tau, num_classes=5), betas, rtol=3e-15)


@pytest.mark.parametrize("tau", TAUS)
def test_minimal_risk_in_high_precision(tau):
    laws = [[0.5, 0.3, 0.2], [1 - 2**-50, 2**-50, 0], [0.25, 0.25, 0.5], [0.5, 0.5, 0], [1e-9, 1 - 2e-9, 1e-9]]
    for p in laws:
        assert minimal_risk(p, tau=tau) == pytest.approx(float(exact_minimal_risk(p, tau)), rel=1e-14, abs=1e-300)
    assert minimal_risk([1.0, 0.0], tau=tau) == 0


@settings(max_examples=100, deadline=None)
@given(p=weights, tau=members, seed=st.integers(0, 2**32 - 1))
def test_no_softmax_beats_the_minimal_risk_nor_the_bound(p, tau, seed):
    rng = np.random.default_rng(seed)
    p = np.array(p) / np.sum(p)
    s = rng.dirichlet(np.full(p.size, rng.choice([0.3, 1.0, 10.0])), 20) + 1e-12
    s /= s.sum(axis=1, keepdims=True)
    regret = conditional_risk(p, s, tau=tau) - minimal_risk(p, tau=tau)
    beta = p.max() - p[s.argmax(axis=1)]
    assert (regret >= h_consistency_transform(beta, tau=tau, num_classes=p.size) - 1e-12 * (1 + regret)).all()
    assert (beta <= h_consistency_bound(np.maximum(regret, 0) + 1e-12, tau=tau, num_classes=p.size) + 1e-6).all()


@settings(max_examples=200, deadline=None)
@given(p=weights, tau=st.floats(0, 1.95))
def test_the_minimiser_has_powers_of_the_probabilities(p, tau):
    p = np.array(p) / np.sum(p)
    s = p ** (1 / (2 - tau))
    s /= s.sum()
    assert conditional_risk(p, s, tau=tau) == pytest.approx(minimal_risk(p, tau=tau), rel=1e-9, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(tau=members, c=class_numbers, low=regrets, high=regrets)
def test_transform_is_convex_increasing_and_below_the_closed_form(tau, c, low, high):
    low, high = sorted((low, high))
    ends = h_consistency_transform([low, high], tau=tau, num_classes=c)
    middle = h_consistency_transform((low + high) / 2, tau=tau, num_classes=c)
    assert 0 <= ends[0] <= middle * (1 + 1e-12) <= ends[1] * (1 + 1e-11)
    assert middle <= ends.mean() * (1 + 1e-12)
    assert h_consistency_upper(ends, tau=tau, num_classes=c) == pytest.approx(
        np.maximum(h_consistency_upper(ends, tau=tau, num_classes=c), [low, high]), rel=1e-12
    )


def test_loss_near_its_largest_value_rises_to_the_last_digit():
    values = comp_sum_loss(np.stack([np.zeros(200), np.arange(200.0)], axis=1), 0, tau=2.5)
    assert np.all(np.diff(values) >= 0)
    assert values[-1] == 1 / 1.5


@settings(max_examples=100, deadline=None)
@given(
    scores=st.lists(st.floats(-30, 30), min_size=2, max_size=6),
    tau=members,
    shift=st.floats(-5, 5),
    data=st.data(),
)
def test_loss_ignores_a_common_shift_and_rises_when_the_label_falls(scores, tau, shift, data):
    h, y = np.array(scores), data.draw(st.integers(0, len(scores) - 1))
    value = comp_sum_loss(h, y, tau=tau)
    assert value >= 0
    assert comp_sum_loss(h + shift, y, tau=tau) == pytest.approx(value, rel=1e-11)
    h[y] -= 1
    assert comp_sum_loss(h, y, tau=tau) >= value


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("gap", [-40.0, -1.0, 0.0, 1e-8, 3.0, 30.0])
def test_loss_in_high_precision(tau, gap):
    with mpmath.workdps(60):
        u, t = 2 * mpmath.exp(mpmath.mpf(gap)), mpmath.mpf(tau)
        exact = mpmath.log1p(u) if t == 1 else ((1 + u) ** (1 - t) - 1) / (1 - t)
    assert comp_sum_loss([0.0, gap, gap], 0, tau=tau) == pytest.approx(float(exact), rel=2e-14)


def test_known_members_limits_and_shapes():
    s = np.exp([0.0, 1.0, -2.0])
    s /= s.sum()
    expected = {0.0: 1 / s - 1, 1.0: -np.log(s), 1.5: (1 - s**0.5) / 0.5, 2.0: 1 - s}
    for tau, losses in expected.items():
        np.testing.assert_allclose(comp_sum_loss([0.0, 1.0, -2.0], [0, 1, 2], tau=tau), losses, rtol=1e-14)
    assert h_consistency_transform(0.6, tau=0.0, num_classes=7) == pytest.approx(0.2, rel=1e-15)
    assert h_consistency_transform(1.0, tau=1.0, num_classes=7) == pytest.approx(np.log(2), rel=1e-15)
    assert h_consistency_transform([[0.1], [0.2]], tau=[0.0, 1.0, 2.5], num_classes=3).shape == (2, 3)
    assert h_consistency_bound([0.0, 1e-300, 5.0], tau=0.5, num_classes=3)[[0, 2]].tolist() == [0.0, 1.0]
    assert h_consistency_upper(0.25, tau=3.0, num_classes=2) == 2.0
    assert conditional_risk([0.5, 0.5], [1.0, 0.0], tau=1.0) == np.inf
    assert conditional_risk([0.5, 0.5], [1.0, 0.0], tau=1.5) == 1.0
    assert conditional_risk([1.0, 0.0], [1.0, 0.0], tau=0.0) == 0.0
    assert minimal_risk(np.full((4, 3, 5), 0.2), tau=[0.0, 1.0, 1.5]).shape == (4, 3)
    assert comp_sum_loss(np.zeros((3, 4)), 0, tau=2.0).tolist() == [0.75] * 3


def test_two_classes_that_tie_attain_the_bound():
    for tau in (0.0, 0.4, 1.0, 1.6):
        p = [0.65, 0.35]
        regret = conditional_risk(p, [0.5, 0.5], tau=tau) - minimal_risk(p, tau=tau)
        assert regret == pytest.approx(h_consistency_transform(0.3, tau=tau, num_classes=2), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: comp_sum_loss([1.0], 0, tau=1.0), "scores"),
        (lambda: comp_sum_loss([1.0, np.nan], 0, tau=1.0), "scores"),
        (lambda: comp_sum_loss([1.0, 2.0], 2, tau=1.0), "label"),
        (lambda: comp_sum_loss([1.0, 2.0], -1, tau=1.0), "label"),
        (lambda: comp_sum_loss([1.0, 2.0], 0, tau=-0.1), "tau"),
        (lambda: conditional_risk([0.5, 0.6], [0.5, 0.5], tau=1.0), "p must sum to 1"),
        (lambda: conditional_risk([0.5, 0.5], [1.2, -0.2], tau=1.0), "s must be nonnegative"),
        (lambda: conditional_risk([0.5, 0.5], [0.5, 0.25, 0.25], tau=1.0), "s must have the classes"),
        (lambda: minimal_risk([1.0], tau=1.0), "p must have at least 2"),
        (lambda: minimal_risk([0.5, 0.5], tau=np.inf), "tau"),
        (lambda: h_consistency_transform(1.1, tau=1.0, num_classes=2), "beta"),
        (lambda: h_consistency_transform(0.5, tau=1.0, num_classes=1), "num_classes"),
        (lambda: h_consistency_bound(-1.0, tau=1.0, num_classes=2), "t must be nonnegative"),
        (lambda: h_consistency_upper(-1.0, tau=1.0, num_classes=2), "t must be nonnegative"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()


def test_classes_are_whole_numbers():
    with pytest.raises(TypeError, match="num_classes"):
        h_consistency_bound(0.1, tau=1.0, num_classes=2.0)
