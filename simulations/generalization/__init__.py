"""Generalisation as it happens: samples drawn or enumerated, learners run, games solved."""
