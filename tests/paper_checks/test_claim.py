"""Registration refuses what could not fail, and random streams depend on nothing but seed, claim and name."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper_checks import Identity, Paper, RegistrationError, Run
from paper_checks.agreement import Bound, ConvergenceOrder, Equivalence, FiniteSize, MonteCarlo, Ordering
from paper_checks.claim import Claim, Registry
from paper_checks.registry import registry


def claim(name="toy.one", controls=("twice",), expected="confirmed"):
    return Claim(name, "statement", "source", Identity(), tuple(controls), lambda run: None, expected)


def test_a_claim_without_a_control_is_refused(make):
    with pytest.raises(RegistrationError, match=r"toy\.one has no negative control"):
        make.paper(one=(make.right, {"controls": ()}))
    with pytest.raises(RegistrationError, match="no negative control"):
        Registry().add(claim(controls=()))


def test_a_control_named_twice_is_refused(make):
    with pytest.raises(RegistrationError, match="names a control twice"):
        make.paper(one=(make.right, {"controls": ("twice", "twice")}))


def test_an_id_used_twice_is_refused(make):
    paper = make.paper(one=make.right)
    with pytest.raises(RegistrationError, match=r"toy\.one is registered twice"):
        paper.claim("one", statement="", source="", agreement=Identity(), controls=("c",))(make.right)
    known = Registry()
    known.add_paper(paper)
    with pytest.raises(RegistrationError, match=r"toy\.one is registered twice"):
        known.add(claim())
    with pytest.raises(RegistrationError, match="paper toy is registered twice"):
        known.add_paper(make.paper(two=make.right))


def test_an_unknown_paper_is_refused(make):
    known = Registry()
    with pytest.raises(RegistrationError, match=r"claim other\.one belongs to the unknown paper 'other'; known: none"):
        known.add(claim("other.one"))
    known.add_paper(make.paper(one=make.right))
    with pytest.raises(RegistrationError, match="known: toy"):
        known.add(claim("other.one"))


def test_a_rule_without_an_accepted_resolution_is_refused(make):
    with pytest.raises(RegistrationError, match=r"toy\.one must state the coarsest resolution"):
        make.paper(one=(make.right, {"agreement": MonteCarlo()}))
    make.paper(one=(make.right, {"agreement": Ordering()}), two=(make.right, {"agreement": Bound()}))


@pytest.mark.parametrize("name", ["a/b", "", "a b", "a.b", "*", "../up"])
def test_a_name_that_is_no_file_name_is_refused(make, name):
    with pytest.raises(RegistrationError, match="claim ids must be"):
        make.paper(**{name: make.right})


def test_an_impossible_expectation_is_refused(make):
    with pytest.raises(RegistrationError, match="must expect 'confirmed' or 'refuted'; got 'inconclusive'"):
        make.paper(one=(make.right, {"expected": "inconclusive"}))


def test_a_registered_function_stays_what_it_was(make):
    paper = make.paper()
    assert paper.claim("one", statement="", source="", agreement=Identity(), controls=("c",))(make.right) is make.right
    assert paper.claims["toy.one"].paper == "toy"


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: Identity(rtol=0.0), "rtol"),
        (lambda: Identity(resolution=-1.0), "resolution"),
        (lambda: ConvergenceOrder(order=0.0), "order"),
        (lambda: FiniteSize(exponent=-1.0), "exponent"),
        (lambda: FiniteSize(exponent=1.0, second=0.0), "second"),
        (lambda: Equivalence(margin=float("inf")), "margin"),
        (lambda: MonteCarlo(resolution=float("nan")), "resolution"),
        (lambda: Bound(tight=-0.1), "tight"),
    ],
)
def test_rules_refuse_numbers_that_make_no_sense(build, name):
    with pytest.raises(ValueError, match=f"positive {name}"):
        build()


@given(st.integers(0, 2**70), st.text(min_size=1, max_size=5))
def test_streams_are_functions_of_seed_claim_and_name(seed, name):
    run = Run("toy.one", seed=seed)
    again = Run("toy.one", scale="full", seed=seed)
    run.rng("another").normal()
    assert run.rng(name).integers(2**62) == again.rng(name).integers(2**62)
    others = [Run("toy.two", seed=seed).rng(name), Run("toy.one", seed=seed + 1).rng(name), run.rng(name + "'")]
    assert all(run.rng(name).integers(2**62) != other.integers(2**62) for other in others)


def test_keys_are_functions_of_seed_claim_and_name():
    registry()  # which imports the simulations, and with them 64-bit mode
    data = [
        jax.random.key_data(Run(claim, seed=seed).key(name))
        for claim in ("toy.one", "toy.two")
        for seed in (0, 1, 2**40)
        for name in ("simulation", "other")
    ]
    assert len(np.unique(np.stack(data), axis=0)) == len(data)
    assert np.array_equal(data[0], jax.random.key_data(Run("toy.one", scale="full").key()))
    assert np.array_equal(
        jax.random.key_data(Run("toy.one").keys(3)), jax.random.key_data(jax.random.split(Run("toy.one").key(), 3))
    )


def test_adding_a_claim_changes_no_other(make, register):
    from paper_checks import verify

    def random(run):
        return make.trial(measure=lambda: run.rng().normal(size=3), predict=lambda: np.ones(3))

    register(make.paper(b=random))
    alone = verify("toy.b")["toy.b"]
    register(make.paper(a=random, b=random, c=random))
    among = verify()["toy.b"]
    assert alone.numbers == among.numbers
    assert alone.statistic == among.statistic


def test_sizes_are_picked_by_scale_and_recorded():
    for scale, size in (("quick", 1), ("standard", 2), ("full", 3)):
        run = Run("toy.one", scale)
        assert run.size("width", quick=1, standard=2, full=3) == size
        assert run.sizes == {"width": size}


def test_papers_are_hashable_and_compared_by_identity():
    first, second = (Paper(key="a", title="", authors="", year=1, wing="") for _ in range(2))
    assert len({first, second}) == 2
