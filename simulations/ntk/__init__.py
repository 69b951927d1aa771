"""Finite-width networks as they are: sampled, differentiated, trained, and measured at many widths."""
