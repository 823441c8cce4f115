"""Problems of HumanEval and MBPP in the form of their files."""

from __future__ import annotations

import json
from pathlib import Path

ADD = {
    "task_id": "HumanEval/0",
    "prompt": 'def add(a, b):\n    """The sum."""\n',
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3",
    "entry_point": "add",
}
TWICE = {
    "task_id": 11,
    "text": "Write a function to double a number.",
    "test_list": ["assert twice(2) == 4", "assert twice(0) == 0"],
    "test_setup_code": "",
}


def write_rows(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path
