"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="feder2025",
    title="The universality lens: why even highly over-parametrized models learn well",
    authors="Meir Feder, Ruediger Urbanke, Yaniv Fogel",
    year=2025,
    arxiv="2506.07661",
    wing="generalization",
)
