"""Fingerprints of the code behind a result, so that nothing stale is ever taken for a result of today's code."""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from paper_checks.claim import Claim

LIBRARIES = ("jax", "jaxlib", "numpy", "scipy", "diffrax", "equinox", "optax", "numba")
_NOT_MEASURED = {"predict", "controls", "scale"}  # arguments of a Trial that no measurement depends on


@cache
def versions() -> dict[str, str]:
    """Versions of the package and of the numerical libraries under it."""
    return {name: version(name) for name in ("closedform", *LIBRARIES)}


@cache
def code_fingerprint() -> str:
    """Fingerprint of all code that a verdict rests on: theory, simulations, claims, engine, and libraries.

    The first call reads all sources; edits after it are not seen by this process, which runs what it has imported.
    """
    return _digest(_sources("theory"), _sources("simulations"), _sources("paper_checks"), _library_versions())


@cache
def _simulation_fingerprint() -> str:
    return _digest(_sources("simulations"), _library_versions())


def measurement_fingerprint(claim: Claim) -> str:
    """Fingerprint of the code that a claim's measurement rests on.

    It covers the simulations, the claim's own set-up, and every definition in this package that the set-up reaches by
    name, but neither what the trial predicts nor other claims: editing a formula leaves stored measurements valid. A
    set-up that itself calls the theory rests on the whole of it.
    """
    reached = _Reached()
    reached.follow_definition(claim.build.__module__, claim.build.__name__)
    return _digest([_simulation_fingerprint(), *sorted(reached.code)])


class _Reached:
    """Code that is reached from a definition by following names, through modules of this package."""

    def __init__(self) -> None:
        self.code: set[str] = set()
        self._followed: set[tuple[str, str]] = set()

    def follow_definition(self, module: str, name: str) -> None:
        """Add a function and all that it reaches; one that was not defined at module level brings its whole module."""
        if any(name in statement.binds for statement in _statements(module)):
            self.follow(module, name)
        else:
            self._take_all(module)

    def follow(self, module: str, name: str) -> None:
        """Add what binds ``name`` in ``module`` and all that it reaches, with the statements that have effects."""
        if (module, name) in self._followed:
            return
        self._followed.add((module, name))
        for statement in _statements(module):
            if name in statement.binds or statement.acts:
                if statement.code:
                    self.code.add(f"{module}: {statement.code}")
                for imported in statement.imports:
                    if imported.name == name or statement.code:
                        self._follow_import(imported)
                for loaded in statement.loads:
                    self.follow(module, loaded)

    def _follow_import(self, imported: "_Import") -> None:
        source, member = imported.source, imported.member
        self.code.add(f"import {source} {member}")
        package = source.partition(".")[0]
        if package == "theory":
            self.code.add(_digest(_sources("theory")))
        elif package == __name__.partition(".")[0]:
            if member and f"{source}.{member}" not in sys.modules:
                self.follow(source, member)
            else:
                self._take_all(f"{source}.{member}" if member else source)

    def _take_all(self, module: str) -> None:
        for statement in _statements(module):
            for name in statement.binds:
                self.follow(module, name)


class _Import(NamedTuple):
    """A name, the module it is imported from, and the member it is there ("" for the module itself)."""

    name: str
    source: str
    member: str


class _Statement(NamedTuple):
    """A statement of a module: what it may bind, what it refers to, and its code, which plain imports do not need.

    One that ``acts`` does more than bind names, so that whoever uses the module rests on it.
    """

    binds: frozenset[str]
    loads: frozenset[str]
    imports: tuple[_Import, ...]
    code: str
    acts: bool


@cache
def _statements(module: str) -> tuple[_Statement, ...]:
    """Return the statements of a module, without its docstrings and without what trials predict."""
    source = getattr(sys.modules.get(module) or import_module(module), "__file__", None)
    if source is None:
        return ()
    found = []
    for node in _Undocumented().visit(ast.parse(_text(source))).body:
        kept = _without_predictions(node)
        plain_import = isinstance(node, ast.Import | ast.ImportFrom)
        found.append(
            _Statement(
                binds=frozenset(_bound(kept)),
                loads=frozenset(_loaded(kept) - {"Trial"}),
                imports=tuple(_imports(module, kept)),
                code="" if plain_import else ast.dump(kept),
                acts=not isinstance(
                    node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
                ),
            )
        )
    return tuple(found)


class _Undocumented(ast.NodeTransformer):
    """Drops docstrings, and other statements that are nothing but a constant."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node


def _without_predictions(node: ast.stmt) -> ast.stmt:
    """Return a statement without what trials predict, and without inner functions that nothing else needs."""
    if not isinstance(node, ast.FunctionDef):
        return node
    function = deepcopy(node)
    function.decorator_list = [d for d in function.decorator_list if not _registers_claim(d)]
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Trial":
            call.keywords = [k for k in call.keywords if k.arg not in _NOT_MEASURED]
    optional = {id(inner): inner for inner in function.body if _has_no_effect(inner)}
    needed = {name for inner in function.body if id(inner) not in optional for name in _loaded(inner)}
    while wanted := [key for key, inner in optional.items() if _bound(inner) & needed]:
        for key in wanted:
            needed |= _loaded(optional.pop(key))
    function.body = [inner for inner in function.body if id(inner) not in optional]
    return function


def _registers_claim(decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.func.attr == "claim"
    )


def _has_no_effect(node: ast.stmt) -> bool:
    """Whether a statement only defines a function; a default that calls something might draw random numbers."""
    if not isinstance(node, ast.FunctionDef) or node.decorator_list:
        return False
    defaults = [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
    return not any(isinstance(inner, ast.Call) for default in defaults for inner in ast.walk(default))


def _loaded(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _bound(node: ast.stmt) -> set[str]:
    """Names that a statement may bind."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    names = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            names.add(inner.id)
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(inner.name)
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            names |= {_local_name(alias) for alias in inner.names}
    return names


def _local_name(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _imports(module: str, statement: ast.stmt) -> Iterator[_Import]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            yield from (_Import(_local_name(alias), alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(module, node)
            yield from (_Import(_local_name(alias), source, alias.name) for alias in node.names)


def _absolute(module: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module.split(".") if hasattr(sys.modules[module], "__path__") else module.split(".")[:-1]
    parents = package[: len(package) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


def _sources(package: str) -> Iterator[str]:
    for root in import_module(package).__path__:
        for path in sorted(Path(root).rglob("*.py")):
            yield f"{package}/{path.relative_to(root).as_posix()}"
            yield _text(str(path))


@cache
def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _library_versions() -> Iterable[str]:
    return [f"{name} {version(name)}" for name in LIBRARIES]


def _digest(*parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for text in part:
            digest.update(f"{len(text)}:".encode() + text.encode())
    return digest.hexdigest()[:24]
