"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="tyurin2024",
    title="From logistic regression to the perceptron algorithm: exploring gradient descent with large step sizes",
    authors="Alexander Tyurin",
    year=2024,
    arxiv="2412.08424",
    wing="optimization",
)
