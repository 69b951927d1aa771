"""Infinite-width networks in closed form: kernels, their dynamics, parametrisations, criticality and infinite depth."""
