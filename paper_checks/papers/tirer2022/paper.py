"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="tirer2022",
    title="Perturbation Analysis of Neural Collapse",
    authors="Tom Tirer, Haoxiang Huang, Jonathan Niles-Weed",
    year=2022,
    arxiv="2210.16658",
    wing="neural_collapse",
)
