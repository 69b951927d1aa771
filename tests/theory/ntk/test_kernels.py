import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.ntk import QuadratureWarning, dual_activation, nngp_ntk
from theory.ntk._recursion import CLOSE, _angle, _arc, _bent

ACTIVATIONS = ("linear", "relu", ("leaky_relu", 0.2), ("leaky_relu", -1.0), "erf", "sin", "tanh", "gelu", "swish")


def plain(x1, x2, n_hidden, activation, w, b, sizes=None):
    """The recursion as it is written, on whole matrices."""
    d = x1.shape[1]
    s, k1, k2 = (w * w * v / d + b * b for v in (x1 @ x2.T, (x1**2).sum(1), (x2**2).sum(1)))
    n = [d, *(sizes or [])]
    t = s if sizes is None else n[0] * (s - b * b) / w**2 + (b > 0)
    for layer in range(n_hidden):
        limit = np.sqrt(np.outer(k1, k2))
        value, slope = dual_activation(k1[:, None], np.clip(s, -limit, limit), k2, activation=activation)
        k1, k2 = (w * w * dual_activation(k, k, k, activation=activation).value + b * b for k in (k1, k2))
        s = w * w * value + b * b
        t = (s if sizes is None else n[layer + 1] * value + (b > 0)) + w * w * slope * t
    return s, t


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    return rng.standard_normal((70, 5)), rng.standard_normal((33, 5))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize(("w", "b"), [(1.3, 0.4), (1.0, 0.0)])
def test_matches_the_plain_recursion(inputs, activation, w, b):
    found = nngp_ntk(*inputs, n_hidden=3, activation=activation, weight_std=w, bias_std=b)
    s, t = plain(*inputs, 3, activation, w, b)
    np.testing.assert_allclose(found.nngp, s, atol=1e-13 * np.abs(s).max())
    np.testing.assert_allclose(found.ntk, t, atol=1e-13 * np.abs(t).max())


@pytest.mark.parametrize("activation", ["relu", "erf", "tanh"])
def test_exchange_and_symmetry_hold_to_the_last_bit(inputs, activation):
    options = {"n_hidden": 2, "activation": activation, "bias_std": 0.3}
    there, back = nngp_ntk(*inputs, **options), nngp_ntk(*inputs[::-1], **options)
    own, same = nngp_ntk(inputs[0], **options), nngp_ntk(inputs[0], inputs[0], **options)
    for k in range(2):
        assert np.array_equal(there[k], back[k].T)
        assert np.array_equal(own[k], own[k].T)
        assert np.array_equal(own[k], same[k])


def test_threads_change_nothing(inputs):
    x = np.tile(inputs[0], (3, 1))
    one, many = (nngp_ntk(x, n_hidden=2, n_threads=n) for n in (1, 4))
    assert np.array_equal(one.ntk, many.ntk)


def exact_relu(x, y, n_hidden, w, b):
    """NNGP and tangent kernel at 60 digits."""
    with mp.workdps(60):
        x, y = ([mp.mpf(float(v)) for v in vector] for vector in (x, y))
        w, b = mp.mpf(w), mp.mpf(b)
        k11, k12, k22 = (w**2 * mp.fdot(p, q) / len(x) + b**2 for p, q in ((x, x), (x, y), (y, y)))
        t = k12
        for _ in range(n_hidden):
            root = mp.sqrt(k11 * k22)
            theta = mp.acos(min(mp.mpf(1), k12 / root))
            value = root * (mp.sin(theta) + (mp.pi - theta) * mp.cos(theta)) / (2 * mp.pi)
            k12 = w**2 * value + b**2
            t = k12 + w**2 * (mp.pi - theta) / (2 * mp.pi) * t
            k11, k22 = w**2 * k11 / 2 + b**2, w**2 * k22 / 2 + b**2
        return float(k12), float(t)


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-8, 1e-4, 1.0])
@pytest.mark.parametrize(("factor", "bias"), [(1.0, 0.0), (1.0, 0.1), (2.0, 0.0), (3.0, 0.2), (-1.0, 0.0), (-1.0, 0.1)])
def test_nearly_parallel_inputs_keep_their_digits(distance, factor, bias):
    rng = np.random.default_rng(1)
    x, direction = rng.standard_normal((2, 8))
    y = factor * (x + distance * direction)
    found = nngp_ntk(x[None], y[None], n_hidden=9, weight_std=2**0.5, bias_std=bias)
    s, t = exact_relu(x, y, 9, 2**0.5, bias)
    diagonal = np.sqrt(exact_relu(x, x, 9, 2**0.5, bias)[1] * exact_relu(y, y, 9, 2**0.5, bias)[1])
    assert abs(found.nngp[0, 0] - s) < 4e-15 * max(abs(s), diagonal / 10)
    assert abs(found.ntk[0, 0] - t) < 4e-15 * diagonal


def exact_erf(x, y, n_hidden, w):
    """Tangent kernel without biases at 60 digits."""
    with mp.workdps(60):
        a, b = ([mp.mpf(float(v)) for v in vector] for vector in (x, y))
        w = mp.mpf(w)
        k11, k12, k22 = (w**2 * mp.fdot(p, q) / len(a) for p, q in ((a, a), (a, b), (b, b)))
        t = k12
        for _ in range(n_hidden):
            s = (1 + 2 * k11) * (1 + 2 * k22)
            slope = 4 / mp.pi / mp.sqrt(s - 4 * k12**2)
            k12 = w**2 * 2 / mp.pi * mp.asin(2 * k12 / mp.sqrt(s))
            t = k12 + w**2 * slope * t
            k11, k22 = (w**2 * 2 / mp.pi * mp.asin(2 * k / (1 + 2 * k)) for k in (k11, k22))
        return float(t)


def test_erf_loses_no_more_digits_than_saturation_costs():
    rng = np.random.default_rng(2)
    x = rng.standard_normal(6)
    y = x + 1e-6 * rng.standard_normal(6)
    w = 30.0
    found = nngp_ntk(x[None], y[None], n_hidden=3, activation="erf", weight_std=w, bias_std=0.0)
    # 1 / (1 - rho^2 r^2) amplifies roundings by 2 w^2 in each of three layers
    np.testing.assert_allclose(found.ntk[0, 0], exact_erf(x, y, 3, w), rtol=3 * 2 * w**2 * 4 * np.finfo(float).eps)


@pytest.mark.parametrize("distance", [0.0, 1e-8, 1e-3, CLOSE * 0.999, CLOSE, CLOSE * 1.001, 0.5, 1.0])
@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0, -3.0])
@pytest.mark.parametrize("w", [0.5, 1.3, 4.0])
def test_erf_keeps_its_digits_on_both_sides_of_close(distance, factor, w):
    angle = np.arccos(1.0 - distance)
    x, y = np.array([1.3, 0.0]), factor * 1.3 * np.array([np.cos(angle), np.sin(angle)])
    found = nngp_ntk(x[None], y[None], n_hidden=4, activation="erf", weight_std=w, bias_std=0.0).ntk[0, 0]
    exact, diagonal = (exact_erf(x, other, 4, w) for other in (y, x))
    assert abs(found - exact) < 4e-16 * (4 + 2 * w**2) * 4 * max(abs(exact), diagonal / 10)


def test_polynomials_are_good_to_rounding():
    d = np.linspace(1e-3, 1.0, 50)
    with mp.workdps(40):
        angles = [mp.acos(1 - mp.mpf(v)) for v in d]
        roots = [mp.sqrt(2 * mp.mpf(v)) for v in d]
        angle = [float(t / (mp.pi * r)) for t, r in zip(angles, roots, strict=True)]
        bent = [float((mp.sin(t) - t * mp.cos(t)) / (mp.pi * r**3)) for t, r in zip(angles, roots, strict=True)]
        arc = [float(mp.asin(mp.sqrt(v / 4)) / mp.sqrt(v / 4)) for v in map(mp.mpf, d)]
    for function, argument, exact in ((_angle, d, angle), (_bent, d, bent), (_arc, d / 4, arc)):
        np.testing.assert_allclose([function(v) for v in argument], exact, rtol=4e-16)


@settings(max_examples=25)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
def test_relu_is_homogeneous_without_biases(scale, seed):
    x = np.random.default_rng(seed).standard_normal((6, 3))
    one, other = (nngp_ntk(s * x, n_hidden=3, bias_std=0.0).ntk for s in (1.0, scale))
    np.testing.assert_allclose(other, scale**2 * one, rtol=1e-12, atol=1e-13 * np.max(np.abs(other)))


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), name=st.sampled_from(["relu", "erf", "tanh"]))
def test_kernels_are_positive_semidefinite_and_rotation_invariant(seed, name):
    rng = np.random.default_rng(seed)
    x, rotation = rng.standard_normal((8, 4)), np.linalg.qr(rng.standard_normal((4, 4)))[0]
    kernels = nngp_ntk(x, n_hidden=2, activation=name)
    turned = nngp_ntk(x @ rotation, n_hidden=2, activation=name)
    for kernel, other in zip(kernels, turned, strict=True):
        assert np.linalg.eigvalsh(kernel)[0] > -1e-13 * np.max(kernel)
        np.testing.assert_allclose(other, kernel, atol=1e-13 * np.max(kernel))


@pytest.mark.parametrize("b", [0.0, 0.4])
def test_standard_parametrisation(inputs, b):
    options = {"n_hidden": 2, "activation": "erf", "weight_std": 1.3, "bias_std": b}
    found = nngp_ntk(*inputs, parametrization="standard", widths=[100, 50], **options)
    _, t = plain(*inputs, 2, "erf", 1.3, b, sizes=[100, 50])
    np.testing.assert_allclose(found.ntk, t, rtol=1e-12, atol=1e-12 * np.abs(t).max())
    assert np.array_equal(found.nngp, nngp_ntk(*inputs, **options).nngp)


def test_zero_inputs_and_no_inputs():
    x = np.array([[0.0, 0.0], [1.0, 2.0]])
    for name in ("relu", "erf", "tanh"):
        found = nngp_ntk(x, n_hidden=2, activation=name, bias_std=0.0)
        assert np.isfinite(found.ntk).all()
        assert np.all(found.ntk[0] == 0)
    assert nngp_ntk(np.empty((0, 2)), n_hidden=1).ntk.shape == (0, 0)
    assert nngp_ntk(x, np.empty((0, 2)), n_hidden=1).ntk.shape == (2, 0)


def test_a_kink_without_closed_form_is_reported(inputs):
    with pytest.warns(QuadratureWarning, match="lacks"):
        nngp_ntk(inputs[0][:2], n_hidden=1, activation=lambda z: np.abs(z) ** 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_hidden": -1}, "n_hidden must be at least 0"),
        ({"n_hidden": 1, "weight_std": 0.0}, "weight_std must be positive"),
        ({"n_hidden": 1, "bias_std": -1.0}, "bias_std must be nonnegative"),
        ({"n_hidden": 1, "x2": np.ones((2, 3))}, "as many columns"),
        ({"n_hidden": 1, "parametrization": "ntp"}, "parametrization must be one of"),
        ({"n_hidden": 1, "parametrization": "standard"}, "widths must be given"),
        ({"n_hidden": 1, "parametrization": "standard", "widths": [3, 3]}, "widths must list n_hidden = 1"),
        ({"n_hidden": 1, "widths": [3]}, "widths must be left out"),
        ({"n_hidden": 1, "activation": "rely"}, "activation must be one of"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        nngp_ntk(np.ones((2, 2)), **options)
