"""Portfolio construction: how to share capital, how much to bet, how to estimate what both need."""
