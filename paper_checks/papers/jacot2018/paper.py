"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="jacot2018",
    title="Neural Tangent Kernel: Convergence and Generalization in Neural Networks",
    authors="Arthur Jacot, Franck Gabriel, Clément Hongler",
    year=2018,
    arxiv="1806.07572",
    wing="ntk",
)
