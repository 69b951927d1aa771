"""Settings of all tests: no deadlines, since a loaded machine proves nothing, and the same examples on every CI run."""

import os
from collections.abc import Iterator

import jax
import pytest
from hypothesis import HealthCheck, settings

from paper_checks.runner import limit_blas

settings.register_profile(
    "closedform", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("closedform")
limit_blas(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_programs() -> Iterator[None]:
    """Let compiled programs go with the module that wanted them: a process may map only so many pieces of memory."""
    yield
    jax.clear_caches()
