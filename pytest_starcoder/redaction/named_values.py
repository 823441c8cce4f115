"""Finds the values of secret names: assigned, passed, compared, returned, or written beside them.

Code in a dozen languages, configuration and logs share these forms, so the language of a text
does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_starcoder.redaction.columns import column_spans
from pytest_starcoder.redaction.commands import command_spans, kubernetes_spans
from pytest_starcoder.redaction.expressions import Literal, literals
from pytest_starcoder.redaction.literals import (
    LITERAL,
    QUOTES,
    Budget,
    Span,
    closes_literal,
    content_span,
    line_before,
    margin_at,
)
from pytest_starcoder.redaction.name_places import Place, find_places
from pytest_starcoder.redaction.patterns import lazy_pattern
from pytest_starcoder.redaction.secret_names import Naming
from pytest_starcoder.redaction.secret_values import is_harmless, is_random, is_secret_value
from pytest_starcoder.redaction.unquoted_values import UNQUOTED, unquoted_value


def named_spans(text: str) -> Iterator[Span]:
    """Yield the spans of values of secret names in `text`; some may be repeated."""
    finder = _ValueFinder(text)
    for place in find_places(text):
        yield from finder.spans(place)
    yield from column_spans(text)
    yield from command_spans(text)
    yield from kubernetes_spans(text)


# --- a sign between name and value

_SIGN = lazy_pattern(
    r"(?P<close>(?:\*\*(?=:)|\\{0,3}[\"'`])?[ \t]?\]?\)?)(?:\[\d*\])?(?:[?!](?=:))?"
    r"(?P<sign>"
    r"[ \t]*:[ \t]?[A-Za-z_&*'][\w.\[\], |&*'?<>:]{0,60}[ \t]=[ \t]*(?![=>~])"  # x: str = …
    r"|[ \t]*:[ \t]?[A-Za-z_]\w{0,30}=(?=[\"'])"
    r"|[ \t]+(?:string|String|\[\]byte|\*string|char\s?\*|varchar)[ \t]*=[ \t]*"  # Go
    r"|[ \t]+(?:or|\|\||\?\?)[ \t]+(?=[\"'])"
    r"|(?:[ \t]*:[ \t]?\w{1,40}\??)?[ \t]+by[ \t]+lazy[ \t]*\{[ \t]*"  # Kotlin
    r"|[ \t]*\{[ \t]*get;[^{}\n]{0,40}\}[ \t]*=[ \t]*"  # C#
    r"|[ \t]*(?:<<<|===?|!==?|:=|\+=|\?\?=|\?=|\|\|=|\.=|<-|=>|->|=(?![=>~])|:(?!:))[ \t]*"
    r")"
)

_PLAIN_ASSIGNMENT = lazy_pattern(
    r"[\"']?(?:[ \t]*=[ \t]*|:[ \t]*)(?P<quote>[\"']?)(?P<value>[A-Za-z0-9]{8,200})(?P=quote)"
    r"(?=[ \t]*(?:[\r\n]|\Z)|(?<=[\"']),|(?<![\"'])[ &;])"
)
"""The commonest form, tried first because it is the fastest: letters and digits alone."""

_MAPPED = lazy_pattern(r"[A-Za-z0-9]{16,200}(?=[\s,;}]|\Z)")
_BLOCK_SCALAR = lazy_pattern(r"[|>][+-]?\d?[ \t]*\n")
_BETWEEN_LITERALS = lazy_pattern(
    r"\"{0,3}'{0,3}`?\\?[\"']?[ \t]*(?:\*[ \t]*\d+[ \t]*)?(?:\\?\r?\n[ \t]*)?(?:[+.&][ \t]*)?"
    r"(?:\\?\r?\n[ \t]*)?[A-Za-z@]{0,2}[\"'`]{0,3}\\?"
)
"""Quotes, blanks, a repetition and a plus: two literals around them are one value."""

_LISTED = lazy_pattern(
    r"[ \t]*\r?\n[ \t]*-[ \t]+[\"']?(?P<value>[^\s\"'#]{6,400})[\"']?[ \t]*(?=\r?\n|\Z)"
)
_ALONE_ON_LINE = lazy_pattern(
    r"\\?[ \t]*\r?\n[ \t]*(?:[>|][+-]?[ \t]*\n[ \t]*)?[\"']?(?P<value>[^\s\"'#]{8,400}?)[\"']?;?,?"
    r"[ \t]*(?=\r?\n|\Z)"
)
_KEY_OR_CODE = lazy_pattern(r"-|[\w.-]+:|.*[({\[,:]$")
_DIGIT_OR_DASH = lazy_pattern(r"[\d-]")

# --- arguments and options

_QUOTED_NAME = lazy_pattern(r"[\"'`][#.$:\w-]*\Z")
"""Text before a name that is a string or the end of one."""

_COMMA = lazy_pattern(
    r"(?P<quote>\\?[\"'`])[ \t]*\]?,\s*(?:value\s*=\s*|default\s*=\s*|new\s*[:=]\s*)?"
)
_PARAMETRIZE = lazy_pattern(r"parametrize\(\s*[\[(]?[ru]?[\"'][\w\s,.-]*$")
_DEFAULT = lazy_pattern(r"(?:[^()\n]{0,200}?,\s*)?default\s*=\s*")
_CALL_BEFORE = lazy_pattern(r"([\w.:]+)\(\s*(?:[\w.\[\]'\"]+,\s*)?[ru]?[\"'`][#.\w:-]*$")
_SETTERS = frozenset(
    "get getenv setenv setdefault putenv set_var setproperty getproperty set put define setattr "
    "setitem set_item getordefault get_or_default environ env config header set_header setheader "
    "addheader add_header append add basic_auth login authenticate object fill type send_keys setx "
    "localstorage setitem property withproperty option setoption var secret addproperty setting "
    "insert replace update_or_create store write write_secret create_secret set_secret "
    "set_password getattr pop".split()
)
"""Functions that take a name and its value."""

_OPTION_VALUE = lazy_pattern(
    r"[ \t]+(?:(?P<plain>[^\s`'\"|<>;&()\[\]{}]{6,})|[\"'](?P<quoted>[^\n\"']{6,200})[\"'])"
)
_PROSE_WORDS = frozenset(
    "authentication required optional support supports handling validation instead option options "
    "changes protected through without should before manager management".split()
)

# --- a blank between name and value

_BLANK = lazy_pattern(
    r"(?P<close>[\"'`]?\)?)[ \t]+(?:(?:BY|AS|N|is|was|set to|equals|to)[ \t]+)?(?=N?\\?[\"'])"
)
_DEFINING_WORDS = ("#define", "define", "ENV ", "ARG ", "setenv", "set -", "export", "machine")
_DECLARATION = lazy_pattern(
    r"(?:ENV|ARG|setenv|set -\w+|machine|default|login|SetEnv|fastcgi_param)\b"
)
_PLAIN_AFTER = lazy_pattern(r"[ \t]+(?P<value>[^\s'\"|<>(){}\[\]`]{6,})[ \t]*(?=\r?\n|\Z|\\|;)")
_WORD_AFTER = lazy_pattern(r"[ \t]+(?P<value>[A-Za-z0-9!@#$%^&*_+/=-]{10,200})(?=[\s.;,'\"]|\Z)")
_STATEMENT = lazy_pattern(
    r"[ \t]+(?:is|was|ist|est|es|=>?|:)[ \t]*(?::[ \t]*)?(?P<value>[^\s,;'\"()<>]{8,})"
    r"(?=[\s,;.)'\"]|\Z)"
)
"""`password is x`, in the languages of our users."""

# --- calls, comparisons, functions that return it

_CHECK = lazy_pattern(
    r"(?:,\s*|[\"'\])]{1,4}\.(?:type|fill|sendKeys|send_keys|setValue|set_value|val|press\w*)\(\s*"
    r"|\)\s*\.(?:to|toBe|toEqual|equals|eq|isEqualTo|is|should)\w*\(\s*)(?=[A-Za-z@]{0,2}[\"'`])"
)
_ARGUMENT = lazy_pattern(r"\(\s*(?:\w+\s*=\s*)?(?=[A-Za-z@]{0,2}[\"'`])")
_GETTER = lazy_pattern(
    r"(?:get|fetch|load|find|read|create|make|generate|new|is|has|prompt)", re.IGNORECASE
)
_FUNCTION_HEAD = lazy_pattern(
    r"\([^()\n]{0,200}\)[^\n;=({]{0,60}?(?::(?=[ \t]*(?:\n|return))|\{|=>|=|\n)"
)
_LITERAL_AHEAD = lazy_pattern(r"\s*(?=[\"'`])")
_RETURN = lazy_pattern(r"\breturn\b[ \t(]*|\n[ \t]+(?=[\"'`][^\n]*\n[ \t]*(?:end|\}))")
_COMPARED_NAME = lazy_pattern(r"[ \t]*(?:===?|!==?|in|is|\.equals\(|,)[ \t]*[\w.$]{0,60}")
_COMPARED_VALUE = lazy_pattern(
    r"(?P<quote>[\"'])(?P<value>(?:\\.|(?!(?P=quote))[^\n\\]){1,200})(?P=quote)"
    r"[ \t]*(?:===?|!==?|in|is|\.equals\(|,)[ \t]*[\w.$]{0,60}\Z(?<!,)"
)

# --- markup, and a name that is itself a value

_ELEMENT = lazy_pattern(
    r"(?:\s[^<>\n]{0,200})?>\s*(?:<!\[CDATA\[)?(?P<value>[^<>\n]{6,2000}?)(?:\]\]>)?\s*</"
)
_NAMED_BY = lazy_pattern(
    r"(?:\b(?:name|key|id|type|Name|Key|Id|Type|param|property|header|variable|for|secretName)"
    r"\s*[\"'`]?\s*[=:]\s*[\"'`]?|<key>)[\w.:/$-]*$"
)
_VALUE_AFTER = lazy_pattern(
    r"[\"'`]?(?:[^<>\n{}]{0,120}?[\s,\"']|,?\s*\n[\s-]*)"
    r"[\"'`]?(?:value|Value|default|defaultValue|content|text|data)[\"'`]?\s*[=:]\s*"
    r"(?:[\"'](?P<quoted>[^\n\"']{4,2000})[\"']|(?P<plain>[^\s\"'<>{}\[\],]{6,400})(?=\s|\Z))"
    r"|(?:[\"']?[^<>\n]{0,60}>\s*(?:<value>)?|</key>\s*<string>)(?P<content>[^<>\n]{6,2000})</"
)
_VALUE_BEFORE = lazy_pattern(r"<[^<>]*\bvalue\s*=\s*[\"'](?P<value>[^\"'<>\n]{6,400})[\"'][^<>]*$")
_TERRAFORM = lazy_pattern(r"[\"']?\s*\{[^{}]{0,400}?\bdefault\s*=\s*\"(?P<value>[^\"\n]{6,400})\"")

# --- random words that prose and reports show of a name

_MENTIONS = (
    # A cell of a Markdown table.
    lazy_pattern(
        r"[`*]{0,3}[ \t]*\|[ \t]*[`*]{0,3}(?P<value>[^\s|`*]{8,400})[`*]{0,3}"
        r"[ \t]*(?:\||(?=\r?\n|\Z))"
    ),
    # `password for admin: x`
    lazy_pattern(
        r"[ \t][\w@., -]{2,60}:[ \t]+[`*\"']{0,3}(?P<value>[^\s`*\"',;()]{8,200})[`*\"']{0,3}"
        r"\.?[ \t]*(?=\r?\n|\Z)"
    ),
    # `password: admin / x`
    lazy_pattern(
        r"[ \t]*[:=][ \t]*[\w@.-]{1,60}[ \t]*/[ \t]*(?P<value>[^\s`*\"',;()]{8,200})(?=[\s.,;]|\Z)"
    ),
    # `credentials admin:x`
    lazy_pattern(r"[ \t]+[\w.@-]{1,60}:(?P<value>[^\s`*\"',;()/]{8,200})(?=[\s\"'`.,;)]|\Z)"),
    # An error of pydantic.
    lazy_pattern(r"[ \t]*\n[^\n]{0,200}\binput_value=[\"'](?P<value>[^\"'\n]{8,200})[\"']"),
)
_PYTEST_WHERE = lazy_pattern(
    r"\bwhere b?(?P<quote>[\"'])(?P<value>[^\"'\n]{6,200})(?P=quote) = [^\n]*\.\Z"
)
"""pytest's `where 'x' = user.` before the name of an attribute."""

_MAX_BARE = 4000
_MAX_BARE_SPENT = 64


class _ValueFinder:
    """Finds the values of names; the total work is bounded by the size of the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._budget = Budget(text)

    def spans(self, place: Place) -> Iterator[Span]:
        """Yield the values of one name, by the first form that matches."""
        text = self._text
        plain = _PLAIN_ASSIGNMENT.match(text, place.end)
        if plain and place.naming >= Naming.WEAK and is_random(plain["value"]):
            yield plain.span("value")
            return
        before = text[max(place.start - 3, 0) : place.start]
        sign = _SIGN.match(text, place.end)
        if sign:
            yield from self._assigned(place, sign)
        elif self._is_quoted(place):
            yield from self._passed(place)
            yield from self._terraform_default(place)
            yield from self._checked(place)
        elif before.endswith(("<", "</")):
            yield from self._element(place)
        else:
            yield from self._option(place, before)
            yield from self._after_blank(place, before)
            yield from self._call_argument(place)
            yield from self._checked(place)
        if not sign or sign["sign"].strip() != "=":
            yield from self._compared(place)
        yield from self._beside(place)
        yield from self._mentioned(place)

    def _is_quoted(self, place: Place) -> bool:
        if self._text[place.end : place.end + 1] not in QUOTES:
            return False
        return _QUOTED_NAME.search(self._text[max(place.start - 30, 0) : place.start]) is not None

    def _mentioned(self, place: Place) -> Iterator[Span]:
        """Yield random words that prose, a table or pytest's `where` shows of the name."""
        if place.naming < Naming.WEAK:
            return
        for form in _MENTIONS:
            match = form.match(self._text, place.end)
            if match and is_random(match["value"]):
                yield match.span("value")
        head = line_before(self._text, place.start, 300)
        where = _PYTEST_WHERE.search(head) if "where " in head else None
        if where and is_secret_value(where["value"], place.naming):
            yield _shifted(where.span("value"), place.start - len(head))

    # --- after a sign

    def _assigned(self, place: Place, sign: re.Match[str]) -> Iterator[Span]:
        text, start = self._text, sign.end()
        operator = sign["sign"].strip()
        following = text[start : start + 1]
        if closes_literal(text, start):
            return
        if operator == "->" and ")" in sign["close"]:
            return  # the type of what a function returns
        if operator in ("->", "=>") and following not in ("'", '"', "`", "@"):
            if operator == "=>":
                yield from self._mapped(place, start)
            return
        spans = list(self._expression(place, start))
        if spans:
            yield from spans
        elif following not in ("'", '"', "`") or LITERAL.match(text, start) is None:
            yield from self._unquoted(place, sign)

    def _unquoted(self, place: Place, sign: re.Match[str]) -> Iterator[Span]:
        """Yield a value without quotes: in a YAML block, on the next line, or on this one."""
        text, start = self._text, sign.end()
        operator = sign["sign"].strip()
        following = text[start : start + 1]
        has_type = operator.startswith(":") and "=" in operator
        if has_type and following not in ("'", '"'):
            return  # only code has types, and code has quotes
        if operator in (":", "=") and _BLOCK_SCALAR.match(text, start):
            yield from self._block_scalar(place, text.index("\n", start) + 1)
        elif operator in (":", "=") and following in ("\n", "\r", "\\"):
            yield from self._next_line(place, start)
        else:
            yield from self._bare(place, sign)

    def _mapped(self, place: Place, start: int) -> Iterator[Span]:
        """Yield the value in `:password => x`."""
        yield from self._expression(place, start)
        value = _MAPPED.match(self._text, start)
        if value and is_random(value[0]):
            yield value.span()

    def _bare(self, place: Place, sign: re.Match[str]) -> Iterator[Span]:
        limit = sign.end() + (_MAX_BARE_SPENT if self._budget.is_spent else _MAX_BARE)
        value = unquoted_value(self._text, place, sign, limit)
        run = UNQUOTED.match(self._text, sign.end(), limit)
        if run and len(run[0]) > 200:
            self._budget.spend(4 * len(run[0]))  # each of its characters may begin a name
        if value is not None:
            yield value

    def _expression(self, place: Place, start: int) -> Iterator[Span]:
        """Yield the literals that form the value of the expression at `start`."""
        run: list[Literal] = []
        for literal in literals(self._text, start, place.naming, self._budget):
            if run and not self._are_joined(run[-1], literal):
                yield from self._secret_run(run, place)
                run = []
            run.append(literal)
        yield from self._secret_run(run, place)

    def _are_joined(self, first: Literal, second: Literal) -> bool:
        """Return whether two literals are parts of one value."""
        if second.start - first.end >= 300:
            return False
        return _BETWEEN_LITERALS.fullmatch(self._text, first.end, second.start) is not None

    def _secret_run(self, run: Sequence[Literal], place: Place) -> Iterator[Span]:
        """Yield the spans of literals that are one value together, if it is secret."""
        whole = ""
        is_certain = True
        has_harmless_part = False
        for literal in run:
            part = self._text[literal.start : literal.end]
            whole += part * min(literal.repeat, 100)
            is_certain = is_certain and literal.is_value
            if len(part) > 20 and is_harmless(part):
                has_harmless_part = True
        if not whole.strip() or not is_secret_value(whole, place.naming):
            return
        # A long harmless part, such as a sentence, makes all of it text; alone it is the whole.
        if len(run) > 1 and has_harmless_part:
            return
        if is_certain or is_random(whole):
            for literal in run:
                if literal.end > literal.start:
                    yield literal.start, literal.end

    # --- after a quoted name

    def _passed(self, place: Place) -> Iterator[Span]:
        """Yield the value in `f('password', 'value')`: a call or pair with the name as a string."""
        text = self._text
        comma = _COMMA.match(text, place.end)
        if not comma:
            return
        before = text[max(place.start - 120, 0) : place.start]
        if _PARAMETRIZE.search(before):
            return  # column_spans reads these
        default = _DEFAULT.match(text, comma.end())
        if default:
            yield from self._expression(place, default.end())
            return
        is_setter = _calls_setter(before)
        literal = LITERAL.match(text, comma.end())
        if literal is None:
            if is_setter and text[comma.end() : comma.end() + 1] in ("[", "("):
                yield from self._expression(place, comma.end())
            return
        start, end = content_span(literal)
        value = text[start:end]
        if is_secret_value(value, place.naming) and (is_setter or is_random(value)):
            yield start, end

    def _terraform_default(self, place: Place) -> Iterator[Span]:
        """Yield the default in Terraform's `variable "db_password" { default = "x" }`."""
        value = _TERRAFORM.match(self._text, place.end)
        if value and is_secret_value(value["value"], place.naming):
            yield value.span("value")

    # --- `--name value`, `name "value"`, `name(value)`

    def _option(self, place: Place, before: str) -> Iterator[Span]:
        """Yield the value in `--password value`, `-Password value`."""
        is_option = before.endswith("-") and not before.endswith("---")
        match = _OPTION_VALUE.match(self._text, place.end) if is_option else None
        if match is None:
            return
        group = match.lastgroup or ""
        value = match[group]
        if place.naming is Naming.HINT and not is_secret_value(value, Naming.HINT):
            return
        if group == "plain" and _is_plain_word(value, place.naming):
            return
        # These begin an option, a path, a variable and the name of a file.
        if value[0] not in "-/$@" and not is_harmless(value):
            yield match.span(group)

    def _after_blank(self, place: Place, before: str) -> Iterator[Span]:
        """Yield the value after a blank: `#define PASSWORD "x"`, `ENV TOKEN x`, `password is x`."""
        text = self._text
        head = line_before(text, place.start, 200).lstrip()
        blank = _BLANK.match(text, place.end)
        literal = self._literal_after(blank) if blank else None
        if blank is None or literal is None:
            yield from self._word_after(place, head)
            return
        start, end = content_span(literal)
        value = text[start:end]
        is_definition = head.startswith(_DEFINING_WORDS) or head == ""
        is_named = place.name.isupper() or before.endswith((":", "$")) or "BY" in blank[0]
        is_certain = is_definition or is_named or is_random(value)
        if is_certain and is_secret_value(value, place.naming):
            yield start, end

    def _literal_after(self, blank: re.Match[str]) -> re.Match[str] | None:
        start = blank.end()
        if self._text[start] == "N":  # as in SQL Server: PASSWORD = N'x'
            start += 1
        return LITERAL.match(self._text, start)

    def _word_after(self, place: Place, head: str) -> Iterator[Span]:
        """Yield an unquoted word after a name and a blank."""
        yield from self._declared_word(place, head)
        word = _WORD_AFTER.match(self._text, place.end)
        if word and place.naming is Naming.STRONG and _is_random_secret(word["value"]):
            yield word.span("value")
        statement = _STATEMENT.match(self._text, place.end)
        if statement and place.naming >= Naming.WEAK:
            value = statement["value"].rstrip(".!?")
            if is_random(value) or (place.naming is Naming.STRONG and _has_secret_digit(value)):
                start = statement.start("value")
                yield start, start + len(value)

    def _declared_word(self, place: Place, head: str) -> Iterator[Span]:
        """Yield the value in `ENV TOKEN x`, or of a name alone at the beginning of a line."""
        word = _PLAIN_AFTER.match(self._text, place.end)
        if word is None or is_harmless(word["value"]):
            return
        is_alone = not head and place.naming >= Naming.WEAK and place.name.islower()
        if _DECLARATION.match(head):
            is_secret = is_secret_value(word["value"], place.naming)
        else:
            is_secret = is_alone and is_random(word["value"])
        if is_secret:
            yield word.span("value")

    def _checked(self, place: Place) -> Iterator[Span]:
        """Yield the value in `assertEqual(user.password, 'x')`, `expect(password).toBe('x')`."""
        check = _CHECK.match(self._text, place.end)
        literal = LITERAL.match(self._text, check.end()) if check else None
        if literal:
            start, end = content_span(literal)
            value = self._text[start:end]
            if _is_random_secret(value):
                yield start, end

    def _call_argument(self, place: Place) -> Iterator[Span]:
        """Yield the value in `set_password('x')` and in `def get_password(): return 'x'`."""
        text = self._text
        following = text[place.end : place.end + 1]
        if following in "\r\n" and text.startswith("def ", place.start - 4):
            yield from self._returned(place, place.name, place.end)  # Ruby
        if following != "(":
            return
        argument = _ARGUMENT.match(text, place.end)
        literal = LITERAL.match(text, argument.end()) if argument else None
        if literal:
            start, end = content_span(literal)
            value = text[start:end]
            # The argument of `get_password('x')` is the name of something.
            is_certain = not _GETTER.match(place.name) or is_random(value)
            if is_certain and is_secret_value(value, place.naming):
                yield start, end
        head = _FUNCTION_HEAD.match(text, place.end)
        if head and place.naming >= Naming.WEAK:
            yield from self._returned(place, head[0], head.end())

    def _returned(self, place: Place, head: str, end: int) -> Iterator[Span]:
        """Yield what a function returns, if that is near its `head`, which ends at `end`."""
        text = self._text
        literal = _LITERAL_AHEAD.match(text, end) if head[-1] in "{>=" else None
        if literal:
            yield from self._expression(place, literal.end())
            return
        match = _RETURN.search(text, end, min(end + 400, len(text)))
        if match is None:
            return
        body = text[end : match.start()].rstrip(" \t}")
        if not re.search(r"\n\S", body):  # nothing but the body lies between
            yield from self._expression(place, match.end())

    def _compared(self, place: Place) -> Iterator[Span]:
        """Yield the value in `'x' == password`."""
        window = self._text[max(place.start - 300, 0) : place.start]
        offset = place.start - len(window)
        quote = max(window.rfind("'"), window.rfind('"'))
        if quote < 0 or not _COMPARED_NAME.fullmatch(window, quote + 1):
            return
        match = _COMPARED_VALUE.search(window)
        if not match or closes_literal(self._text, offset + match.start()):
            return
        is_certain = place.naming is Naming.STRONG or is_random(match["value"])
        if is_certain and is_secret_value(match["value"], place.naming):
            yield _shifted(match.span("value"), offset)

    # --- markup

    def _element(self, place: Place) -> Iterator[Span]:
        """Yield the content of `<password>x</password>`."""
        content = _ELEMENT.match(self._text, place.end)
        value = content["value"] if content else ""
        if content and _is_one_word(value) and is_secret_value(value, place.naming):
            yield content.span("value")

    def _beside(self, place: Place) -> Iterator[Span]:
        """Yield the `value`, `default` or `string` near a quoted name: XML, JSON, YAML, HTML."""
        head = line_before(self._text, place.start, 200)
        if not _NAMED_BY.search(head[-100:]):
            return
        value = _VALUE_AFTER.match(self._text, place.end)
        if value:
            group = value.lastgroup or ""
            is_text = group == "content" and not _is_one_word(value[group])
            if not is_text and is_secret_value(value[group], place.naming):
                yield value.span(group)
        tag = _VALUE_BEFORE.search(head)
        if tag and is_secret_value(tag["value"], place.naming):
            yield _shifted(tag.span("value"), place.start - len(head))

    # --- values on lines of their own

    def _block_scalar(self, place: Place, start: int) -> Iterator[Span]:
        """Yield the lines of a YAML block that are deeper than its key."""
        text = self._text
        margin = margin_at(text, place.start)
        spans: list[Span] = []
        while start < len(text) and len(spans) < 200:
            end = text.find("\n", start)
            if end < 0:
                end = len(text)
            line = text[start:end]
            if line.strip():
                indent = len(line) - len(line.lstrip())
                if indent <= margin:
                    break
                spans.append((start + indent, start + len(line.rstrip())))
            start = end + 1
        value = "".join(text[start:end] for start, end in spans)
        if place.naming >= Naming.WEAK and is_secret_value(value, place.naming):
            yield from spans

    def _next_line(self, place: Place, start: int) -> Iterator[Span]:
        """Yield values that are alone on the lines after their name."""
        text = self._text
        item = _LISTED.match(text, start)
        if item:
            while item:
                if place.naming >= Naming.WEAK and is_random(item["value"]):
                    yield item.span("value")
                item = _LISTED.match(text, item.end())
            return
        line = _ALONE_ON_LINE.match(text, start)
        if line is None or margin_at(text, line.start("value")) < margin_at(text, place.start):
            return
        if _is_secret_line(line["value"], place.naming):
            yield line.span("value")


def _is_secret_line(value: str, naming: Naming) -> bool:
    """Return whether a value alone on a line is secret, and not the next key or statement."""
    if naming >= Naming.WEAK and is_random(value):
        return True
    if naming is not Naming.STRONG or _KEY_OR_CODE.match(value):
        return False
    return _DIGIT_OR_DASH.search(value) is not None and is_secret_value(value, naming)


def _calls_setter(before: str) -> bool:
    """Return whether the text before a quoted name begins a call of one of _SETTERS."""
    call = _CALL_BEFORE.search(before.rpartition("\n")[2])
    if call is None:
        return False
    function = re.split(r"\.|::", call[1])[-1]
    return function.lower() in _SETTERS


def _shifted(span: Span, offset: int) -> Span:
    return span[0] + offset, span[1] + offset


def _is_plain_word(value: str, naming: Naming) -> bool:
    """Return whether the word after an option is one of a sentence or of the command."""
    if value in _PROSE_WORDS or re.fullmatch(r"[a-z]{1,7}", value):
        return True
    return naming is not Naming.STRONG and value.isalpha() and len(value) < 12


def _is_random_secret(value: str) -> bool:
    return is_random(value) and not is_harmless(value)


def _has_secret_digit(value: str) -> bool:
    return re.search(r"\d", value) is not None and not is_harmless(value)


def _is_one_word(value: str) -> bool:
    return len(value.split()) == 1
