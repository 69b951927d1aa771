"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="javanmard2024",
    title="Learning from aggregate responses: instance level versus bag level loss functions",
    authors="Adel Javanmard, Lin Chen, Vahab Mirrokni, Ashwinkumar Badanidiyuru, Gang Fu",
    year=2024,
    arxiv="2401.11081",
    wing="kernel_regression",
)
