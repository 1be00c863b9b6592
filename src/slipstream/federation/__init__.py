"""Decisions about capital and trust: mandates, allocation, audit, breaker. No I/O."""
