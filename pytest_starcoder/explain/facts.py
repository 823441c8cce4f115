"""Adds facts that the message of an exception lacks: the values at fault and their origins.

The only user code that runs is `__repr__`, and `==` of values in builtin containers.
"""

from __future__ import annotations

import ast
import re
import types
from collections.abc import Callable, Iterator

from pytest_starcoder.explain.lookup_facts import (
    attribute_facts,
    file_facts,
    import_facts,
    index_facts,
    key_facts,
    name_facts,
)
from pytest_starcoder.explain.mock_facts import mock_facts
from pytest_starcoder.explain.output_facts import output_facts
from pytest_starcoder.explain.raise_site import UNKNOWN, RaiseSite, raise_site
from pytest_starcoder.explain.response_facts import response_facts
from pytest_starcoder.explain.sql_facts import sql_facts
from pytest_starcoder.explain.type_differences import FUNCTION_TYPES
from pytest_starcoder.explain.unmet_expectations import expectation_facts, names_in_block
from pytest_starcoder.explain.value_facts import (
    assertion_facts,
    division_facts,
    iteration_facts,
    recursion_facts,
    type_facts,
    unicode_facts,
    value_facts,
    warning_facts,
)
from pytest_starcoder.source.callees import is_instance
from pytest_starcoder.text.display import cut_between_words, one_line
from pytest_starcoder.text.reprs import short_repr

MAX_FACTS = 4
"""Maximum number of sentences on one exception; the last is reserved for the line's variables."""

MAX_VARIABLES = 4
"""Maximum number of variables whose values are shown."""

MAX_VALUE = 60
"""Maximum length of a variable's value."""

MAX_LENGTH = 200
"""Maximum length of a sentence."""

DEFAULT_REPR = re.compile(r"<[\w.<>]+ object>|<\w*Mock>")

Observer = Callable[[RaiseSite], Iterator[str]]

OBSERVERS: dict[type[BaseException], Observer] = {
    IndexError: index_facts,
    KeyError: key_facts,
    AttributeError: attribute_facts,
    NameError: name_facts,
    TypeError: type_facts,
    ZeroDivisionError: division_facts,
    RecursionError: recursion_facts,
    FileNotFoundError: file_facts,
    ImportError: import_facts,
    UnicodeError: unicode_facts,  # a kind of ValueError, so before it
    ValueError: value_facts,
    StopIteration: iteration_facts,
    AssertionError: assertion_facts,
}


def facts(exc: BaseException, frame: types.FrameType, line: int, lasti: int) -> tuple[str, ...]:
    """Return at most four sentences on an exception, the most specific one first. Never raises.

    It was raised in `frame` at the 1-based `line` and the instruction with the index `lasti`.
    """
    site = raise_site(exc, frame, line, lasti)
    return () if site is None else facts_at(site)


def facts_at(site: RaiseSite) -> tuple[str, ...]:
    """Return what `facts` does, for an exception whose raise site is known."""
    sentences: dict[str, None] = {}
    for observe in _observers(site.exc):
        limit = MAX_FACTS if observe is variable_facts else MAX_FACTS - 1
        try:
            for sentence in observe(site):
                if len(sentences) == limit:
                    break
                sentences[one_line(sentence, MAX_LENGTH)] = None
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - a user's repr may raise anything
            continue
    return tuple(sentences)


def _observers(exc: BaseException) -> Iterator[Observer]:
    for kind, observe in OBSERVERS.items():
        if is_instance(exc, kind):
            yield observe
            break
    yield output_facts
    yield sql_facts
    yield mock_facts
    yield warning_facts
    yield expectation_facts
    yield response_facts
    # The variables of a recursion depend on its depth, which varies from run to run.
    if not is_instance(exc, RecursionError):
        yield variable_facts


def variable_facts(site: RaiseSite) -> Iterator[str]:
    """Yield a sentence with the values of the line's variables, the failing part's first."""
    texts: dict[str, str] = {}
    for node in (*site.names(), *names_in_block(site)):
        name = ast.unparse(node)
        value = site.local_value(node)
        if value is UNKNOWN or name in texts or name.startswith("__"):
            continue
        text = _variable_text(name, value)
        if text:
            texts[name] = f"{name} = {_cut(text)}"
        if len(texts) == MAX_VARIABLES:
            break
    if texts:
        yield "with " + ", ".join(texts.values())


def _cut(text: str) -> str:
    """Return a repr cut to `MAX_VALUE` characters, between words if at least half remains."""
    line = cut_between_words(text, MAX_VALUE)
    if len(line) > MAX_VALUE // 2:
        return line
    return one_line(text, MAX_VALUE)


def _variable_text(name: str, value: object) -> str:
    """Return the repr of a value; empty if it says no more than the name."""
    if is_instance(value, type, types.ModuleType, *FUNCTION_TYPES):
        return ""
    text = short_repr(value)
    # A default repr shows nothing but the class, and most reprs of `self` little more.
    if DEFAULT_REPR.fullmatch(text) or (name == "self" and text.startswith("<")):
        return ""
    return text
