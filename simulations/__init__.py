"""Jitted simulations: the networks, matrices and losses that the theorems are about, run as they are.

Importing this package switches JAX to float64; it is the only place that does.
"""

import jax

jax.config.update("jax_enable_x64", True)
