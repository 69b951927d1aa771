"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="he2024",
    title="Information-theoretic generalization bounds for deep neural networks",
    authors="Haiyun He, Ziv Goldfeld",
    year=2024,
    arxiv="2404.03176",
    wing="generalization",
)
