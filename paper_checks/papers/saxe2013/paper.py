"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="saxe2013",
    title="Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
    authors="Andrew M. Saxe, James L. McClelland, Surya Ganguli",
    year=2013,
    arxiv="1312.6120",
    wing="deep_linear",
)
