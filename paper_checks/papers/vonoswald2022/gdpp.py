"""GD++: layers that also contract their inputs, and how much better they descend."""

from functools import cache
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from paper_checks.agreement import Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, components
from paper_checks.papers.vonoswald2022.constructions import ROUNDING, layer, regressions, run_layers, weights
from paper_checks.papers.vonoswald2022.paper import PAPER
from simulations.in_context import attention, training
from theory import in_context

Array = NDArray[np.float64]


@PAPER.claim(
    "gdpp-construction",
    statement=r"""With $-I$ in both diagonal blocks of $W_V$ and $P = \mathrm{diag}(\gamma I, \tfrac{\eta_N}{N}
    I)$ every layer takes a step of gradient descent and contracts all inputs, $x_j \to (I - \gamma X^T X) x_j$,
    both with the inputs that it received.""",
    source="GD++, appendix",
    agreement=Identity(rtol=ROUNDING),
    controls=(
        "labels updated with new inputs",
        "query not contracted",
        "inputs not contracted",
        "contraction by the mean",
    ),
)
def gdpp_construction(run: Run) -> Trial:
    """Run stacks of layers on prompts of random sizes and compare every token after every layer.

    The contraction is between 0.1 and 0.3 over the largest eigenvalue of the Gram matrix. From nonzero weights one
    layer is compared, since the next would read residuals of inputs that have changed.
    """
    depth = run.size("layers", quick=6, standard=12, full=40)
    problems = regressions(run, n_layers=1, from_zero=True)
    (single, *_) = regressions(run, n_layers=1)
    rng = run.rng("contraction")
    decays = [rng.uniform(0.1, 0.3) / np.linalg.eigvalsh(p.x.T @ p.x)[-1] for p in problems]

    def measure(*, contract: float = 1.0) -> Array:
        found = []
        for problem, decay in zip(problems, decays, strict=True):
            built = layer(weights(problem, problem.steps[0], input_decay=contract * decay))
            found.append(run_layers(attention.repeat(built, depth), problem))
        built = layer(weights(single, single.steps[0], input_decay=contract * decays[0]))
        return components(*found, run_layers(attention.stack(built), single)[-1])

    def predict(*, mean: bool = False, query: bool = True, new_inputs: bool = False) -> Array:
        found = []
        for problem, given in zip(problems, decays, strict=True):
            decay = given / problem.size if mean else given
            path = in_context.gdpp_path(
                problem.x,
                problem.y,
                problem.x_query,
                normalized_step_size=problem.steps[0],
                input_decay=decay,
                n_layers=depth,
            )
            if new_inputs:
                path = _with_new_inputs(problem.x, problem.y, problem.x_query, problem.steps[0], decay, depth)
            asked = path.x_query if query else np.tile(problem.x_query, (depth + 1, 1))
            context = np.concatenate([path.x, path.residual], axis=2)
            last = np.concatenate([asked, -path.prediction], axis=1)
            found.append(np.concatenate([context, last[:, None]], axis=1))
        _, after = in_context.gd_weights(
            single.x, single.y, normalized_step_size=single.steps[0], n_steps=1, w_init=single.w_init
        )
        contraction = np.eye(single.x.shape[1]) - decays[0] * single.x.T @ single.x
        context = np.concatenate([single.x @ contraction, single.y - single.x @ (after - single.w_init).T], axis=1)
        last = np.concatenate([contraction @ single.x_query, -after @ single.x_query])
        return components(*found, np.concatenate([context, last[None]]))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "labels updated with new inputs": lambda: predict(new_inputs=True),
            "query not contracted": lambda: predict(query=False),
            "contraction by the mean": lambda: predict(mean=True),
        },
        counterexamples={"inputs not contracted": lambda: measure(contract=0.0)},
        scale="largest",
    )


def _with_new_inputs(x: Array, y: Array, query: Array, step: float, decay: float, depth: int) -> in_context.GdppPath:
    """Contract first and descend then: a source of wrong predictions."""
    layers = [(x, y, query, np.zeros(y.shape[1]))]
    for _ in range(depth):
        x, y, query, prediction = layers[-1]
        gram = x.T @ x
        x, query = x - decay * x @ gram, query - decay * gram @ query
        delta = step / len(x) * y.T @ x
        layers.append((x, y - x @ delta.T, query, prediction + delta @ query))
    return in_context.GdppPath(*(np.stack(parts) for parts in zip(*layers, strict=True)))


@PAPER.claim(
    "gdpp-spectrum",
    statement=r"""On $y = W x$ every eigenvalue of the Gram matrix follows $\lambda_{l+1} = \lambda_l (1 - \gamma
    \lambda_l)^2$ and its residual $r_{l+1} = r_l (1 - \tfrac{\eta_N}{N} \lambda_l)$; the prediction is $W U
    \mathrm{diag}(1 - r_l) U^T x_q$.""",
    source="GD++, appendix (recursion over layers derived)",
    agreement=Identity(rtol=ROUNDING),
    controls=(
        "contraction to the first power",
        "residual with new eigenvalues",
        "eigenvalues frozen",
        "eta_N for eta_N / N",
    ),
)
def gdpp_spectrum(run: Run) -> Trial:
    """Run stacks of layers on noiseless prompts; read predictions and the Gram matrix of the inputs, layer by layer."""
    depth = run.size("layers", quick=6, standard=12, full=40)
    rng = run.rng("task")
    problems = []
    for problem in regressions(run, n_layers=1, from_zero=True):
        task = rng.standard_normal(problem.w_init.shape)
        decay = rng.uniform(0.1, 0.3) / np.linalg.eigvalsh(problem.x.T @ problem.x)[-1]
        problems.append((problem._replace(y=problem.x @ task.T), task, decay))

    def measure() -> Array:
        found = []
        for problem, _, decay in problems:
            d_in = problem.x.shape[1]
            built = layer(weights(problem, problem.steps[0], input_decay=decay))
            tokens = run_layers(attention.repeat(built, depth), problem)
            inputs = tokens[:, :-1, :d_in]
            found += [-tokens[:, -1, d_in:], np.linalg.eigvalsh(inputs.transpose(0, 2, 1) @ inputs)]
        return components(*found)

    def recursion(contract, residual):
        def spectrum(eigenvalues, *, normalized_step_size, n_context, input_decay, n_layers):
            lam, r = [eigenvalues], [np.ones_like(eigenvalues)]
            for _ in range(n_layers):
                lam.append(contract(lam[-1], input_decay))
                r.append(r[-1] * (1 - normalized_step_size / n_context * residual(lam)))
            return in_context.GdppSpectrum(residual=np.stack(r), eigenvalues=np.stack(lam))

        return spectrum

    def predict(spectrum=in_context.gdpp_spectrum, *, by_size: bool = False) -> Array:
        found = []
        for problem, task, decay in problems:
            eigenvalues, vectors = np.linalg.eigh(problem.x.T @ problem.x)
            path = spectrum(
                np.maximum(eigenvalues, 0.0),
                normalized_step_size=problem.steps[0],
                n_context=1 if by_size else problem.size,
                input_decay=decay,
                n_layers=depth,
            )
            fitted = (1 - path.residual) * (vectors.T @ problem.x_query)
            found += [fitted @ vectors.T @ task.T, np.sort(path.eigenvalues, axis=1)]
        return components(*found)

    def squared(lam: Array, gamma: float) -> Array:
        return lam * (1 - gamma * lam) ** 2

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "contraction to the first power": lambda: predict(
                recursion(lambda lam, gamma: lam * (1 - gamma * lam), lambda lam: lam[-2])
            ),
            "residual with new eigenvalues": lambda: predict(recursion(squared, lambda lam: lam[-1])),
            "eigenvalues frozen": lambda: predict(recursion(lambda lam, gamma: lam, lambda lam: lam[-2])),
            "eta_N for eta_N / N": lambda: predict(by_size=True),
        },
        scale="largest",
    )


class Scheme(NamedTuple):
    """Scalars that a stack of layers shares or not, and where a search for the best ones starts."""

    name: str
    depth: int
    start: tuple[float, ...]


def _schemes(depth: int, n: int, dim: int) -> dict[str, Scheme]:
    """Start the searches at steps of half the inverse of a typical eigenvalue, away from symmetric points."""
    typical = 1.5 / (n + dim)
    return {
        "gd": Scheme("gd", depth, (typical,)),
        "free gd": Scheme("free gd", depth, tuple(typical * np.linspace(0.6, 2.0, depth))),
        "gd++": Scheme("gd++", depth, (1.5 * typical, typical / 4)),
    }


def _search(scheme: Scheme, x: Array) -> training.Minimum:
    return training.minimise_channel_risk(
        jnp.array(scheme.start), jnp.asarray(x), scheme=scheme.name, n_layers=scheme.depth
    )


@PAPER.claim(
    "gdpp-optimum",
    statement=r"""Averaged over isotropic tasks and queries the squared error after $L$ layers is $m_2 \sum_j
    r_{L,j}^2$, and its minimum over shared scalars is where training ends: over $\eta$ and, at two layers, over
    $\eta$ and $\gamma$ together; at one layer $\gamma$ is never read and changes nothing.""",
    source="GD++ (population loss derived)",
    agreement=Identity(rtol=1e-6, resolution=1e-5),
    controls=("sum of r for its square", "one layer more", "GD++ at the step of plain descent"),
)
def gdpp_optimum(run: Run) -> Trial:
    """Train the scalars by BFGS through the layers, from starts that know nothing, and minimise the spectral error.

    Both use the same sampled inputs. Near a minimum the gradient that stops the search leaves 1e-8 of a parameter.
    """
    n, dim = run.size("examples and dimension", quick=(10, 10), standard=(10, 10), full=(20, 20))
    count = run.size("prompts", quick=200, standard=1000, full=5000)
    x = run.rng().uniform(-1, 1, (count, n, dim))
    schemes = [
        _schemes(1, n, dim)["gd"],
        _schemes(1, n, dim)["gd++"],
        _schemes(2, n, dim)["gd"],
        _schemes(2, n, dim)["gd++"],
    ]

    def kept(scheme: Scheme, parameters: Any) -> Array:
        return np.ravel(parameters)[: 1 if scheme.depth == 1 else None]

    def measure() -> Array:
        found: list[Any] = []
        for scheme in schemes:
            minimum = _search(scheme, x)
            found += [kept(scheme, minimum.parameters), minimum.value]
        return components(*found)

    def predict(*, power: int = 2, extra: int = 0, retune: bool = True) -> Array:
        found: list[Any] = []
        for scheme in schemes:
            fixed = None if retune or scheme.name == "gd" else float(found[-2][0])
            parameters, value = _best(x, scheme, power=power, extra=extra, step=fixed)
            found += [kept(scheme, parameters), [value]]
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "sum of r for its square": lambda: predict(power=4),
            "one layer more": lambda: predict(extra=1),
            "GD++ at the step of plain descent": lambda: predict(retune=False),
        },
    )


def _best(x: Array, scheme: Scheme, *, power: int, extra: int, step: float | None) -> tuple[Array, float]:
    """Minimise the mean of sum r^power over the scalars of a scheme, in units of the start."""
    eigenvalues = np.linalg.eigvalsh(x.transpose(0, 2, 1) @ x)
    flat, start = np.maximum(eigenvalues.ravel(), 0.0), np.array(scheme.start)

    def error(scaled: Array) -> float:
        parameters = scaled * start
        path = in_context.gdpp_spectrum(
            flat,
            normalized_step_size=parameters[0] if step is None else step,
            n_context=1,
            input_decay=parameters[1] if parameters.size > 1 else 0.0,
            n_layers=scheme.depth + extra,
        )
        return float(np.sum(path.residual[-1] ** power)) / len(x)

    found = minimize(error, np.ones_like(start), method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14})
    parameters = found.x * start
    if step is not None:
        parameters[0] = step
    return parameters, found.fun


@PAPER.claim(
    "gdpp-beats-gd",
    statement=r"""From two layers on the best GD++ with shared scalars has a smaller error than the best gradient
    descent, even one with a step of its own in every layer; the step must be tuned together with the contraction.""",
    source="GD++ against GD, experiments",
    agreement=Ordering(side="above"),
    controls=(
        "half of the error saved",
        "contraction doubled, step not retuned",
        "step without its contraction",
    ),
)
def gdpp_beats_gd(run: Run) -> Trial:
    """Train the scalars on one set of prompts, and compare errors on others, prompt by prompt.

    The statistic is the difference of errors over their sum, since on the rare prompts with a very large eigenvalue the
    error of deep gradient descent is so large that its mean says little (the means of a sample are compared in
    gdpp-optimum).
    """
    n, dim = run.size("examples and dimension", quick=(10, 10), standard=(10, 10), full=(20, 20))
    depths = run.size("layers", quick=(2,), standard=(2, 3, 5), full=(2, 3, 5, 10))
    count = run.size("prompts", quick=300, standard=1000, full=5000)
    others = run.size("other prompts", quick=6000, standard=10_000, full=40_000)
    x, fresh = np.split(run.rng().uniform(-1, 1, (count + others, n, dim)), [count])

    @cache
    def best(depth: int, name: str) -> Array:
        return np.asarray(_search(_schemes(depth, n, dim)[name], x).parameters)[0]

    def errors(depth: int, name: str, parameters: Array) -> Array:
        return np.asarray(
            training.channel_risk(jnp.asarray(parameters), jnp.asarray(fresh), 0.0, scheme=name, n_layers=depth)
        )

    def measure(factors: tuple[float, float] = (1.0, 1.0)) -> Samples:
        found = []
        for depth in depths:
            # altered scalars make deep networks diverge on a few prompts, whose errors are too skewed to judge
            scalars = best(depth, "gd++") * (np.array(factors) if depth == depths[0] else 1.0)
            contracting = errors(depth, "gd++", scalars)
            for name in ("gd", "free gd"):
                plain = errors(depth, name, best(depth, name))
                found.append((plain - contracting) / (plain + contracting))
        return Samples(np.stack(found, axis=1))

    return Trial(
        predict=lambda: np.zeros(2 * len(depths)),
        measure=measure,
        controls={"half of the error saved": lambda: np.full(2 * len(depths), 1 / 3)},
        counterexamples={
            "contraction doubled, step not retuned": lambda: measure((1.0, 2.0)),
            "step without its contraction": lambda: measure((1.0, 0.0)),
        },
        scale=np.ones(2 * len(depths)),
    )
