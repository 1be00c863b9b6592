"""The Binance USD-M reference feed."""
