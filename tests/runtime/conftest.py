"""Lets the tests of this folder share `loopback` and the kernel's doubles."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "execution")]
