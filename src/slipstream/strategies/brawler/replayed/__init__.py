"""Brawler and what the kernel does for it, as one compiled function over a replay's record."""
