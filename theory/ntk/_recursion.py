"""The kernel recursion, entry by entry, compiled: all layers of one input against a tile of 128 others in the cache.

A pair of inputs with variances a, b is carried as

- its *gap*: 1 - rho while the correlation rho is nonnegative, -(1 + rho) when it is negative, so that pairs which are
  nearly equal and pairs which are nearly opposite keep all their digits;
- its tangent kernel in units of sqrt(a b).

In these units a layer is

    rho' = c c' R(rho) + b^2 e e',    tau' = mu c c' R(rho) + v e e' + c c' R1(rho) tau,

with the normalised duals R(rho) of phi and R1(rho) of phi', e = 1 / sqrt(variance of the layer's output), c^2 + b^2 e^2
= 1, so that nothing cancels in 1 - rho' = c c' (1 - R) + (c - c')^2 / 2 + b^2 (e - e')^2 / 2, nor in the same with
pluses, 1 + rho'. The first layer has R(rho) = rho, and its gaps come from differences (or sums) of unit vectors.
Nothing here depends on which of two inputs comes first, to the last bit: every operation is symmetric, sums run over
dimensions in the same order, and tiles are padded so that no loop has a remainder.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

# no division is checked, and products may be fused with sums; sums keep their order
_compiled = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})

TILE = 128
UNROLL = 4

# offsets in the workspace; one array holds it all, since vectorised loops have to rule out that arrays overlap
GAP, TAU = 0, TILE
BELOW, ROOT = 2 * TILE, 3 * TILE
RHO, VALUE, SLOPE, FALL, WHOLE, APART = (k * TILE for k in range(2, 8))

TINY = 1e-300
CLOSE = 1 / 16  # gap of a pair

HALF_PI = np.pi / 2


class Layers(NamedTuple):
    """Affine layers as one set of inputs sees them; see the module's docstring."""

    c: Array  # (L, n)
    e: Array  # (L, n)
    scale: Array  # (n,) standard deviation of the outputs


class Sizes(NamedTuple):
    """Affine layers as all inputs see them, each of shape (L,) but for the first."""

    bias: float  # b^2
    mu: Array  # factor of the NNGP kernel in the tangent kernel
    v: float  # what a layer's biases add to the tangent kernel


@_compiled
def _angle(d):
    """Return theta / (pi sqrt(2 d)) for 1 - cos(theta) = d in [0, 1]."""
    square = d * d
    even = 0.3183098861837907 + square * (
        0.00596831036626583
        + square
        * (
            0.0006044299569287606
            + square
            * (
                8.636285075850551e-05
                + square
                * (
                    1.64016661221292e-05
                    + square
                    * (
                        2.4468864405570126e-05
                        + square
                        * (
                            7.834974542320849e-05
                            + square
                            * (
                                9.018654946263806e-05
                                + square * (2.796645340986302e-05 + square * 1.0798261173654198e-06)
                            )
                        )
                    )
                )
            )
        )
    )
    odd = 0.02652582384864655 + square * (
        0.0017762828318784063
        + square
        * (
            0.00022253426890176517
            + square
            * (
                3.432635384426163e-05
                + square
                * (
                    -1.6173734695216744e-06
                    + square
                    * (
                        -4.61410296755898e-05
                        + square
                        * (-9.678613134317523e-05 + square * (-6.051171064278059e-05 + square * -7.962927550705774e-06))
                    )
                )
            )
        )
    )
    return even + d * odd


@_compiled
def _bent(d):
    """Return (sin(theta) - theta cos(theta)) / (pi (2 d)^(3/2)) for 1 - cos(theta) = d in [0, 1]."""
    square = d * d
    even = 0.1061032953945969 + square * (
        0.000852615766569589
        + square
        * (
            5.494815054424842e-05
            + square
            * (
                5.754756740490586e-06
                + square
                * (
                    7.934655106804694e-07
                    + square
                    * (
                        5.164218537595208e-07
                        + square
                        * (
                            1.4583968419584919e-06
                            + square
                            * (
                                1.6774135624773108e-06
                                + square * (5.239882899957863e-07 + square * 2.0584796547628515e-08)
                            )
                        )
                    )
                )
            )
        )
    )
    odd = 0.005305164769729796 + square * (
        0.00019736476050112158
        + square
        * (
            1.7118355260339133e-05
            + square
            * (
                2.0354299489307603e-06
                + square
                * (
                    1.4745918219122803e-07
                    + square
                    * (
                        -8.274183706111947e-07
                        + square
                        * (-1.7903758760656e-06 + square * (-1.12781361956457e-06 + square * -1.49986424516087e-07))
                    )
                )
            )
        )
    )
    return even + d * odd


@_compiled
def _arc(z):
    """Return arcsin(sqrt(z)) / sqrt(z) for z in [0, 1/4]."""
    square = z * z
    even = 1.0 + square * (
        0.07500000000385201
        + square
        * (
            0.03038195969768514
            + square
            * (
                0.01735977964134998
                + square * (0.012170138592391726 + square * (0.019513468251252167 + square * 0.03187962140081284))
            )
        )
    )
    odd = 0.16666666666664942 + square * (
        0.044642856805998936
        + square
        * (
            0.022371749733164054
            + square * (0.01388484282640208 + square * (0.0065293020047365695 + square * -0.016187392271599134))
        )
    )
    return even + z * odd


@_compiled
def _arcsin(x, cosine_squared):
    """Arcsine of x in [0, 1]; 1 - x^2 comes along, so that x near 1 keeps its digits."""
    outer = x > 0.5
    z = cosine_squared / (2.0 * (1.0 + x)) if outer else x * x
    root = np.sqrt(z) if outer else x
    inner = root * _arc(z)
    return HALF_PI - 2.0 * inner if outer else inner


@_compiled
def _mix(below, above, c1, e1, c2, e2, bias):
    """Gap of c c' R + b^2 e e', given 1 - R and 1 + R."""
    cc = c1 * c2
    dc = 0.5 * (c1 - c2) * (c1 - c2)
    de, se = e1 - e2, e1 + e2
    low = cc * below + dc + 0.5 * bias * (de * de)
    high = cc * above + dc + 0.5 * bias * (se * se)
    return low if low <= high else -(high + TINY)


@_compiled
def _open(i, j0, x1, x2, one, two, sizes, work):
    """First layer of row i against the columns of a tile."""
    u = x1[i]
    for t in range(TILE):
        work[GAP + t] = 0.0
    for k in range(0, u.size, UNROLL):
        u0, u1, u2, u3 = u[k], u[k + 1], u[k + 2], u[k + 3]
        v = x2[k * TILE : (k + UNROLL) * TILE]
        for t in range(TILE):
            d0, d1, d2, d3 = u0 - v[t], u1 - v[TILE + t], u2 - v[2 * TILE + t], u3 - v[3 * TILE + t]
            work[GAP + t] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
    opposite = 0
    for t in range(TILE):
        work[GAP + t] *= 0.5
        opposite += work[GAP + t] > 1.5
    if opposite:
        for t in range(TILE):
            if work[GAP + t] > 1.5:
                total = 0.0
                for k in range(u.size):
                    s = u[k] + x2[k * TILE + t]
                    total += s * s
                work[GAP + t] = -(0.5 * total + TINY)
    c1, e1, c2, e2 = one.c[0, i], one.e[0, i], two.c[0, j0 : j0 + TILE], two.e[0, j0 : j0 + TILE]
    for t in range(TILE):
        gap = work[GAP + t]
        below = gap if gap >= 0.0 else 2.0 + gap
        above = 2.0 - gap if gap >= 0.0 else -gap
        work[TAU + t] = sizes.mu[0] * (c1 * c2[t]) * (1.0 - below) + sizes.v * (e1 * e2[t])
        work[GAP + t] = _mix(below, above, c1, e1, c2[t], e2[t], sizes.bias)


@_compiled
def _rectify(i, j0, layer, bend, one, two, sizes, work):
    """One hidden layer of a piecewise linear activation; ``bend`` is (a+ - a-)^2 / (a+^2 + a-^2)."""
    c1, e1, c2, e2 = one.c[layer, i], one.e[layer, i], two.c[layer, j0 : j0 + TILE], two.e[layer, j0 : j0 + TILE]
    mu, v = sizes.mu[layer], sizes.v
    for t in range(TILE):
        gap, tau = work[GAP + t], work[TAU + t]
        negative = gap < 0.0
        d = abs(gap)
        root = np.sqrt(2.0 * d)
        near = root * _angle(d)
        bent = root * (2.0 * d) * _bent(d)
        angle = 1.0 - near if negative else near
        below = 2.0 - d - bend * (1.0 - d + bent) if negative else d - bend * bent
        cc = c1 * c2[t]
        work[TAU + t] = mu * cc * (1.0 - below) + v * (e1 * e2[t]) + cc * (1.0 - bend * angle) * tau
        work[GAP + t] = _mix(below, 2.0 - below, c1, e1, c2[t], e2[t], sizes.bias)


class ErfLayers(NamedTuple):
    """What erf makes of variances k: r^2 = 2 k / (1 + 2 k), 1 - r^2, sqrt(arcsin r^2), r over that; each (L, n)."""

    r: Array
    rest: Array
    m: Array
    slope: Array


@_compiled
def _erf(i, j0, layer, one, two, erf1, erf2, sizes, work):
    """One hidden layer of erf: R = arcsin(r r' rho) / (m m').

    A gap d below CLOSE takes 1 - R from the difference of two arcsines. From there on subtracting R itself costs a
    factor of 1 / d <= 16 in rounding, and tiles without a smaller gap are spared the difference.
    """
    c1, e1, c2, e2 = one.c[layer, i], one.e[layer, i], two.c[layer, j0 : j0 + TILE], two.e[layer, j0 : j0 + TILE]
    r1, q1, m1, s1 = erf1.r[layer - 1, i], erf1.rest[layer - 1, i], erf1.m[layer - 1, i], erf1.slope[layer - 1, i]
    tile = slice(j0, j0 + TILE)
    r2, q2 = erf2.r[layer - 1, tile], erf2.rest[layer - 1, tile]
    m2, s2 = erf2.m[layer - 1, tile], erf2.slope[layer - 1, tile]
    mu, v = sizes.mu[layer], sizes.v
    for t in range(TILE):
        d = abs(work[GAP + t])
        p = r1 * r2[t]
        y_rest = (q1 + q2[t] - q1 * q2[t]) + p * p * (d * (2.0 - d))  # 1 - y^2
        work[ROOT + t] = np.sqrt(y_rest)
        work[BELOW + t] = 1.0 - _arcsin(p * (1.0 - d), y_rest) / (m1 * m2[t] + TINY)
    close = 0
    for t in range(TILE):
        close += abs(work[GAP + t]) < CLOSE
    if close:
        for t in range(TILE):
            d = abs(work[GAP + t])
            p = r1 * r2[t]
            y = p * (1.0 - d)
            p_rest = q1 + q2[t] - q1 * q2[t]  # 1 - p^2
            p_root = np.sqrt(p_rest)
            cosine = p_root * work[ROOT + t] + p * y
            arc = _arcsin(p * p * (d * (2.0 - d)) / (p * work[ROOT + t] + y * p_root + TINY), cosine * cosine)
            mm = m1 * m2[t] + TINY
            unequal = max(mm - _arcsin(p, p_rest), 0.0)
            unequal = 0.0 if r1 == r2[t] else unequal
            difference = (unequal + arc) / mm
            work[BELOW + t] = difference if d < CLOSE else work[BELOW + t]
    for t in range(TILE):
        below, tau = work[BELOW + t], work[TAU + t]
        negative = work[GAP + t] < 0.0
        low, high = 2.0 - below if negative else below, below if negative else 2.0 - below
        cc = c1 * c2[t]
        work[TAU + t] = mu * cc * (1.0 - low) + v * (e1 * e2[t]) + cc * (s1 * s2[t] / work[ROOT + t]) * tau
        work[GAP + t] = _mix(low, high, c1, e1, c2[t], e2[t], sizes.bias)


@_compiled
def _expand(i, j0, layer, a, b, one, two, sizes, work):
    """One hidden layer of a Hermite series, c c' R = sum of a a' rho^j, by Horner's rule at rho and at 1."""
    e1, e2 = one.e[layer, i], two.e[layer, j0 : j0 + TILE]
    mu, v = sizes.mu[layer], sizes.v
    work[VALUE:] = 0.0
    for t in range(TILE):
        gap = work[GAP + t]
        work[RHO + t] = 1.0 - gap if gap >= 0.0 else -1.0 - gap
    for k in range(a.size - 2, -1, -2):  # two terms at a time
        x0, x1 = a[k], a[k + 1]
        rows = b[k * TILE : (k + 2) * TILE]
        for t in range(TILE):
            rho, y0, y1 = work[RHO + t], rows[t], rows[TILE + t]
            c0, c1 = x0 * y0, x1 * y1
            value, whole = work[VALUE + t], work[WHOLE + t]
            slope = work[SLOPE + t] * rho + value
            fall = work[FALL + t] * rho + whole
            value = value * rho + c1
            whole += c1
            work[SLOPE + t] = slope * rho + value
            work[FALL + t] = fall * rho + whole
            work[VALUE + t] = value * rho + c0
            work[WHOLE + t] = whole + c0
            work[APART + t] += (x0 - y0) * (x0 - y0) + (x1 - y1) * (x1 - y1)
    for t in range(TILE):
        gap = work[GAP + t]
        below = gap if gap >= 0.0 else 2.0 + gap
        de = e1 - e2[t]
        work[TAU + t] = mu * work[VALUE + t] + v * (e1 * e2[t]) + work[SLOPE + t] * work[TAU + t]
        low = 0.5 * (work[APART + t] + sizes.bias * (de * de)) + below * work[FALL + t]
        work[GAP + t] = low if low <= 1.0 else -(max(2.0 - low, 0.0) + TINY)


RECTIFIER, ERF, SERIES = 0, 1, 2


@_compiled
def fill(first, last, symmetric, kind, x1, x2, one, two, sizes, bend, erf1, erf2, a1, a2, nngp, ntk):
    """Write rows ``first`` to ``last`` of both kernels, and of a symmetric one the columns below them as well.

    Unit vectors are in rows on one side, ``x1`` (n, d), and in tiles on the other, ``x2`` (m / TILE, d TILE), with d a
    multiple of four; so are the series' coefficients, ``a1`` (L, n, J) and ``a2`` (L, m / TILE, J TILE), with J even.
    """
    columns = nngp.shape[1]
    work = np.empty(8 * TILE)
    for j0 in range(first if symmetric else 0, columns, TILE):
        width = min(TILE, columns - j0)
        for i in range(first, last):
            _open(i, j0, x1, x2[j0 // TILE], one, two, sizes, work)
            for layer in range(1, one.c.shape[0]):
                if kind == RECTIFIER:
                    _rectify(i, j0, layer, bend, one, two, sizes, work)
                elif kind == ERF:
                    _erf(i, j0, layer, one, two, erf1, erf2, sizes, work)
                else:
                    _expand(i, j0, layer, a1[layer - 1, i], a2[layer - 1, j0 // TILE], one, two, sizes, work)
            scale = one.scale[i]
            above, tangent = nngp[i, j0 : j0 + width], ntk[i, j0 : j0 + width]
            for t in range(width):
                size = scale * two.scale[j0 + t]
                gap = work[GAP + t]
                above[t] = size * (1.0 - gap if gap >= 0.0 else -1.0 - gap)
                tangent[t] = size * work[TAU + t]
        if symmetric and j0 > first:
            for j in range(j0, j0 + width):
                for i in range(first, last):
                    nngp[j, i] = nngp[i, j]
                    ntk[j, i] = ntk[i, j]
