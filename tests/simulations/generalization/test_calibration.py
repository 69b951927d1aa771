"""Nearest neighbours on the line, on cases whose answers are known."""

import jax
import numpy as np
import pytest

from simulations import generalization as sim

PROBLEM = {"overlap": 0.25, "num_classes": 4, "cells": 64}


def test_many_points_without_overlap_leave_nothing():
    found = sim.tune_nearest_neighbour(
        jax.random.split(jax.random.key(0), 4), n=600, overlap=0.0, num_classes=4, cells=64
    )
    assert (found.accuracy > 0.98).all()
    assert (found.divergence < 0.15).all()
    np.testing.assert_allclose(found.confidence, found.accuracy, atol=1e-5)


def test_the_search_finds_the_accuracy_and_beats_any_other_confidence():
    found = sim.tune_nearest_neighbour(jax.random.split(jax.random.key(1), 20), n=100, **PROBLEM)
    np.testing.assert_allclose(found.confidence, found.accuracy, atol=1e-6)
    assert (found.divergence <= found.at_nine_tenths + 1e-12).all()
    entropy = -0.25 * np.log(2)
    rest = -found.accuracy * np.log(0.9) - (1 - found.accuracy) * np.log(0.1 / 3) + entropy
    np.testing.assert_allclose(found.at_nine_tenths, rest, atol=0.02)  # the overlap holds a share of midpoints


def test_one_neighbour_is_a_nearest_neighbour_with_half_a_count():
    keys = jax.random.split(jax.random.key(2), 5)
    averaged = sim.average_neighbours(keys, n=60, neighbours=1, **PROBLEM)
    tuned = sim.tune_nearest_neighbour(keys, n=60, **PROBLEM)
    # its confidence is (1 + 1/8) / 1.5 = 3/4 on any training set, the others share 1/4
    expected = tuned.at_nine_tenths + tuned.accuracy * np.log(0.9 / 0.75) + (1 - tuned.accuracy) * np.log(0.1 / 0.25)
    np.testing.assert_allclose(averaged, expected, rtol=1e-10)


def test_all_neighbours_are_the_frequencies_of_the_sample():
    found = sim.average_neighbours(jax.random.split(jax.random.key(3), 3), n=4000, neighbours=4000, **PROBLEM)
    np.testing.assert_allclose(found, sim.uniform_divergence(**PROBLEM), atol=0.03)


def test_saying_nothing():
    assert sim.uniform_divergence(**PROBLEM) == pytest.approx(np.log(4) - 0.25 * np.log(2), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": 3}, "num_classes must be even"),
        ({"overlap": 1.5}, "overlap must be in"),
        ({"n": 0}, "n must be"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        sim.tune_nearest_neighbour(jax.random.split(jax.random.key(0), 2), **({"n": 5} | PROBLEM | change))


def test_too_many_neighbours_are_refused():
    with pytest.raises(ValueError, match="neighbours must be at most"):
        sim.average_neighbours(jax.random.split(jax.random.key(0), 2), n=5, neighbours=6, **PROBLEM)
