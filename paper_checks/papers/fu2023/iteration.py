"""Newton's iteration on one prompt: its residual, its limit, its kinship with gradient descent, and its boundary."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.fu2023.paper import PAPER, POWER, STARTS, Prompt, Start, prompt
from simulations.in_context import iterations as sim
from theory import in_context

SCALES = (0.3, 1.0, 1.7)  # alpha times the largest eigenvalue to the power p


def _spectrum(run: Run, low: float = 0.4, high: float = 3.0) -> np.ndarray:
    """Draw eigenvalues whose extremes are fixed, so that no draw is worse conditioned than another."""
    d = run.size("dimension", quick=6, standard=12, full=48)
    inner = np.exp(run.rng("spectrum").uniform(np.log(low), np.log(high), d - 2))
    return np.sort(np.concatenate([[low, high], inner]))[::-1]


def _alphas(prompt: Prompt, start: Start) -> np.ndarray:
    return np.array(SCALES) / prompt.s[0] ** POWER[start]


@PAPER.claim(
    "newton-residual",
    statement=r"""All iterates commute with $S$, and on an eigenvalue $s$ leave the residual $1 - s\,m_k(s) = (1 -
    \alpha s^p)^{2^k}$, $p = 2$ for $M_0 = \alpha S$ and $p = 1$ for $M_0 = \alpha I$; the weights $w_k = M_k X^T y$
    miss the solution by $w_* - w_k = r_k(S)\,w_*$.""",
    source="convergence of the iteration; residual in closed form derived",
    agreement=Identity(rtol=1e-12),
    controls=("exponent 2k", "exponent 2^(k+1)", "p = 1 for the Gram start", "Gram matrix as a mean"),
)
def newton_residual(run: Run) -> Trial:
    """Iterate matrices from both starts at three constants each; rotate I - S M_k into the eigenbasis of S."""
    problem = prompt(run.rng(), _spectrum(run), examples=run.size("examples", quick=9, standard=30, full=100))
    steps = run.size("iterations", quick=8, standard=14, full=14)

    def measure() -> np.ndarray:
        found = []
        for start in STARTS:
            alphas = _alphas(problem, start)
            x, y = (np.broadcast_to(part, (len(SCALES), *part.shape)) for part in (problem.x, problem.y))
            gram = np.broadcast_to(problem.gram, (len(SCALES), *problem.gram.shape))
            inverses = sim.invert_by_newton(gram, alphas, steps=steps, start=start)
            rotated = problem.basis.T @ (np.eye(problem.s.size) - problem.gram @ inverses) @ problem.basis
            missed = (problem.task - sim.newton_weights(x, y, alphas, steps=steps, start=start)) @ problem.basis
            found.append(components(rotated, missed))
        return np.concatenate(found)

    def predict(residual: Callable[..., np.ndarray] = in_context.newton_residual) -> np.ndarray:
        found = []
        for start in STARTS:
            r = np.array(
                [
                    [residual(problem.s, step=k, alpha=a, init=start) for a in _alphas(problem, start)]
                    for k in range(steps + 1)
                ]
            )
            found.append(components(r[..., None] * np.eye(problem.s.size), r * (problem.basis.T @ problem.task)))
        return np.concatenate(found)

    def power(exponent: Callable[[int], int], p: int | None = None, mean: int = 1) -> Callable[..., np.ndarray]:
        def residual(s: np.ndarray, *, step: int, alpha: float, init: Start) -> np.ndarray:
            return (1 - alpha * s ** (p or POWER[init]) / mean) ** exponent(step)

        return residual

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "exponent 2k": lambda: predict(power(lambda k: 2 * k)),
            "exponent 2^(k+1)": lambda: predict(power(lambda k: 2 ** (k + 1))),
            "p = 1 for the Gram start": lambda: predict(power(lambda k: 2**k, p=1)),
            "Gram matrix as a mean": lambda: predict(power(lambda k: 2**k, mean=problem.y.size)),
        },
        scale=1.0,
    )


@PAPER.claim(
    "pseudo-inverse",
    statement=r"""On a singular $S$ the iterates from $\alpha S$ tend to the pseudo-inverse; from $\alpha I$ their part
    in the null space is $2^k \alpha$, while the weights $M_k X^T y$ tend to the minimum-norm solution all the same.""",
    source="the iteration as a pseudo-inverse; the identity start derived",
    agreement=Identity(rtol=1e-11),
    controls=("null space doubles from both starts", "null space stays at alpha", "ridge for pseudo-inverse"),
)
def pseudo_inverse(run: Run) -> Trial:
    """Twelve iterations on a matrix of rank d - 2, enough to converge and few enough for rounding not to grow."""
    spectrum = np.concatenate([_spectrum(run, low=0.8), [0.0, 0.0]])
    problem = prompt(run.rng(), spectrum, examples=spectrum.size + 1)
    steps, null = 12, spectrum == 0
    alpha = {start: 1 / spectrum[0] ** POWER[start] for start in STARTS}
    solution = problem.basis[:, ~null] @ (problem.basis[:, ~null].T @ problem.task)

    def measure() -> np.ndarray:
        inverses, weights = [], []
        for start in STARTS:
            inverses.append(sim.invert_by_newton(problem.gram, alpha[start], steps=steps, start=start)[-1])
            found = sim.newton_weights(problem.x, problem.y, alpha[start], steps=steps, start=start)
            weights.append(found[-1])
        return components(*inverses, *weights)

    def predict(of_null: dict[Start, float] | None = None, ridge: float = 0.0) -> np.ndarray:
        inverses = []
        for start in STARTS:
            m = in_context.newton_inverse(spectrum, step=steps, alpha=alpha[start], init=start)
            m = np.where(null, m if of_null is None else of_null[start], m / (1 + ridge * m))
            inverses.append((problem.basis * m) @ problem.basis.T)
        return components(*inverses, solution, solution)

    doubled = {start: 2.0**steps * alpha[start] for start in STARTS}
    size = np.max(np.abs(predict()[: 2 * problem.gram.size].reshape(2, -1)), axis=1)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "null space doubles from both starts": lambda: predict(doubled),
            "null space stays at alpha": lambda: predict({"gram": 0.0, "identity": alpha["identity"]}),
            "ridge for pseudo-inverse": lambda: predict(ridge=1e-6),
        },
        scale=components(np.repeat(size, problem.gram.size), np.ones(2 * spectrum.size)),
    )


@PAPER.claim(
    "quadratic-convergence",
    statement=r"""The error of the inverse is squared at every iteration, exactly: $\|I - S M_{k+1}\|_2 = \|I - S
    M_k\|_2^2$.""",
    source="convergence of the iteration",
    agreement=Identity(rtol=1e-12),
    controls=("linear convergence", "cubic convergence", "doubled for squared"),
)
def quadratic_convergence(run: Run) -> Trial:
    """Spectral norms along the iteration, against the first one squared again and again."""
    problem = prompt(run.rng(), _spectrum(run), examples=run.size("examples", quick=9, standard=30, full=100))
    steps = 7
    alpha = {start: 1 / problem.s[0] ** POWER[start] for start in STARTS}

    def measure() -> np.ndarray:
        inverses = np.stack(
            [sim.invert_by_newton(problem.gram, alpha[start], steps=steps, start=start) for start in STARTS]
        )
        return np.linalg.norm(np.eye(problem.s.size) - problem.gram @ inverses, ord=2, axis=(2, 3))

    def predict(exponent: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
        k = np.arange(steps + 1)
        found = []
        for start in STARTS:
            at = [in_context.newton_residual(problem.s, step=i, alpha=alpha[start], init=start) for i in k.tolist()]
            norms = np.max(np.abs(at), axis=1)
            squared = np.concatenate([norms[:1], norms[:-1] ** 2])
            found.append(squared if exponent is None else norms[0] ** exponent(k))
        return np.stack(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "linear convergence": lambda: predict(lambda k: k + 1.0),
            "cubic convergence": lambda: predict(lambda k: 3.0**k),
            "doubled for squared": lambda: predict(lambda k: 2.0 * np.maximum(k, 0.5)),
        },
        scale=1.0,
    )


@PAPER.claim(
    "newton-equals-gd",
    statement=r"""From $\alpha I$, k iterations of Newton's method are $2^k$ steps of gradient descent with the rate
    $\alpha$; from $\alpha S$ they are $2^k$ pairs of steps, one with the rate $\sqrt\alpha$ and one with
    $-\sqrt\alpha$.""",
    source="derived from the residual polynomials",
    agreement=Identity(rtol=1e-12),
    controls=("3^k steps", "2k steps", "one pair an iteration", "rate alpha for both steps of a pair"),
)
def newton_equals_gd(run: Run) -> Trial:
    """Descend on the prompt step by step, and read the weights where the iterations should be."""
    problem = prompt(run.rng(), _spectrum(run), examples=run.size("examples", quick=9, standard=30, full=100))
    last = run.size("iterations", quick=6, standard=8, full=8)
    alpha = {start: 0.9 / problem.s[0] ** POWER[start] for start in STARTS}
    counts = 2 ** np.arange(last + 1)

    def measure() -> np.ndarray:
        plain = np.full(counts[-1], alpha["identity"])
        signed = np.sqrt(alpha["gram"]) * np.tile([1.0, -1.0], counts[-1])
        x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)
        return components(
            sim.descend(x, y, jnp.asarray(signed))[2 * counts - 1], sim.descend(x, y, jnp.asarray(plain))[counts - 1]
        )

    def predict() -> np.ndarray:
        correlation = problem.x.T @ problem.y
        return components(
            *(
                in_context.newton_schulz_iterates(problem.gram, n_steps=last, alpha=alpha[start], init=start)
                @ correlation
                for start in STARTS
            )
        )

    def steps(plain: Callable[[int], int], pairs: Callable[[int], int], paired: float | None = None) -> np.ndarray:
        """Weights after other numbers of steps, or of pairs that contract by 1 - paired s."""
        coordinates = problem.basis.T @ problem.task
        pair = alpha["gram"] * problem.s**2 if paired is None else paired * problem.s
        found = []
        for contraction, number in ((1 - pair, pairs), (1 - alpha["identity"] * problem.s, plain)):
            left = np.stack([contraction ** number(k) for k in range(last + 1)])
            found.append(((1 - left) * coordinates) @ problem.basis.T)
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "3^k steps": lambda: steps(lambda k: 3**k, lambda k: 3**k),
            "2k steps": lambda: steps(lambda k: 2 * k, lambda k: 2 * k),
            "one pair an iteration": lambda: steps(lambda k: 2**k, lambda k: k),
            "rate alpha for both steps of a pair": lambda: steps(lambda k: 2**k, lambda k: 2**k, alpha["gram"]),
        },
        scale="largest",
    )


def _largest_residuals(problem: Prompt, alphas: np.ndarray, steps: int) -> np.ndarray:
    """Norm of I - S M after ``steps`` iterations from each alpha S, as the simulation finds it."""
    gram = np.broadcast_to(problem.gram, (alphas.size, *problem.gram.shape))
    inverses = np.asarray(sim.invert_by_newton(gram, alphas, steps=steps)[-1])
    return np.linalg.norm(np.eye(problem.s.size) - problem.gram @ inverses, ord=2, axis=(1, 2))


@PAPER.claim(
    "alpha-open-interval",
    statement=r"""The iteration from $\alpha S$ converges exactly for $0 < \alpha < 2 / \|S S^T\|_2$, the ends excluded:
    at the upper end the residual of the largest eigenvalue is 1 for ever, beyond it explodes. $2 / \|S S^T\|_F$ lies
    inside whenever the rank is two or more.""",
    source="range of alpha, corrected: open at the upper end",
    agreement=Identity(rtol=1e-9),
    controls=("converges at the end", "residual -1 at the end", "converges beyond the end"),
)
def alpha_open_interval(run: Run) -> Trial:
    """Twelve iterations from 0.95, 1 and the Frobenius share of the bound, and five from 1.02 times the bound."""
    problem = prompt(run.rng(), _spectrum(run, low=1.2), examples=9 if run.scale == "quick" else 60)
    bound = 2 / problem.s[0] ** 2
    frobenius = 2 / np.sqrt(np.sum(problem.s**4))
    inside, outside = np.array([0.95 * bound, bound, frobenius]), np.array([1.02 * bound])

    def measure() -> np.ndarray:
        return components(_largest_residuals(problem, inside, 12), _largest_residuals(problem, outside, 5))

    def predict() -> np.ndarray:
        worst = [
            np.max(np.abs(in_context.newton_residual(problem.s, step=k, alpha=a)))
            for a, k in zip([*inside, *outside], (12, 12, 12, 5), strict=True)
        ]
        return np.array(worst)

    def instead(index: int, value: float) -> np.ndarray:
        found = predict()
        found[index] = value
        return found

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "converges at the end": lambda: instead(1, 0.0),
            "residual -1 at the end": lambda: instead(1, -1.0),
            "converges beyond the end": lambda: instead(3, 0.0),
        },
        scale=1.0,
    )


@PAPER.claim(
    "alpha-closed-interval",
    statement=r"""The iteration from $\alpha S$ converges for $0 < \alpha \le 2 / \|S S^T\|_2$, the upper end
    included.""",
    source="range of alpha with a closed end (erratum candidate: the wording in print was not at hand)",
    agreement=Identity(rtol=1e-9),
    controls=("residual halved", "residual doubled"),
    expected="refuted",
)
def alpha_closed_interval(run: Run) -> Trial:
    r"""At the end of the interval the largest eigenvalue keeps its residual.

    There :math:`\alpha s_1^2 = 2`, so that :math:`r_0 = -1` and :math:`r_k = r_0^{2^k} = 1` for all k >= 1: the
    iterate is stuck at :math:`m = 0` in that direction. `alpha-open-interval` is the corrected statement.
    """
    problem = prompt(run.rng(), _spectrum(run, low=1.2), examples=9 if run.scale == "quick" else 60)
    end = np.array([2 / problem.s[0] ** 2])
    return Trial(
        predict=lambda: np.zeros(1),
        measure=lambda: _largest_residuals(problem, end, 12),
        controls={"residual halved": lambda: np.array([0.5]), "residual doubled": lambda: np.array([2.0])},
        scale=1.0,
    )
