"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="borup2021",
    title="Even your teacher needs guidance: ground-truth targets dampen regularization imposed by self-distillation",
    authors="Kenneth Borup, Lars N. Andersen",
    year=2021,
    arxiv="2102.13088",
    wing="kernel_regression",
)
