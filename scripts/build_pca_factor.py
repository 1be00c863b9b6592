#!/usr/bin/env python3
"""Build the volume-weighted market factor of several holding periods: docs/research.md."""

from slipstream.processes.pca_factor import main

if __name__ == "__main__":
    main()
