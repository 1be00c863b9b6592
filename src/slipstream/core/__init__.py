"""Shared strategy services as pure numerics: signals, factors, costs, funding, portfolio, stats."""
