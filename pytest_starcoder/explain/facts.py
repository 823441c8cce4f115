"""Observes what the message of an exception does not say: the values at fault and their origins.

Of user code only `__repr__` runs, and `==` of values in builtin containers.
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
from pytest_starcoder.explain.raise_site import UNKNOWN, RaiseSite
from pytest_starcoder.explain.type_differences import FUNCTION_TYPES
from pytest_starcoder.explain.value_facts import (
    assertion_facts,
    division_facts,
    iteration_facts,
    recursion_facts,
    type_facts,
    unicode_facts,
    value_facts,
)
from pytest_starcoder.source.callees import is_instance
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import short_repr

MAX_FACTS = 4
"""Maximum number of sentences on one exception; the last place is for the values on the line."""

MAX_VARIABLES = 4
"""Maximum number of values on the line."""

MAX_LENGTH = 200
"""Maximum length of a sentence."""

DEFAULT_REPR = re.compile(r"<[\w.<>]+ object>")

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
    """Return at most four sentences on an exception, the most telling one first. Never raises.

    It was raised in `frame` at the 1-based `line` and the instruction with the index `lasti`.
    """
    observers = [observe for kind, observe in OBSERVERS.items() if is_instance(exc, kind)][:1]
    # After a recursion, the values show how deep it got, which changes from run to run.
    if not is_instance(exc, RecursionError):
        observers.append(variable_facts)
    sentences: dict[str, None] = {}
    for observe in observers:
        limit = MAX_FACTS if observe is variable_facts else MAX_FACTS - 1
        try:
            for sentence in observe(RaiseSite(exc, frame, line, lasti)):
                if len(sentences) == limit:
                    break
                sentences[one_line(sentence, MAX_LENGTH)] = None
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - a repr of the user's may raise anything
            continue
    return tuple(sentences)


def variable_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the variables on the line with their values, those in the failing part first."""
    texts: dict[str, str] = {}
    for node in site.names():
        name, value = ast.unparse(node), site.local_value(node)
        if value is UNKNOWN or name in texts or name.startswith("__"):
            continue
        # What such values are is clear from their names.
        if is_instance(value, type, types.ModuleType, *FUNCTION_TYPES):
            continue
        text = short_repr(value)
        # A default repr tells nothing but the class.
        if DEFAULT_REPR.fullmatch(text) or (name == "self" and text.startswith("<")):
            continue
        texts[name] = text
        if len(texts) == MAX_VARIABLES:
            break
    if texts:
        yield "with " + ", ".join(f"{name} = {one_line(text, 60)}" for name, text in texts.items())
