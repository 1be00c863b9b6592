"""Gradient: a trend book, long the strongest and short the weakest, of equal dollar volatility."""
