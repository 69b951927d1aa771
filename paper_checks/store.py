"""The results folder: a verdict and its measurements for each claim, written whole or not at all.

A folder per scale and seed holds ``<claim>.json`` and ``<claim>.npz``. Each file says which code wrote it; what was
written by other code, for another run, or cut short is never used.
"""

import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from paper_checks.evidence import from_arrays, to_arrays
from paper_checks.verdict import SCHEMA, Verdict


def default_results() -> Path:
    """Return the results folder in the user's cache directory."""
    return Path(platformdirs.user_cache_dir("closedform", appauthor=False)) / "results"


class StaleError(Exception):
    """A result file that must not be used; its text says why."""


class Store:
    """Results of one scale and one seed under ``root``.

    Raises
    ------
    OSError
        If the folder cannot be made or written.
    """

    def __init__(self, root: Path | str | None, scale: str, seed: int):
        self.scale, self.seed = scale, seed
        self.folder = Path(root if root is not None else default_results()) / scale / f"seed-{seed}"

    def prepare(self) -> None:
        """Make the folder and try to write in it, before anything is computed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder):
            pass

    def save_verdict(self, verdict: Verdict, code: str) -> None:
        """Write a verdict, atomically."""
        document = {**self._header(verdict.id), "code": code, "verdict": verdict.record()}
        text = json.dumps(document, indent=1, allow_nan=False)
        write_atomically(self.folder / f"{verdict.id}.json", lambda file: file.write(text.encode()))

    def load_verdict(self, claim: str, code: str | None) -> Verdict:
        """Read a verdict that ``code`` wrote (None: any code).

        Raises
        ------
        FileNotFoundError
            If there is none.
        StaleError
            If there is one that must not be used.
        """
        with _refusing_damage():
            document = json.loads((self.folder / f"{claim}.json").read_bytes())
            self._check(document, claim)
            if code is not None and document["code"] != code:
                raise StaleError("it was written by other code")
            return Verdict.from_record(document["verdict"])

    def save_measurements(self, claim: str, measured: dict[str, Any], fingerprint: str, seconds: float) -> None:
        """Write the measurements of a claim, atomically."""
        header = {**self._header(claim), "simulation": fingerprint, "seconds": seconds, "names": list(measured)}
        arrays = {"header": np.array(json.dumps(header))}
        for index, evidence in enumerate(measured.values()):
            arrays |= to_arrays(evidence, str(index))
        write_atomically(self.folder / f"{claim}.npz", lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]

    def load_measurements(self, claim: str, fingerprint: str) -> dict[str, Any]:
        """Read measurements that the simulation code ``fingerprint`` wrote; raises as `load_verdict` does."""
        with _refusing_damage(), (self.folder / f"{claim}.npz").open("rb") as file:
            with np.load(file, allow_pickle=False) as archive:
                header = json.loads(str(archive["header"]))
                self._check(header, claim)
                if header["simulation"] != fingerprint:
                    raise StaleError("the simulation code has changed since")
                arrays = dict(archive)
            return {name: from_arrays(arrays, str(i)) for i, name in enumerate(header["names"])}

    def _header(self, claim: str) -> dict[str, Any]:
        return {"schema": SCHEMA, "claim": claim, "scale": self.scale, "seed": self.seed}

    def _check(self, document: dict[str, Any], claim: str) -> None:
        for key, expected in self._header(claim).items():
            if document[key] != expected:
                raise StaleError(f"its {key} is {document[key]!r}, not {expected!r}")


@contextmanager
def _refusing_damage() -> Iterator[None]:
    """Call whatever goes wrong inside a damaged file: there are as many errors as ways to damage one."""
    try:
        yield
    except (FileNotFoundError, StaleError):
        raise
    except Exception as error:
        raise StaleError("it is damaged or not a result file") from error


def write_atomically(path: Path, write: Callable[[Any], Any]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then move it there in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
