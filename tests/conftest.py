"""Settings of all tests: no deadlines, since a loaded machine proves nothing, and the same examples on every CI run."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "closedform", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("closedform")
