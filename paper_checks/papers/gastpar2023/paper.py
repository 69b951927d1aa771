"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="gastpar2023",
    title="Fantastic generalization measures are nowhere to be found",
    authors="Michael Gastpar, Ido Nachum, Jonathan Shafer, Thomas Weinberger",
    year=2024,
    arxiv="2309.13658",
    wing="generalization",
)
