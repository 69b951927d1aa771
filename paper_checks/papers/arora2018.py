"""Arora, Cohen and Hazan 2018: the end-to-end dynamics of balanced deep linear networks."""

import numpy as np

from paper_checks.agreement import ConvergenceOrder
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Steps, components
from simulations import deep_linear as sim
from theory import deep_linear

PAPER = Paper(
    key="arora2018",
    title="On the optimization of deep networks: implicit acceleration by overparameterization",
    authors="Sanjeev Arora, Nadav Cohen, Elad Hazan",
    year=2018,
    arxiv="1802.06509",
    wing="deep_linear",
)


def _integrate(velocity, w0: np.ndarray, times: np.ndarray) -> np.ndarray:
    from scipy.integrate import solve_ivp

    solution = solve_ivp(
        lambda _, w: velocity(w.reshape(w0.shape)).ravel(),
        (0, times[-1]),
        w0.ravel(),
        t_eval=times,
        rtol=1e-8,
        atol=1e-10,
    )
    return solution.y.T.reshape(-1, *w0.shape)


@PAPER.claim(
    "end_to_end",
    statement=r"""From balanced weights of $D$ layers in any alignment, the product obeys $\tau \dot W = \sum_{j=1}^{D}
    (W W^T)^{(D - j)/D} (\Sigma_{yx} - W \Sigma_{xx}) (W^T W)^{(j - 1)/D}$.""",
    source="end-to-end update rule",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-11),
    controls=("first term times D", "depth one more", "no preconditioning"),
)
def end_to_end(run: Run) -> Trial:
    """Gradient descent on networks of several depths from balanced random weights."""
    inputs, hidden, outputs = run.size("layers", quick=(3, 3, 2), standard=(12, 8, 6), full=(100, 30, 10))
    depths = run.size("depths", quick=(2, 3, 5), standard=(2, 3, 5, 8), full=(2, 3, 5, 8))
    finest = run.size("finest learning rate", quick=1e-3, standard=5e-4, full=5e-4)
    rates, times = [8 * finest, 4 * finest, 2 * finest, finest], np.array([0.24, 0.96])
    rng = run.rng()
    rank = min(inputs, hidden, outputs)
    sigma_yx = rng.standard_normal((outputs, inputs)) / np.sqrt(inputs)
    strengths = rng.uniform(0.7, 1.1, rank)

    def start(depth: int) -> sim.Weights:
        widths = (inputs, *(hidden,) * (depth - 1), outputs)
        return sim.balanced(run.key(f"depth {depth}"), widths, strengths=strengths)

    def measure() -> Steps:
        task = sim.Task.from_moments(sigma_yx)
        found = [
            sim.descend_at_times(start(depth), task, learning_rates=rates, times=times, observe=sim.product)
            for depth in depths
        ]
        return Steps(rates, components(*found, leading=1))

    def product(depth: int) -> np.ndarray:
        return np.asarray(sim.product(start(depth)))

    def predict(extra: int = 0) -> np.ndarray:
        return components(*(deep_linear.end_to_end_flow(product(d), sigma_yx, times, depth=d + extra) for d in depths))

    def first_term(depth: int, w: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(w @ w.T)
        power = (vectors * np.maximum(values, 0) ** ((depth - 1) / depth)) @ vectors.T
        return depth * power @ (sigma_yx - w)

    def one_sided() -> np.ndarray:
        return components(
            *(_integrate(lambda w, depth=depth: first_term(depth, w), product(depth), times) for depth in depths)
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "first term times D": one_sided,
            "depth one more": lambda: predict(extra=1),
            "no preconditioning": lambda: components(
                *(_integrate(lambda w: sigma_yx - w, product(depth), times) for depth in depths)
            ),
        },
        scale="largest",
    )


@PAPER.claim(
    "infinite_depth",
    statement=r"""As the depth grows, with time counted in units of $\tau / D$, the balanced end-to-end flow tends to
    $\dot W = \int_0^1 (W W^T)^{1 - x} (\Sigma_{yx} - W) (W^T W)^x dx$, at a distance of order $1/D$. (Derived.)""",
    source="derived from the end-to-end update rule",
    agreement=ConvergenceOrder(order=1, resolution=2e-2, accuracy=1e-9),
    controls=("depth ten for infinity", "integrand at x = 1/2", "no preconditioning"),
)
def infinite_depth(run: Run) -> Trial:
    """Integrate the flow of networks of doubling depth whose product starts at the same matrix."""
    deepest = run.size("deepest", quick=64, standard=128, full=512)
    depths = np.array([deepest // 8, deepest // 4, deepest // 2, deepest])
    size, times = 2, np.array([0.3, 1.0])
    rng = run.rng()
    left, right = (np.linalg.qr(rng.standard_normal((size, size)))[0] for _ in range(2))
    w0 = (left * rng.uniform(0.7, 1.1, size)) @ right.T
    # one sign of the determinant: a balanced flow cannot pass through a singular matrix
    sigma_yx = w0 + 0.3 * rng.standard_normal((size, size))

    def layers(depth: int) -> tuple[np.ndarray, ...]:
        """Balanced layers whose product is w0: its singular vectors outside, equal diagonal factors in between."""
        u, s, vt = np.linalg.svd(w0)
        root = s ** (1 / depth)
        middle = np.tile(np.diag(root), (depth - 2, 1, 1))
        return root[:, None] * vt, middle, u * root

    def measure() -> Steps:
        task = sim.Task.from_moments(sigma_yx)
        found = [sim.gradient_flow(layers(d), task, times=times / d, observe=sim.product) for d in depths]
        return Steps(1 / depths, np.stack(found))

    def halfway(w: np.ndarray) -> np.ndarray:
        u, s, vt = np.linalg.svd(w)
        return (u * s) @ u.T @ (sigma_yx - w) @ (vt.T * s) @ vt

    return Trial(
        predict=lambda: deep_linear.end_to_end_flow(w0, sigma_yx, times, depth=np.inf),
        measure=measure,
        controls={
            "depth ten for infinity": lambda: deep_linear.end_to_end_flow(w0, sigma_yx, times, depth=10, tau=10.0),
            "integrand at x = 1/2": lambda: _integrate(halfway, w0, times),
            "no preconditioning": lambda: _integrate(lambda w: sigma_yx - w, w0, times),
        },
        scale="largest",
    )
