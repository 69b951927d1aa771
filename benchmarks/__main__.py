"""Run benchmarks by name, or all of them: ``python -m benchmarks [NAME ...]``."""

import ast
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path


def names() -> list[str]:
    """Return the modules of this package that define ``main``, in alphabetical order."""
    return [path.stem for path in sorted(Path(__file__).parent.glob("[!_]*.py")) if _defines_main(path)]


def _defines_main(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in body)


def main(arguments: Sequence[str]) -> int:
    """Run the named benchmarks; return 2, having listed the names, when one is unknown."""
    known = names()
    if unknown := [name for name in arguments if name not in known]:
        print(f"benchmarks: no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    for name in arguments or known:
        print(f"== {name}", flush=True)
        import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
