"""Simulated venue and time: backtests, walk-forward, sweeps."""
