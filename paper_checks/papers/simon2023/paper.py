"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="simon2023",
    title="More is better in modern machine learning: when infinite overparameterization is optimal and overfitting is "
    "obligatory",
    authors="James B. Simon, Dhruva Karkada, Nikhil Ghosh, Mikhail Belkin",
    year=2023,
    arxiv="2311.14646",
    wing="kernel_regression",
)
