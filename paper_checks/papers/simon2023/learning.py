"""What is learned of each mode, how much there is to share, and the risk that is seen from training."""

import numpy as np

from paper_checks.agreement import FiniteSize, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Sizes, components
from paper_checks.papers.simon2023.designs import NOISE, SHAPE, fit_designs, levels, sizes_and_designs
from paper_checks.papers.simon2023.paper import PAPER
from simulations import kernel_regression as sim
from theory import kernel_regression as theory


@PAPER.claim(
    "learnability",
    statement=r"""The predicted coefficient of a mode has the mean $L_i v_i$ and the variance $\frac{\mathrm{test}}{n}
    L_i^2$.""",
    source="eigenlearning framework (Simon et al. 2021)",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("variance without 1 / n", "no variance", "equal learnabilities", "L squared"),
)
def learnabilities(run: Run) -> Trial:
    """Average predicted coefficients over the modes of a level; mean squares in units of 1/M."""
    sizes, designs = sizes_and_designs(run)
    ridges = np.array([0.0, 0.3])

    def measure() -> Sizes:
        found = []
        for c in sizes:
            fit, modes = fit_designs(run, c, designs, ridges, (SHAPE[0], None)), SHAPE[2] * c
            halves = [(part[..., : modes // 5], part[..., modes // 5 :]) for part in (fit.learned, modes * fit.second)]
            found.append(np.stack([np.stack([h.mean(axis=2) for h in half], axis=2) for half in halves], axis=3))
        return Sizes(sizes, np.stack(found))

    def predict(spread: float = 1.0, power: float = 1.0, level: bool = False) -> Array:
        modes, n = SHAPE[2] * 16, SHAPE[0] * 16
        lam, v2 = levels(modes)
        L = theory.learnability(lam, n=n, ridge=ridges)[:, [0, -1]]
        if level:
            L = np.broadcast_to(L.mean(axis=1, keepdims=True), L.shape)
        test = theory.krr_risk(lam, v2, n=n, ridge=ridges, noise_var=NOISE).test[:, None]
        second = modes * L**2 * (v2[[0, -1]] + spread * test / n)
        return np.stack([L**power, second], axis=2)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "variance without 1 / n": lambda: predict(spread=SHAPE[0] * 16),
            "no variance": lambda: predict(spread=0.0),
            "equal learnabilities": lambda: predict(level=True),
            "L squared": lambda: predict(power=2.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "conservation-law",
    statement=r"""On any sample of a finite population the learnabilities of all modes add up to $\mathrm{tr}\, K (K +
    \delta)^{-1}$, which is n without a ridge, and each lies in [0, 1].""",
    source="conservation of learnability (Simon et al. 2021)",
    agreement=Identity(rtol=1e-10),  # condition numbers of kernels on the cube reach 1e4
    controls=("n at every ridge", "one sample less", "half the ridge", "inner products over the sample"),
)
def conservation_law(run: Run) -> Trial:
    """Fit all products of coordinates on random corners of the cube, one after the other, with a random kernel."""
    dim = run.size("dimension of the cube", quick=6, standard=8, full=10)
    n = run.size("samples", quick=25, standard=100, full=400)
    rng = run.rng()
    modes, factors = (np.asarray(part) for part in sim.cube_modes(dim))
    weights = rng.uniform(0.3, 1.0, dim + 1)
    lam = weights[factors] / 2.0**dim
    kernel = (modes * lam) @ modes.T
    chosen = rng.choice(2**dim, n, replace=False)
    gram = kernel[np.ix_(chosen, chosen)]
    ridges = (0.0, 0.02, 0.3)

    def measure() -> Array:
        found = [np.asarray(sim.learn_every_mode(kernel, modes, chosen, ridge)) for ridge in ridges]
        outside = [np.sum(np.maximum(-f, 0) + np.maximum(f - 1, 0)) for f in found]
        return components([f.sum() for f in found], np.round(outside, 9))

    def predict(ridges: tuple[float, ...] = ridges, samples: int = n, share: float = 1.0) -> Array:
        values = np.linalg.eigvalsh(gram)
        total = [samples if ridge == 0 else np.sum(values / (values + ridge)) for ridge in ridges]
        return components(share * np.array(total), np.zeros(len(ridges)))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "n at every ridge": lambda: predict((0.0, 0.0, 0.0)),
            "one sample less": lambda: predict(samples=n - 1),
            "half the ridge": lambda: predict(tuple(r / 2 for r in ridges)),
            "inner products over the sample": lambda: predict(share=n / 2**dim),
        },
        scale=float(n),
    )


@PAPER.claim(
    "gcv-kappa",
    statement=r"""$1 / \mathrm{tr} (K + \delta)^{-1}$ tends to $\kappa$, and the training risk over $(\delta / n \hat
    \kappa)^2$ to the test risk, for kernels and for random features.""",
    source="generalised cross-validation, section on the effective ridge",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("normalised trace", "gamma for kappa", "training risk itself", "ridge for kappa"),
)
def gcv(run: Run) -> Trial:
    """Read effective ridges, times the size, and risks off training alone."""
    sizes, designs = sizes_and_designs(run)
    ridges = np.array([0.05, 1.0])
    shapes = ((SHAPE[0], None), (SHAPE[0], SHAPE[1]))

    def measure() -> Sizes:
        found = []
        for c in sizes:
            fits = [fit_designs(run, c, designs, ridges, shape) for shape in shapes]
            kept = [ridges / (SHAPE[0] * c * fit.kappa) for fit in fits]
            found.append(
                np.stack([[c * f.kappa, f.train / share**2] for f, share in zip(fits, kept, strict=True)]).transpose(
                    2, 0, 1, 3
                )
            )
        return Sizes(sizes, np.stack(found))

    def predict(change: str = "") -> Array:
        lam, v2 = levels(SHAPE[2] * 16)
        n = SHAPE[0] * 16
        found = []
        for k in (np.inf, SHAPE[1] * 16):
            result = theory.rf_risk(lam, v2, n=n, k=k, ridge=ridges, noise_var=NOISE)
            kappa = {"gamma": result.gamma, "ridge": ridges, "normalised": n * result.kappa}.get(change, result.kappa)
            found.append([16 * kappa, result.train if change == "train" else result.test])
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "normalised trace": lambda: predict("normalised"),
            "gamma for kappa": lambda: predict("gamma"),
            "training risk itself": lambda: predict("train"),
            "ridge for kappa": lambda: predict("ridge"),
        },
        scale="largest",
    )
