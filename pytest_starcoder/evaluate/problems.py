"""The problems of HumanEval and MBPP from their published files, asked as bigcode-evaluation-harness asks them.

| set       | file                                          | tests                                     |
| --------- | --------------------------------------------- | ----------------------------------------- |
| humaneval | HumanEval.jsonl.gz (openai/human-eval)        | `check(function)`                         |
| mbpp      | mbpp.jsonl (google-research): tasks 11 to 510 | every assertion                           |
| mbpp      | sanitized-mbpp.json (google-research): all    | every assertion, and its imports          |
| mbpp      | MbppPlus.jsonl (evalplus, version 0.1): all   | `assertion`, as EvalPlus has corrected it |

A prompt of HumanEval is asked without the space around it; one of MBPP is a
docstring of the description and the first assertion. Stops and forms were read
in the harness's tasks humaneval.py and mbpp.py.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.evaluation import TITLES, Problem

HUMANEVAL_STOPS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "<file_sep>")
MBPP_STOPS = ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```")

MBPP_TEST = range(11, 511)
"""The tasks of mbpp.jsonl that are its test set; the others are for prompts and training."""

FIELDS = {
    "humaneval": ("task_id", "prompt", "test", "entry_point"),
    "mbpp": ("task_id", "prompt or text", "test_list or assertion"),
}

SOURCES = {
    "humaneval": "HumanEval.jsonl.gz of github.com/openai/human-eval",
    "mbpp": "mbpp.jsonl or sanitized-mbpp.json of github.com/google-research/google-research (mbpp)",
}


def read_problems(benchmark: str, path: Path) -> list[Problem]:
    """The problems of a set, in the order of its file. Raises ConfigError for a file that is none of the set's."""
    rows = list(records(path))
    wanted = FIELDS[benchmark]
    for number, row in enumerate(rows, 1):
        missing = [name for name in wanted if not any(one in row for one in name.split(" or "))]
        if missing:
            raise ConfigError(
                f"{path}: problem {number} has no {' and no '.join(missing)}, so it is none of {TITLES[benchmark]}.",
                f"Give {SOURCES[benchmark]}.",
            )
    if benchmark == "mbpp" and len(rows) > 500:
        rows = [row for row in rows if row["task_id"] in MBPP_TEST]
    problem_of = _humaneval if benchmark == "humaneval" else _mbpp
    problems = []
    for number, row in enumerate(rows, 1):
        try:
            problems.append(problem_of(row))
        except (TypeError, IndexError, RecursionError) as exc:
            raise ConfigError(
                f"{path}: problem {number} is not in the format of {TITLES[benchmark]}.",
                f"Give {SOURCES[benchmark]}.",
            ) from exc
    return problems


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a .jsonl, .jsonl.gz or .json file.

    Raises ConfigError, which names the line, for any other text.
    """
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as exc:
        why = (
            exc.strerror
            if isinstance(exc, OSError) and exc.strerror
            else "it is no UTF-8 text, or not whole"
        )
        raise ConfigError(
            f"{path} cannot be read: {why}.", "Give the file as it was published."
        ) from exc
    if text.lstrip().startswith("["):
        rows, lines = _json(path, text, 1), False
    else:
        rows, lines = (
            [
                _json(path, line, number)
                for number, line in enumerate(text.splitlines(), 1)
                if line.strip()
            ],
            True,
        )
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ConfigError(
                f"{path}, {'line' if lines else 'entry'} {number}: this is no object.",
                "Give the file as it was published.",
            )
        yield row


def _json(path: Path, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        why = "it is nested too deeply" if isinstance(exc, RecursionError) else exc
        raise ConfigError(
            f"{path}, line {line}: this is not JSON ({why}).", "Give the file as it was published."
        ) from exc


def _humaneval(row: Mapping[str, Any]) -> Problem:
    tests = f"{row['test']}\ncheck({row['entry_point']})"
    return Problem(str(row["task_id"]), str(row["prompt"]).strip(), tests, HUMANEVAL_STOPS)


def _mbpp(row: Mapping[str, Any]) -> Problem:
    described = str(row.get("text", row.get("prompt"))).strip(
        "\n'\""
    )  # EvalPlus has a docstring there
    told = row.get("test_list", row.get("assertion"))
    asserts = (
        [line for line in str(told).splitlines() if line]
        if isinstance(told, str)
        else [str(line) for line in told]
    )
    before = [str(line) for line in row.get("test_imports") or ()] or [
        str(row.get("test_setup_code") or "")
    ]
    if "assertion" in row:
        before = ["import math"]  # what EvalPlus's assertions use
    tests = "\n".join([*filter(None, before), *asserts])
    task = str(row["task_id"]).rpartition("/")[2]
    return Problem(f"MBPP/{task}", f'"""\n{described}\n{asserts[0]}\n"""\n', tests, MBPP_STOPS)
