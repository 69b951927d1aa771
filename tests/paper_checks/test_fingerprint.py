"""Stored measurements stay valid under edits of a formula, and under no edit that a simulation depends on."""

import importlib.util
import itertools
import sys

import pytest

from paper_checks import fingerprint
from paper_checks.fingerprint import code_fingerprint, measurement_fingerprint, versions

PAPER = "paper_checks.papers.toy_of_fingerprints"
SHARED = "paper_checks.shared_by_fingerprints"

SHARED_SOURCE = '''
def problem(rng):
    """Draw a problem."""
    return scale() * rng.normal()


def scale():
    return 2.0


def elsewhere():
    return 3.0
'''

SOURCE = '''
"""A paper."""
import numpy as np
from paper_checks import Identity, Paper, Run, Trial
from paper_checks.evidence import components
from paper_checks.shared_by_fingerprints import elsewhere, problem
from theory import deep_linear

PAPER = Paper(key="toy", title="A title", authors="A. Author", year=2000, wing="deep_linear")
GRID = np.linspace(0, 1, 5)


@PAPER.claim("one", statement="as it is", source="eq. 1", agreement=Identity(), controls=("twice",))
def one(run: Run) -> Trial:
    """Say what it does."""
    offset = problem(run.rng())

    def predict(factor=1.0):
        return only_predicted() * factor * deep_linear.mode_strength(GRID, s=1.0, u0=0.1)

    def measure():
        """Say what it measures."""
        return simulate(offset)

    return Trial(predict=predict, measure=measure, controls={"twice": lambda: predict(2.0)}, scale="largest")


@PAPER.claim("two", statement="as it is not", source="eq. 2", agreement=Identity(), controls=("twice",))
def two(run: Run) -> Trial:
    return Trial(lambda: 1.0, lambda: 1.0, {"twice": lambda: 2.0})


def simulate(offset):
    return components(GRID + offset, [noise()])


def noise():
    return 0.5


def only_predicted():
    return elsewhere()
'''


@pytest.fixture
def fingerprint_of(tmp_path, monkeypatch):
    """Return a function that fingerprints a claim of a paper, and of a module it imports, given as text."""
    numbers = itertools.count()

    def load(name, source):
        path = tmp_path / f"{next(numbers)}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    def build(source=SOURCE, shared=SHARED_SOURCE, claim="toy.one"):
        fingerprint._statements.cache_clear()
        load(SHARED, shared)
        return measurement_fingerprint(load(PAPER, source).PAPER.claims[claim])

    yield build
    fingerprint._statements.cache_clear()


def edited(source, old, new):
    assert source.count(old) == 1, old
    return source.replace(old, new)


HARMLESS = [
    ('statement="as it is",', 'statement="as it was",'),
    ('source="eq. 1"', 'source="eq. 7"'),
    ('agreement=Identity(), controls=("twice",))\ndef one', 'agreement=Identity(1e-9), controls=("twice",))\ndef one'),
    ("factor * deep_linear", "3 * factor * deep_linear"),
    ("lambda: predict(2.0)", "lambda: predict(2.5)"),
    ('scale="largest"', "scale=1.0"),
    ("return elsewhere()", "return 2 * elsewhere()"),
    ('"""Say what it does."""', '"""Say it otherwise."""'),
    ('"""Say what it measures."""', '"""Say it otherwise."""'),
    ('"""A paper."""', '"""Another paper."""'),
    ("lambda: 1.0, {", "lambda: 1.5, {"),
    ("    offset = problem", "    # a remark\n    offset   =   problem"),
    ('@PAPER.claim("two"', '@PAPER.claim("three"'),
]

HARMFUL = [
    ("offset = problem(run.rng())", "offset = 1 + problem(run.rng())"),
    ("return simulate(offset)", "return simulate(2 * offset)"),
    ("np.linspace(0, 1, 5)", "np.linspace(0, 2, 5)"),
    ("return 0.5", "return 0.6"),
    ("components(GRID + offset", "components(GRID - offset"),
    ("import numpy as np", "import jax.numpy as np"),
    ("GRID = ", "np.random.seed(1)\nGRID = "),
    ("measure=measure", "measure=lambda: 2 * measure()"),
]


@pytest.mark.parametrize(("old", "new"), HARMLESS)
def test_edits_of_what_is_predicted_or_written_leave_measurements_valid(fingerprint_of, old, new):
    assert fingerprint_of(edited(SOURCE, old, new)) == fingerprint_of()


@pytest.mark.parametrize(("old", "new"), HARMFUL)
def test_edits_of_the_set_up_make_measurements_stale(fingerprint_of, old, new):
    assert fingerprint_of(edited(SOURCE, old, new)) != fingerprint_of()


def test_helpers_of_other_modules_are_followed_by_name(fingerprint_of):
    before = fingerprint_of()
    assert fingerprint_of(shared=edited(SHARED_SOURCE, "return 2.0", "return 2.5")) != before
    assert fingerprint_of(shared=edited(SHARED_SOURCE, "scale() *", "scale() +")) != before
    assert fingerprint_of(shared=edited(SHARED_SOURCE, "return 3.0", "return 3.5")) == before
    assert fingerprint_of(shared=edited(SHARED_SOURCE, "Draw a", "Draw one")) == before


def test_a_whole_module_is_taken_when_it_is_imported_as_one(fingerprint_of, monkeypatch):
    import paper_checks

    source = edited(SOURCE, "import elsewhere, problem", "import elsewhere, problem\nimport " + SHARED + " as shared")
    source = edited(source, "offset = problem(run.rng())", "offset = shared.problem(run.rng())")
    before = fingerprint_of(source)
    assert fingerprint_of(source, shared=edited(SHARED_SOURCE, "return 2.0", "return 2.5")) != before
    assert not hasattr(paper_checks, SHARED.rpartition(".")[2])


def test_a_counterexample_is_a_measurement(fingerprint_of):
    with_one = edited(SOURCE, 'scale="largest"', 'scale="largest", counterexamples={"other": lambda: simulate(0.0)}')
    with_another = with_one.replace("simulate(0.0)", "simulate(1.0)")
    assert len({fingerprint_of(), fingerprint_of(with_one), fingerprint_of(with_another)}) == 3


def test_the_random_streams_belong_to_the_measurement(fingerprint_of):
    fingerprint_of()
    reached = fingerprint._Reached()
    reached.follow_definition(PAPER, "one")
    assert any("name='_entropy'" in code for code in reached.code)


def test_a_set_up_that_calls_the_theory_rests_on_it(fingerprint_of, monkeypatch):
    in_the_set_up = edited(
        SOURCE, "offset = problem", "offset = deep_linear.mode_strength(1.0, s=1.0, u0=0.1) * problem"
    )
    before = fingerprint_of(), fingerprint_of(in_the_set_up)
    sources = fingerprint._sources

    def edited_theory(package):
        yield from sources(package)
        if package == "theory":
            yield "an edit"

    monkeypatch.setattr(fingerprint, "_sources", edited_theory)
    assert fingerprint_of() == before[0]
    assert fingerprint_of(in_the_set_up) != before[1]


def test_edits_of_the_simulations_make_measurements_stale(fingerprint_of, monkeypatch):
    before = fingerprint_of()
    monkeypatch.setattr(fingerprint, "_simulation_fingerprint", lambda: "other simulations")
    assert fingerprint_of() != before


def test_a_claim_made_in_a_loop_brings_the_whole_loop(fingerprint_of):
    looped = (
        SOURCE
        + """

def make(factor):
    def build(run):
        return Trial(lambda: factor, lambda: factor * noise(), {"twice": lambda: 2.0})
    return build


for number in (1, 2):
    PAPER.claim(f"loop{number}", statement="", source="", agreement=Identity(), controls=("twice",))(make(number))
"""
    )
    before = fingerprint_of(looped, claim="toy.loop1")
    assert fingerprint_of(edited(looped, "factor * noise()", "2 * factor * noise()"), claim="toy.loop1") != before
    assert fingerprint_of(edited(looped, "in (1, 2)", "in (1, 3)"), claim="toy.loop1") != before
    assert fingerprint_of(edited(looped, "return 0.5", "return 0.6"), claim="toy.loop1") != before


def test_a_draw_before_an_unused_name_still_counts(fingerprint_of):
    drawing = edited(
        SOURCE,
        "    offset = problem(run.rng())",
        "    rng = run.rng()\n    a = rng.normal()\n    offset = rng.normal()",
    )
    before = fingerprint_of(drawing)
    assert fingerprint_of(edited(drawing, "    a = rng.normal()\n", "")) != before


def test_versions_and_code():
    assert {"closedform", "jax", "numpy", "scipy"} <= versions().keys()
    assert code_fingerprint() == code_fingerprint()
    assert len(code_fingerprint()) == 24
