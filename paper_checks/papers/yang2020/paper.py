"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="yang2020",
    title="Feature Learning in Infinite-Width Neural Networks",
    authors="Greg Yang, Edward J. Hu",
    year=2021,
    arxiv="2011.14522",
    wing="ntk",
)
