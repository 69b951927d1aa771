"""Run claims: one after another or in several processes, storing each verdict as it falls."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from operator import index
from pathlib import Path
from typing import NamedTuple

import platformdirs
from threadpoolctl import threadpool_info, threadpool_limits

from paper_checks import tribunal
from paper_checks.claim import SCALES, Claim, Run
from paper_checks.fingerprint import code_fingerprint, measurement_fingerprint, versions
from paper_checks.registry import registry, select
from paper_checks.report import Report
from paper_checks.store import StaleError, Store
from paper_checks.verdict import Verdict


@dataclass(frozen=True)
class Settings:
    """What every claim of a run shares."""

    scale: str = "quick"
    seed: int = 0
    results: Path | None = None
    reuse: bool = False

    def store(self) -> Store:
        """Return the store of this run."""
        return Store(self.results, self.scale, self.seed)


class Outcome(NamedTuple):
    """A verdict, and what is worth telling about how it came to be."""

    verdict: Verdict
    notes: list[str]


@dataclass
class Listener:
    """Callbacks of a run; the command line draws its progress with them."""

    total: Callable[[int], None] = lambda n: None
    started: Callable[[str], None] = lambda claim: None
    finished: Callable[[Verdict], None] = lambda verdict: None
    note: Callable[[str], None] = lambda text: None


def verify(
    *patterns: str,
    scale: str = "quick",
    seed: int = 0,
    jobs: int | None = None,
    reuse: bool = False,
    resume: bool = False,
    fail_fast: bool = False,
    results: Path | str | None = None,
    listener: Listener | None = None,
) -> Report:
    """Put claims on trial and return their verdicts.

    Parameters
    ----------
    *patterns : str
        Paper keys, claim ids, wings, or globs over these; everything without one.
    scale : {"quick", "standard", "full"}
        How large the problems are.
    seed : int
        Nonnegative seed of the run; every claim derives its own stream from it.
    jobs : int, optional
        Number of processes; None runs in this one. Verdicts do not depend on it.
    reuse : bool
        Judge stored measurements where they are valid, instead of simulating.
    resume : bool
        Keep verdicts that an earlier run of the same code, scale and seed has stored.
    fail_fast : bool
        Stop at the first verdict that is not as expected.
    results : path, optional
        Results folder; by default in the user's cache directory.
    listener : Listener, optional
        Callbacks for progress.

    Returns
    -------
    Report
        The verdicts in registry order; after an interrupt, those that had fallen, with ``interrupted`` set.

    Raises
    ------
    ValueError
        If a pattern, the scale, the seed or the number of jobs is not valid.
    TypeError
        If the seed or the number of jobs is not an integer.
    OSError
        If the results folder cannot be written.
    """
    start = time.perf_counter()
    claims = select(*patterns)
    settings = Settings(_scale(scale), _integer("seed", seed, 0), Path(results) if results else None, reuse)
    workers = None if jobs is None else _integer("jobs", jobs, 1)
    listener = listener or Listener()
    settings.store().prepare()
    fallen: dict[str, Verdict] = {}
    report = Report(scale, settings.seed)
    try:
        if resume:
            fallen |= _finished_before(claims, settings, listener)
        waiting = [claim for claim in claims if claim.id not in fallen]
        listener.total(len(waiting))
        with closing(_outcomes(waiting, settings, listener, workers)) as outcomes:
            for verdict, notes in outcomes:
                fallen[verdict.id] = verdict
                for text in notes:
                    listener.note(text)
                listener.finished(verdict)
                if fail_fast and not verdict.ok:
                    break
    except KeyboardInterrupt:
        report.interrupted = True
    report.verdicts = [fallen[c.id] for c in claims if c.id in fallen]
    report.seconds = time.perf_counter() - start
    return report


def run_claim(claim: Claim, settings: Settings) -> Outcome:
    """Try one claim and store what came out; never raises on account of the claim."""
    run = Run(claim.id, settings.scale, settings.seed)
    store = settings.store()
    notes: list[str] = []
    code = code_fingerprint()  # before anything runs, since that is the code that runs
    start = time.perf_counter()
    context = {"wing": registry().wing(claim), "versions": versions(), "device": _device()}
    try:
        fingerprint = measurement_fingerprint(claim)
        measured = _stored(claim, fingerprint, store, notes) if settings.reuse else None
        reused = measured is not None
        if measured is None:
            measured = tribunal.measure(claim, run)
            seconds = time.perf_counter() - start
            _try_to_write(lambda: store.save_measurements(claim.id, measured, fingerprint, seconds), claim, notes)
        spent = time.perf_counter() - start
        verdict = tribunal.judge(claim, run, measured, measure_seconds=spent, reused=reused, **context)
    except (Exception, SystemExit) as error:
        verdict = tribunal.failed(claim, run, tribunal.one_line(error), time.perf_counter() - start, **context)
    _try_to_write(lambda: store.save_verdict(verdict, code), claim, notes)
    return Outcome(verdict, notes)


def _try_to_write(write: Callable[[], None], claim: Claim, notes: list[str]) -> None:
    try:
        write()
    except OSError as error:
        notes.append(f"{claim.id}: the result could not be stored ({tribunal.one_line(error)})")


def _stored(claim: Claim, fingerprint: str, store: Store, notes: list[str]) -> dict | None:
    try:
        return store.load_measurements(claim.id, fingerprint)
    except FileNotFoundError:
        notes.append(f"{claim.id}: no stored measurement; simulating")
    except StaleError as reason:
        notes.append(f"{claim.id}: stored measurement ignored, {reason}; simulating")
    return None


def _finished_before(claims: list[Claim], settings: Settings, listener: Listener) -> dict[str, Verdict]:
    fallen = {}
    for claim in claims:
        try:
            fallen[claim.id] = settings.store().load_verdict(claim.id, code_fingerprint())
        except FileNotFoundError:
            continue
        except StaleError as reason:
            listener.note(f"{claim.id}: stored result ignored, {reason}")
    return fallen


def _outcomes(
    claims: list[Claim], settings: Settings, listener: Listener, workers: int | None
) -> Generator[Outcome, None, None]:
    if not claims:
        return
    if workers is not None:
        yield from _spread(claims, settings, listener, min(workers, len(claims)))
        return
    configure_jax()
    for claim in claims:
        listener.started(claim.id)
        _forget_other_papers(claim.id)
        yield run_claim(claim, settings)


def _spread(
    claims: list[Claim], settings: Settings, listener: Listener, workers: int
) -> Generator[Outcome, None, None]:
    """Run claims in spawned processes, at most ``workers`` at a time; a process that dies costs only its claim.

    A dead process takes the whole pool with it and does not say whose claim it ran, so that the claims that were in
    flight run again, one at a time.
    """
    waiting, suspects = list(reversed(claims)), list[Claim]()
    not_ours = multiprocessing.active_children()
    pool = _pool(workers)
    running: dict[Future, Claim] = {}
    alone = False
    try:
        while waiting or suspects or running:
            while (suspects or waiting) and len(running) < workers and not (alone and running):
                alone = bool(suspects)
                claim = (suspects or waiting).pop()
                if not alone:
                    listener.started(claim.id)
                try:
                    future = _submit(pool, claim, settings)
                except BrokenProcessPool:
                    pool = _pool(workers)
                    future = _submit(pool, claim, settings)
                running[future] = claim
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            broken = []
            for future in done:
                claim = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    broken.append(claim)
                elif error is not None:
                    yield _lost(claim, settings, tribunal.one_line(error))
                else:
                    yield future.result()
            if broken:
                broken += running.values()
                running.clear()
                pool = _pool(workers)
                if len(broken) > 1:
                    suspects, alone = broken, True
                else:
                    yield _lost(broken[0], settings, "its process died (out of memory, or killed)")
    finally:
        for child in multiprocessing.active_children():
            if child not in not_ours:
                child.kill()
        pool.shutdown(wait=True, cancel_futures=True)  # without processes it is short; unwaited it may fail at exit


def _lost(claim: Claim, settings: Settings, reason: str) -> Outcome:
    run = Run(claim.id, settings.scale, settings.seed)
    return Outcome(tribunal.failed(claim, run, reason, 0.0, wing=registry().wing(claim)), [])


def _submit(pool: ProcessPoolExecutor, claim: Claim, settings: Settings) -> Future:
    with _interrupts_held():
        return pool.submit(_work, claim.id, settings)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold interrupts back; a process started meanwhile inherits this, and never sees one while it imports.

    A mask alone would not do: a signal goes to any thread that does not block it, numerical libraries have some, and
    its handler then runs in the main thread whatever that one blocks.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    in_main = threading.current_thread() is threading.main_thread()
    held: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: held.append(number)) if in_main else None
    try:
        yield
    finally:
        if in_main:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if held:
            signal.raise_signal(signal.SIGINT)


def _pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_enter_worker, initargs=(workers,))


def _enter_worker(workers: int) -> None:
    """Leave interrupts to the parent, die with it, share its compilation cache, and take a share of the processors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    configure_jax()
    limit_blas(workers)


def _die_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _work(claim_id: str, settings: Settings) -> Outcome:
    _forget_other_papers(claim_id)
    return run_claim(registry().claims[claim_id], settings)


_last_paper = ""


def _forget_other_papers(claim_id: str) -> None:
    """Drop compiled programs when a claim of another paper comes up.

    Each is mapped into memory in pieces, and a process may hold only so many: some fifteen papers' programs.
    """
    global _last_paper
    import jax

    paper = claim_id.partition(".")[0]
    if _last_paper not in ("", paper):
        jax.clear_caches()
    _last_paper = paper


def configure_jax() -> None:
    """Turn on JAX's persistent compilation cache, in the user's cache directory."""
    import jax

    folder = Path(platformdirs.user_cache_dir("closedform", appauthor=False)) / "xla"
    jax.config.update("jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR", str(folder)))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def limit_blas(processes: int) -> None:
    """Let BLAS and LAPACK use at most this process's share of the processors, and no more than they are set to.

    Their threads wait in busy loops: with more of them than processors, batches of small systems take ten times as
    long.
    """
    import scipy.linalg  # noqa: F401  a library can be limited only once it is loaded

    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = max(1, processors // processes)
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    threadpool_limits({library["prefix"]: min(share, library["num_threads"]) for library in blas})


def _device() -> str:
    import jax

    return str(jax.devices()[0].device_kind)


def _scale(scale: str) -> str:
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}; got {scale!r}")
    return scale


def _integer(name: str, value: int, minimum: int) -> int:
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r}") from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {number}")
    return number
