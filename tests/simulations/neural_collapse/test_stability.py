import jax
import numpy as np
import pytest

from simulations.neural_collapse import critical_bias_decay, feature_model, lowest_curvatures, minimise

KEY = jax.random.key(4)
SIZES = {"class_sizes": [2, 2], "dims": (3,), "weight_decays": [0.1], "feature_decay": 0.2}


def model(bias_decay):
    return feature_model(**SIZES, bias=True, bias_decay=bias_decay)


def test_minimum_with_more_decay_has_another_mode():
    critical = float(critical_bias_decay(model(0.0), KEY))
    counts = []
    for factor in (0.9, 1.1):
        best = minimise(model(factor * critical), KEY, starts=2).best()
        outputs = best.factors.weights[0] @ best.factors.features
        counts.append(int((np.linalg.svd(outputs, compute_uv=False) > 1e-4).sum()))
        batch = jax.tree.map(lambda leaf: leaf[None], best.factors)
        assert lowest_curvatures(batch, model(factor * critical))[0, 0] > -1e-10
    assert counts == [1, 2]


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"^model\b"):
        critical_bias_decay(feature_model(**SIZES), KEY)
    with pytest.raises(ValueError, match=r"^model\b"):
        critical_bias_decay(feature_model(**SIZES, bias=True, loss="cross_entropy"), KEY)
    with pytest.raises(ValueError, match=r"^largest\b"):
        critical_bias_decay(model(0.0), KEY, largest=0.0)
