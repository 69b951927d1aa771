"""Every registered claim, at quick scale: as expected, with every control rejected."""

import pytest

from paper_checks.claim import SCALES, Run
from paper_checks.registry import registry
from paper_checks.runner import verify
from paper_checks.tribunal import failed

CLAIMS = list(registry().claims.values())


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_claim_comes_out_as_expected(claim, tmp_path):
    (verdict,) = verify(claim.id, seed=2026, results=tmp_path)
    assert verdict.ok, f"{verdict.status}: {verdict.reason}"
    assert verdict.status == claim.expected
    assert {control.name for control in verdict.controls} == set(claim.controls)
    assert all(control.status == "refuted" for control in verdict.controls)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_claim_can_be_set_up_at_every_scale_and_says_what_it_states(claim):
    for scale in SCALES:
        trial = claim.build(Run(claim.id, scale))
        assert {*trial.controls, *trial.counterexamples} == set(claim.controls)
    assert len(claim.statement) > 20
    assert claim.source


def test_every_paper_has_claims_and_a_wing():
    for paper in registry().papers.values():
        assert paper.claims
        assert paper.wing
        assert 1950 < paper.year < 2100


def test_an_unjudged_claim_never_counts_as_ok():
    claim = CLAIMS[0]
    assert not failed(claim, Run(claim.id), "reason", 0.0, wing="w").ok
