"""Funding of perpetual futures: what is paid, and what will be."""
