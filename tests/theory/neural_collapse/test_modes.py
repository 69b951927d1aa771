import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from theory.neural_collapse import (
    Phase,
    collapse_threshold,
    critical_class_size,
    fold_threshold,
    mode_singular_value,
    phase_diagram,
)

depths = st.integers(1, 12)


def scalar_problem(z, s, n, decays, weight=1.0):
    factors = len(decays)
    price = np.exp(np.mean(np.log(decays)))
    return weight * (z - s) ** 2 / (2 * n) + factors / 2 * price * z ** (2 / factors)


def decays_at(b, depth, s, n):
    """Equal decays of depth + 1 factors that put a mode of target s at the relative decay b."""
    return [(b * s**2 / depth) ** (depth / (depth + 1)) / n] * (depth + 1)


def test_thresholds_have_their_known_values():
    # b_c and b_f of the paper's scalar problem, from a direct scan of its minima (see the claim sheet of the wing).
    np.testing.assert_allclose(collapse_threshold([1, 2, 3, 4]), [1, 0.5, 0.529134, 0.569877], atol=5e-7)
    np.testing.assert_allclose(fold_threshold([1, 2, 3, 4]), [1, 0.649519, 0.839947, 1.065206], atol=5e-7)
    assert isinstance(collapse_threshold(3), float)


def test_critical_class_sizes_found_by_bisection():
    # Bisected on a dense minimisation of the objective at the time the formula was derived.
    assert critical_class_size(num_samples=40, weight_decays=[0.006] * 2, feature_decay=0.009) == pytest.approx(0.576)
    deep = critical_class_size(num_samples=60, weight_decays=[0.004] * 3, feature_decay=0.003)
    assert deep == pytest.approx(0.7682890, abs=5e-8)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("share", [1e-6, 0.1, 0.7, 0.999])
def test_mode_is_the_global_minimum_of_its_scalar_problem(depth, share):
    s, n = 2.3, 17
    spread = np.linspace(0.8, 1.25, depth + 1)
    decays = np.array(decays_at(share * collapse_threshold(depth), depth, s, n)) * spread
    decays /= np.exp(np.mean(np.log(spread)))
    got = mode_singular_value(s, num_samples=n, decays=decays)
    grid = np.linspace(0, s, 20001)
    best = grid[np.argmin(scalar_problem(grid, s, n, decays))]
    refined = minimize_scalar(
        scalar_problem, bounds=(best - 2e-4, min(s, best + 2e-4)), args=(s, n, decays), options={"xatol": 1e-13}
    )
    assert got == pytest.approx(refined.x, abs=1e-7 * s)
    assert scalar_problem(got, s, n, decays) <= refined.fun * (1 + 1e-14)


@pytest.mark.parametrize("depth", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("share", [1e-12, 1e-3, 0.5, 0.99, 0.999999])
def test_mode_to_full_precision(depth, share):
    with mpmath.workdps(40):
        s, n = mpmath.mpf("1.25"), 8
        lam = mpmath.mpf(decays_at(share * collapse_threshold(depth), depth, 1.25, 8)[0])
        p = mpmath.mpf(depth - 1) / (depth + 1)
        tilt = n * lam * s ** (-mpmath.mpf(2 * depth) / (depth + 1))
        top = 1 - tilt
        t = mpmath.findroot(lambda t: p * mpmath.log(t) + mpmath.log(1 - t) - mpmath.log(tilt), (top, top * 0.999999))
        exact = float(s * t)
        assert t > mpmath.mpf(depth - 1) / depth
    got = mode_singular_value(1.25, num_samples=8, decays=[float(lam)] * (depth + 1))
    # A root t is as well conditioned as |dt/t| / |d tilt / tilt| = (1-t) / (p - (1+p) t) allows.
    gap = float(1 - t)
    condition = gap / abs(float(p) - (1 + float(p)) * float(t))
    assert got == pytest.approx(exact, rel=1e-14 * (1 + condition / max(float(t), 1e-6)))


@given(depth=depths, share=st.floats(0.01, 3.0), s=st.floats(0.1, 20), n=st.integers(1, 1000))
def test_modes_live_exactly_below_the_threshold(depth, share, s, n):
    b = share * collapse_threshold(depth)
    sigma = mode_singular_value(s, num_samples=n, decays=decays_at(b, depth, s, n))
    if abs(share - 1) > 1e-9:
        assert (sigma > 0) == (share < 1)
        assert sigma == 0 or sigma / s > (depth - 1) / depth


@given(depth=st.integers(2, 12), s=st.floats(0.1, 20))
def test_the_jump_at_the_threshold(depth, s):
    just_below = decays_at(collapse_threshold(depth) * (1 - 1e-10), depth, s, 10)
    assert mode_singular_value(s, num_samples=10, decays=just_below) == pytest.approx(s * (depth - 1) / depth, rel=1e-8)


@given(depth=depths, share=st.floats(0.01, 0.99), c=st.floats(0.1, 10), weight=st.floats(0.1, 10))
def test_mode_scales_with_its_problem(depth, share, c, weight):
    decays = np.array(decays_at(share * collapse_threshold(depth), depth, 1.5, 10))
    base = mode_singular_value(1.5, num_samples=10, decays=decays)
    scaled = mode_singular_value(1.5 * c, num_samples=10, decays=decays * c ** (2 * depth / (depth + 1)))
    assert scaled == pytest.approx(c * base, rel=1e-9)
    weighted = mode_singular_value(1.5, num_samples=10, decays=decays * weight, loss_weight=weight)
    assert weighted == pytest.approx(base, rel=1e-9)


def test_soft_threshold_of_one_layer():
    s = np.array([0.0, 0.5, 1.0, 3.0])
    got = mode_singular_value(s, num_samples=10, decays=[0.01, 0.09])
    np.testing.assert_allclose(got, np.maximum(s - 0.3, 0), rtol=1e-14)
    assert mode_singular_value(0.0, num_samples=1, decays=[1, 1, 1]) == 0


def test_phase_diagram_knows_every_phase():
    b = np.array([0.5, 0.99, 1.01, 1.5])[:, None] * np.array([[1.0, 1.0, 1.0]])
    depth = np.array([1, 2, 3])
    relative = b * collapse_threshold(depth)
    n, size = 12, 4
    decay = (relative * size / depth) ** (depth / (depth + 1)) / n
    diagram = phase_diagram(decay, depth, class_sizes=[size] * 3)
    np.testing.assert_allclose(diagram.relative_decay[..., 0], relative, rtol=1e-12)
    A, B, M, C = Phase.ALONE, Phase.BISTABLE, Phase.METASTABLE, Phase.COLLAPSED
    assert diagram.phase[..., 0].tolist() == [[A, B, B], [A, B, B], [C, M, M], [C, C, M]]
    assert diagram.surviving.tolist() == [[3, 3, 3], [3, 3, 3], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(diagram.loss[2:], 0.5, rtol=1e-14)
    assert "metastable 9" in repr(diagram)


@given(
    decay=st.floats(1e-5, 0.2),
    depth=st.integers(1, 6),
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    bias=st.booleans(),
)
def test_phase_diagram_agrees_with_single_modes(decay, depth, sizes, bias):
    diagram = phase_diagram(decay, depth, class_sizes=sizes, bias=bias)
    for s, t in zip(diagram.target_singular_values, diagram.strength, strict=True):
        assert mode_singular_value(s, num_samples=sum(sizes), decays=[decay] * (depth + 1)) == pytest.approx(s * t)
    on_branch = diagram.stationary_strength > 0
    assert np.all(diagram.stationary_strength[on_branch] > (depth - 1) / (2 * depth))
    finite = np.isfinite(diagram.relative_decay)
    below_fold = diagram.relative_decay[finite] < fold_threshold(depth)
    assert np.array_equal(on_branch[finite], below_fold)
    assert not on_branch[~finite].any()


@pytest.mark.parametrize(
    ("call", "name", "error"),
    [
        (lambda: collapse_threshold(0), "depth", ValueError),
        (lambda: fold_threshold(1.5), "depth", TypeError),
        (lambda: mode_singular_value(-1.0, num_samples=1, decays=[1, 1]), "target", ValueError),
        (lambda: mode_singular_value(1.0, num_samples=0, decays=[1, 1]), "num_samples", ValueError),
        (lambda: mode_singular_value(1.0, num_samples=1, decays=[1]), "decays", ValueError),
        (lambda: mode_singular_value(1.0, num_samples=1, decays=[1, 0]), "decays", ValueError),
        (lambda: mode_singular_value(1.0, num_samples=1, decays=[1, 1], loss_weight=0), "loss_weight", ValueError),
        (lambda: critical_class_size(num_samples=3, weight_decays=[], feature_decay=1), "weight_decays", ValueError),
        (lambda: critical_class_size(num_samples=3, weight_decays=[1], feature_decay=0), "feature_decay", ValueError),
        (lambda: phase_diagram([1.0, 2.0], [1, 2, 3], class_sizes=[1, 1]), "decay", ValueError),
        (lambda: phase_diagram(-1.0, 1, class_sizes=[1, 1]), "decay", ValueError),
        (lambda: phase_diagram(1.0, True, class_sizes=[1, 1]), "depth", TypeError),
        (lambda: phase_diagram(1.0, 1, class_sizes=[1]), "class_sizes", ValueError),
        (lambda: phase_diagram(1.0, 1, class_sizes=[1, 2], bias=1), "bias", TypeError),
    ],
)
def test_bad_input_names_the_argument(call, name, error):
    with pytest.raises(error, match=rf"^{name}\b"):
        call()
