"""Joint models of price and funding over a holding period, judged in money and out of sample."""
