import mpmath as mp
import numpy as np
import pytest

from benchmarks._errors import Case, apart, together, try_case

POINTS = [{"x": float(x)} for x in (0.5, 2.0, 30.0)]


def case(solve, **options):
    return Case("exp", POINTS, solve, lambda x: mp.exp(x), **options)


def test_a_known_error_is_measured():
    (errors,) = try_case(case(together(lambda x: np.exp(x) * (1 + 1e-6 * (x == 2.0)))))
    assert errors.relative[1] == pytest.approx(1e-6, rel=1e-9)
    assert errors.worst == 1
    assert errors.relative[[0, 2]].max() < 1e-15


def test_errors_count_in_roundings_of_the_inputs_and_the_result():
    # exp has the condition number x
    (errors,) = try_case(case(together(lambda x: np.exp(x) * (1 + 1e-6))))
    unit = 2.0**-53 * np.array([1.5, 3.0, 31.0])
    assert errors.roundings == pytest.approx(1e-6 / unit, rel=1e-6)


def test_failures_are_counted_and_never_averaged():
    def fails(x):
        if x > 10:
            raise OverflowError
        return np.exp(x)

    _, rival = try_case(case(together(lambda x: np.exp(x)), rivals={"fails": apart(fails)}))
    assert rival.name == "fails"
    assert rival.lost == 1
    assert rival.worst == 2
    assert np.isfinite(rival.relative).sum() == 2


def test_mistakes_of_a_solver_itself_are_not_swallowed():
    def broken(x):
        raise KeyError(x)

    with pytest.raises(KeyError):
        try_case(case(apart(broken)))


@pytest.mark.parametrize(("entrywise", "expected"), [(False, 1e-9), (True, 1e-3)])
def test_several_entries_are_judged_by_the_largest_or_each_by_itself(entrywise, expected):
    both = Case(
        "pair",
        POINTS[:1],
        apart(lambda x: np.array([1.0, 1e-6 * (1 + 1e-3)])),
        lambda x: [mp.mpf(1), mp.mpf("1e-6")],
        conditioned=False,
        entrywise=entrywise,
    )
    (errors,) = try_case(both)
    assert errors.relative[0] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(errors.roundings[0])


def test_matrices_are_compared_in_row_order():
    matrix = np.arange(6.0).reshape(2, 3)
    transposed = Case(
        "matrix",
        [{}],
        apart(lambda: matrix),
        lambda: mp.matrix(matrix.tolist()),
        {"transposed": apart(lambda: matrix.T)},
        conditioned=False,
    )
    errors, rival = try_case(transposed)
    assert errors.relative[0] == 0
    assert rival.relative[0] == pytest.approx(2 / 5)
