"""Measurements of the package itself: error rates of its rules, accuracy and speed of its solvers and simulators.

Every module here that defines ``main`` is a benchmark; ``python -m benchmarks [NAME ...]`` runs them.
"""
