"""Tools around Brawler, each run with ``python -m``."""
