"""The figures of the classical bounds at quick scale: complete, and with markers where theory says."""

import itertools

import numpy as np
import pytest

import figures

PAPERS = ("classic",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_tails_are_in_order_and_coins_on_the_exact_one(numbers):
    data = numbers("classic.tails")
    curves = [data[name] for name in ("exact", "chernoff", "bennett", "bernstein")]
    assert all((low <= high).all() for low, high in itertools.pairwise(curves))
    assert (data["chernoff"] <= data["hoeffding"]).all()
    exact = data["exact"][: data["tossed"].size]
    assert (np.abs(data["share"] - exact) <= 6 * data["error"] + 1e-5).all()


def test_no_risk_exceeds_its_bound(numbers):
    data = numbers("classic.pac_bayes")
    assert data["measured"].size > 30
    assert (data["measured"] <= data["bounded"] + 1e-9).all()
    assert (data["seeger"] <= data["mcallester"] + 1e-12).all()


def test_measured_gaps_lie_on_the_line_and_below_the_bounds(numbers):
    data = numbers("classic.location")
    at = np.searchsorted(data["n"], data["marked"])
    known = data["n"][at] == data["marked"]
    assert known.sum() >= 3
    assert (np.abs(data["mean"] - data["gap"][at])[known] < 6 * data["error"][known]).all()
    assert (data["gap"] <= data["cgf"]).all()
    assert (data["cgf"] <= data["quadratic"]).all()


def test_counted_labellings_are_covers(numbers):
    data = numbers("classic.cover")
    for d in (3, 5):
        common = np.isin(data[f"ratio_{d}"], data[f"counted_{d}"])
        np.testing.assert_array_equal(
            data[f"share_{d}"][common], data[f"found_{d}"][np.isin(data[f"counted_{d}"], data[f"ratio_{d}"])]
        )
        assert common.sum() > 5
