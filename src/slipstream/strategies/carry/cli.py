"""``python -m slipstream.strategies.carry.cli``: the same as ``slipstream pod carry``."""

from __future__ import annotations

import sys


def main() -> None:
    """Hand over to the one command."""
    from slipstream.cli import main as command

    sys.argv[1:1] = ["pod", "carry"]
    command()


if __name__ == "__main__":
    main()
