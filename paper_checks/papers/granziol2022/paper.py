"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="granziol2022",
    title="Learning rates as a function of batch size: a random matrix theory approach to neural network training",
    authors="Diego Granziol, Stefan Zohren, Stephen Roberts",
    year=2022,
    arxiv="2006.09092",
    wing="optimization",
)
