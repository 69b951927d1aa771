import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.optimization import batch_hessian_outlier


@pytest.mark.parametrize("spike", [0.5, 1.5, 3.0])
def test_outlier_is_that_of_a_large_random_matrix(spike):
    P = 400
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(P, P))
    noise = (noise + noise.T) / np.sqrt(2 * P)
    noise[0, 0] += spike
    values, vectors = np.linalg.eigh(noise)
    predicted = batch_hessian_outlier(spike, n_parameters=P, noise_variance=1.0, batch_size=P)
    assert predicted.eigenvalue == pytest.approx(values[-1], rel=0.04)
    assert predicted.overlap == pytest.approx(vectors[0, -1] ** 2, abs=0.1)


@given(spike=st.floats(1e-3, 1e3), variance=st.floats(1e-6, 1e3), batch=st.integers(1, 1000), rest=st.integers(1, 1000))
def test_outlier_never_lies_below_spike_or_edge(spike, variance, batch, rest):
    out = batch_hessian_outlier(
        spike, n_parameters=50, noise_variance=variance, batch_size=batch, n_samples=batch + rest
    )
    infinite = batch_hessian_outlier(spike, n_parameters=50, noise_variance=variance, batch_size=batch)
    edge = 2 * np.sqrt(50 * variance * rest / (batch * (batch + rest)))
    assert out.eigenvalue >= max(edge, spike) * (1 - 1e-12)
    assert 0 <= out.overlap <= 1
    # a finite data set contains part of the batch's noise
    assert out.eigenvalue <= infinite.eigenvalue
    assert out.overlap >= infinite.overlap


def test_outlier_meets_the_edge_without_a_step():
    above = batch_hessian_outlier(1 + 1e-9, n_parameters=10, noise_variance=1.0, batch_size=10)
    below = batch_hessian_outlier(1 - 1e-9, n_parameters=10, noise_variance=1.0, batch_size=10)
    assert above.eigenvalue == pytest.approx(below.eigenvalue, rel=1e-12)
    assert above.overlap == pytest.approx(0, abs=1e-8)
    assert below.overlap == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eigenvalue": 0.0}, "eigenvalue must be positive"),
        ({"n_parameters": 0}, "n_parameters must be at least 1"),
        ({"noise_variance": -1.0}, "noise_variance must be positive"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"n_samples": 5}, "n_samples must exceed batch_size, 5; got 5"),
        ({"n_samples": np.nan}, "n_samples must be finite"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"eigenvalue": 2.0, "n_parameters": 10, "noise_variance": 1.0, "batch_size": 5, **changes}
    with pytest.raises(ValueError, match=message):
        batch_hessian_outlier(arguments.pop("eigenvalue"), **arguments)
