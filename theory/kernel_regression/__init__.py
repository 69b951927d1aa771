"""Kernel and ridge regression in high dimension: learning curves, scaling laws, spectra of random matrices."""
