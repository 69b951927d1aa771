"""Reports and catalogues, as text, as HTML and as JSON."""

import json

import pytest

from paper_checks import claims, verify
from paper_checks.report import Report, number
from paper_checks.verdict import Verdict


@pytest.fixture
def report(make, register, tmp_path):
    def slips(run):
        return make.trial(controls={"twice": lambda: [1, 1, 1]})

    def fails(run):
        raise ValueError("<b>1 & 2</b> [bold]")

    register(
        make.paper(
            right=make.right,
            erratum=(make.wrong, {"expected": "refuted"}),
            wrong=make.wrong,
            slips=slips,
            fails=(fails, {"source": "<eq. 3>"}),
        )
    )
    return verify(results=tmp_path, seed=3)


def test_a_report_is_a_sequence_of_verdicts(report):
    assert len(report) == 5
    assert [v.id for v in report] == [f"toy.{c}" for c in ("right", "erratum", "wrong", "slips", "fails")]
    assert report["toy.right"] is report[0]
    assert report[-1].status == "error"
    with pytest.raises(KeyError):
        report["toy.absent"]


def test_ok_needs_every_verdict_and_every_control(report):
    assert [v.ok for v in report] == [True, True, False, False, False]
    assert not report.ok
    assert Report("quick", 0, report.verdicts[:2]).ok
    assert not Report("quick", 0, report.verdicts[:2], interrupted=True).ok
    assert not Report("quick", 0).ok


def test_the_text_says_what_happened(report):
    text = repr(report)
    for line in (
        "refuted (erratum)",
        "confirmed, control slipped",
        "toy.wrong: refuted. off by 0.333 at component (0,)",
        "toy.slips: confirmed. control 'twice' not rejected (confirmed)",
        "toy.fails: error. ValueError: <b>1 & 2</b> [bold]; control 'twice' not rejected (not judged)",
        "2 of 5 claims as expected, 3 of 5 controls rejected (quick, seed 3,",
    ):
        assert line in text
    assert text.count("1/1") == 3
    assert text.count("0/1") == 2
    assert repr(Report("quick", 0)).startswith("0 of 0 claims as expected")


def test_the_html_is_escaped(report):
    html = report._repr_html_()
    assert "&lt;b&gt;1 &amp; 2&lt;/b&gt;" in html
    assert "<b>1" not in html
    assert html.count("<tr>") == 6
    assert html.count("<table>") == html.count("</table>") == 1


def test_the_json_is_schema_1(report):
    document = report.to_json()
    assert list(document) == ["schema", "version", "scale", "seed", "device", "seconds", "claims"]
    assert (document["schema"], document["scale"], document["seed"]) == (1, "quick", 3)
    fields = "id paper wing rule source status expected ok statistic threshold resolution controls seconds message"
    for row in document["claims"]:
        assert " ".join(row) == fields
        assert [list(control) for control in row["controls"]] == [["name", "rejected"]]
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert [row["ok"] for row in document["claims"]] == [True, True, False, False, False]
    assert document["claims"][-1]["statistic"] is None


def test_verdicts_survive_their_record(report):
    for verdict in report:
        record = json.loads(json.dumps(verdict.record(), allow_nan=False))
        assert Verdict.from_record(record).row() == verdict.row()


def test_a_catalogue_lists_claims(report):
    catalogue = claims("toy.wrong", "toy.fails")
    assert len(catalogue) == 2
    assert [c.id for c in catalogue] == ["toy.wrong", "toy.fails"]
    assert catalogue[0].agreement.name == "Identity"
    assert "toy.fails" in repr(catalogue)
    assert "<eq. 3>" in repr(catalogue)
    assert "&lt;eq. 3&gt;" in catalogue._repr_html_()
    assert "<eq. 3>" not in catalogue._repr_html_()


def test_numbers_are_short():
    assert [number(x) for x in (None, 0.0, 1.234e-7, 12345.0)] == ["–", "0", "1.2e-07", "1.2e+04"]
