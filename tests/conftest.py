"""Settings of all tests: no deadlines, since a loaded machine proves nothing, and the same examples on every CI run."""

import os

from hypothesis import settings

settings.register_profile("closedform", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("closedform")
