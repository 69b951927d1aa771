"""The paper to which the modules beside this one attach their claims.

The text draws inputs from U(-1, 1), the authors' code from U(-1/2, 1/2), which changes the best step fourfold; the
half-width is an explicit number here. Steps named eta_N act on the mean over the context, all others on the sum.
"""

from paper_checks.claim import Paper

PAPER = Paper(
    key="vonoswald2022",
    title="Transformers learn in-context by gradient descent",
    authors=(
        "Johannes von Oswald, Eyvind Niklasson, Ettore Randazzo, João Sacramento, Alexander Mordvintsev, "
        "Andrey Zhmoginov, Max Vladymyrov"
    ),
    year=2022,
    arxiv="2212.07677",
    wing="in_context",
)
