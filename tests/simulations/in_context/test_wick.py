from fractions import Fraction

import pytest
import sympy
from sympy import Integer, Rational

from simulations.in_context import wick


def test_expectation_of_independent_variables():
    x, y, a = sympy.symbols("x y a")
    moments = {x: wick.gaussian(Integer(2)), y: wick.symmetric(Integer(1), Integer(5))}
    assert wick.expectation((x + a * y) ** 4, moments) == sympy.expand(12 + 6 * a**2 * 2 + 5 * a**4)
    assert wick.expectation(x**3 * y, moments) == 0
    assert wick.expectation(Integer(7), moments) == 7
    with pytest.raises(KeyError):
        wick.expectation(y**6, moments)


def test_one_example_in_one_dimension():
    """E (eta q x (x w + e) - q w - f)^2 = s2 + m2 (1 - 2 eta m2 + eta^2 (m4 + s2 m2)), by hand."""
    m2, m4, s2 = Rational(1, 2), Rational(3, 2), Rational(1, 3)
    found = wick.best_step(
        n_context=1, dim=1, second_moment=Fraction(1, 2), fourth_moment=Fraction(3, 2), noise_var=Fraction(1, 3)
    )
    assert found.step_size == m2 / (m4 + s2 * m2)
    assert found.risk == s2 + m2 * (1 - m2 * found.step_size)


def test_gram_traces_of_signs():
    found = wick.gram_traces(n_context=2, dim=2, second_moment=Fraction(1), fourth_moment=Fraction(1))
    assert found.trace == 4
    # H = 2 I + off-diagonal entry s = x1.x2 of columns, E s^2 = 2
    assert found.trace_square == 2 * 4 + 2 * 2
