"""``python -m slipstream.strategies.gradient.cli``: the same as ``slipstream pod gradient``."""

from __future__ import annotations

import sys


def main() -> None:
    """Hand over to the one command."""
    from slipstream.cli import main as command

    sys.argv[1:1] = ["pod", "gradient"]
    command()


if __name__ == "__main__":
    main()
