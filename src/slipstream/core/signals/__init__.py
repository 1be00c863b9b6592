"""Signals: pure numerics on arrays of float64."""
