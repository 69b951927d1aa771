"""Networks and learners on finite data, all of whose training sets are enumerated."""

from collections.abc import Callable
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Bound, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array
from paper_checks.papers.he2024.paper import PAPER
from simulations import generalization as sim
from theory import generalization as gen

INPUTS, LABELS, TRAIN = 4, 2, 2
WIDTHS = (6, 4)  # look-up tables that each layer chooses from
ALPHABETS = (4, 3, 2)  # sizes of T_0, T_1, T_2
TABLES = tuple((m, ALPHABETS[k], ALPHABETS[k + 1]) for k, m in enumerate(WIDTHS))
DIMENSIONS = INPUTS * LABELS + 1 + sum(m * inputs for m, inputs, _ in TABLES)


def _network(point: jax.Array) -> sim.FiniteNetwork:
    """Read population, inverse temperature in [0.1, 100] and look-up tables off an unconstrained vector."""
    cells = INPUTS * LABELS
    p_xy = jax.nn.softmax(2 * point[:cells]).reshape(INPUTS, LABELS)
    gamma = 10 ** (3 * jax.nn.sigmoid(1.7 * point[cells]) - 1)
    maps, start = [], cells + 1
    for number, inputs, outputs in TABLES:
        raw = point[start : start + number * inputs].reshape(number, inputs)
        maps.append(jnp.clip(jnp.floor(outputs * jax.nn.sigmoid(1.7 * raw)), 0, outputs - 1).astype(int))
        start += number * inputs
    return sim.FiniteNetwork(p_xy, tuple(maps), gamma)


def _laws(point: jax.Array) -> sim.NetworkLaws:
    return sim.network_laws(_network(point), TRAIN, alphabets=ALPHABETS)


def _closeness(point: jax.Array, layer: jax.Array) -> jax.Array:
    """Squared gap over the divergence of a layer; below 1e-4 nats rounding would show."""
    laws = _laws(point)
    return jnp.where(laws.divergences[layer] > 1e-4, laws.gap**2 / laws.divergences[layer], -jnp.inf)


_all_laws = jax.jit(jax.vmap(_laws))
_networks = jax.jit(jax.vmap(_network))


@lru_cache(maxsize=2)
def _points(key: int, draws: int, steps: int) -> Array:
    """Draw networks, and climb from a few of them to where the gap comes nearest to the bound of each layer."""
    keys = jax.random.split(jax.random.key(key), 4)
    start = jax.random.normal(keys[0], (draws, DIMENSIONS))
    reached = [
        sim.hardest_instances(keys[1 + layer], _closeness, start[:6], jnp.asarray(layer), n_steps=steps).instances
        for layer in range(3)
    ]
    return np.asarray(jnp.concatenate([start, *reached]))


def _instances(run: Run) -> Callable[[], Array]:
    """Return what draws the networks, and searches, when it is first asked."""
    draws = run.size("random networks", quick=300, standard=3000, full=100_000)
    steps = run.size("steps of the search", quick=300, standard=2000, full=10_000)
    return partial(_points, int(run.rng("networks").integers(2**62)), draws, steps)


def _divergences(points: Array) -> Array:
    """Solve every network: joint law of the weights and a training point, then divergences (networks, L + 1)."""
    networks = _networks(points)
    found = []
    for p_xy, first, second, gamma in zip(
        np.asarray(networks.p_xy), *(np.asarray(m) for m in networks.maps), networks.inverse_temperature, strict=True
    ):
        outputs = second[:, first]  # (m_2, m_1, n_x)
        wrong = outputs.transpose(1, 0, 2)[..., None] != np.arange(LABELS)
        learner = gen.gibbs_generalization(
            wrong.reshape(-1, INPUTS * LABELS).astype(float), p_xy.ravel(), n=TRAIN, inverse_temperature=float(gamma)
        )
        joint = learner.joint.reshape(*WIDTHS, INPUTS, LABELS)
        product = joint.sum(axis=(2, 3))[..., None, None] * p_xy
        found.append(gen.layerwise_kl(joint, product, [first, second]))
    return np.array(found)


@PAPER.claim(
    "layer-divergences",
    statement=r"""In a network of finite alphabets the divergence of training from fresh points at layer $l$ is that of
    the laws of $(T_l, Y, W_{l+1}, \dots, W_L)$, with later weights kept and earlier ones summed over, and $D_0 =
    I(Z_i; W)$.""",
    source="setup",
    # divergences of order 1e-3 are differences of terms of order 0.1
    agreement=Identity(rtol=1e-11),
    controls=("later weights summed over", "reversed divergence", "layers in reverse order"),
)
def layer_divergences(run: Run) -> Trial:
    """Add up the enumerated law of weights and points in cells of equal activation, label and later weights."""
    number = run.size("networks", quick=40, standard=400, full=4000)
    points = np.asarray(jax.random.normal(run.key("networks"), (number, DIMENSIONS)))

    def forgetful() -> Array:
        right = _divergences(points)
        return np.concatenate([np.zeros((number, 1)), right[:, 1:]], axis=1)

    def backwards() -> Array:
        laws = _all_laws(points)
        pairs = zip(np.asarray(laws.joint), np.asarray(laws.product), *_networks(points).maps, strict=True)
        return np.array(
            [
                gen.layerwise_kl(product, joint, [np.asarray(first), np.asarray(second)])
                for joint, product, first, second in pairs
            ]
        )

    def measure() -> Array:
        laws = _all_laws(points)
        joint = np.asarray(laws.joint)
        data, weights = joint.sum(axis=(1, 2), keepdims=True), joint.sum(axis=(3, 4), keepdims=True)
        information = np.sum(joint * np.log(joint / (data * weights)), axis=(1, 2, 3, 4))
        return np.column_stack([laws.divergences, information])

    def predict(divergences: Array) -> Array:
        return np.column_stack([divergences, divergences[:, 0]])

    return Trial(
        predict=lambda: predict(_divergences(points)),
        measure=measure,
        controls={
            "later weights summed over": lambda: predict(forgetful()),
            "reversed divergence": lambda: predict(backwards()),
            "layers in reverse order": lambda: predict(_divergences(points)[:, ::-1]),
        },
        scale="largest",
    )


@PAPER.claim(
    "kl-hierarchy",
    statement=r"""For a loss in $[0, 1]$, $|E\,\mathrm{gap}| \le \sqrt{D_L / 2} \le \dots \le \sqrt{D_0 / 2}$, where
    $D_l$ is the divergence of training from fresh points at layer $l$, and $D_{l+1} \le D_l$.""",
    source="hierarchy of bounds by divergences at layers; constants derived here",
    agreement=Bound(tight=0.02, rounding=1e-9),
    controls=("later weights summed over", "s^2 for 2 s^2", "a fifth lost at each layer"),
)
def kl_hierarchy(run: Run) -> Trial:
    """Enumerate Gibbs learners of random networks, and of those where a search brings the gap close to a bound.

    The gap comes within 2 % of the bound at the last layer.
    """
    points = _instances(run)

    @lru_cache
    def theory() -> Array:
        return _divergences(points())

    def measure() -> Array:
        laws = _all_laws(points())
        return np.concatenate([np.tile(np.abs(laws.gap), (3, 1)), np.asarray(laws.divergences)[:, 1:].T])

    def predict(share: float = 1.0, kept: float = 1.0, at_inputs: float = 1.0) -> Array:
        D = theory() * [at_inputs, 1, 1]
        return np.concatenate([gen.mutual_information_bound(share * D.T, 1), kept * theory()[:, :-1].T])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "later weights summed over": lambda: predict(at_inputs=0.0),
            "s^2 for 2 s^2": lambda: predict(share=0.5),
            "a fifth lost at each layer": lambda: predict(kept=0.8),
        },
        scale=lambda: np.maximum(predict(), 1e-3),
    )


def _learners(run: Run, name: str) -> tuple[list[sim.FiniteProblem], int]:
    rng = run.rng(name)
    number = run.size("learners", quick=60, standard=600, full=6000)
    kinds, hypotheses, n = 5, 6, 3
    problems = [
        sim.FiniteProblem(
            jnp.asarray(rng.dirichlet(np.ones(kinds))),
            jnp.asarray(rng.uniform(size=(hypotheses, kinds))),
            jnp.asarray(rng.dirichlet(np.ones(hypotheses))),
            jnp.asarray(10 ** rng.uniform(-1, 2)),
        )
        for _ in range(number)
    ]
    return problems, n


_run_learner = jax.jit(sim.learner_laws, static_argnums=1)


@PAPER.claim(
    "gibbs-identity",
    statement=r"""The Gibbs learner $P(w | s) \propto \pi(w) e^{-\gamma L_s(w)}$, $L_s$ the mean training loss, has a
    gap of $(I(W; S) + L(W; S)) / \gamma$ on average, $L$ the lautum information.""",
    source="Aminian, Bu, Toni, Rodrigues and Wornell 2021; example of a finite parameter space",
    agreement=Identity(rtol=1e-11),
    controls=("mutual information alone", "lautum information alone", "gamma of the summed loss", "half the sum"),
)
def gibbs_identity(run: Run) -> Trial:
    """Enumerate sequences of training points, and weigh population less training loss by the posterior."""
    problems, n = _learners(run, "learners")

    @lru_cache
    def solved() -> list[tuple[float, float, float]]:
        found = []
        for problem in problems:
            gamma = float(problem.inverse_temperature)
            result = gen.gibbs_generalization(
                problem.loss, problem.p_z, n=n, inverse_temperature=gamma, prior=problem.prior
            )
            found.append((result.mutual_information / gamma, result.lautum_information / gamma, result.gap))
        return found

    def predict(mutual: float = 1.0, lautum: float = 1.0) -> Array:
        # the identity, then the gap that the solver sums itself
        return np.array([[mutual * a + lautum * b, gap] for a, b, gap in solved()])

    def measure() -> Array:
        gaps = np.array([float(_run_learner(problem, n).gap) for problem in problems])
        return np.stack([gaps, gaps], axis=1)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "mutual information alone": lambda: predict(lautum=0.0),
            "lautum information alone": lambda: predict(mutual=0.0),
            "gamma of the summed loss": lambda: predict(mutual=n, lautum=n),
            "half the sum": lambda: predict(mutual=0.5, lautum=0.5),
        },
        scale="largest",
    )


POINTS, HYPOTHESES = 3, 4


def _problem(point: jax.Array) -> sim.FiniteProblem:
    """Read population, losses (nearly 0-1), prior and temperature off an unconstrained vector."""
    z, h, t, raw = jnp.split(point, [POINTS, POINTS + HYPOTHESES, POINTS + HYPOTHESES + 1])
    loss = jax.nn.sigmoid(4 * raw).reshape(HYPOTHESES, POINTS)
    return sim.FiniteProblem(jax.nn.softmax(2 * z), loss, jax.nn.softmax(h), 10 ** (1.5 * jnp.tanh(t[0])))


def _gap(point: jax.Array) -> jax.Array:
    return sim.learner_laws(_problem(point), TRAIN).gap


def _share_of_temperature(point: jax.Array) -> jax.Array:
    return _gap(point) / _problem(point).inverse_temperature


_gaps = jax.jit(jax.vmap(_gap))
_problems = jax.jit(jax.vmap(_problem))


@PAPER.claim(
    "gibbs-bounds",
    statement=r"""For losses in $[0, 1]$ the gap of the Gibbs learner is at most $\gamma / (2n)$ and at most
    $\sqrt{I(W; S) / (2n)}$.""",
    source="Xu and Raginsky 2017; Raginsky, Rakhlin, Tsao, Wu and Xu 2016",
    agreement=Bound(rounding=1e-10),
    controls=("gamma / (5 n)", "I(W; S) / (8 n)"),
)
def gibbs_bounds(run: Run) -> Trial:
    """Enumerate random learners, and those that a search finds to overfit most for their temperature.

    The search ends at half of the first bound, gamma / (4 n): a hypothesis free to follow a fair coin, barely warmed.
    """
    draws = run.size("random learners", quick=300, standard=3000, full=100_000)
    steps = run.size("steps of the search", quick=300, standard=2000, full=10_000)
    dimensions = POINTS + HYPOTHESES + 1 + POINTS * HYPOTHESES
    start = 1.5 * jax.random.normal(run.key("learners"), (draws, dimensions))

    @lru_cache
    def points() -> Array:
        reached = sim.hardest_instances(run.key("climb"), _share_of_temperature, start[:8], n_steps=steps).instances
        return np.asarray(jnp.concatenate([start, reached]))

    @lru_cache
    def learners() -> Array:
        """Inverse temperature and information of every learner."""
        found = []
        for problem in map(sim.FiniteProblem._make, zip(*map(np.asarray, _problems(points())), strict=True)):
            gamma = float(problem.inverse_temperature)
            result = gen.gibbs_generalization(
                problem.loss, problem.p_z, n=TRAIN, inverse_temperature=gamma, prior=problem.prior
            )
            found.append((gamma, result.mutual_information))
        return np.array(found).T

    def predict(by_temperature: float = 1.0, by_information: float = 1.0) -> Array:
        gamma, information = learners()
        return np.array(
            [by_temperature * gamma / (2 * TRAIN), gen.mutual_information_bound(by_information * information, TRAIN)]
        )

    return Trial(
        predict=predict,
        measure=lambda: np.tile(_gaps(points()), (2, 1)),
        controls={
            "gamma / (5 n)": lambda: predict(by_temperature=0.4),
            "I(W; S) / (8 n)": lambda: predict(by_information=0.25),
        },
        scale=lambda: np.maximum(predict(), 1e-3),
    )
