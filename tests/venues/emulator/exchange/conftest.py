"""Makes the tests' own market (`street`) importable by them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
