"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="feldman2019",
    title="Does learning require memorization? A short tale about a long tail",
    authors="Vitaly Feldman",
    year=2020,
    arxiv="1906.05271",
    wing="generalization",
)
