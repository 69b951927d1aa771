"""Matrix-valued learning dynamics of linear networks: two layers in closed form, any depth as one equation."""

from theory.deep_linear.end_to_end import end_to_end_flow, end_to_end_velocity
from theory.deep_linear.riccati import TwoLayerFlow, two_layer_flow

__all__ = ["TwoLayerFlow", "end_to_end_flow", "end_to_end_velocity", "two_layer_flow"]
