"""The commands that produce the figures in the docs.

Each `python -m benchmarks.NAME` prints one table and one JSON line.
"""

import sys
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).parents[1] / "tests")
)  # the servers that answer to the letter live there
