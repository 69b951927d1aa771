"""Bounds on the risk of what was learned, side by side: which apply, what they say, and which says most."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from theory import validation
from theory.generalization._bernoulli import kl_inverse
from theory.generalization._complexity import sauer_bound
from theory.generalization._pac_bayes import maurer_constant, pac_bayes_catoni, pac_bayes_mcallester, pac_bayes_seeger

Array = NDArray[np.float64]

_HOLDS = {
    "hoeffding": "all hypotheses of the class",
    "chernoff": "all hypotheses of the class",
    "clopper-pearson": "all hypotheses of the class, 0-1 loss",
    "empirical bernstein": "all hypotheses of the class",
    "vc": "all hypotheses of the class, 0-1 loss",
    "rademacher": "all hypotheses of the class",
    "pac-bayes maurer": "all posteriors",
    "pac-bayes seeger": "all posteriors",
    "pac-bayes mcallester": "all posteriors",
    "pac-bayes catoni": "all posteriors, C fixed in advance",
    "uniform stability": "the learner's output",
    "mutual information": "the learner's output, in expectation",
}
_SOURCES = {
    "hoeffding": "Hoeffding 1963",
    "chernoff": "Chernoff 1952, Langford 2005",
    "clopper-pearson": "Clopper and Pearson 1934",
    "empirical bernstein": "Maurer and Pontil 2009",
    "vc": "Sauer 1972, Massart 2000",
    "rademacher": "Bartlett and Mendelson 2002",
    "pac-bayes maurer": "Maurer 2004",
    "pac-bayes seeger": "Seeger 2002",
    "pac-bayes mcallester": "McAllester 1999",
    "pac-bayes catoni": "Catoni 2007",
    "uniform stability": "Bousquet and Elisseeff 2002",
    "mutual information": "Xu and Raginsky 2017",
}


def risk_bounds(
    n: int,
    empirical_risk: ArrayLike,
    *,
    delta: float = 0.05,
    num_hypotheses: int | None = None,
    vc_dim: int | None = None,
    rademacher: ArrayLike | None = None,
    kl: ArrayLike | None = None,
    catoni_c: float | None = None,
    stability: float | None = None,
    information: float | None = None,
    sample_variance: ArrayLike | None = None,
    zero_one: bool = False,
) -> dict[str, Array]:
    r"""Upper bounds on the risk from n independent examples, by name; each bound needs its complexity term.

    Losses are in [0, 1], r is the training loss, and each bound alone holds with probability 1 - delta (that from
    information in expectation over training sets). With :math:`M` hypotheses and :math:`\ell = \ln (M / \delta)`:

    ==================== ============================================================================================
    hoeffding            :math:`r + \sqrt{\ell / 2n}`
    chernoff             :math:`\mathrm{kl}^{-1}_+(r, \ell / n)`
    clopper-pearson      largest p with :math:`P(\mathrm{Bin}(n, p) \le n r) \ge \delta / M`, for 0-1 loss
    empirical bernstein  :math:`r + \sqrt{2 V \ln(2 M / \delta) / n} + 7 \ln(2 M / \delta) / (3 (n - 1))`
    vc                   :math:`r + \sqrt{2 \ln \Pi / n} + \sqrt{\ln(1 / \delta) / 2n}`, :math:`\Pi` Sauer's count
    rademacher           :math:`r + 2 \hat R + 3 \sqrt{\ln(2 / \delta) / 2n}`
    pac-bayes maurer     :math:`\mathrm{kl}^{-1}_+(r, (\mathrm{KL} + \ln(\xi(n) / \delta)) / n)`
    pac-bayes seeger     the same with :math:`2 \sqrt n` for :math:`\xi(n)`
    pac-bayes mcallester :func:`pac_bayes_mcallester`
    pac-bayes catoni     :func:`pac_bayes_catoni`
    uniform stability    :math:`r + \beta + (2 n \beta + 1) \sqrt{\ln(1 / \delta) / 2n}`
    mutual information   :math:`r + \sqrt{I / 2n}`, r and the risk both averaged over training sets
    ==================== ============================================================================================

    Parameters
    ----------
    n : int
        Number of examples >= 1.
    empirical_risk : array_like
        r in [0, 1].
    delta : float
        Failure probability in (0, 1).
    num_hypotheses : int, optional
        M >= 1, the size of a class fixed before the data are seen; 1 where no complexity term is given at all, for a
        hypothesis that was fixed in advance, or a test set.
    vc_dim : int, optional
        VC dimension >= 0 of the class, for 0-1 loss.
    rademacher : array_like, optional
        Empirical Rademacher complexity >= 0 of the *losses* of the class: half that of its signs, for 0-1 loss.
    kl : array_like, optional
        KL(Q || P) >= 0 of the posterior from the prior, nats; r is then the mean training loss of Q.
    catoni_c : float, optional
        C > 0, fixed in advance; needs ``kl``.
    stability : float, optional
        beta >= 0: how much the loss at any point can change when one example is replaced.
    information : float, optional
        I(W; S) >= 0, nats.
    sample_variance : array_like, optional
        V >= 0, unbiased variance of the training losses; known from r for 0-1 loss.
    zero_one : bool
        Whether losses are 0 or 1, so that n r is whole.

    Returns
    -------
    dict of ndarray or float
        Not clipped at 1.

    Raises
    ------
    ValueError
        If an argument is out of range, ``catoni_c`` comes without ``kl``, or n r is not whole under ``zero_one``.

    Examples
    --------
    >>> {name: round(float(b), 4) for name, b in risk_bounds(1000, 0.05, num_hypotheses=100).items()}
    {'hoeffding': 0.1116, 'chernoff': 0.0815}
    """
    n = validation.integer("n", n, minimum=1)
    r = validation.interval("empirical_risk", empirical_risk, 0, 1)
    delta = float(validation.interval("delta", validation.scalar("delta", delta), 0, 1, closed=False))
    if catoni_c is not None and kl is None:
        raise ValueError("catoni_c must come with kl; got no kl")
    terms = (num_hypotheses, vc_dim, rademacher, kl, stability, information)
    if all(term is None for term in terms):
        num_hypotheses = 1
    log_failure = -np.log(delta)
    confidence = np.sqrt(log_failure / (2 * n))
    found: dict[str, Array] = {}
    if num_hypotheses is not None:
        found |= _of_a_finite_class(n, r, delta, num_hypotheses, sample_variance, zero_one)
    if vc_dim is not None:
        growth = sauer_bound(n, validation.integer("vc_dim", vc_dim, minimum=0))
        found["vc"] = r + np.sqrt(2 * _log_of_integer(growth) / n) + confidence
    if rademacher is not None:
        average = validation.nonnegative("rademacher", rademacher)
        found["rademacher"] = r + 2 * average + 3 * np.sqrt((np.log(2) + log_failure) / (2 * n))
    if kl is not None:
        kl = validation.nonnegative("kl", kl)
        found["pac-bayes maurer"] = kl_inverse(r, (kl + np.log(maurer_constant(n)) + log_failure) / n)
        found["pac-bayes seeger"] = pac_bayes_seeger(r, kl, n, delta=delta)
        found["pac-bayes mcallester"] = pac_bayes_mcallester(r, kl, n, delta=delta)
        if catoni_c is not None:
            found["pac-bayes catoni"] = pac_bayes_catoni(r, kl, n, delta=delta, c=catoni_c)
    if stability is not None:
        beta = validation.nonnegative("stability", stability)
        found["uniform stability"] = r + beta + (2 * n * beta + 1) * confidence
    if information is not None:
        found["mutual information"] = r + np.sqrt(validation.nonnegative("information", information) / (2 * n))
    return {name: np.asarray(bound)[()] for name, bound in found.items()}


def _of_a_finite_class(
    n: int, r: Array, delta: float, num_hypotheses: int, sample_variance: ArrayLike | None, zero_one: bool
) -> dict[str, Array]:
    M = validation.integer("num_hypotheses", num_hypotheses, minimum=1)
    complexity = np.log(M) - np.log(delta)
    found = {"hoeffding": r + np.sqrt(complexity / (2 * n)), "chernoff": kl_inverse(r, complexity / n)}
    if zero_one:
        wrong = np.rint(n * r)
        if not np.allclose(wrong, n * r, rtol=0, atol=1e-6):
            raise ValueError(f"empirical_risk must be a whole number of errors over n = {n} for 0-1 loss; got {r}")
        most = betaincinv(wrong + 1, np.maximum(n - wrong, 0.5), 1 - delta / M)
        found["clopper-pearson"] = np.where(wrong == n, 1.0, most)
        if n > 1 and sample_variance is None:
            sample_variance = n / (n - 1) * r * (1 - r)
    if n > 1 and sample_variance is not None:
        V = validation.nonnegative("sample_variance", sample_variance)
        doubled = complexity + np.log(2)
        found["empirical bernstein"] = r + np.sqrt(2 * V * doubled / n) + 7 * doubled / (3 * (n - 1))
    return found


def _log_of_integer(value: int) -> float:
    """Return the logarithm of an integer of any length."""
    shift = max(value.bit_length() - 1000, 0)
    return float(np.log(float(value >> shift)) + shift * np.log(2))


class RiskBound(NamedTuple):
    """One bound on the risk: its value, for what it holds at once, and who found it."""

    name: str
    value: float
    holds_for: str
    source: str

    @property
    def vacuous(self) -> bool:
        """Whether the bound says no more than that losses are at most one."""
        return self.value >= 1


@dataclass(frozen=True)
class BoundTable:
    """All bounds that apply, the lowest first; prints as a table, in a notebook too.

    Attributes
    ----------
    n : int
    empirical_risk, delta : float
    bounds : tuple of RiskBound
    """

    n: int
    empirical_risk: float
    delta: float
    bounds: tuple[RiskBound, ...]

    @property
    def best(self) -> RiskBound:
        """The lowest bound. Chosen after the fact it holds with probability 1 - delta times the number of bounds."""
        return self.bounds[0]

    def __iter__(self) -> Iterator[RiskBound]:
        return iter(self.bounds)

    def __len__(self) -> int:
        return len(self.bounds)

    def __getitem__(self, name: str) -> RiskBound:
        """Return the bound of that name, or raise KeyError naming those there are."""
        for bound in self.bounds:
            if bound.name == name:
                return bound
        raise KeyError(f"{name!r}; there are {', '.join(bound.name for bound in self.bounds)}")

    def _head(self) -> str:
        return f"n = {self.n}, training loss {self.empirical_risk:.4g}, delta = {self.delta:g}"

    def _lines(self) -> list[tuple[str, str, str, str]]:
        return [
            (b.name, f"{b.value:.4g}" + (" (vacuous)" if b.vacuous else ""), b.holds_for, b.source) for b in self.bounds
        ]

    def __repr__(self) -> str:
        lines = [("bound", "risk <=", "holds for", "source"), *self._lines()]
        widths = [max(len(line[k]) for line in lines) for k in range(4)]
        rows = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([self._head(), *rows])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("bound", "risk &le;", "holds for", "source"))
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in self._lines()
        )
        return f"<table><caption>{escape(self._head())}</caption><tr>{head}</tr>{body}</table>"


def compare_bounds(n: int, empirical_risk: float, *, delta: float = 0.05, **complexity: object) -> BoundTable:
    r"""Every bound on the risk that the given complexity terms allow, as a table with the lowest first.

    Parameters
    ----------
    n : int
        Number of examples >= 1.
    empirical_risk : float
        Training loss in [0, 1].
    delta : float
        Failure probability in (0, 1), of each bound.
    **complexity
        Any of the complexity terms of :func:`risk_bounds`: ``num_hypotheses``, ``vc_dim``, ``rademacher``, ``kl``,
        ``catoni_c``, ``stability``, ``information``, ``sample_variance``, ``zero_one``. None at all is a hypothesis
        fixed in advance, or a test set.

    Returns
    -------
    BoundTable

    Raises
    ------
    ValueError
        If an argument is out of range.
    TypeError
        If a complexity term is unknown.

    Examples
    --------
    >>> compare_bounds(1000, 0.05, num_hypotheses=100, vc_dim=3)
    n = 1000, training loss 0.05, delta = 0.05
    bound      risk <=  holds for                              source
    chernoff   0.08149  all hypotheses of the class            Chernoff 1952, Langford 2005
    hoeffding  0.1116   all hypotheses of the class            Hoeffding 1963
    vc         0.2833   all hypotheses of the class, 0-1 loss  Sauer 1972, Massart 2000
    """
    risk = validation.scalar("empirical_risk", empirical_risk)
    found = risk_bounds(n, risk, delta=delta, **complexity)  # type: ignore[arg-type]
    rows = [RiskBound(name, float(value), _HOLDS[name], _SOURCES[name]) for name, value in found.items()]
    return BoundTable(int(n), risk, float(delta), tuple(sorted(rows, key=lambda row: row.value)))
