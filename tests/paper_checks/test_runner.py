"""Runs: stored as they go, resumed and reused without repetition, the same in any number of processes."""

import json
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from paper_checks import runner, verify
from paper_checks.registry import UnknownPatternError
from paper_checks.runner import Listener
from paper_checks.store import Store


@pytest.fixture
def counted(make, register):
    """Register three claims that count how often each is measured; the second one is wrong."""
    measured = []

    def build(name, factor=1.0):
        def of(run):
            def measure():
                measured.append(name)
                return run.rng().normal(1, 0.1, 3)

            return make.trial(measure=measure, predict=lambda: factor * run.rng().normal(1, 0.1, 3))

        return of

    register(make.paper(a=build("a"), b=build("b", 1.5), c=build("c")))
    return measured


def numbers(report):
    return {v.id: (v.status, v.statistic, v.threshold, v.resolution, v.numbers, v.controls) for v in report}


def test_verdicts_come_in_registry_order_and_are_stored(counted, tmp_path):
    report = verify("toy.c", "toy.a", "toy.b", results=tmp_path)
    assert [v.id for v in report] == ["toy.a", "toy.b", "toy.c"]
    assert [v.status for v in report] == ["confirmed", "refuted", "confirmed"]
    assert not report.ok
    folder = tmp_path / "quick" / "seed-0"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"toy.{c}.{kind}" for c in "abc" for kind in ("json", "npz")]


def test_resume_repeats_nothing_and_loses_nothing(counted, tmp_path):
    first = verify("toy.a", "toy.b", results=tmp_path)
    assert counted == ["a", "b"]
    report = verify(resume=True, results=tmp_path)
    assert counted == ["a", "b", "c"]
    assert [v.id for v in report] == ["toy.a", "toy.b", "toy.c"]
    assert numbers(report)["toy.b"] == numbers(first)["toy.b"]
    assert verify(resume=True, results=tmp_path).summary.startswith("2 of 3 claims as expected")
    assert counted == ["a", "b", "c"]


def test_without_resume_all_is_done_again(counted, tmp_path):
    verify("toy.a", results=tmp_path)
    verify("toy.a", results=tmp_path)
    assert counted == ["a", "a"]


@pytest.mark.parametrize("changes", [{"seed": 1}, {"scale": "standard"}])
def test_resume_does_not_take_another_run_for_this_one(counted, tmp_path, changes):
    verify("toy.a", results=tmp_path)
    verify("toy.a", results=tmp_path, resume=True, **changes)
    assert counted == ["a", "a"]


def test_resume_ignores_other_code_with_a_warning(counted, tmp_path, monkeypatch):
    verify("toy.a", results=tmp_path)
    monkeypatch.setattr(runner, "code_fingerprint", lambda: "other code")
    notes = []
    verify("toy.a", results=tmp_path, resume=True, listener=Listener(note=notes.append))
    assert counted == ["a", "a"]
    assert notes == ["toy.a: stored result ignored, it was written by other code"]


def test_resume_ignores_damaged_files_with_a_warning(counted, tmp_path):
    verify("toy.a", "toy.c", results=tmp_path)
    folder = tmp_path / "quick" / "seed-0"
    (folder / "toy.a.json").write_text('{"schema": 1, "cla')
    (folder / "toy.c.json").write_text("{}")
    notes = []
    report = verify("toy.a", "toy.c", results=tmp_path, resume=True, listener=Listener(note=notes.append))
    assert report.ok
    assert counted == ["a", "c", "a", "c"]
    assert notes == [f"toy.{c}: stored result ignored, it is damaged or not a result file" for c in "ac"]


def test_reuse_judges_without_simulating(counted, tmp_path):
    first = verify("toy.a", results=tmp_path)
    again = verify("toy.a", results=tmp_path, reuse=True)
    assert counted == ["a"]
    assert numbers(first) == numbers(again)
    assert (first["toy.a"].reused, again["toy.a"].reused) == (False, True)


def test_reuse_sees_a_changed_formula(make, register, tmp_path):
    formula = {"factor": 1.0}
    register(make.paper(a=lambda run: make.trial(predict=lambda: formula["factor"] * np.ones(3))))
    assert verify(results=tmp_path).ok
    formula["factor"] = 1.5
    notes = []
    report = verify(results=tmp_path, reuse=True, listener=Listener(note=notes.append))
    assert (report["toy.a"].status, report["toy.a"].reused, notes) == ("refuted", True, [])


@pytest.mark.parametrize("changes", [{"seed": 1}, {"scale": "full"}])
def test_reuse_does_not_take_another_run_for_this_one(counted, tmp_path, changes):
    verify("toy.a", results=tmp_path)
    notes = []
    report = verify("toy.a", results=tmp_path, reuse=True, listener=Listener(note=notes.append), **changes)
    assert counted == ["a", "a"]
    assert not report["toy.a"].reused
    assert notes == ["toy.a: no stored measurement; simulating"]


def test_reuse_refuses_measurements_of_other_code(counted, tmp_path, monkeypatch):
    verify("toy.a", results=tmp_path)
    monkeypatch.setattr(runner, "measurement_fingerprint", lambda claim: "other code")
    notes = []
    report = verify("toy.a", results=tmp_path, reuse=True, listener=Listener(note=notes.append))
    assert counted == ["a", "a"]
    assert not report["toy.a"].reused
    assert notes == ["toy.a: stored measurement ignored, the simulation code has changed since; simulating"]


def test_reuse_survives_a_damaged_file(counted, tmp_path):
    verify("toy.a", results=tmp_path)
    path = tmp_path / "quick" / "seed-0" / "toy.a.npz"
    path.write_bytes(path.read_bytes()[:-40])
    notes = []
    assert verify("toy.a", results=tmp_path, reuse=True, listener=Listener(note=notes.append)).ok
    assert notes == ["toy.a: stored measurement ignored, it is damaged or not a result file; simulating"]


def test_a_measurement_of_a_claim_in_error_is_kept_for_reuse(make, register, tmp_path):
    formula = {"size": 7}
    register(make.paper(a=lambda run: make.trial(predict=lambda: np.ones(formula["size"]))))
    assert verify(results=tmp_path)["toy.a"].status == "error"
    formula["size"] = 3
    assert verify(results=tmp_path, reuse=True)["toy.a"].reused


def test_fail_fast_stops_at_the_first_failure(counted, tmp_path):
    report = verify(results=tmp_path, fail_fast=True)
    assert [v.id for v in report] == ["toy.a", "toy.b"]
    assert counted == ["a", "b"]


def test_an_interrupt_keeps_what_was_finished(make, register, tmp_path):
    def interrupted(run):
        def measure():
            raise KeyboardInterrupt

        return make.trial(measure=measure)

    register(make.paper(a=make.right, b=interrupted, c=make.right))
    report = verify(results=tmp_path)
    assert report.interrupted
    assert not report.ok
    assert [v.id for v in report] == ["toy.a"]
    assert report.summary.startswith("interrupted: 1 of 1")
    assert Store(tmp_path, "quick", 0).load_verdict("toy.a", None).ok


def test_a_listener_hears_everything(counted, tmp_path):
    heard = []
    verify(
        results=tmp_path,
        listener=Listener(
            total=lambda n: heard.append(n),
            started=heard.append,
            finished=lambda verdict: heard.append(verdict.status),
        ),
    )
    assert heard == [3, "toy.a", "confirmed", "toy.b", "refuted", "toy.c", "confirmed"]


def test_a_result_that_cannot_be_stored_is_still_reported(counted, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "save_verdict", full)
    monkeypatch.setattr(Store, "save_measurements", full)
    notes = []
    assert verify("toy.a", results=tmp_path, listener=Listener(note=notes.append)).ok
    assert len(notes) == 2
    assert "toy.a: the result could not be stored (OSError: [Errno 28] No space left on device)" in notes


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"scale": "huge"}, ValueError, "scale must be one of quick, standard, full; got 'huge'"),
        ({"seed": 1.5}, TypeError, "seed must be an integer; got 1.5"),
        ({"seed": "1"}, TypeError, "seed must be an integer; got '1'"),
        ({"seed": -1}, ValueError, "seed must be at least 0; got -1"),
        ({"jobs": 0}, ValueError, "jobs must be at least 1; got 0"),
        ({"jobs": 2.0}, TypeError, "jobs must be an integer"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(counted, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        verify(results=tmp_path, **arguments)
    assert counted == []


def test_an_unknown_pattern_names_the_nearest(counted):
    with pytest.raises(UnknownPatternError, match=r"no paper, claim or wing matches 'toi\.a'; nearest: toy\.a"):
        verify("toi.a")


def test_patterns_select_papers_wings_claims_and_globs(counted, tmp_path):
    for pattern, expected in [("toy", "abc"), ("deep_linear", "abc"), ("toy.[ab]", "ab"), ("*.c", "c"), ("*", "abc")]:
        assert [v.id for v in verify(pattern, results=tmp_path)] == [f"toy.{c}" for c in expected]


def test_a_folder_that_cannot_be_written_stops_the_run_before_it_starts(counted, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        verify(results=tmp_path / "file")
    assert counted == []


def test_numpy_integers_are_integers(counted, tmp_path):
    assert verify("toy.a", seed=np.int64(3), results=tmp_path).seed == 3


PAPER = """
    import os, signal, time
    from pathlib import Path
    import jax, numpy as np
    from paper_checks import Identity, Paper, Trial
    PAPER = Paper(key="toy", title="t", authors="a", year=2000, wing="deep_linear")
    def add(name, measure, predict=lambda run: np.ones(2)):
        def build(run):
            return Trial(lambda: predict(run), lambda: measure(run), {"twice": lambda: np.full(2, 20.0)})
        PAPER.claim(name, statement="", source="", agreement=Identity(), controls=("twice",))(build)
"""


def test_compiled_programs_go_with_their_paper(make, register, monkeypatch, tmp_path):
    dropped = []

    def noting(name):
        def build(run):
            dropped.append(name)
            return make.trial()

        return build

    monkeypatch.setattr("jax.clear_caches", lambda: dropped.append("dropped"))
    monkeypatch.setattr(runner, "_last_paper", "")
    register(*(make.paper(key, a=noting(f"{key}.a"), b=noting(f"{key}.b")) for key in ("one", "two")))
    verify(results=tmp_path)
    assert [name for k, name in enumerate(dropped) if k == 0 or dropped[k - 1] != name] == [
        "one.a",
        "one.b",
        "dropped",
        "two.a",
        "two.b",
    ]


def test_a_process_that_dies_costs_only_its_own_claim(program):
    program.paper(
        "toy",
        PAPER
        + """
    def die(run):
        os.kill(os.getpid(), signal.SIGKILL)
    def slow(run):
        time.sleep(1)
        return np.ones(2)
    add("a", slow)
    add("b", die)
    add("c", lambda run: np.ones(2))
    """,
    )
    run = program.run("verify", "--jobs", "2", "--results", program.results, "--json", program.folder / "out.json")
    claims = {c["id"]: c for c in json.loads((program.folder / "out.json").read_text())["claims"]}
    assert run.code == 1, run.err
    assert [claims[f"toy.{c}"]["status"] for c in "abc"] == ["confirmed", "error", "confirmed"]
    assert claims["toy.b"]["message"].startswith("its process died (out of memory, or killed)")
    stored = sorted(path.name for path in (program.results / "quick" / "seed-0").glob("*.json"))
    assert stored == ["toy.a.json", "toy.c.json"]


def test_verdicts_do_not_depend_on_the_number_of_processes(program):
    program.paper(
        "toy",
        PAPER
        + """
    def random(run):
        return run.rng().normal(1, 0.1, 2) + np.asarray(jax.random.normal(run.key(), (2,)))
    for name in "abcd":
        add(name, random, random)
    """,
    )
    records = []
    for jobs in (1, 2):
        out = program.folder / f"{jobs}.json"
        run = program.run("verify", "--jobs", jobs, "--results", program.folder / str(jobs), "--json", out, "--seed", 5)
        assert run.code == 0, run.err
        records.append([{**c, "seconds": 0} for c in json.loads(out.read_text())["claims"]])
    assert records[0] == records[1]
    assert len({c["resolution"] for c in records[0]}) == 1
    values = [json.loads((program.folder / "2/quick/seed-5" / f"toy.{n}.json").read_text()) for n in "abcd"]
    assert len({str(v["verdict"]["numbers"]["measured"]) for v in values}) == 4


def test_other_children_of_this_process_are_left_alone(counted, monkeypatch, tmp_path):
    import multiprocessing

    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    child.start()
    try:

        class Pool:
            def submit(self, function, claim, settings):
                from concurrent.futures import Future

                future = Future()
                future.set_result(function(claim, settings))
                return future

            def shutdown(self, **options):
                pass

        monkeypatch.setattr(runner, "_pool", lambda workers: Pool())
        assert [v.status for v in verify(jobs=2, results=tmp_path)] == ["confirmed", "refuted", "confirmed"]
        assert child.is_alive()
    finally:
        child.kill()
        child.join()


def test_many_processes_leave_linear_algebra_one_thread_each():
    with threadpool_limits():  # puts the numbers of threads back
        runner.limit_blas(10**6)
        assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {1}


def test_threads_of_linear_algebra_are_never_raised():
    with threadpool_limits(1, user_api="blas"):
        runner.limit_blas(1)
        assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {1}
