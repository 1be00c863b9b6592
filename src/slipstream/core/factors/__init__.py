"""The market factor, betas to it, residuals, and covariances made of them."""
