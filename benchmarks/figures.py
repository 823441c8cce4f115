"""The benchmark and its arguments for each file of figures in the docs."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

DATA: Mapping[str, tuple[str, str]] = {
    "FAULTY": (
        "faulty",
        "the faulty Python problems of bigcode/humanevalpack, one project python_NNN each",
    ),
    "RIGHT": ("right", "the same with their canonical solutions"),
    "TRUTH": ("truth.json", "the faulty lines of FAULTY"),
    "INFLECTION": ("inflection-0.5.1", "the unpacked source of inflection 0.5.1, from PyPI"),
    "REPOSITORIES": ("repositories/*", "clones of click, express, fzf and ripgrep, from GitHub"),
    "REAL_BUGS": ("realbugs", "real bugs, each among other uncommitted changes of its project"),
    "BUG_LIST": ("realbugs.json", "the list of these bugs"),
    "MODEL": (
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        "the file of the extra coder, which is in the cache after its first use",
    ),
    "RIVALS": ("rivals", "a folder for the environments of rivals; created if missing"),
}
"""Placeholders in the arguments: a path in the folder of `--data`, and a description."""


@dataclass(frozen=True)
class Figures:
    """A benchmark and the arguments for the figures in the docs."""

    benchmark: str
    arguments: str = ""

    @property
    def command(self) -> str:
        return f"python -m benchmarks.{self.benchmark} {self.arguments}".strip()


FIGURES: Mapping[str, Figures] = {
    "off_cost": Figures("off_cost", "--rivals RIVALS"),
    "explain_cost": Figures("explain_cost", "--rivals RIVALS"),
    "modules": Figures("modules"),
    "large_suite": Figures("large_suite"),
    "large_suite_changes": Figures("large_suite", "--uncommitted"),
    "import_cost": Figures("import_cost"),
    "recording_cost": Figures("recording_cost"),
    "evidence": Figures("evidence", "FAULTY --truth TRUTH --rivals RIVALS"),
    "ranking": Figures("ranking", "FAULTY --truth TRUTH --tests test_full.py"),
    "real_lines": Figures("real_lines", "REAL_BUGS --bugs BUG_LIST"),
    "broke": Figures("broke", "REAL_BUGS --bugs BUG_LIST --beside commit-delta"),
    "broke_commits": Figures("broke", "REAL_BUGS --bugs BUG_LIST --commits 30"),
    "fixes": Figures("fixes", "FAULTY --tests test_example.py --judge test_full.py"),
    "fixes_full": Figures("fixes", "FAULTY --tests test_full.py --judge test_full.py"),
    "trials": Figures("trials"),
    "generate": Figures(
        "generate",
        "INFLECTION inflection/__init__.py --suite test_inflection.py "
        "--backend embedded --model demo --rivals RIVALS",
    ),
    "review": Figures("review", "--rivals RIVALS"),
    "background": Figures("background"),
    "review_lines": Figures("review_lines", "FAULTY RIGHT"),
    "review_lines_demo": Figures("review_lines", "FAULTY RIGHT --backend embedded --model demo"),
    "staged_commits": Figures("staged_commits", "REPOSITORIES"),
    "redaction": Figures("redaction"),
    "engine_speed": Figures("engine_speed", "MODEL"),
    "why": Figures("why", "--conditions fix change"),
    "demo": Figures("demo"),
}


def benchmarks() -> dict[str, str]:
    """Return every benchmark by name, with the first line of its docstring."""
    summaries = {}
    for path in sorted(HERE.glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        runs = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
        if runs and path.stem not in ("__main__", "page"):
            summaries[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return summaries


def missing(figures: Figures, data: Path) -> list[str]:
    """Describe what the arguments name and the folder `data` lacks."""
    descriptions = []
    for word in shlex.split(figures.arguments):
        if word in DATA and word != "RIVALS":
            place, description = DATA[word]
            if not list(data.glob(place)):
                descriptions.append(f"{data / place} ({description})")
    return descriptions


def fill_in(figures: Figures, data: Path) -> list[str]:
    """Return the arguments with paths in `data` for the placeholders."""
    arguments: list[str] = []
    for word in shlex.split(figures.arguments):
        if word not in DATA:
            arguments.append(word)
        elif "*" in DATA[word][0]:
            arguments += map(str, sorted(data.glob(DATA[word][0])))
        else:
            arguments.append(str(data / DATA[word][0]))
    return arguments
