"""One module a paper; each defines ``PAPER`` and attaches its claims to it."""
