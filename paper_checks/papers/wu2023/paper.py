"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="wu2023",
    title="The implicit regularization of dynamical stability in stochastic gradient descent",
    authors="Lei Wu, Weijie J. Su",
    year=2023,
    arxiv="2305.17490",
    wing="optimization",
)
