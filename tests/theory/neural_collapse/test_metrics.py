import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.neural_collapse import class_statistics, nc_metrics, simplex_etf

RNG = np.random.default_rng(5)
LABELS = np.array([2, 0, 1, 1, 0, 2, 2, 0])
FEATURES = RNG.normal(size=(4, 8))
HEAD = RNG.normal(size=(3, 4))


class Foreign:
    """An array of another library, as NumPy sees it."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype=dtype)


@given(k=st.integers(2, 12), extra=st.integers(-1, 5), seed=st.integers(0, 50), rotate=st.booleans())
def test_simplex_etf(k, extra, seed, rotate):
    frame = simplex_etf(k, k + extra, rng=np.random.default_rng(seed) if rotate else None)
    assert frame.shape == (k + extra, k)
    expected = np.full((k, k), -1 / (k - 1))
    np.fill_diagonal(expected, 1.0)
    np.testing.assert_allclose(frame.T @ frame, expected, atol=1e-14)
    np.testing.assert_allclose(frame.sum(axis=1), 0, atol=1e-14)
    projector = frame @ frame.T * (k - 1) / k
    np.testing.assert_allclose(projector @ projector, projector, atol=1e-14)


def test_rotations_of_the_simplex_are_spread_evenly():
    rng = np.random.default_rng(0)
    frames = np.array([simplex_etf(3, 4, rng=rng) for _ in range(4000)])
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose((frames**2).mean(axis=0), 0.25, atol=0.03)


def test_statistics_by_hand():
    stats = class_statistics(FEATURES, LABELS)
    groups = [FEATURES[:, np.flatnonzero(np.equal(LABELS, k))] for k in range(3)]
    means = np.stack([group.mean(axis=1) for group in groups], axis=1)
    np.testing.assert_allclose(stats.means, means)
    np.testing.assert_allclose(stats.global_mean, means.mean(axis=1))
    np.testing.assert_allclose(stats.sigma_b, np.cov(means, bias=True))
    within = sum(np.cov(group, bias=True) * group.shape[1] for group in groups) / 8
    np.testing.assert_allclose(stats.sigma_w, within)


@given(k=st.integers(2, 8), n=st.integers(1, 6), seed=st.integers(0, 99))
def test_balanced_covariances_add_up(k, n, seed):
    features = np.random.default_rng(seed).normal(size=(3, k * n))
    stats = class_statistics(features, np.repeat(np.arange(k), n))
    np.testing.assert_allclose(stats.sigma_w + stats.sigma_b, np.cov(features, bias=True), atol=1e-12)


@pytest.mark.parametrize("k", [2, 3, 7])
def test_everything_vanishes_at_the_simplex(k):
    frame = 1.7 * simplex_etf(k, k + 2, rng=np.random.default_rng(1))
    got = nc_metrics(np.repeat(frame, 3, axis=1) + 5.0, np.repeat(np.arange(k), 3), 0.2 * frame.T)
    for name in ("nc1", "nc1_trace", "nc2_etf", "nc2_classifier_etf", "nc3"):
        assert getattr(got, name) == pytest.approx(0, abs=1e-12)
    assert nc_metrics(frame, np.arange(k), frame.T).nc4 == 0
    assert got.nc2_orthogonal > 0.1


def test_orthogonal_frames_are_compared_without_centring():
    frame = np.linalg.qr(RNG.normal(size=(6, 4)))[0]
    got = nc_metrics(frame, range(4), 3 * frame.T, centred=False)
    assert got.nc3 == pytest.approx(0, abs=1e-14)
    assert got.nc2_orthogonal == pytest.approx(0, abs=1e-14)
    assert got.nc2_etf == pytest.approx(0, abs=1e-14)
    assert got.nc2_classifier_etf > 0.1
    assert nc_metrics(frame, range(4), 3 * frame.T).nc3 > 0.1


@given(seed=st.integers(0, 99), scale=st.floats(0.01, 100), shift=st.floats(-3, 3))
def test_metrics_are_geometric(seed, scale, shift):
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    base = nc_metrics(FEATURES, LABELS, HEAD)
    turned = nc_metrics(scale * rotation @ FEATURES, LABELS, HEAD @ rotation.T)
    moved = nc_metrics(FEATURES + shift, LABELS, HEAD)
    for name in vars(base):
        assert getattr(turned, name) == pytest.approx(getattr(base, name), rel=1e-9, abs=1e-12)
    for name in ("nc1", "nc1_trace", "nc2_etf", "nc2_classifier_etf", "nc3"):
        assert getattr(moved, name) == pytest.approx(getattr(base, name), rel=1e-8)


@given(seed=st.integers(0, 99))
def test_order_of_samples_and_names_of_classes_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    samples, classes = rng.permutation(8), rng.permutation(3)
    base = nc_metrics(FEATURES, LABELS, HEAD, bias=[0.1, 0.2, -0.4])
    names = np.argsort(classes)
    other = nc_metrics(FEATURES[:, samples], names[LABELS[samples]], HEAD[classes], np.array([0.1, 0.2, -0.4])[classes])
    for name in vars(base):
        assert getattr(other, name) == pytest.approx(getattr(base, name), rel=1e-9, abs=1e-12)


def test_nc1_and_nc4_by_hand():
    # Means at -1 and 1, one sample of each class misplaced by its head, Sigma_B = 1.
    features = np.array([[-1.5, -0.5, 0.5, 1.5]])
    got = nc_metrics(features, [0, 0, 1, 1], [[-1.0], [1.0]], bias=[0.0, 1.5])
    assert got.nc1 == pytest.approx(0.25 / 2)
    assert got.nc1_trace == pytest.approx(0.25)
    assert got.nc4 == pytest.approx(0.25)


def test_arrays_of_other_libraries_are_read():
    ours = nc_metrics(FEATURES, LABELS, HEAD)
    theirs = nc_metrics(Foreign(FEATURES), Foreign(LABELS), Foreign(HEAD))
    assert ours == theirs


@pytest.mark.parametrize(
    ("change", "name", "error"),
    [
        ({"features": FEATURES[0]}, "features", ValueError),
        ({"features": np.full_like(FEATURES, np.inf)}, "features", ValueError),
        ({"features": np.ones_like(FEATURES)}, "features", ValueError),
        ({"features": np.zeros_like(FEATURES)}, "features", ValueError),
        ({"labels": LABELS[:-1]}, "labels", ValueError),
        ({"labels": LABELS.astype(float)}, "labels", TypeError),
        ({"labels": LABELS - 1}, "labels", ValueError),
        ({"labels": np.where(LABELS == 1, 3, LABELS)}, "labels", ValueError),
        ({"labels": np.zeros(8, dtype=int)}, "labels", ValueError),
        ({"classifier": HEAD.T}, "classifier", ValueError),
        ({"classifier": np.zeros((3, 4))}, "classifier", ValueError),
        ({"bias": [1.0, 2.0]}, "bias", ValueError),
        ({"centred": 1}, "centred", TypeError),
    ],
)
def test_bad_input_names_the_argument(change, name, error):
    arguments = {"features": FEATURES, "labels": LABELS, "classifier": HEAD} | change
    with pytest.raises(error, match=rf"^{name}\b"):
        nc_metrics(**arguments)


def test_bad_frames():
    with pytest.raises(ValueError, match=r"^num_classes\b"):
        simplex_etf(1)
    with pytest.raises(ValueError, match=r"^dim\b"):
        simplex_etf(4, 2)
    with pytest.raises(TypeError, match=r"^rng\b"):
        simplex_etf(4, rng=0)
