#!/usr/bin/env python3
"""Record best prices of both venues and Hyperliquid's depth, a CSV per symbol: docs/recording.md."""

from slipstream.processes.record_bbo import main

if __name__ == "__main__":
    main()
