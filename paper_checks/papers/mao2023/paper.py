"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="mao2023",
    title="Cross-entropy loss functions: theoretical analysis and applications",
    authors="Anqi Mao, Mehryar Mohri, Yutao Zhong",
    year=2023,
    arxiv="2304.07288",
    wing="generalization",
)
