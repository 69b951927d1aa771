"""Analytic solvers: closed forms in NumPy and SciPy, one wing per field of deep-learning theory."""
