"""Synthetic papers: in this process by replacing the registry, in processes of their own by a program of their own."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from paper_checks import Identity, Paper, Trial
from paper_checks.claim import Registry

PROGRAM = """
import sys
from pathlib import Path
from paper_checks import papers
papers.__path__ = [str(Path(__file__).parent / "papers")]
from paper_checks.cli import main
if __name__ == "__main__":
    main()
"""


def paper(key="toy", **claims):
    """Make a paper with claims given as ``name=build`` or ``name=(build, {more arguments})``."""
    made = Paper(key=key, title=f"On {key}", authors="A. Author", year=2000, wing="deep_linear")
    for name, given in claims.items():
        build, options = given if isinstance(given, tuple) else (given, {})
        defaults = {"statement": "$x = 1$", "source": "eq. 1", "agreement": Identity(), "controls": ("twice",)}
        made.claim(name, **{**defaults, **options})(build)
    return made


def right(run):
    """Pose a trial that is confirmed."""
    return trial()


def wrong(run):
    """Pose a trial that is refuted."""
    return trial(predict=lambda: np.ones(3) * 1.5)


def trial(**changes):
    """Make a trial of ones, with some of its parts changed."""
    parts = {
        "predict": lambda: np.ones(3),
        "measure": lambda: np.ones(3),
        "controls": {"twice": lambda: 2 * np.ones(3)},
    }
    return Trial(**{**parts, **changes})


@pytest.fixture
def make():
    """Return the makers of synthetic papers and trials."""
    return SimpleNamespace(paper=paper, trial=trial, right=right, wrong=wrong)


@pytest.fixture
def register(monkeypatch, tmp_path):
    """Return a function that makes the given papers the only ones there are, in this process.

    Their results stay out of the user's cache, and the settings of JAX as they are for other tests.
    """
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *a, **k: str(tmp_path / "cache"))
    monkeypatch.setattr("paper_checks.runner.configure_jax", lambda: None)

    def put(*papers):
        known = Registry()
        for one in papers:
            known.add_paper(one)
        for module in ("registry", "runner"):
            monkeypatch.setattr(f"paper_checks.{module}.registry", lambda: known)
        return known

    return put


class Program:
    """The command line over synthetic papers, run in processes of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.results = folder / "results"
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONWARNINGS": "default"}
        (folder / "papers").mkdir()
        (folder / "papers" / "__init__.py").touch()
        (folder / "program.py").write_text(PROGRAM)

    def paper(self, key, source):
        """Add a paper whose module has this text."""
        (self.folder / "papers" / f"{key}.py").write_text(textwrap.dedent(source))

    def start(self, *arguments, **options):
        """Start the command line in a process group of its own."""
        command = [sys.executable, str(self.folder / "program.py"), *map(str, arguments)]
        return subprocess.Popen(
            command,
            text=True,
            env=self.environment,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def run(self, *arguments):
        """Run the command line to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=60)
        return SimpleNamespace(code=process.returncode, out=out, err=err)

    def interrupt(self, process, *, when, timeout=60):
        """Send an interrupt to the process group as soon as ``when()`` holds; return the seconds it then took."""
        deadline = time.monotonic() + timeout
        while not when():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        start = time.monotonic()
        out, err = process.communicate(timeout=timeout)
        return SimpleNamespace(code=process.returncode, out=out, err=err, seconds=time.monotonic() - start)


@pytest.fixture
def program(tmp_path):
    """Return the command line over synthetic papers."""
    return Program(tmp_path)
