"""Deep linear networks: exact learning dynamics, spectra at initialisation, high-dimensional averages."""
