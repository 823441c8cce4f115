"""The files of figures in the docs: which benchmark makes each, and with what arguments."""

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
        "the Python problems of bigcode/humanevalpack with their faults, a project python_NNN each",
    ),
    "RIGHT": ("right", "the same with their canonical solutions"),
    "TRUTH": ("truth.json", "the faulty lines of FAULTY"),
    "INFLECTION": ("inflection-0.5.1", "the unpacked source of inflection 0.5.1, from PyPI"),
    "REPOSITORIES": ("repositories/*", "clones of click, express, fzf and ripgrep, from GitHub"),
    "RIVALS": ("rivals", "a folder for the environments of rivals; made where it is not there"),
}
"""Words in the arguments that stand for what you have: where it is in the folder of `--data`, and what it is."""


@dataclass(frozen=True)
class Figures:
    """A benchmark and the arguments with which the figures in the docs are taken."""

    benchmark: str
    arguments: str = ""

    @property
    def command(self) -> str:
        return f"python -m benchmarks.{self.benchmark} {self.arguments}".strip()


FIGURES: Mapping[str, Figures] = {
    "off_cost": Figures("off_cost", "--rivals RIVALS"),
    "explain_cost": Figures("explain_cost", "--rivals RIVALS"),
    "modules": Figures("modules"),
    "import_cost": Figures("import_cost"),
    "recording_cost": Figures("recording_cost"),
    "evidence": Figures("evidence", "FAULTY --truth TRUTH --rivals RIVALS"),
    "ranking": Figures("ranking", "FAULTY --truth TRUTH --tests test_full.py"),
    "fixes": Figures("fixes", "FAULTY --tests test_example.py --judge test_full.py"),
    "fixes_full": Figures("fixes", "FAULTY --tests test_full.py --judge test_full.py"),
    "trials": Figures("trials"),
    "generate": Figures(
        "generate",
        "INFLECTION inflection/__init__.py --suite test_inflection.py --backend embedded --model demo --rivals RIVALS",
    ),
    "review": Figures("review", "--rivals RIVALS"),
    "background": Figures("background"),
    "review_lines": Figures("review_lines", "FAULTY RIGHT"),
    "review_lines_demo": Figures("review_lines", "FAULTY RIGHT --backend embedded --model demo"),
    "staged_commits": Figures("staged_commits", "REPOSITORIES"),
    "redaction": Figures("redaction"),
    "prefill": Figures("prefill"),
    "demo": Figures("demo"),
}


def benchmarks() -> dict[str, str]:
    """Every benchmark by name, with the first line of its docstring."""
    found = {}
    for path in sorted(HERE.glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        runs = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
        if runs and path.stem not in ("__main__", "page"):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def missing(figures: Figures, data: Path) -> list[str]:
    """What the arguments name and the folder `data` has not, in words."""
    words = [word for word in shlex.split(figures.arguments) if word in DATA and word != "RIVALS"]
    return [
        f"{data / DATA[word][0]} ({DATA[word][1]})"
        for word in words
        if not list(data.glob(DATA[word][0]))
    ]


def filled(figures: Figures, data: Path) -> list[str]:
    """The arguments with what the folder `data` has in the place of the words of DATA."""
    told: list[str] = []
    for word in shlex.split(figures.arguments):
        if word not in DATA:
            told.append(word)
        elif "*" in DATA[word][0]:
            told += map(str, sorted(data.glob(DATA[word][0])))
        else:
            told.append(str(data / DATA[word][0]))
    return told
