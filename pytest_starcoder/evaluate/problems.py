"""Reads the problems of HumanEval and MBPP, in the forms of bigcode-evaluation-harness.

| benchmark | file                                          | tests                            |
| --------- | --------------------------------------------- | -------------------------------- |
| humaneval | HumanEval.jsonl.gz (openai/human-eval)        | `check(function)`                |
| mbpp      | mbpp.jsonl (google-research): tasks 11 to 510 | every assertion                  |
| mbpp      | sanitized-mbpp.json (google-research): all    | every assertion, and its imports |
| mbpp      | MbppPlus.jsonl (evalplus, version 0.1): all   | `assertion`, fixed by EvalPlus   |

Stops and forms are those of the harness's tasks humaneval.py and mbpp.py.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.pass_at_k import TITLES, Problem

Row = Mapping[str, Any]

HUMANEVAL_STOPS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "<file_sep>")
MBPP_STOPS = ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```")

# The tasks of mbpp.jsonl that are tests; the others are for prompts and training.
MBPP_TEST_SET = range(11, 511)

REQUIRED_FIELDS = {
    "humaneval": ("task_id", "prompt", "test", "entry_point"),
    "mbpp": ("task_id", "prompt or text", "test_list or assertion"),
}

SOURCES = {
    "humaneval": "HumanEval.jsonl.gz of github.com/openai/human-eval",
    "mbpp": "mbpp.jsonl or sanitized-mbpp.json of github.com/google-research/google-research "
    "(mbpp)",
}

PUBLISHED_HINT = "Pass the path of the published file."


def read_problems(benchmark: str, path: Path) -> list[Problem]:
    """Return the problems of a benchmark in the order of its file.

    Raises ConfigError for a file of another kind.
    """
    hint = f"Give {SOURCES[benchmark]}."
    rows = read_rows(path)
    if not rows:
        raise ConfigError(f"{path} has no problems.", hint)
    for number, row in enumerate(rows, 1):
        missing = _missing_fields(row, benchmark)
        if missing:
            message = f"{path}: problem {number} has no {missing}, so it does not belong to"
            raise ConfigError(f"{message} {TITLES[benchmark]}.", hint)
    parse = _parse_humaneval
    if benchmark == "mbpp":
        parse = _parse_mbpp
        # Only mbpp.jsonl has more problems than its test set.
        if len(rows) > len(MBPP_TEST_SET):
            rows = [row for row in rows if row["task_id"] in MBPP_TEST_SET]
    problems = []
    for number, row in enumerate(rows, 1):
        try:
            problems.append(parse(row))
        except (TypeError, IndexError, RecursionError) as exc:
            message = f"{path}: problem {number} is not in the format of {TITLES[benchmark]}."
            raise ConfigError(message, hint) from exc
    return problems


def read_rows(path: Path) -> list[Row]:
    """Return the objects of a .jsonl, .jsonl.gz or .json file.

    Raises ConfigError, with the line, for any other content.
    """
    text = _read_text(path)
    if text.lstrip().startswith("["):
        unit = "entry"
        rows = _parse_json(path, text, 1)
    else:
        unit = "line"
        rows = []
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                rows.append(_parse_json(path, line, number))
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            message = f"{path}, {unit} {number}: this is not an object."
            raise ConfigError(message, PUBLISHED_HINT)
    return list(rows)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        # By its first bytes, because a browser may have unpacked a .gz file.
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        return content.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as exc:
        reason = "it is not UTF-8 text, or it is incomplete"
        if isinstance(exc, OSError) and exc.strerror:
            reason = exc.strerror
        raise ConfigError(f"{path} cannot be read: {reason}.", PUBLISHED_HINT) from exc


def _parse_json(path: Path, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        # The message of a RecursionError speaks of Python, not of the file.
        reason = "it is nested too deeply" if isinstance(exc, RecursionError) else exc
        message = f"{path}, line {line}: this is not JSON ({reason})."
        raise ConfigError(message, PUBLISHED_HINT) from exc


def _missing_fields(row: Row, benchmark: str) -> str:
    """Return the required fields that a row lacks, as text."""
    missing = []
    for field in REQUIRED_FIELDS[benchmark]:
        if not row.keys() & set(field.split(" or ")):
            missing.append(field)
    return " and no ".join(missing)


def _parse_humaneval(row: Row) -> Problem:
    prompt = str(row["prompt"]).strip()
    tests = f"{row['test']}\ncheck({row['entry_point']})"
    return Problem(str(row["task_id"]), prompt, tests, HUMANEVAL_STOPS)


def _parse_mbpp(row: Row) -> Problem:
    # The prompt of EvalPlus is a docstring already.
    description = str(row.get("text", row.get("prompt"))).strip("\n'\"")
    if "test_list" in row:
        assertions = list(map(str, row["test_list"]))
    else:
        assertions = str(row["assertion"]).split("\n")
    assertions = list(filter(None, assertions))
    setup = list(map(str, row.get("test_imports") or ()))
    if "assertion" in row:
        setup = ["import math"]  # which EvalPlus's assertions use
    elif not setup and row.get("test_setup_code"):
        setup = [str(row["test_setup_code"])]
    task = str(row["task_id"]).rpartition("/")[2]
    # As the authors of MBPP prompt: one assertion tells the name of the function.
    prompt = f'"""\n{description}\n{assertions[0]}\n"""\n'
    tests = "\n".join([*setup, *assertions])
    return Problem(f"MBPP/{task}", prompt, tests, MBPP_STOPS)
