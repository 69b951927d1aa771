"""The classical bounds, as one paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="classic",
    title="Classical bounds on generalisation, on models small enough to be solved exactly",
    authors="Wassily Hoeffding, George Bennett, Thomas Cover, David McAllester, Matthias Seeger, Andreas Maurer, "
    "Olivier Catoni, Pascal Massart, Olivier Bousquet, André Elisseeff, Aolin Xu, Maxim Raginsky and others",
    year=1963,
    wing="generalization",
)
