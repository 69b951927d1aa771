import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad_vec, solve_ivp

from theory.deep_linear import mode_strength
from theory.deep_linear.matrix import end_to_end_flow, end_to_end_velocity, two_layer_flow

seeds = st.integers(0, 2**32 - 1)
SHAPES = [  # (N_i, N_h, N_o, imbalance)
    (5, 4, 3, 0.0),
    (3, 3, 3, 0.0),
    (3, 5, 6, 0.0),
    (6, 2, 4, 0.0),
    (4, 3, 5, 0.8),
    (2, 3, 3, 0.5),
    (5, 3, 4, -0.6),
]


def orthogonal(rng, rows, columns):
    """Matrix with orthonormal columns (rows when there are fewer of them)."""
    q, _ = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    return q if rows >= columns else q.T


def layers(rng, n_in, hidden, n_out, imbalance=0.0, scale=0.5):
    """Random weights with W2^T W2 - W1 W1^T = imbalance * I, not aligned with anything."""
    if imbalance < 0:
        w1, w2 = layers(rng, n_out, hidden, n_in, -imbalance, scale)
        return w2.T, w1.T
    rank = min(n_in, hidden, n_out)
    a = rng.uniform(0.2, 1, rank) * scale
    h = np.linalg.qr(rng.normal(size=(hidden, hidden)))[0]
    w1 = h[:, :rank] * a @ orthogonal(rng, n_in, rank).T
    if imbalance == 0:
        return w1, orthogonal(rng, n_out, rank) * a @ h[:, :rank].T
    strengths = np.sqrt(imbalance + np.concatenate([a**2, np.zeros(hidden - rank)]))
    return w1, orthogonal(rng, n_out, hidden) * strengths @ h.T


def integrate(w1, w2, sigma, t, tau=1.0):
    """Product and Gram matrices from the flow of both layers."""
    hidden, n_in = w1.shape
    cut = hidden * n_in

    def rate(_, flat):
        a, b = flat[:cut].reshape(hidden, n_in), flat[cut:].reshape(-1, hidden)
        error = sigma - b @ a
        return np.concatenate([(b.T @ error).ravel(), (error @ a.T).ravel()]) / tau

    start = np.concatenate([w1.ravel(), w2.ravel()])
    y = solve_ivp(rate, (0, t[-1]), start, t_eval=t, method="DOP853", rtol=1e-12, atol=1e-14).y.T
    stacks = [np.vstack([v[:cut].reshape(hidden, n_in).T, v[cut:].reshape(-1, hidden)]) for v in y]
    return np.array([q[n_in:] @ q[:n_in].T for q in stacks]), np.array([q @ q.T for q in stacks])


def riccati_in_many_digits(w1, w2, sigma, t, imbalance):
    """The printed formula with the integral of the exponential, in enough digits to survive it."""
    n_in, n_out = w1.shape[1], w2.shape[0]
    with mpmath.workdps(int(60 + 2.5 * t * np.linalg.norm(sigma, 2))):
        q = mpmath.matrix(np.vstack([w1.T, w2]).tolist())
        f = np.block([[-imbalance / 2 * np.eye(n_in), sigma.T], [sigma, imbalance / 2 * np.eye(n_out)]])
        rates, v = mpmath.eigsy(mpmath.matrix(f.tolist()))
        t = mpmath.mpf(t)
        integral = [t if abs(w) < mpmath.mpf(10) ** -40 else mpmath.expm1(2 * w * t) / (2 * w) for w in rates]
        start = v.T * q
        inner = mpmath.eye(q.cols) + start.T * mpmath.diag(integral) * start
        end = v * mpmath.diag([mpmath.exp(w * t) for w in rates]) * start
        return np.array((end * inner**-1 * end.T).tolist(), dtype=float)


@pytest.mark.parametrize("shape", SHAPES)
def test_riccati_solves_the_flow_of_both_layers(shape):
    rng = np.random.default_rng(sum(shape[:3]))
    w1, w2 = layers(rng, *shape)
    sigma = rng.normal(size=(shape[2], shape[0]))
    t = np.array([0.0, 0.3, 1.0, 2.5])
    flow = two_layer_flow(w1, w2, sigma, t, tau=1.3, imbalance=shape[3])
    product, gram = integrate(w1, w2, sigma, t, tau=1.3)
    assert flow.product.shape == (4, shape[2], shape[0])
    assert flow.product == pytest.approx(product, abs=1e-10)
    assert flow.gram == pytest.approx(gram, abs=1e-10)


@pytest.mark.parametrize("reach", [0.01, 15, 40, 300])
@pytest.mark.parametrize("case", ["full", "deficient", "bottleneck", "imbalanced"])
def test_riccati_keeps_its_digits_at_late_times(case, reach):
    rng = np.random.default_rng(7)
    hidden, imbalance = (2 if case == "bottleneck" else 3), (0.7 if case == "imbalanced" else 0.0)
    w1, w2 = layers(rng, 4, hidden, 3, imbalance, scale=0.05)
    sigma = rng.normal(size=(3, 4))
    if case == "deficient":
        sigma[2] = sigma[0] - 2 * sigma[1]
    t = reach / np.linalg.norm(sigma, 2)
    gram = two_layer_flow(w1, w2, sigma, t, imbalance=imbalance).gram
    assert gram == pytest.approx(riccati_in_many_digits(w1, w2, sigma, t, imbalance), abs=1e-13)


def decoupled(rng, s, n_in, n_out):
    u, v = orthogonal(rng, n_out, s.size), orthogonal(rng, n_in, s.size)
    hidden = orthogonal(rng, s.size, s.size)
    u0 = 10 ** rng.uniform(-4, -1, s.size)
    return u, v, u0, (hidden * np.sqrt(u0)) @ v.T, (u * np.sqrt(u0)) @ hidden.T


@pytest.mark.parametrize(
    ("s", "tolerance"),
    [
        (np.array([1e6, 1.0, 1e-3]), 1e-14),
        (np.geomspace(1e4, 0.1, 20), 1e-14),
        (np.linspace(100, 1, 20), 1e-13),
        (np.array([1.0, 1.0, 1e-3, 1e-8]), 1e-13),
    ],
)
def test_widely_separated_modes_follow_their_sigmoids(s, tolerance):
    u, v, u0, w1, w2 = decoupled(np.random.default_rng(3), s, s.size + 1, s.size + 2)
    t = np.geomspace(0.1 / s[0], 1e3, 9)
    product = two_layer_flow(w1, w2, u * s @ v.T, t).product
    expected = (u * mode_strength(t[:, None], s=s, u0=u0)[:, None, :]) @ v.T
    assert product == pytest.approx(expected, abs=tolerance * s[0] * 4)


def test_a_bottleneck_learns_the_strongest_modes_at_any_time():
    rng = np.random.default_rng(5)
    s = np.arange(12.0, 0.0, -1)
    u, v = orthogonal(rng, 12, 12), orthogonal(rng, 12, 12)
    w1, w2 = layers(rng, 12, 4, 12, scale=0.1)
    product = two_layer_flow(w1, w2, u * s @ v.T, [100.0, 1e4]).product
    best = u[:, :4] * s[:4] @ v[:, :4].T
    assert product == pytest.approx(np.stack([best, best]), abs=1e-12)
    with pytest.raises(ValueError, match="t must be earlier"):
        two_layer_flow(w1, w2, u * s @ v.T, [1e9])


def test_full_rank_networks_reach_the_target_at_any_time():
    rng = np.random.default_rng(6)
    sigma = rng.normal(size=(10, 12))
    w1, w2 = layers(rng, 12, 11, 10, scale=0.1)
    assert two_layer_flow(w1, w2, sigma, [1e6, 1e300]).product == pytest.approx(np.stack([sigma, sigma]), abs=1e-13)


def test_idle_directions_decay_algebraically():
    w = np.array([[0.5]])
    t = np.array([0.0, 1.0, 1e8])
    product = two_layer_flow(w, w, [[0.0]], t).product[:, 0, 0]
    assert product == pytest.approx(0.25 / (1 + 2 * 0.25 * t), rel=1e-14, abs=0)


@given(seed=seeds, shape=st.sampled_from(SHAPES), t1=st.floats(0, 4), t2=st.floats(0, 4))
@settings(max_examples=40)
def test_riccati_flow_properties(seed, shape, t1, t2):
    rng = np.random.default_rng(seed)
    n_in, hidden, n_out, imbalance = shape
    w1, w2 = layers(rng, *shape)
    sigma = rng.normal(size=(n_out, n_in))
    product, gram = two_layer_flow(w1, w2, sigma, [t1 + t2, t1, 0.0], imbalance=imbalance)
    scale = np.abs(gram).max()

    assert product[2] == pytest.approx(w2 @ w1, abs=1e-14)
    assert gram == pytest.approx(gram.transpose(0, 2, 1), abs=1e-14 * scale)
    assert np.linalg.eigvalsh(gram).min() > -1e-13 * scale
    assert np.linalg.matrix_rank(gram[0], tol=1e-12 * scale) <= hidden

    # the conserved imbalance between the layers: P W1^T W1 = (W2 W2^T - lambda) P for P = W2 W1
    left = product @ gram[:, :n_in, :n_in]
    right = gram[:, n_in:, n_in:] @ product - imbalance * product
    assert left == pytest.approx(right, abs=1e-11 * scale**2)

    # a rotation of inputs and outputs rotates the solution; one of the hidden layer does nothing
    a, b, h = orthogonal(rng, n_in, n_in), orthogonal(rng, n_out, n_out), orthogonal(rng, hidden, hidden)
    turned = two_layer_flow(h @ w1 @ a.T, b @ w2 @ h.T, b @ sigma @ a.T, t1, imbalance=imbalance)
    assert turned.product == pytest.approx(b @ product[1] @ a.T, abs=1e-11 * scale)

    # weights after t1, known up to a rotation of the hidden layer, are a start as good as any
    values, vectors = np.linalg.eigh(gram[1])
    stack = vectors[:, -hidden:] * np.sqrt(np.maximum(values[-hidden:], 0))
    later = two_layer_flow(stack[:n_in].T, stack[n_in:], sigma, t2, imbalance=None if imbalance == 0 else imbalance)
    assert later.gram == pytest.approx(gram[0], abs=1e-8 * scale)

    # time in units of tau; strengths c Sigma, sqrt(c) W at time t / c
    slow = two_layer_flow(w1, w2, sigma, 3 * t1, tau=3.0, imbalance=imbalance)
    assert slow.product == pytest.approx(product[1], abs=1e-11 * scale)
    scaled = two_layer_flow(2 * w1, 2 * w2, 4 * sigma, t1 / 4, imbalance=4 * imbalance)
    assert scaled.product == pytest.approx(4 * product[1], abs=1e-11 * scale)


def test_the_balanced_formula_errs_at_second_order_on_small_unbalanced_weights():
    rng = np.random.default_rng(0)
    a, b, sigma = rng.normal(size=(4, 3)), rng.normal(size=(3, 4)), np.diag([2.0, 1.2, 0.7])
    t = np.linspace(0, 12, 60)
    errors = []
    for size in (0.04, 0.02, 0.01):
        exact, _ = integrate(size * a, size * b, sigma, t)
        errors.append(np.abs(two_layer_flow(size * a, size * b, sigma, t, imbalance=None).product - exact).max())
    assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx(2, abs=0.1)


def test_array_likes_and_scalar_times():
    flow = two_layer_flow([[1, 0]], [[1], [0]], [[2, 0], [0, 1]], 1)
    assert flow.product.shape == (2, 2)
    assert flow.gram.shape == (4, 4)
    assert two_layer_flow([[1, 0]], [[1], [0]], [[2, 0], [0, 1]], []).product.shape == (0, 2, 2)


def summed_velocity(w, g, depth):
    """The sum as printed, with fractional powers through the two eigendecompositions."""

    def power(symmetric, exponent):
        values, vectors = np.linalg.eigh(symmetric)
        return vectors * np.maximum(values, 0) ** exponent @ vectors.T

    terms = [
        power(w @ w.T, (depth - j) / depth) @ g @ power(w.T @ w, (j - 1) / depth) for j in range(1, int(depth) + 1)
    ]
    return np.sum(terms, axis=0)


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (5, 2)])
def test_end_to_end_velocity_is_the_sum_over_layers(depth, shape):
    rng = np.random.default_rng(depth)
    w, g = rng.normal(size=shape), rng.normal(size=shape)
    if shape == (3, 3):
        assert end_to_end_velocity(w, g, depth=depth) == pytest.approx(summed_velocity(w, g, depth), rel=1e-11)
        return
    # the null space of the wide side enters through the zeroth power alone, which is the identity
    u, s, vt = np.linalg.svd(w)
    left, right = np.zeros(shape[0]), np.zeros(shape[1])
    left[: s.size] = right[: s.size] = s
    factors = sum(
        np.outer(left ** (2 * (depth - j) / depth), right ** (2 * (j - 1) / depth)) for j in range(1, depth + 1)
    )
    expected = u @ (factors * (u.T @ g @ vt.T)) @ vt
    assert end_to_end_velocity(w, g, depth=depth) == pytest.approx(expected, rel=1e-11)


def test_end_to_end_velocity_at_infinite_depth_is_an_integral():
    rng = np.random.default_rng(1)
    w, g = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    u, s, vt = np.linalg.svd(w)

    def integrand(x):
        return (u * s ** (2 - 2 * x)) @ u.T @ g @ (vt.T * s ** (2 * x)) @ vt

    limit = end_to_end_velocity(w, g, depth=np.inf)
    assert limit == pytest.approx(quad_vec(integrand, 0, 1, epsabs=1e-13)[0], rel=1e-11)
    gaps = [np.abs(end_to_end_velocity(w, g, depth=D) / D - limit).max() for D in (1000, 2000)]
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("depth", [2, 3, 50, 10**6, np.inf])
@pytest.mark.parametrize("ratio", [0.0, 1e-30, 0.3, 0.5, 1 - 1e-9, 1 - 1e-15, 1.0])
def test_end_to_end_factors_match_many_digits(depth, ratio):
    velocity = end_to_end_velocity(np.diag([2.0, 2 * ratio]), [[0.0, 1.0], [0.0, 0.0]], depth=depth)[0, 1]
    with mpmath.workdps(60):
        a, b = mpmath.mpf(2), mpmath.mpf(2 * ratio)
        if a == b:
            exact = a**2 if depth == np.inf else depth * a ** (2 - mpmath.mpf(2) / depth)
        elif b == 0:
            exact = 0 if depth == np.inf else a ** (2 - mpmath.mpf(2) / depth)
        elif depth == np.inf:
            exact = (a**2 - b**2) / (2 * mpmath.log(a / b))
        else:
            exact = (a**2 - b**2) / (a ** (mpmath.mpf(2) / depth) - b ** (mpmath.mpf(2) / depth))
    assert velocity == pytest.approx(float(exact), rel=1e-14, abs=0)


@given(seed=seeds, depth=st.sampled_from([1, 2, 3, 6, np.inf]))
@settings(max_examples=20)
def test_end_to_end_velocity_is_equivariant_and_descends(seed, depth):
    rng = np.random.default_rng(seed)
    w, g = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    velocity = end_to_end_velocity(w, g, depth=depth)
    a, b = orthogonal(rng, 4, 4), orthogonal(rng, 3, 3)
    assert end_to_end_velocity(b @ w @ a.T, b @ g @ a.T, depth=depth) == pytest.approx(b @ velocity @ a.T, abs=1e-11)
    assert end_to_end_velocity(w.T, g.T, depth=depth) == pytest.approx(velocity.T, abs=1e-11)
    assert np.sum(g * velocity) >= 0


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_end_to_end_flow_is_the_flow_of_orthogonal_layers(depth):
    rng = np.random.default_rng(depth)
    weights = np.stack([0.9 * orthogonal(rng, 3, 3) for _ in range(depth)])
    sigma = rng.normal(size=(3, 3))
    t = np.array([0.0, 0.4, 1.0])

    def product(stack):
        return np.linalg.multi_dot([np.eye(3), *stack[::-1], np.eye(3)])

    def rate(_, flat):
        stack = flat.reshape(depth, 3, 3)
        error = sigma - product(stack)
        return np.stack([product(stack[j + 1 :]).T @ error @ product(stack[:j]).T for j in range(depth)]).ravel()

    y = solve_ivp(rate, (0, 2.0), weights.ravel(), t_eval=2 * t, method="DOP853", rtol=1e-11, atol=1e-13).y.T
    expected = np.array([product(v.reshape(depth, 3, 3)) for v in y])
    flow = end_to_end_flow(product(weights), sigma, t[::-1] * 4, depth=depth, tau=2.0)
    assert flow[::-1] == pytest.approx(expected, abs=2e-8)


def test_end_to_end_flow_at_depth_two_is_the_riccati_flow():
    rng = np.random.default_rng(4)
    w1, w2 = layers(rng, 3, 3, 3)
    sigma = rng.normal(size=(3, 3))
    t = np.linspace(0, 3, 4)
    flow = end_to_end_flow(w2 @ w1, sigma, t, depth=2)
    assert flow == pytest.approx(two_layer_flow(w1, w2, sigma, t).product, abs=1e-8)


def test_end_to_end_flow_of_an_aligned_start_is_modes():
    s, u0, t = np.array([1.5, 0.8]), np.array([0.3, 0.5]), np.linspace(0, 2, 5)
    flow = end_to_end_flow(np.diag(u0), np.diag(s), t, depth=4)
    assert np.diagonal(flow, axis1=1, axis2=2) == pytest.approx(
        mode_strength(t[:, None], s=s, u0=u0, depth=4), abs=1e-9
    )
    # at infinite depth the factor D in the rate is in tau
    limit = end_to_end_flow(np.diag(u0), np.diag(s), t, depth=np.inf)
    gaps = [np.abs(end_to_end_flow(np.diag(u0), np.diag(s), t, depth=D, tau=D) - limit).max() for D in (200, 400)]
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.02)


def test_end_to_end_flow_stays_at_zero_and_takes_any_shape_of_times():
    assert not end_to_end_flow(np.zeros((2, 3)), np.ones((2, 3)), [0.0, 5.0], depth=3).any()
    assert end_to_end_flow(np.ones((2, 3)), np.ones((2, 3)), 0.5, depth=3).shape == (2, 3)
    assert end_to_end_flow(np.ones((2, 3)), np.ones((2, 3)), [0.0, 0.0], depth=3).shape == (2, 2, 3)


W1, W2, SIGMA = np.eye(2, 3), np.eye(2), np.ones((2, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"w1": np.ones(3)}, "w1 must have 2 dimension"),
        ({"w1": [[np.nan, 0, 0], [0, 1, 0]]}, "w1 must be finite"),
        ({"w2": np.ones((2, 3))}, "w2 must have as many columns as w1 has rows"),
        ({"sigma_yx": np.ones((3, 2))}, r"sigma_yx must have the shape of w2 @ w1, \(2, 3\)"),
        ({"t": [-1.0]}, "t must be nonnegative"),
        ({"t": [np.inf]}, "t must be finite"),
        ({"tau": 0.0}, "tau must be positive"),
        ({"tau": -1.0}, "tau must be positive"),
        ({"w2": 2 * W2}, "imbalance must satisfy"),
        ({"imbalance": 0.5}, "imbalance must satisfy"),
        ({"imbalance": np.nan}, "imbalance must be finite"),
        (
            {"w1": np.ones((3, 3)), "w2": np.ones((2, 3)), "imbalance": 0.5},
            "imbalance must be 0 or of the other sign with 3 hidden units and 2 rows of w2",
        ),
        (
            {"w1": np.ones((4, 3)), "w2": np.ones((2, 4)), "imbalance": -0.5},
            "imbalance must be 0 or of the other sign with 4 hidden units and 3 columns of w1",
        ),
        ({"w1": np.ones((0, 3)), "w2": np.ones((2, 0))}, "w1 must have at least one row"),
    ],
)
def test_two_layer_flow_refuses_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_layer_flow(**{"w1": W1, "w2": W2, "sigma_yx": SIGMA, "t": [1.0], **arguments})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: end_to_end_velocity(W1, W2, depth=2), "g must have the shape of w"),
        (lambda: end_to_end_velocity(W1, SIGMA, depth=0), "depth must be at least 1"),
        (lambda: end_to_end_velocity(np.ones((0, 2)), np.ones((0, 2)), depth=2), "w must have at least one entry"),
        (lambda: end_to_end_velocity(W1[0], SIGMA, depth=2), "w must have 2 dimension"),
        (lambda: end_to_end_flow(W1, W2, [1.0], depth=2), "sigma_yx must have the shape of w0"),
        (lambda: end_to_end_flow(W1, SIGMA, [-1.0], depth=2), "t must be nonnegative"),
        (lambda: end_to_end_flow(W1, SIGMA, [1.0], depth=2, tau=0.0), "tau must be positive"),
        (lambda: end_to_end_flow(W1, SIGMA, [1.0], depth=-np.inf), "depth must be"),
    ],
)
def test_end_to_end_refuses_bad_input(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
