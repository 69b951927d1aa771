"""MacKay et al. 2019: how a two-layer linear network answers the strength of its penalty, by gates on hidden units.

Objective: the sum over examples of squared errors, plus e^lambda times the mean over examples of the squared norm of
the Jacobian. Networks are trained on it from random weights; (A Q, A^{-T} s) is the same function, so what is compared
is the function, its objective, or the gates of a network that has nothing else to vary with lambda.
"""

from paper_checks.papers.mackay2019 import gates, tangent
from paper_checks.papers.mackay2019.paper import PAPER

__all__ = ["PAPER", "gates", "tangent"]
