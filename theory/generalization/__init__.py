"""Bounds on generalisation, and small models of it that are solved exactly."""
