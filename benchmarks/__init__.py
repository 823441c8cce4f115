"""Every figure in the docs comes from a command here: `python -m benchmarks.NAME`, one table and one JSON line each."""

import sys
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).parents[1] / "tests")
)  # the servers that answer to the letter live there
