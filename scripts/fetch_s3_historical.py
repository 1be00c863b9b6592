#!/usr/bin/env python3
"""Fetch Hyperliquid's S3 archive (requester pays) into the lake.

python scripts/fetch_s3_historical.py --start 2023-10-01 --end 2025-03-27
"""

from slipstream.processes.fetch_archive import main

if __name__ == "__main__":
    main()
