"""Classical bounds on generalisation: tails, PAC-Bayes, complexities of classes, stability, and a table of them all."""

from theory.generalization._bernoulli import bernoulli_kl, kl_inverse
from theory.generalization._complexity import (
    cover_count,
    massart_bound,
    rademacher_finite,
    rademacher_linear,
    rademacher_linear_gaussian,
    sauer_bound,
)
from theory.generalization._pac_bayes import (
    gibbs_posterior,
    maurer_constant,
    pac_bayes_catoni,
    pac_bayes_mcallester,
    pac_bayes_seeger,
)
from theory.generalization._risk_bounds import BoundTable, RiskBound, compare_bounds, risk_bounds
from theory.generalization._stability import (
    OLSErrors,
    ols_errors,
    ridge_loo_residuals,
    stability_bound_strongly_convex,
)
from theory.generalization._tails import (
    bahadur_rao_tail,
    bennett_tail,
    bernstein_tail,
    binomial_tail,
    chernoff_tail,
    hoeffding_tail,
)

__all__ = [
    "BoundTable",
    "OLSErrors",
    "RiskBound",
    "bahadur_rao_tail",
    "bennett_tail",
    "bernoulli_kl",
    "bernstein_tail",
    "binomial_tail",
    "chernoff_tail",
    "compare_bounds",
    "cover_count",
    "gibbs_posterior",
    "hoeffding_tail",
    "kl_inverse",
    "massart_bound",
    "maurer_constant",
    "ols_errors",
    "pac_bayes_catoni",
    "pac_bayes_mcallester",
    "pac_bayes_seeger",
    "rademacher_finite",
    "rademacher_linear",
    "rademacher_linear_gaussian",
    "ridge_loo_residuals",
    "risk_bounds",
    "sauer_bound",
    "stability_bound_strongly_convex",
]
