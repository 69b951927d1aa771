r"""Exact rational averages over small Gaussian prompts: every layer output as a polynomial, every monomial by Wick.

The mean of a product of independent centred Gaussians counts pairings, :math:`E z^{2k} = (2k - 1)!! \, v^k`; nothing
else about the layer, its loss or its optimum is used. Affordable for n, d <= 3.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple

from sympy import QQ, Rational
from sympy.polys.rings import PolyElement, ring

from simulations import validation
from simulations.in_context.linear_layer import Attention

Rationals = Sequence[Sequence[Fraction | int]]


class Variables(NamedTuple):
    """The random variables of a prompt as polynomials in independent Gaussians, and the variances of those."""

    x: list[list[Any]]  # (n, d), correlated
    w: list[Any]
    noise: list[Any]
    query: list[Any]
    query_noise: Any
    variances: tuple[Any, ...]

    @property
    def labels(self) -> list[Any]:
        """Labels of the examples."""
        return [dot(row, self.w) + e for row, e in zip(self.x, self.noise, strict=True)]

    @property
    def target(self) -> Any:
        """Label of the query."""
        return dot(self.query, self.w) + self.query_noise


def gaussian_prompt(*, n: int, dim: int, root: Rationals | None = None, noise_var: Fraction | int = 0) -> Variables:
    """Set up the variables of a prompt with n examples and a standard normal task.

    Parameters
    ----------
    n, dim : int
        Numbers of examples and of coordinates.
    root : sequence of sequences of rationals, shape (d, d), optional
        Inputs are ``root @ z`` with standard normal z; the identity when left out.
    noise_var : rational
        Variance of the label noise.

    Examples
    --------
    >>> prompt = gaussian_prompt(n=2, dim=1, noise_var=1)
    >>> mean(prompt.target**2, prompt.variances)
    2
    """
    count, d = validation.integer("n", n, minimum=1), validation.integer("dim", dim, minimum=1)
    size = count * d + d + count + d + 1
    domain, *z = ring([f"z{i}" for i in range(size)], QQ)
    take = iter(z)
    matrix = root if root is not None else [[int(i == j) for j in range(d)] for i in range(d)]

    def vector(length: int) -> list[Any]:
        return [next(take) for _ in range(length)]

    def inputs() -> list[Any]:
        standard = vector(d)
        return [sum((rational(c) * v for c, v in zip(row, standard, strict=True)), domain(0)) for row in matrix]

    x = [inputs() for _ in range(count)]
    w, noise, query, query_noise = vector(d), vector(count), inputs(), next(take)
    quiet, noisy = (QQ(1),), (rational(noise_var),)
    variances = quiet * (count * d + d) + noisy * count + quiet * d + noisy
    return Variables(x, w, noise, query, query_noise, variances)


def mean(polynomial: PolyElement, variances: Sequence[Any]) -> Rational:
    """Mean of a polynomial in independent centred Gaussians, exactly."""
    total = QQ(0)
    for powers, coefficient in polynomial.terms():
        if all(power % 2 == 0 for power in powers):
            pairings = prod(prod(range(1, power, 2)) for power in powers)
            total += coefficient * pairings * prod(v ** (p // 2) for v, p in zip(variances, powers, strict=True))
    return Rational(total.numerator, total.denominator)


def answer(value: Sequence[Any], key_query: Rationals, prompt: Variables, attention: Attention) -> PolyElement:
    """Answer of a linear attention layer with value row (d + 1) and key-query matrix (d + 1, d + 1), token by token."""
    tokens = [[*row, label] for row, label in zip(prompt.x, prompt.labels, strict=True)]
    token = [*prompt.query, prompt.target * 0]
    if attention.query_attends:
        tokens.append(token)
    asked = [dot([rational(c) for c in row], token) for row in key_query]
    total = sum((dot([rational(c) for c in value], t) * dot(t, asked) for t in tokens), prompt.target * 0)
    return total * QQ(1, len(prompt.x)) if attention.averaged else total


def squared_error(value: Sequence[Any], key_query: Rationals, prompt: Variables, attention: Attention) -> Rational:
    """Exact mean squared error of a layer against the query's label."""
    return mean((answer(value, key_query, prompt, attention) - prompt.target) ** 2, prompt.variances)


def dot(left: Sequence[Any], right: Sequence[Any]) -> Any:
    """Inner product of two sequences."""
    first, *rest = (a * b for a, b in zip(left, right, strict=True))
    return sum(rest, first)


def gram(prompt: Variables) -> list[list[Any]]:
    """Sum of outer products of the inputs, as polynomials."""
    d = len(prompt.w)
    return [[dot([row[i] for row in prompt.x], [row[j] for row in prompt.x]) for j in range(d)] for i in range(d)]


def rational(value: Fraction | int) -> Any:
    """Element of the domain of rationals that polynomials are over."""
    fraction = Fraction(value)
    return QQ(fraction.numerator, fraction.denominator)
