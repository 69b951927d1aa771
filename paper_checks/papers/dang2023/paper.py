"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="dang2023",
    title="Neural Collapse in Deep Linear Networks: From Balanced to Imbalanced Data",
    authors="Hien Dang, Tho Tran, Stanley Osher, Hung Tran-The, Nhat Ho, Tan Nguyen",
    year=2023,
    arxiv="2301.00437",
    wing="neural_collapse",
)
