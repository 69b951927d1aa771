"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="hastie2019",
    title="Surprises in high-dimensional ridgeless least squares interpolation",
    authors="Trevor Hastie, Andrea Montanari, Saharon Rosset, Ryan J. Tibshirani",
    year=2019,
    arxiv="1903.08560",
    wing="kernel_regression",
)
