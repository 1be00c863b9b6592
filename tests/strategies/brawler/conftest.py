"""Lets the tests of this folder share `brawler_tape`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
