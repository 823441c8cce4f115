"""What a model wrote that is code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """Code that a model wrote, and nothing else.

    `checked`: it is Python and parses; other languages are not checked. `cut`: the answer
    met a limit, and what it left unfinished is not in `text`.
    """

    text: str
    language: str
    model: str
    checked: bool
    cut: bool = False


@dataclass(frozen=True)
class Rewrite:
    """One file before and after a change of a model's, whole texts both.

    `inserted` is what the model wrote into it. `problem` says why the new text
    should not be kept, empty where nothing speaks against it; a file that did not
    parse before may still not.
    """

    path: str
    before: str
    after: str
    inserted: str
    model: str
    problem: str = ""
