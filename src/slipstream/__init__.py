"""Several trading strategies on Hyperliquid perpetual futures, run as one fund."""
