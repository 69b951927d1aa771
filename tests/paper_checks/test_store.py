"""The store: whole files or none, and no trust in what is damaged, foreign or stale."""

import json
import os

import numpy as np
import pytest

from paper_checks import Samples, Steps
from paper_checks.store import StaleError, Store, write_atomically
from paper_checks.verdict import ControlResult, Verdict


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path, "quick", 0)
    store.prepare()
    return store


def verdict(**changes):
    fields = {
        "id": "toy.one",
        "paper": "toy",
        "wing": "deep_linear",
        "rule": "Identity",
        "source": "eq. 1",
        "status": "confirmed",
        "expected": "confirmed",
        "statistic": 1e-16,
        "threshold": 1e-12,
        "resolution": 1e-12,
        "controls": (ControlResult("twice", True, "refuted", "off by 1"),),
        "seconds": 0.25,
        "message": "",
        "scale": "quick",
        "seed": 0,
        "device": "cpu",
        "sizes": {"width": "3"},
        "versions": {"numpy": "2"},
        "numbers": {"predicted": [1.0], "measured": [1.0]},
    }
    return Verdict(**{**fields, **changes})


MEASURED = {"measurement": Samples(np.arange(6.0).reshape(3, 2)), "other": Steps(np.ones(2), np.zeros((2, 1)))}


def test_what_is_saved_is_loaded(store):
    store.save_verdict(verdict(), "code")
    assert store.load_verdict("toy.one", "code") == verdict()
    assert store.load_verdict("toy.one", None) == verdict()
    store.save_measurements("toy.one", MEASURED, "fingerprint", 1.0)
    loaded = store.load_measurements("toy.one", "fingerprint")
    assert list(loaded) == list(MEASURED)
    assert np.array_equal(loaded["measurement"].values, MEASURED["measurement"].values)
    assert isinstance(loaded["other"], Steps)


def test_numbers_that_json_cannot_hold_become_null(store):
    store.save_verdict(verdict(statistic=float("nan"), threshold=np.float64("inf"), sizes={"n": np.arange(2)}), "code")
    loaded = store.load_verdict("toy.one", "code")
    assert (loaded.statistic, loaded.threshold, loaded.sizes) == (None, None, {"n": "[0 1]"})


def test_nothing_stored_is_file_not_found(store):
    with pytest.raises(FileNotFoundError):
        store.load_verdict("toy.one", "code")
    with pytest.raises(FileNotFoundError):
        store.load_measurements("toy.one", "fingerprint")


@pytest.mark.parametrize(
    ("scale", "seed", "reason"),
    [("standard", 0, "its scale is 'quick', not 'standard'"), ("quick", 1, "its seed is 0, not 1")],
)
def test_another_scale_or_seed_is_refused(store, tmp_path, scale, seed, reason):
    store.save_verdict(verdict(), "code")
    store.save_measurements("toy.one", MEASURED, "fingerprint", 1.0)
    other = Store(tmp_path, scale, seed)
    other.prepare()
    for name in ("toy.one.json", "toy.one.npz"):
        (other.folder / name).write_bytes((store.folder / name).read_bytes())
    with pytest.raises(StaleError, match=reason):
        other.load_verdict("toy.one", None)
    with pytest.raises(StaleError, match=reason):
        other.load_measurements("toy.one", "fingerprint")


def test_another_claim_is_refused(store):
    store.save_verdict(verdict(), "code")
    (store.folder / "toy.two.json").write_bytes((store.folder / "toy.one.json").read_bytes())
    with pytest.raises(StaleError, match=r"its claim is 'toy\.one', not 'toy\.two'"):
        store.load_verdict("toy.two", "code")


def test_other_code_is_refused(store):
    store.save_verdict(verdict(), "code")
    store.save_measurements("toy.one", MEASURED, "fingerprint", 1.0)
    with pytest.raises(StaleError, match="it was written by other code"):
        store.load_verdict("toy.one", "newer code")
    with pytest.raises(StaleError, match="the simulation code has changed since"):
        store.load_measurements("toy.one", "newer fingerprint")


def test_another_schema_is_refused(store):
    store.save_verdict(verdict(), "code")
    path = store.folder / "toy.one.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 2}))
    with pytest.raises(StaleError, match="its schema is 2, not 1"):
        store.load_verdict("toy.one", "code")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"schema": 1}',
        b'{"schema": 1, "claim": "toy.one", "scale": "quick", "seed": 0, "code": "code", "verdict": {}}',
        b'{"schema": 1, "claim": "toy.one", "scale": "quick", "seed": 0, "code": "code", "verdict": {"controls": 3}}',
    ],
)
def test_foreign_files_are_refused(store, content):
    (store.folder / "toy.one.json").write_bytes(content)
    (store.folder / "toy.one.npz").write_bytes(content)
    with pytest.raises(StaleError, match="damaged or not a result file"):
        store.load_verdict("toy.one", "code")
    with pytest.raises(StaleError, match="damaged or not a result file"):
        store.load_measurements("toy.one", "fingerprint")


def test_a_folder_in_place_of_a_file_is_refused(store):
    (store.folder / "toy.one.json").mkdir()
    (store.folder / "toy.one.npz").mkdir()
    with pytest.raises(StaleError):
        store.load_verdict("toy.one", "code")
    with pytest.raises(StaleError):
        store.load_measurements("toy.one", "fingerprint")


def test_arrays_of_another_kind_are_refused(store):
    path = store.folder / "toy.one.npz"
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(StaleError):
        store.load_measurements("toy.one", "fingerprint")
    with path.open("wb") as file:
        np.savez(file, something=np.ones(3))
    with pytest.raises(StaleError):
        store.load_measurements("toy.one", "fingerprint")


def test_cut_files_are_refused_wherever_they_are_cut(store):
    store.save_verdict(verdict(), "code")
    store.save_measurements("toy.one", MEASURED, "fingerprint", 1.0)
    for name, load in [
        ("toy.one.json", lambda: store.load_verdict("toy.one", "code")),
        ("toy.one.npz", lambda: store.load_measurements("toy.one", "fingerprint")),
    ]:
        path = store.folder / name
        whole = path.read_bytes()
        for length in np.linspace(0, len(whole) - 1, 40).astype(int):
            path.write_bytes(whole[:length])
            with pytest.raises(StaleError):
                load()


def test_a_changed_byte_never_changes_a_measurement(store):
    store.save_measurements("toy.one", MEASURED, "fingerprint", 1.0)
    path = store.folder / "toy.one.npz"
    whole = path.read_bytes()
    refused = 0
    for place in np.linspace(0, len(whole) - 1, 150).astype(int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            loaded = store.load_measurements("toy.one", "fingerprint")
        except StaleError:
            refused += 1
            continue
        assert np.array_equal(loaded["measurement"].values, MEASURED["measurement"].values)
    assert refused > 100


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"half of the n")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_is_never_seen_half_written(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write(file):
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"

    write_atomically(path, write)
    assert path.read_bytes() == b"new"


def test_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    write_atomically(tmp_path / "written", lambda file: file.write(b""))
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        Store(tmp_path / "file", "quick", 0).prepare()
    assert not Store(tmp_path / "unused", "quick", 0).folder.exists()
