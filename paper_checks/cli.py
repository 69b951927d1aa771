"""The command line: list, verify, show, figures."""

import json
import os
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from paper_checks.claim import SCALES, Run
from paper_checks.fingerprint import code_fingerprint
from paper_checks.registry import UnknownPatternError, select
from paper_checks.report import Catalogue, Report, number
from paper_checks.runner import Listener, verify
from paper_checks.store import StaleError, Store, write_atomically
from paper_checks.verdict import Verdict

USAGE, FAILED, INTERRUPTED = 2, 1, 130

app = typer.Typer(
    help="Theorems of deep-learning theory, put on trial against simulations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Patterns = Annotated[list[str] | None, typer.Argument(help="Paper keys, claim ids, wings, or globs; all by default.")]
Scale = Annotated[str, typer.Option(help="Size of the problems: quick, standard or full.")]
Seed = Annotated[int, typer.Option(help="Seed of the run.", min=0)]
Results = Annotated[Path | None, typer.Option(help="Results folder; by default in the user's cache directory.")]


def main() -> NoReturn:
    """Run the command line; a reader that closes the pipe early ends it quietly."""
    try:
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(0)


@app.callback(invoke_without_command=True)
def _version(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if show:
        typer.echo(version("closedform"))
        raise typer.Exit


@app.command("list")
def list_claims(patterns: Patterns = None) -> None:
    """List papers and claims, with rule and source."""
    console = _console()
    console.print(Catalogue(_select(patterns)).table())


@app.command("verify")
def verify_command(
    patterns: Patterns = None,
    scale: Scale = "quick",
    seed: Seed = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core, and 1 at full.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the verdicts to FILE as JSON.")] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")] = False,
    reuse: Annotated[bool, typer.Option("--reuse", help="Judge stored measurements without simulating.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what an interrupted run has finished.")] = False,
    results: Results = None,
) -> None:
    """Put claims on trial; exit 0 when all is as expected, 1 when not."""
    _select(patterns)
    _check_scale(scale)
    if json_file is not None and not _writable(json_file):
        _fail(f"--json must name a file in a writable folder; got {json_file}", FAILED)
    if jobs is None:
        jobs = 1 if scale == "full" else os.cpu_count() or 1
    errors = Console(stderr=True)
    with _progress(errors) as progress:
        try:
            report = verify(
                *(patterns or ()),
                scale=scale,
                seed=seed,
                jobs=jobs,
                reuse=reuse,
                resume=resume,
                fail_fast=fail_fast,
                results=results,
                listener=_listener(progress, errors),
            )
        except OSError as error:
            _fail(f"--results must be a folder that can be written: {error}", FAILED)
    if json_file is not None:
        text = json.dumps(report.to_json(), indent=1, allow_nan=False)
        write_atomically(json_file, lambda file: file.write(text.encode()))
    _print_report(report)
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(0 if report.ok else FAILED)


@app.command()
def show(claim: str, scale: Scale = "quick", seed: Seed = 0, results: Results = None) -> None:
    """Show one claim: statement, source, rule, sizes, last verdict, the numbers side by side."""
    _check_scale(scale)
    found = _select([claim])
    if len(found) != 1:
        _fail(f"CLAIM must name one claim; {claim!r} selects {len(found)}: {', '.join(c.id for c in found)}", USAGE)
    chosen = found[0]
    console = _console()
    facts = {
        "claim": chosen.id,
        "statement": " ".join(chosen.statement.split()),
        "source": chosen.source,
        "rule": repr(chosen.agreement),
        "expected": chosen.expected,
        "controls": "\n".join(chosen.controls),
    }
    for name in SCALES:
        run = Run(chosen.id, name, seed)
        chosen.build(run)
        facts[name] = ", ".join(f"{k} = {v}" for k, v in run.sizes.items()) or "one size"
    try:
        verdict, current = _last_verdict(Store(results, scale, seed), chosen.id)
    except FileNotFoundError:
        facts["verdict"] = f"none yet; run `closedform verify {chosen.id}`"
        console.print(_facts(facts))
        return
    except StaleError as reason:
        facts["verdict"] = f"stored result ignored: {reason}"
        console.print(_facts(facts))
        return
    facts |= _verdict_facts(verdict)
    if not current:
        facts["verdict"] += "; the code has changed since"
    console.print(_facts(facts))
    if verdict.numbers:
        console.print(_numbers(verdict))


@app.command()
def figures(
    patterns: Patterns = None,
    image_format: Annotated[str, typer.Option("--format", help="png, svg or pdf.")] = "png",
    out: Annotated[Path, typer.Option(help="Folder for the figures.")] = Path("output/figures"),
    scale: Scale = "quick",
    seed: Seed = 0,
) -> None:
    """Draw the papers' figures: theory as lines, simulation as markers."""
    _check_scale(scale)
    # by name, because no floor may depend on the figures
    studio: Any = import_module("figures")
    console = _console()
    try:
        chosen = studio.select(*(patterns or ()))
        studio.check_format(image_format)
    except ValueError as error:
        _fail(str(error), USAGE)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for figure in chosen:
            for path in studio.draw(figure, out=out, image_format=image_format, scale=scale, seed=seed):
                console.print(path, highlight=False, markup=False, soft_wrap=True)
    except OSError as error:
        _fail(f"--out must be a folder that can be written: {error}", FAILED)


def _select(patterns: list[str] | None) -> list[Any]:
    try:
        return select(*(patterns or ()))
    except UnknownPatternError as error:
        _fail(str(error), USAGE)


def _check_scale(scale: str) -> None:
    if scale not in SCALES:
        _fail(f"--scale must be one of {', '.join(SCALES)}; got {scale!r}", USAGE)


def _writable(file: Path) -> bool:
    return file.parent.is_dir() and os.access(file.parent, os.W_OK) and not file.is_dir()


def _fail(text: str, code: int) -> NoReturn:
    typer.echo(f"closedform: {text}", err=True)
    raise typer.Exit(code)


def _console() -> Console:
    """Return a console that keeps its full width when nobody is looking."""
    return Console() if sys.stdout.isatty() else Console(width=160)


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _listener(progress: Progress, console: Console) -> Listener:
    task = progress.add_task("", total=None)
    running: list[str] = []

    def update() -> None:
        progress.update(task, description=", ".join(running))

    def started(claim: str) -> None:
        running.append(claim)
        update()

    def finished(verdict: Verdict) -> None:
        if verdict.id in running:
            running.remove(verdict.id)
        progress.advance(task)
        update()
        if progress.disable:
            console.print(f"{verdict.id}: {verdict.status}, {verdict.seconds:.1f} s", markup=False, highlight=False)

    return Listener(
        total=lambda n: progress.update(task, total=n),
        started=started,
        finished=finished,
        note=lambda text: console.print(Text(text, "yellow")),
    )


def _print_report(report: Report) -> None:
    console = _console()
    for table in report.tables():
        console.print(table)
    for line in report.failures():
        console.print(Text(line, "red"))
    console.print(Text(report.summary, "bold"))


def _last_verdict(store: Store, claim: str) -> tuple[Verdict, bool]:
    """Return the stored verdict and whether today's code wrote it."""
    try:
        return store.load_verdict(claim, code_fingerprint()), True
    except StaleError:
        return store.load_verdict(claim, code=None), False


def _facts(facts: dict[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, text in facts.items():
        table.add_row(Text(name, "bold"), Text(text))
    return table


def _verdict_facts(verdict: Verdict) -> dict[str, str]:
    controls = [f"{c.name}: {'rejected' if c.rejected else 'NOT rejected'} ({c.message})" for c in verdict.controls]
    return {
        "verdict": f"{verdict.status} at {verdict.scale}, seed {verdict.seed}, on {verdict.device}",
        "statistic": f"{number(verdict.statistic)} (threshold {number(verdict.threshold)})",
        "resolution": number(verdict.resolution),
        "message": verdict.reason or "–",
        "controls": "\n".join(controls),
    }


def _numbers(verdict: Verdict) -> Table:
    table = Table()
    for name in verdict.numbers:
        table.add_column(name, justify="right")
    for row in zip(*verdict.numbers.values(), strict=True):
        table.add_row(*(f"{x:.8g}" for x in row))
    return table
