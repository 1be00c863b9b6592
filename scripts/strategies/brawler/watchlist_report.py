#!/usr/bin/env python3
"""Scan recorded listings and keep the ranking as CSV, JSON and Markdown: docs/candidates.md."""

from slipstream.processes.watchlist import main

if __name__ == "__main__":
    main()
