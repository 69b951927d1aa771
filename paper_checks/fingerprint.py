"""Fingerprints of the code behind a result, so that nothing stale is ever taken for a result of today's code."""

import ast
import hashlib
import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from paper_checks.claim import Claim

LIBRARIES = ("jax", "jaxlib", "numpy", "scipy", "diffrax", "equinox")
_NOT_MEASURED = {"predict", "controls", "scale"}  # arguments of a Trial that no measurement depends on


@cache
def versions() -> dict[str, str]:
    """Versions of the package and of the numerical libraries under it."""
    return {name: version(name) for name in ("closedform", *LIBRARIES)}


@cache
def code_fingerprint() -> str:
    """Fingerprint of all code that a verdict rests on: theory, simulations, claims, engine, and libraries."""
    return _digest(_sources("theory"), _sources("simulations"), _sources("paper_checks"), _library_versions())


@cache
def _simulation_fingerprint() -> str:
    return _digest(_sources("simulations"), _library_versions())


def measurement_fingerprint(claim: Claim) -> str:
    """Fingerprint of the code that a claim's measurement rests on.

    It covers the simulations, the claim's own set-up and what else its module defines, but neither what the trial
    predicts nor its other claims: editing a formula leaves stored measurements valid.
    """
    return _digest([_simulation_fingerprint(), *_setup(claim)])


def _setup(claim: Claim) -> Iterable[str]:
    module = claim.build.__module__
    package, _, _ = module.rpartition(".")
    siblings = [module]
    if package.startswith("paper_checks.papers."):
        siblings = sorted(name for name in sys.modules if name == package or name.startswith(package + "."))
    for name in siblings:
        source = getattr(sys.modules[name], "__file__", None)
        if source is None:
            continue
        for node in ast.parse(Path(source).read_text()).body:
            if not _registers_claim(node):
                yield "" if _is_text(node) else ast.dump(node)
            elif name == module and isinstance(node, ast.FunctionDef) and node.name == claim.build.__name__:
                yield _without_predictions(node)


def _registers_claim(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(d, ast.Call) and isinstance(d.func, ast.Attribute) and d.func.attr == "claim"
        for d in node.decorator_list
    )


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _without_predictions(function: ast.FunctionDef) -> str:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Trial":
            node.keywords = [k for k in node.keywords if k.arg not in _NOT_MEASURED]
    return "".join(ast.dump(node) for node in function.body if not _is_text(node))


def _sources(package: str) -> Iterable[str]:
    for root in import_module(package).__path__:
        for path in sorted(Path(root).rglob("*.py")):
            yield f"{package}/{path.relative_to(root).as_posix()}"
            yield path.read_text()


def _library_versions() -> Iterable[str]:
    return [f"{name} {version(name)}" for name in LIBRARIES]


def _digest(*parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for text in part:
            digest.update(f"{len(text)}:".encode() + text.encode())
    return digest.hexdigest()[:24]
