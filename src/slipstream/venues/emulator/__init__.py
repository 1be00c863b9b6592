"""A local server that is Hyperliquid and Binance USD-M at once."""
