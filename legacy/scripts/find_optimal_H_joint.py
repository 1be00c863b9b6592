#!/usr/bin/env python3
"""Judge joint models of price and funding at several holding periods: docs/research.md."""

from slipstream.processes.joint_study import main

if __name__ == "__main__":
    main()
