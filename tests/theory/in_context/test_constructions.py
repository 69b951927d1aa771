import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.in_context import gd_attention_weights, gd_weights, gdpp_path, gdpp_spectrum

seeds = st.integers(0, 10**6)


def regression(seed, n=7, d_in=3, d_out=2):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d_in)), rng.standard_normal((n, d_out)), rng.standard_normal((d_out, d_in))


@given(seeds)
def test_descent_lowers_the_loss_and_ends_at_least_squares(seed):
    x, y, start = regression(seed)
    step = 1 / np.linalg.eigvalsh(x.T @ x / len(x))[-1]
    path = gd_weights(x, y, normalized_step_size=step, n_steps=3000, w_init=start)
    losses = ((y - np.einsum("nd,kod->kno", x, path)) ** 2).sum(axis=(1, 2))
    assert np.all(np.diff(losses) <= 1e-12)
    condition = np.linalg.cond(x.T @ x)
    if condition < 100:
        np.testing.assert_allclose(path[-1], np.linalg.lstsq(x, y, rcond=None)[0].T, atol=1e-6)
    np.testing.assert_array_equal(path[0], start)


@given(seeds)
def test_one_step_is_the_negative_gradient(seed):
    x, y, start = regression(seed)
    _, after = gd_weights(x, y, normalized_step_size=1.0, n_steps=1, w_init=start)

    def loss(w):
        return ((x @ w.T - y) ** 2).sum() / (2 * len(x))

    direction = np.random.default_rng(seed + 1).standard_normal(start.shape)
    slope = (loss(start + 1e-5 * direction) - loss(start - 1e-5 * direction)) / 2e-5
    assert np.sum((start - after) * direction) == pytest.approx(slope, rel=1e-6, abs=1e-8)


@given(seeds, st.floats(0.0, 0.05))
def test_without_contraction_gdpp_is_gd_and_with_it_follows_its_spectrum(seed, decay):
    x, _, task = regression(seed)
    y, query = x @ task.T, np.random.default_rng(seed + 1).standard_normal(3)
    plain = gdpp_path(x, y, query, normalized_step_size=0.2, input_decay=0.0, n_layers=4)
    weights = gd_weights(x, y, normalized_step_size=0.2, n_steps=4)
    np.testing.assert_allclose(plain.prediction, weights @ query, atol=1e-11)
    path = gdpp_path(x, y, query, normalized_step_size=0.2, input_decay=decay, n_layers=4)
    lam, u = np.linalg.eigh(x.T @ x)
    spectrum = gdpp_spectrum(lam, normalized_step_size=0.2, n_context=7, input_decay=decay, n_layers=4)
    expected = ((1 - spectrum.residual) * (u.T @ query)) @ u.T @ task.T
    np.testing.assert_allclose(path.prediction, expected, atol=1e-8 * (1 + np.abs(expected).max()))


def test_rotating_inputs_rotates_the_weights():
    x, y, start = regression(4)
    q = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
    path = gd_weights(x, y, normalized_step_size=0.3, n_steps=5, w_init=start)
    rotated = gd_weights(x @ q, y, normalized_step_size=0.3, n_steps=5, w_init=start @ q)
    np.testing.assert_allclose(rotated, path @ q, atol=1e-13)


def test_the_layer_is_made_of_the_blocks_of_the_paper():
    w = gd_attention_weights([[1.0, 2.0]], normalized_step_size=0.6, n_context=3, input_decay=0.1)
    np.testing.assert_array_equal(w.w_k, np.diag([1.0, 1.0, 0.0]))
    np.testing.assert_array_equal(w.w_q, w.w_k)
    np.testing.assert_array_equal(w.w_v, [[-1, 0, 0], [0, -1, 0], [1, 2, -1]])
    np.testing.assert_allclose(w.p, np.diag([0.1, 0.1, 0.2]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gd_weights([[1.0]], [[1.0], [2.0]], normalized_step_size=1.0, n_steps=1), "one row for each of the 1"),
        (lambda: gd_weights([1.0], [[1.0]], normalized_step_size=1.0, n_steps=1), "x must have 2 dimension"),
        (lambda: gd_weights([[1.0]], [[1.0]], normalized_step_size=1.0, n_steps=-1), "n_steps must be at least 0"),
        (
            lambda: gd_weights([[1.0]], [[1.0]], normalized_step_size=1.0, n_steps=1, w_init=[[1.0, 2.0]]),
            r"w_init must have shape \(1, 1\); got \(1, 2\)",
        ),
        (
            lambda: gd_attention_weights([[]], normalized_step_size=1.0, n_context=1),
            "w_init must have at least one row",
        ),
        (
            lambda: gd_attention_weights([[1.0]], normalized_step_size=np.inf, n_context=1),
            "normalized_step_size must be",
        ),
        (
            lambda: gdpp_path([[1.0]], [[1.0]], [1.0, 2.0], normalized_step_size=1.0, input_decay=0.0, n_layers=1),
            r"x_query must have shape \(1,\)",
        ),
        (
            lambda: gdpp_spectrum([-1.0], normalized_step_size=1.0, n_context=1, input_decay=0.0, n_layers=1),
            "eigenvalues must be nonnegative; got -1",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
