"""The paper to which the modules beside this one attach their claims."""

from paper_checks.claim import Paper

PAPER = Paper(
    key="zheng2024",
    title="On mesa-optimization in autoregressively trained transformers: emergence and capability",
    authors="Chenyu Zheng, Wei Huang, Rongzhen Wang, Guoqiang Wu, Jun Zhu, Chongxuan Li",
    year=2024,
    arxiv="2405.16845",
    wing="in_context",
)
