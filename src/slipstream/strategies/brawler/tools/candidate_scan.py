"""``python -m slipstream.strategies.brawler.tools.candidate_scan``: ranks listings by what was recorded of them."""

from __future__ import annotations

from importlib import import_module


def main() -> None:
    """Hand over to the command, by its name: a strategy does no I/O and may not import what does."""
    import_module("slipstream.processes.candidates").main()


if __name__ == "__main__":
    main()
