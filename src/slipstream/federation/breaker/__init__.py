"""The breaker: decides to cancel and to reduce, and can decide nothing else."""
