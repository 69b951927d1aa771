"""Zheng et al. 2024: linear attention trained on linear sequences learns one step of gradient descent on its prompt.

The paper's loss has a factor 1/2 and T - 2 terms; its attention is divided by t - 1. Averages over the phases of W are
taken over roots of unity and those over the first token over quadrature nodes, both exact for these polynomials.
"""

from paper_checks.papers.zheng2024 import limit, one_step, recovery
from paper_checks.papers.zheng2024.paper import PAPER

__all__ = ["PAPER", "limit", "one_step", "recovery"]
