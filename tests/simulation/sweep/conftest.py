"""The folder of these tests is where their own modules are."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
