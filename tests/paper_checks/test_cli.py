"""The command line: what it prints, what it exits with, and how it ends when it is cut short."""

import json
import signal
import subprocess
from concurrent.futures import Future

import numpy as np
import pytest
from typer.testing import CliRunner

from paper_checks import cli, runner
from paper_checks.registry import registry
from paper_checks.store import Store


class Here:
    """A pool that runs everything at once in this process."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future

    def shutdown(self, **options):
        pass


@pytest.fixture
def closedform(monkeypatch, tmp_path):
    """Return a function that runs the command line in this process, on the papers that are registered."""
    monkeypatch.setattr(runner, "_pool", lambda workers: Here())
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments):
        where = ["--results", str(tmp_path / "results")] if arguments[0] in ("verify", "show") else []
        return CliRunner().invoke(cli.app, [*map(str, arguments), *where])

    return run


@pytest.fixture
def toys(make, register):
    def sized(run):
        width = run.size("width", quick=3, standard=5, full=9)
        return make.trial(
            predict=lambda: np.ones(width), measure=lambda: np.ones(width), controls={"twice": lambda: np.zeros(width)}
        )

    return register(
        make.paper("good", sized=(sized, {"statement": r"It is $x =  \alpha$."})), make.paper("bad", wrong=make.wrong)
    )


def test_all_as_expected_exits_0(toys, closedform):
    found = closedform("verify", "good")
    assert found.exit_code == 0, found.output
    assert "1 of 1 claims as expected, 1 of 1 controls rejected (quick, seed 0," in found.output
    assert "good.sized: confirmed" in found.stderr


def test_a_failure_exits_1_and_says_why(toys, closedform):
    found = closedform("verify", "--seed", 4)
    assert found.exit_code == 1
    assert "bad.wrong: refuted. off by 0.333 at component (0,)" in found.stdout
    assert "1 of 2 claims as expected" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("verify", "goood"), "no paper, claim or wing matches 'goood'; nearest: good"),
        (("list", "good.sizd"), "nearest: good.sized"),
        (("show", "nothing"), "no paper, claim or wing matches 'nothing'"),
        (("show", "good.*", "--scale", "tiny"), "--scale must be one of quick, standard, full; got 'tiny'"),
        (("verify", "--scale", "huge"), "--scale must be one of quick, standard, full; got 'huge'"),
        (("verify", "--seed", "1.5"), "Invalid value for '--seed'"),
        (("verify", "--seed", "-1"), "Invalid value for '--seed'"),
        (("verify", "--jobs", "0"), "Invalid value for '--jobs'"),
        (("verify", "--sede", "1"), "No such option"),
        (("verifi",), "No such command"),
    ],
)
def test_bad_usage_exits_2_with_one_clear_sentence(toys, closedform, arguments, message):
    found = closedform(*arguments)
    assert found.exit_code == 2
    assert message in found.stderr
    assert "Traceback" not in found.output


def test_show_needs_one_claim(register, make, closedform):
    register(make.paper(a=make.right, b=make.right))
    found = closedform("show", "toy")
    assert found.exit_code == 2
    assert "CLAIM must name one claim; 'toy' selects 2: toy.a, toy.b" in found.stderr


def test_unwritable_places_exit_1_without_a_traceback(toys, closedform, tmp_path):
    (tmp_path / "results").touch()
    found = closedform("verify", "good")
    assert found.exit_code == 1
    assert "closedform: --results must be a folder that can be written" in found.stderr
    for place in (tmp_path / "absent" / "out.json", tmp_path):
        found = closedform("verify", "good", "--json", place)
        assert found.exit_code == 1
        assert f"--json must name a file in a writable folder; got {place}" in found.stderr


def test_list_shows_papers_claims_rules_and_sources(toys, closedform):
    found = closedform("list")
    assert found.exit_code == 0
    for text in ("good.sized", "bad.wrong", "Identity", "eq. 1"):
        assert text in found.stdout
    assert "bad.wrong" not in closedform("list", "good").stdout


def test_show_before_and_after_a_verdict(toys, closedform):
    before = closedform("show", "good.sized")
    assert before.exit_code == 0
    for text in (
        r"It is $x = \alpha$.",
        "Identity(rtol=1e-12, resolution=1e-06)",
        "width = 3",
        "width = 5",
        "width = 9",
        "twice",
        "none yet; run `closedform verify good.sized`",
    ):
        assert text in before.stdout
    closedform("verify", "good")
    after = closedform("show", "good.sized")
    assert after.exit_code == 0
    for text in ("confirmed at quick, seed 0, on", "twice: rejected (off by 1 at component (0,))", "predicted"):
        assert text in after.stdout
    assert "none yet" in closedform("show", "good.sized", "--seed", 1).stdout


def test_show_ignores_what_is_damaged(toys, closedform, tmp_path):
    closedform("verify", "good")
    (tmp_path / "results" / "quick" / "seed-0" / "good.sized.json").write_text("{}")
    found = closedform("show", "good.sized")
    assert found.exit_code == 0
    assert "stored result ignored: it is damaged or not a result file" in found.stdout


def test_the_json_file_is_schema_1(toys, closedform, tmp_path):
    path = tmp_path / "out.json"
    assert closedform("verify", "--json", path).exit_code == 1
    document = json.loads(path.read_text())
    assert list(document) == ["schema", "version", "scale", "seed", "device", "seconds", "claims"]
    assert document["schema"] == 1
    assert {c["id"]: (c["status"], c["ok"]) for c in document["claims"]} == {
        "good.sized": ("confirmed", True),
        "bad.wrong": ("refuted", False),
    }


def test_resume_reuse_and_fail_fast(toys, closedform, tmp_path):
    closedform("verify", "good")
    assert "good.sized" not in closedform("verify", "good", "--resume").stderr
    assert "no stored measurement; simulating" in closedform("verify", "bad", "--reuse").stderr
    assert "no stored measurement" not in closedform("verify", "bad", "--reuse").stderr
    assert "1 of 2 claims" in closedform("verify", "--fail-fast", "--jobs", "1").stdout


def test_the_version(closedform):
    found = CliRunner().invoke(cli.app, ["--version"])
    assert (found.exit_code, found.stdout.count(".")) == (0, 2)


def test_help_without_a_command(closedform):
    found = CliRunner().invoke(cli.app, [])
    assert "Usage" in found.output


TOY = """
    import time
    from pathlib import Path
    import numpy as np
    from paper_checks import Identity, Paper, Trial
    PAPER = Paper(key="toy", title="t", authors="a", year=2000, wing="deep_linear")
    def add(name, measure=lambda: 1.0):
        def build(run):
            return Trial(lambda: 1.0, measure, {"twice": lambda: 2.0})
        PAPER.claim(name, statement="", source="", agreement=Identity(), controls=("twice",))(build)
"""
LONG = """
    def long():
        Path(__file__).with_name("started").touch()
        while True:
            np.sort(np.random.rand(2_000_000))
    add("quick")
    add("long", long)
    add("never")
"""


def test_an_interrupt_ends_within_two_seconds_with_what_was_finished(program):
    program.paper("toy", TOY + LONG)
    process = program.start("verify", "--jobs", "1", "--results", program.results, "--json", program.folder / "o.json")
    ended = program.interrupt(process, when=(program.folder / "papers" / "started").exists)
    assert ended.code == 130
    assert ended.seconds < 2
    assert "Traceback" not in ended.err
    assert "interrupted: 1 of 1 claims as expected" in ended.out
    assert [c["id"] for c in json.loads((program.folder / "o.json").read_text())["claims"]] == ["toy.quick"]
    assert Store(program.results, "quick", 0).load_verdict("toy.quick", None).ok


def test_an_early_interrupt_prints_no_traceback(program):
    program.paper("toy", TOY + LONG)
    ready = 'Path(__file__).with_name("imported").touch()'
    program.paper("slow", TOY.replace('"toy"', '"slow"') + f'\n    add("a")\n    {ready}\n    time.sleep(0.3)\n')
    process = program.start("verify", "--results", program.results)
    ended = program.interrupt(process, when=(program.folder / "papers" / "imported").exists)
    assert ended.code == 130
    assert ended.seconds < 2
    assert "Traceback" not in ended.err


def test_an_interrupt_while_processes_start_prints_no_traceback(program):
    program.paper("toy", TOY + LONG)
    process = program.start("verify", "--jobs", "2", "--results", program.results)
    folder = program.results / "quick" / "seed-0"
    ended = program.interrupt(process, when=folder.exists)
    assert ended.code == 130
    assert ended.seconds < 2
    assert "Traceback" not in ended.err


def test_a_closed_pipe_prints_no_traceback(program):
    program.paper("toy", TOY + '\n    for i in range(3000):\n        add(f"claim_{i}")\n')
    listing = program.start("list")
    head = subprocess.run(["head", "-1"], stdin=listing.stdout, capture_output=True, text=True, timeout=60, check=True)
    listing.stdout.close()
    errors = listing.stderr.read()
    listing.stderr.close()
    assert listing.wait(timeout=60) in (0, 1, -signal.SIGPIPE)
    assert head.stdout.count("\n") == 1
    assert errors == ""


def test_real_papers_are_listed(closedform):
    found = closedform("list")
    assert found.exit_code == 0
    assert all(claim in found.stdout for claim in registry().claims)
