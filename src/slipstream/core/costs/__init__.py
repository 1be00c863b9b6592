"""What trading costs: one model for the optimiser, the backtest and the comparison with what was paid."""
