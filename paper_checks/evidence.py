"""What a simulation hands over and what a theory answers: plain arrays whose leading axes have a meaning."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Samples(NamedTuple):
    """Independent replicates of some quantities: ``values`` has shape (replicates, ...)."""

    values: Any


class Steps(NamedTuple):
    """Quantities at several step sizes: ``steps`` (K,), ``values`` (K, ...)."""

    steps: Any
    values: Any


class Sizes(NamedTuple):
    """Replicates at several system sizes: ``sizes`` (K,), ``samples`` (K, replicates, ...)."""

    sizes: Any
    samples: Any


class Exact(NamedTuple):
    """Exact numbers or SymPy expressions, compared symbolically."""

    expressions: tuple[Any, ...]


class Limit(NamedTuple):
    """A predicted limit and, where the theory gives it, the coefficient of the leading correction.

    The correction is ``coefficient * step**order`` under `ConvergenceOrder` and ``coefficient * size**-exponent``
    under `FiniteSize`.
    """

    value: Any
    coefficient: Any = None


Measurement = ArrayLike | Samples | Steps | Sizes | Exact
Prediction = ArrayLike | Limit | Steps | Exact
Thunk = Callable[[], Any]

_KINDS: Mapping[str, type] = {kind.__name__: kind for kind in (Samples, Steps, Sizes)}
_LEADING_AXES: Mapping[type, tuple[str, int]] = {
    Samples: ("values", 1),
    Steps: ("values", 1),
    Sizes: ("samples", 2),
    Limit: ("value", 0),
}


def components(*parts: ArrayLike, leading: int = 0) -> Array:
    """Join quantities of different shapes into one last axis of components.

    The first ``leading`` axes (replicates, step sizes) are shared by all parts and kept.
    """
    arrays = [np.asarray(part, dtype=float) for part in parts]
    return np.concatenate([a.reshape(*a.shape[:leading], -1) for a in arrays], axis=-1)


def normalise(evidence: Any, name: str) -> Any:
    """Turn every array of ``evidence`` into float64 and refuse what is empty or not finite.

    Raises
    ------
    ValueError
        If there are no numbers, or one is NaN or infinite; the message names ``name`` and the first bad place.
    """
    if isinstance(evidence, Exact):
        return Exact(_expressions(evidence.expressions, name))
    if isinstance(evidence, Samples | Steps | Sizes | Limit):
        fields = {k: v if v is None else _numbers(v, f"{name} ({k})") for k, v in evidence._asdict().items()}
        key, axes = _LEADING_AXES[type(evidence)]
        array = fields[key]
        if array is not None and array.ndim < axes:
            raise ValueError(f"{name} ({key}) must have {axes} leading axes; got shape {array.shape}")
        return type(evidence)(**fields)
    return _numbers(evidence, name)


def _expressions(values: Iterable[Any], name: str) -> tuple[Any, ...]:
    expressions = tuple(sympy.sympify(value) for value in values)
    if not expressions:
        raise ValueError(f"{name} must hold at least one expression")
    for index, expression in enumerate(expressions):
        if expression.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
            raise ValueError(f"{name} must be finite; got {expression} at index {index}")
        if expression.has(sympy.Float):
            raise ValueError(f"{name} must be exact; got the floating-point {expression} at index {index}")
    return expressions


def _numbers(value: ArrayLike, name: str) -> Array:
    array = np.asarray(value)
    if array.dtype == object or np.iscomplexobj(array):
        raise ValueError(f"{name} must be an array of real numbers; got dtype {array.dtype}")
    array = array.astype(float)
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one number; got an array of shape {array.shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be finite; got {array[where]} at index {where} ({int(bad.sum())} such)")
    return array


def to_arrays(evidence: Any, prefix: str) -> dict[str, NDArray[Any]]:
    """Encode one normalised measurement as named arrays for an .npz file."""
    if isinstance(evidence, Exact):
        return {f"{prefix}/Exact/expressions": np.array(json.dumps([sympy.srepr(e) for e in evidence.expressions]))}
    if isinstance(evidence, Samples | Steps | Sizes):
        return {f"{prefix}/{type(evidence).__name__}/{k}": v for k, v in evidence._asdict().items()}
    return {f"{prefix}/array": evidence}


def from_arrays(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Any:
    """Decode what `to_arrays` wrote; raises KeyError when ``prefix`` is not there."""
    found = {k.removeprefix(f"{prefix}/"): v for k, v in arrays.items() if k.startswith(f"{prefix}/")}
    if "array" in found:
        return found["array"]
    if "Exact/expressions" in found:
        return Exact(tuple(sympy.sympify(e) for e in json.loads(str(found["Exact/expressions"]))))
    for name, kind in _KINDS.items():
        fields = {k.removeprefix(f"{name}/"): v for k, v in found.items() if k.startswith(f"{name}/")}
        if fields:
            return kind(**fields)
    raise KeyError(prefix)
