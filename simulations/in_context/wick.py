"""Exact averages of prompts, by expanding polynomials and looking up the moments of every variable."""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

import sympy
from sympy import Expr, Poly, Rational, Symbol

Moments = Mapping[int, Expr]


class ExactOptimum(NamedTuple):
    """The step that minimises the risk, and the risk there, as exact numbers."""

    step_size: Expr
    risk: Expr


class ExactMoments(NamedTuple):
    """Averages of tr H and tr H^2 as exact numbers."""

    trace: Expr
    trace_square: Expr


def gaussian(variance: Expr) -> Moments:
    """Moments of N(0, variance) up to the sixth."""
    return {0: sympy.Integer(1), 2: variance, 4: 3 * variance**2, 6: 15 * variance**3}


def symmetric(second: Expr, fourth: Expr) -> Moments:
    """Moments of a symmetric variable up to the fourth."""
    return {0: sympy.Integer(1), 2: second, 4: fourth}


def expectation(polynomial: Expr, moments: Mapping[Symbol, Moments]) -> Expr:
    """Average a polynomial in independent symmetric variables, monomial by monomial; other symbols are constants.

    Raises
    ------
    KeyError
        If a power occurs whose moment is not given; odd powers average to zero.
    """
    variables = list(moments)
    total = sympy.Integer(0)
    for powers, coefficient in Poly(sympy.expand(polynomial), *variables).terms():
        if not any(power % 2 for power in powers):
            factors = (moments[v][power] for v, power in zip(variables, powers, strict=True))
            total += coefficient * sympy.prod(factors)
    return sympy.expand(total)


def best_step(
    *, n_context: int, dim: int, second_moment: Fraction, fourth_moment: Fraction, noise_var: Fraction
) -> ExactOptimum:
    """Write out the squared error of one gradient step, average it, and solve for its stationary point.

    The error is that of eta times the sum over examples of (x_q . x_i) y_i against the noisy label of the query, with
    every coordinate of every vector a variable of its own. Meant for n, d <= 3.
    """
    eta = Symbol("eta")
    m2, m4, s2 = (Rational(value.numerator, value.denominator) for value in (second_moment, fourth_moment, noise_var))
    x = [sympy.symbols(f"x{i}_:{dim}") for i in range(n_context)]
    query, w = sympy.symbols(f"q:{dim}"), sympy.symbols(f"w:{dim}")
    noise = sympy.symbols(f"e:{n_context + 1}")
    labels = [_dot(row, w) + e for row, e in zip([*x, query], noise, strict=True)]
    prediction = eta * sum(_dot(query, row) * label for row, label in zip(x, labels[:-1], strict=True))
    moments: dict[Symbol, Moments] = {v: symmetric(m2, m4) for row in [*x, query] for v in row}
    moments |= {v: gaussian(sympy.Integer(1)) for v in w} | {v: gaussian(s2) for v in noise}
    risk = expectation((prediction - labels[-1]) ** 2, moments)
    (step,) = sympy.solve(sympy.diff(risk, eta), eta)
    return ExactOptimum(step, risk.subs(eta, step))


def gram_traces(*, n_context: int, dim: int, second_moment: Fraction, fourth_moment: Fraction) -> ExactMoments:
    """Average tr H and tr H^2 of the Gram matrix of n inputs, every entry a variable of its own."""
    m2, m4 = (Rational(value.numerator, value.denominator) for value in (second_moment, fourth_moment))
    x = sympy.Matrix(n_context, dim, sympy.symbols(f"x:{n_context * dim}"))
    moments = {v: symmetric(m2, m4) for v in x}
    gram = x.T * x
    return ExactMoments(expectation(gram.trace(), moments), expectation((gram * gram).trace(), moments))


def _dot(a: tuple[Symbol, ...], b: tuple[Symbol, ...]) -> Expr:
    return sum((u * v for u, v in zip(a, b, strict=True)), start=sympy.Integer(0))
