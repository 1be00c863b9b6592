#!/usr/bin/env python3
"""Find listings that trade far less on Hyperliquid, relative to Binance, than the benchmarks do: docs/candidates.md."""

from slipstream.processes.volume_gap import main

if __name__ == "__main__":
    main()
