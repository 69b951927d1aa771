import jax
import numpy as np
import pytest

from simulations.optimization import sample_batch_hessians, top_eigenpair

KEY = jax.random.key(0)


def sample(**changes):
    arguments = {
        "eigenvalue": 2.0,
        "n_parameters": 40,
        "noise_variance": 0.01,
        "batch_size": 2,
        "n_samples": 4,
        "n_replicates": 8,
        **changes,
    }
    return sample_batch_hessians(KEY, **arguments)


@pytest.mark.parametrize("steps", [30, 60])
def test_lanczos_finds_the_top_eigenpair(steps):
    matrix = np.random.default_rng(0).normal(size=(60, 60))
    matrix = matrix + matrix.T + 15 * np.ones((60, 60)) / np.sqrt(60)
    value, vector = top_eigenpair(KEY, matrix, steps)
    values, vectors = np.linalg.eigh(matrix)
    assert value == pytest.approx(values[-1], rel=1e-12)
    assert abs(vector @ vectors[:, -1]) == pytest.approx(1, rel=1e-10)


def test_noiseless_batches_show_the_spike_itself():
    out = sample(noise_variance=1e-16)
    np.testing.assert_allclose(out.eigenvalue, 2, rtol=1e-6)
    np.testing.assert_allclose(out.overlap, 1, rtol=1e-6)


@pytest.mark.parametrize("noise", ["gaussian", "rademacher"])
def test_one_of_two_samples_deviates_by_half_their_difference(noise):
    out = sample(noise_variance=4.0, batch_size=1, n_samples=2, noise=noise)
    # (E_1 - E_2) / 2 has half the variance of one
    np.testing.assert_allclose(out.noise_variance, 2, rtol=0.3)


def test_all_but_one_sample_deviate_little():
    few, many = (sample(batch_size=b).noise_variance.mean() for b in (1, 3))
    assert 0.08 < many / few < 0.14


def test_eigenpairs_are_converged():
    assert sample(eigenvalue=1.5, noise_variance=0.05).residual.max() < 1e-8


@pytest.mark.parametrize("noise", ["gaussian", "rademacher"])
def test_control_variates_have_mean_zero_and_explain_the_eigenvalue(noise):
    out = sample(n_replicates=400, noise=noise)
    assert (np.abs(out.controls.mean(axis=0)) < 5 * out.controls.std(axis=0) / 20).all()
    assert np.corrcoef(out.controls[:, 0], out.eigenvalue)[0, 1] > 0.9
    controls = np.column_stack([out.controls, np.ones(400)])
    rest = out.eigenvalue - controls @ np.linalg.lstsq(controls, out.eigenvalue, rcond=None)[0]
    assert rest.std() < 0.02 * out.eigenvalue.std()


def test_replicates_differ_and_keys_repeat():
    first, again = sample(), sample()
    np.testing.assert_array_equal(first.eigenvalue, again.eigenvalue)
    assert len(set(np.asarray(first.eigenvalue).tolist())) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eigenvalue": 0.0}, "eigenvalue must be positive"),
        ({"n_samples": 2}, "n_samples must be at least 3"),
        ({"noise": "uniform"}, "noise must be one of"),
        ({"noise_variance": 0.0}, "noise_variance must be positive"),
        ({"lanczos_steps": 1}, "lanczos_steps must be at least 2"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        sample(**changes)
