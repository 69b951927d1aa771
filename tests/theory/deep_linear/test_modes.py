import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from theory.deep_linear import (
    critical_learning_rate,
    hessian_eigenvalues,
    hyperbolic_time,
    mode_strength,
    mode_time,
    mode_time_infinite_depth,
    pretraining_strength,
    top_hessian_eigenvalue,
    training_steps,
    unbalanced_modes,
)

DEPTHS = (1, 2, 3, 4, 5, 7, 10, 50)
depths = st.sampled_from(DEPTHS)
strengths = st.floats(0.2, 4.0)
fractions = st.floats(1e-6, 0.95)


def quadrature_time(u, s, u0, depth):
    """Time by 30-digit quadrature in the logit, in which the integrand is smooth for every depth."""
    with mpmath.workdps(30):
        u, s, u0 = mpmath.mpf(u), mpmath.mpf(s), mpmath.mpf(u0)
        q = 2 - mpmath.mpf(2) / depth
        v0, v1 = mpmath.log(u0 / (s - u0)), mpmath.log(u / (s - u))
        pieces = max(1, int(abs(v1 - v0) / 3)) + 1
        area = mpmath.quad(lambda v: (1 + mpmath.exp(-v)) ** (q - 1), mpmath.linspace(v0, v1, pieces))
        return area / (depth * s**q)


def flow(depth, s, eigenvalue, u0, t):
    def rate(_, u):
        return depth * u ** (2 - 2 / depth) * (s - eigenvalue * u)

    return solve_ivp(rate, (0, t[-1]), [u0], t_eval=t, method="DOP853", rtol=1e-12, atol=1e-14).y[0]


def speed(u, s, depth):
    return depth * u ** (2 - 2 / depth) * abs(s - u)


def rounding(u, t, s, u0, depth):
    """What rounding t and u0 by a few units in the last place does to u: much, after a long plateau."""
    return 1e-14 * (u + speed(u, s, depth) * (abs(t) + u0 / speed(u0, s, depth)))


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    ("start", "end"), [(0.02, 0.94), (1e-5, 1 - 1e-11), (0.3, 0.3000001), (0.4, 0.1), (0.9, 0.999), (1e-9, 1e-6)]
)
def test_mode_time_is_the_integral_of_the_inverse_speed(depth, start, end):
    s = 1.7
    u0, u = start * s, end * s
    exact = float(quadrature_time(u, s, u0, depth))
    assert float(mode_time(u, s=s, u0=u0, depth=depth)) == pytest.approx(exact, rel=3e-15, abs=0)


@pytest.mark.parametrize("depth", [1, 2, 3, 6, 40])
def test_mode_strength_solves_its_differential_equation(depth):
    t = np.linspace(0, 2.5, 7)
    exact = flow(depth, 1.3, 0.5, 0.3, t)
    assert mode_strength(t, s=1.3, u0=0.3, depth=depth, input_eigenvalue=0.5) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_mode_above_its_fixed_point_falls_to_it(depth):
    t = np.linspace(0, 2, 5)
    assert mode_strength(t, s=1.3, u0=7.0, depth=depth) == pytest.approx(flow(depth, 1.3, 1.0, 7.0, t), rel=1e-10)
    assert mode_time(mode_strength(t, s=1.3, u0=7.0, depth=depth), s=1.3, u0=7.0, depth=depth) == pytest.approx(t)


@given(depth=depths, s=strengths, fraction=fractions, progress=st.floats(1e-3, 0.9999))
def test_time_inverts_strength(depth, s, fraction, progress):
    u0 = fraction * s
    u = u0 + progress * (s - u0)
    t = mode_time(u, s=s, u0=u0, depth=depth)
    assert abs(mode_strength(t, s=s, u0=u0, depth=depth) - u) <= rounding(u, t, s, u0, depth)


@given(depth=depths, s=strengths, fraction=fractions, t1=st.floats(0, 5), t2=st.floats(0, 5))
def test_waiting_twice_is_waiting_for_the_sum(depth, s, fraction, t1, t2):
    u0 = fraction * s
    once, both = mode_strength([t1, t1 + t2], s=s, u0=u0, depth=depth)
    if once < s * (1 - 1e-12):
        twice = mode_strength(t2, s=s, u0=once, depth=depth)
        error = rounding(both, t1 + t2, s, u0, depth) + rounding(both, t2, s, once, depth)
        assert abs(twice - both) <= error


@given(depth=depths, s=strengths, fraction=fractions, t=st.floats(0, 3))
def test_going_back_in_time_undoes_going_forward(depth, s, fraction, t):
    u0 = fraction * s
    later = mode_strength(t, s=s, u0=u0, depth=depth)
    if later < s * (1 - 1e-12):
        back = mode_strength(-t, s=s, u0=later, depth=depth)
        assert abs(back - u0) <= rounding(u0, t, s, later, depth) + 1e-14 * s * (depth == 1)


@given(depth=depths, s=strengths, fraction=fractions, step=st.floats(1e-3, 1))
def test_strength_grows_towards_the_fixed_point(depth, s, fraction, step):
    u = mode_strength(step * np.arange(40), s=s, u0=fraction * s, depth=depth)
    assert np.all(np.diff(u) >= -1e-14 * u[1:])
    assert np.all(u <= s * (1 + 4e-16))


@given(depth=depths, s=strengths, fraction=fractions, t=st.floats(0, 5), c=st.floats(0.1, 10))
def test_time_and_strength_have_units(depth, s, fraction, t, c):
    u0 = fraction * s
    u = mode_strength(t, s=s, u0=u0, depth=depth)
    error = rounding(u, t, s, u0, depth)
    assert abs(mode_strength(c * t, s=s, u0=u0, depth=depth, tau=c) - u) <= error
    assert abs(mode_strength(t * c ** (2 / depth - 2), s=c * s, u0=c * u0, depth=depth) / c - u) <= error


@given(depth=depths, s=strengths, fraction=fractions, t=st.floats(0, 5), eigenvalue=st.floats(0.1, 5))
def test_correlated_inputs_are_a_white_mode_in_other_units(depth, s, fraction, t, eigenvalue):
    u0 = fraction * s
    tau = eigenvalue ** (1 - 2 / depth)
    white = mode_strength(t, s=s, u0=u0, depth=depth, tau=tau)
    correlated = mode_strength(t, s=s, u0=u0 / eigenvalue, depth=depth, input_eigenvalue=eigenvalue)
    assert abs(eigenvalue * correlated - white) <= rounding(white, t / tau, s, u0, depth)


@pytest.mark.parametrize("depth", DEPTHS)
def test_extreme_times_reach_the_fixed_point_without_overflow(depth):
    u = mode_strength([0.0, 1e4, 1e300], s=2.0, u0=0.01, depth=depth, input_eigenvalue=0.5)
    assert u == pytest.approx([0.01, 4.0, 4.0], rel=1e-15)


@pytest.mark.parametrize("depth", [2, 3, 8])
def test_a_tiny_start_keeps_its_digits(depth):
    u0 = 1e-200
    u = mode_strength([0.0, 1.0], s=1.0, u0=u0, depth=depth)
    assert u[0] == pytest.approx(u0, rel=1e-14, abs=0)
    growth = np.exp(2.0) if depth == 2 else 1.0
    assert u[1] == pytest.approx(u0 * growth, rel=1e-14, abs=0)


def test_arguments_broadcast_like_a_ufunc():
    t, s = np.linspace(0, 3, 4)[:, None], np.array([1.0, 2.0, 3.0])
    for depth in (1, 2, 4):
        table = mode_strength(t, s=s, u0=[0.1, 0.2, 0.3], depth=depth, tau=2.0)
        assert table.shape == (4, 3)
        assert table[2, 1] == pytest.approx(mode_strength(2.0, s=2.0, u0=0.2, depth=depth, tau=2.0), rel=1e-14)
        assert mode_time(table[1:], s=s, u0=[0.1, 0.2, 0.3], depth=depth, tau=2.0) == pytest.approx(
            np.broadcast_to(t[1:], (3, 3))
        )
    assert mode_strength([[0.0, 1.0]], s=1.0, u0=0.1, depth=5).shape == (1, 2)
    assert mode_strength([], s=1.0, u0=0.1, depth=5).shape == (0,)
    assert mode_strength(1, s=1, u0=0.5, depth=5).shape == ()


@pytest.mark.parametrize("u0", [0.02, 1.0])
def test_depth_times_time_has_its_limit_at_rate_one_over_depth(u0):
    limit = mode_time_infinite_depth(1.6, s=1.7, u0=u0)
    gaps = np.array([D * mode_time(1.6, s=1.7, u0=u0, depth=D) - limit for D in (10_000, 20_000, 40_000)])
    assert gaps[:-1] / gaps[1:] == pytest.approx(2, rel=0.02)
    assert 2 * gaps[2] - gaps[1] == pytest.approx(0, abs=1e-6 * limit)


@given(s=strengths, a0=st.floats(-3, 3), b0=st.floats(-3, 3), t=st.floats(0, 4))
def test_unbalanced_modes_conserve_and_compose(s, a0, b0, t):
    a, b = whole = np.array(unbalanced_modes(t, s=s, a0=a0, b0=b0))
    scale = a * a + b * b + a0 * a0 + b0 * b0
    assert a * a - b * b == pytest.approx(a0 * a0 - b0 * b0, abs=1e-14 * scale)
    a1, b1 = unbalanced_modes(t / 3, s=s, a0=a0, b0=b0)
    # next to the saddle's stable manifold, a + b = 0, the rounding of the half-way point grows as e^(st)
    assert np.array(unbalanced_modes(2 * t / 3, s=s, a0=a1, b0=b1)) == pytest.approx(whole, abs=1e-14 * np.exp(t * s))


@given(s=strengths, a0=st.floats(0.01, 3), b0=st.floats(-2, 3), t=st.floats(0, 3), c=st.floats(0.1, 5))
def test_unbalanced_modes_are_covariant(s, a0, b0, t, c):
    reference = np.array(unbalanced_modes(t, s=s, a0=a0, b0=b0))
    rounding = 1e-14 * np.exp(t * s)
    assert np.array(unbalanced_modes(t, s=s, a0=b0, b0=a0))[::-1] == pytest.approx(reference, abs=rounding)
    assert np.array(unbalanced_modes(t, s=s, a0=-a0, b0=-b0)) == pytest.approx(-reference, abs=rounding)
    scaled = unbalanced_modes(t / c, s=c * s, a0=np.sqrt(c) * a0, b0=np.sqrt(c) * b0)
    assert np.array(scaled) == pytest.approx(np.sqrt(c) * reference, abs=10 * rounding)


@pytest.mark.parametrize(("a0", "b0"), [(1.5, 0.2), (0.2, 1.5), (-0.7, 0.2), (1e-3, -2e-3), (2.0, 2.0), (-1.0, -3.0)])
def test_unbalanced_modes_solve_their_equations(a0, b0):
    t = np.linspace(0, 4, 9)

    def rate(_, state):
        a, b = state
        return np.array([b, a]) * (0.8 - a * b) / 1.5

    exact = solve_ivp(rate, (0, 4), [a0, b0], t_eval=t, method="DOP853", rtol=1e-12, atol=1e-15).y
    assert np.array(unbalanced_modes(t, s=0.8, a0=a0, b0=b0, tau=1.5)) == pytest.approx(exact, rel=1e-9, abs=1e-11)


def test_unbalanced_modes_at_the_edges():
    t = np.array([0.0, 1.0, 30.0, 1e6])
    a, b = unbalanced_modes(t, s=1.2, a0=0.1, b0=0.1)
    assert a == pytest.approx(b, abs=1e-16)
    assert a * b == pytest.approx(mode_strength(t, s=1.2, u0=0.01), rel=1e-13)
    a, b = unbalanced_modes(t, s=1.2, a0=0.5, b0=-0.5)
    assert a == pytest.approx(-b, abs=1e-16)
    assert a[-1] == 0
    assert a[1] ** 2 == pytest.approx(1.2 * 0.25 / (1.45 * np.exp(2.4) - 0.25), rel=1e-14)
    # a + b = 1e-200 e^t until it saturates near t = 200 ln 10 = 460.5
    a, b = unbalanced_modes([300.0, 470.0, 1e4], s=1.0, a0=1e-200, b0=0.0)
    p = a + b
    assert p[0] == pytest.approx(np.exp(300 - 200 * np.log(10)), rel=1e-12)
    assert a[1:] * b[1:] == pytest.approx([1.0, 1.0], rel=1e-7)


@given(
    s=strengths,
    c0=st.floats(-3, 3),
    start=st.floats(0.01, 0.8),
    progress=st.floats(0.01, 0.99),
)
def test_hyperbolic_time_agrees_with_the_trajectory(s, c0, start, progress):
    u0 = start * s
    a0 = np.sqrt((c0 + np.hypot(c0, 2 * u0)) / 2)
    b0 = u0 / a0 if c0 > 0 else np.sqrt((-c0 + np.hypot(c0, 2 * u0)) / 2)
    a0 = a0 if c0 > 0 else u0 / b0
    u = u0 + progress * (s - u0)
    t = hyperbolic_time(u, s=s, u0=u0, invariant=c0)
    a, b = unbalanced_modes(t, s=s, a0=a0, b0=b0)
    assert float(a * b) == pytest.approx(u, rel=1e-11)


@pytest.mark.parametrize("c0", [1.3, -0.4, 1e-6])
@pytest.mark.parametrize(("u0", "u"), [(0.05, 0.9), (-0.6, 0.99), (0.3, 0.3001), (-0.7, -0.2), (3.0, 1.2), (0.5, -0.5)])
def test_hyperbolic_time_is_an_integral_and_the_papers_hyperbolic_form(c0, u0, u):
    s = 1.0
    with mpmath.workdps(30):
        points = sorted({mpmath.mpf(u0), mpmath.mpf(u)} | ({mpmath.mpf(0)} if u0 * u < 0 else set()))
        theta = [mpmath.asinh(2 * v / mpmath.mpf(c0)) for v in points]
        # du = sqrt(c0^2 + 4u^2) dtheta / 2 makes the integrand smooth for small c0
        area = mpmath.quad(lambda x: 1 / (s - mpmath.mpf(c0) / 2 * mpmath.sinh(x)) / 2, theta) * mpmath.sign(c0)
        exact = float(area * (1 if u > u0 else -1))
    assert float(hyperbolic_time(u, s=s, u0=u0, invariant=c0)) == pytest.approx(exact, rel=1e-13)
    if c0 > 0 and u < s and u0 < s:
        k = np.hypot(c0, 2 * s)
        lever = [2 * s * np.tanh(np.arcsinh(2 * v / c0) / 2) for v in (u0, u)]
        printed = np.diff([np.log((k + c0 + x) / (k - c0 - x)) for x in lever])[0] / k
        assert printed == pytest.approx(exact, rel=1e-6, abs=1e-9)


def test_hyperbolic_time_without_imbalance_is_the_balanced_time():
    u = np.array([0.01, 0.3, 1.1])
    assert hyperbolic_time(u, s=1.2, u0=0.2, invariant=0.0, tau=3.0) == pytest.approx(
        mode_time(u, s=1.2, u0=0.2, tau=3.0), rel=1e-14
    )


@pytest.mark.parametrize("depth", [2, 3, 6])
@pytest.mark.parametrize("a", [0.0, 0.4, 1.3, -0.8])
def test_hessian_eigenvalues_are_those_of_the_second_derivatives(depth, a):
    s = 0.7
    point = [mpmath.mpf(a)] * depth

    def energy(*layers):
        return (s - mpmath.fprod(layers)) ** 2 / 2

    hessian = np.empty((depth, depth))
    with mpmath.workdps(40):
        for i in range(depth):
            for j in range(depth):
                order = [0] * depth
                order[i] += 1
                order[j] += 1
                hessian[i, j] = float(mpmath.diff(energy, tuple(point), tuple(order)))
    transverse, symmetric = hessian_eigenvalues(a, s=s, depth=depth)
    expected = np.sort([*[transverse] * (depth - 1), symmetric])
    assert np.linalg.eigvalsh(hessian) == pytest.approx(expected, abs=1e-12)


@given(s=strengths, depth=st.integers(2, 60))
def test_curvature_at_the_minimum_sets_the_critical_rate(s, depth):
    transverse, symmetric = hessian_eigenvalues(s ** (1 / depth), s=s, depth=depth)
    assert transverse == pytest.approx(0, abs=1e-12 * s**2)
    assert 2 / symmetric == pytest.approx(critical_learning_rate(s=s, depth=depth), rel=1e-11)
    assert top_hessian_eigenvalue([[0.0, s / 2], [s, 0.0], [0.0, 0.0]], depth=depth) == pytest.approx(symmetric)


def test_critical_rate_of_a_single_layer():
    assert critical_learning_rate(s=17.0, depth=1) == 2.0


def test_training_steps_level_off_with_depth():
    settings = {"s": 1.5, "u0": 1.0, "rate_constant": 0.02}
    limit = training_steps(1.425, depth=np.inf, **settings)
    counts = [float(training_steps(1.425, depth=D, **settings)) for D in (2, 1000, 2000)]
    assert counts[0] == pytest.approx(mode_time(1.425, s=1.5, u0=1.0) / (0.02 / 3.0))
    assert limit == pytest.approx(mode_time_infinite_depth(1.425, s=1.5, u0=1.0) * 1.5**2 / 0.02)
    assert (limit - counts[1]) / (limit - counts[2]) == pytest.approx(2, rel=0.01)
    small = [training_steps(1.4, s=1.5, u0=0.3**D, depth=D, rate_constant=0.02) for D in (2, 4, 8, 16)]
    assert np.all(np.diff(small) > 0)


@given(eigenvalue=st.floats(0.1, 5), u0=st.floats(1e-3, 3))
def test_pretraining_ends_at_one_whatever_the_input(eigenvalue, u0):
    t = np.array([0.0, 0.7, 400.0])
    u = pretraining_strength(t, input_eigenvalue=eigenvalue, u0=u0, tau=2.0)
    assert u[[0, 2]] == pytest.approx([u0, 1.0], rel=1e-12)
    assert u[1] == pytest.approx(1 / (1 + (1 / u0 - 1) * np.exp(-eigenvalue * 0.7)), rel=1e-12)


GOOD = {"s": 1.0, "u0": 0.1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"s": 0.0}, "s must be positive"),
        ({"s": -1.0}, "s must be positive"),
        ({"u0": 0.0}, "u0 must be positive"),
        ({"u0": -0.1}, "u0 must be positive"),
        ({"u0": [0.1, np.nan]}, "u0 must be finite"),
        ({"tau": 0.0}, "tau must be positive"),
        ({"tau": -2.0}, "tau must be positive"),
        ({"input_eigenvalue": 0.0}, "input_eigenvalue must be positive"),
        ({"depth": 0}, "depth must be at least 1"),
        ({"depth": 3, "u0": 1.0}, "u0 must be below the strength 1"),
        ({"depth": 3, "u0": 0.6, "input_eigenvalue": 2.0}, "u0 must be below the strength 0.5"),
        ({"t": [0.0, np.inf]}, "t must be finite"),
        ({"t": np.zeros(3), "s": np.ones(2)}, r"shapes that broadcast together; got t \(3,\), s \(2,\)"),
        ({"t": -1.0, "u0": 3.0}, "t must be later"),
        ({"t": -1e5, "u0": 0.5, "depth": 1}, "t must not be so far back"),
        ({"depth": 1, "u0": -0.5}, "u0 must be nonnegative"),
    ],
)
def test_mode_strength_refuses_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        mode_strength(**{"t": 1.0, **GOOD, **arguments})


@pytest.mark.parametrize("arguments", [{"depth": 2.0}, {"depth": True}, {"s": "one"}, {"t": [1j]}])
def test_mode_strength_refuses_wrong_types(arguments):
    with pytest.raises(TypeError, match=f"{next(iter(arguments))} must be"):
        mode_strength(**{"t": 1.0, **GOOD, **arguments})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mode_time(1.0, s=1.0, u0=0.1), "u must be on the same side of s = 1"),
        (lambda: mode_time(0.5, s=1.0, u0=2.0), "u must be on the same side"),
        (lambda: mode_time(1.0, s=1.0, u0=0.1, depth=3), "u must be below the strength 1"),
        (lambda: mode_time(0.5, s=1.0, u0=1.0, depth=3), "u0 must be below the strength 1"),
        (lambda: mode_time(0.0, s=1.0, u0=0.1), "u must be positive"),
        (lambda: mode_time(0.5, s=1.0, u0=0.1, tau=-1), "tau must be positive"),
        (lambda: mode_time(0.5, s=1.0, u0=0.1, depth=0), "depth must be at least 1"),
        (lambda: mode_time_infinite_depth(1.2, s=1.0, u0=0.1), "u must be below"),
        (lambda: mode_time_infinite_depth(0.5, s=-1.0, u0=0.1), "s must be positive"),
        (lambda: unbalanced_modes(-1.0, s=1.0, a0=1, b0=1), "t must be nonnegative"),
        (lambda: unbalanced_modes(1.0, s=0.0, a0=1, b0=1), "s must be positive"),
        (lambda: unbalanced_modes(1.0, s=1.0, a0=np.nan, b0=1), "a0 must be finite"),
        (lambda: unbalanced_modes(1.0, s=1.0, a0=1, b0=1, tau=0), "tau must be positive"),
        (lambda: hyperbolic_time(0.5, s=1.0, u0=2.0, invariant=1.0), "same side"),
        (lambda: hyperbolic_time(-0.5, s=1.0, u0=0.2, invariant=0.0), "u must be positive where invariant is 0"),
        (lambda: hessian_eigenvalues(1.0, s=1.0, depth=1), "depth must be at least 2"),
        (lambda: hessian_eigenvalues(1.0, s=-1.0, depth=2), "s must be positive"),
        (lambda: critical_learning_rate(s=0.0, depth=2), "s must be positive"),
        (lambda: critical_learning_rate(s=1.0, depth=0), "depth must be at least 1"),
        (lambda: top_hessian_eigenvalue(np.zeros((2, 2)), depth=2), "sigma_yx must have a nonzero entry"),
        (lambda: top_hessian_eigenvalue([1.0, 2.0], depth=2), "sigma_yx must have 2 dimension"),
        (lambda: training_steps(0.5, s=1.0, u0=0.1, depth=1, rate_constant=0.1), "depth must be at least 2"),
        (lambda: training_steps(0.5, s=1.0, u0=0.1, depth=2, rate_constant=0.0), "rate_constant must be positive"),
        (lambda: training_steps(1.5, s=1.0, u0=0.1, depth=2, rate_constant=0.1), "u must be below"),
        (lambda: pretraining_strength(1.0, input_eigenvalue=0.0, u0=0.1), "input_eigenvalue must be positive"),
    ],
)
def test_the_other_solvers_refuse_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
