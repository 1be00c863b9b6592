"""Carry: a beta-neutral book of expected residual return less expected funding, after the costs of getting there."""
