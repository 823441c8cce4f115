"""Finds secrets by their names: where a name that holds one stands, and which text near it is its value.

A place is a name and what follows it: a sign, a comma of a call, an option's blank, a tag. Code in a dozen languages,
configuration and logs share these, so that no language is told from another here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pytest_starcoder.redaction.patterns import lazily
from pytest_starcoder.redaction.secret_names import Naming, candidates, naming
from pytest_starcoder.redaction.secret_values import (
    NUMBERED,
    is_harmless,
    is_placeholder,
    is_random,
    is_secret_value,
)

Span = tuple[int, int]


class Place(NamedTuple):
    """A name that may hold a secret, and where it stands."""

    start: int
    end: int
    naming: Naming
    name: str


def named_spans(text: str) -> Iterator[Span]:
    """Yield the spans of values of secret names in `text`; some may be repeated."""
    scan = _Scan(text)
    for place in _places(text):
        yield from scan.spans(place)
    yield from _by_position(text)
    yield from _in_commands(text)
    yield from _in_kubernetes(text)


def _places(text: str) -> Iterator[Place]:
    """Yield every name in `text` whose value may be secret."""
    done = 0
    for at in candidates(text):
        if at < done:
            continue
        start = at
        while start > done and at - start < 80 and _in_name(text, start - 1):
            start -= 1
        around = _REST.match(text, at)
        end = done = around.end() if around else at
        if text[end - 1] in ".-":
            end -= 1
        name = text[start:end].lstrip(".-$")
        start = end - len(name)
        last = re.split(r"[.]|->|::", name)[-1]
        found = naming(last)
        if (
            found is Naming.NOTHING
            and "." in name
            and "_" not in last
            and text[end : end + 1] != "("
        ):
            found = naming(name.replace(".", "_"))
        is_type = (
            text.endswith("::", 0, start) and text[end : end + 1] == '"'
        )  # "AWS::IAM::AccessKey"
        if found is not Naming.NOTHING and not is_type:
            yield Place(start, end, found, last)


_REST = lazily(r"[\w.$-]{0,80}")


def _in_name(text: str, at: int) -> bool:
    char = text[at]
    return char.isalnum() or char in "_.-$"


_SIGN = lazily(
    r"(?P<close>(?:\*\*(?=:)|\\{0,3}[\"'`])?[ \t]?\]?\)?)(?:\[\d*\])?(?:[?!](?=:))?"
    r"(?P<sign>"
    r"[ \t]*:[ \t]?[A-Za-z_&*'][\w.\[\], |&*'?<>:]{0,60}[ \t]=[ \t]*(?![=>~])"  # x: str = …
    r"|[ \t]*:[ \t]?[A-Za-z_]\w{0,30}=(?=[\"'])"
    r"|[ \t]+(?:string|String|\[\]byte|\*string|char\s?\*|varchar)[ \t]*=[ \t]*"  # Go: x string = …
    r"|[ \t]+(?:or|\|\||\?\?)[ \t]+(?=[\"'])"
    r"|(?:[ \t]*:[ \t]?\w{1,40}\??)?[ \t]+by[ \t]+lazy[ \t]*\{[ \t]*"  # Kotlin
    r"|[ \t]*\{[ \t]*get;[^{}\n]{0,40}\}[ \t]*=[ \t]*"  # C#
    r"|[ \t]*(?:<<<|===?|!==?|:=|\+=|\?\?=|\?=|\|\|=|\.=|<-|=>|->|=(?![=>~])|:(?!:))[ \t]*"
    r")"
)
"""The sign between a name and its value."""

_PLAIN = lazily(
    r"[\"']?(?:[ \t]*=[ \t]*|:[ \t]*)(?P<quote>[\"']?)(?P<value>[A-Za-z0-9]{8,200})(?P=quote)"
    r"(?=[ \t]*(?:[\r\n]|\Z)|(?<=[\"']),|(?<![\"'])[ &;])"
)
"""The commonest form, an assignment of letters and digits alone: looked for first, as it is the quickest."""

_QUOTED_NAME = lazily(r"[\"'`][#.$:\w-]*\Z")
"""Text before a name that is a string or the end of one."""

_COMMA = lazily(r"(?P<quote>\\?[\"'`])[ \t]*\]?,\s*(?:value\s*=\s*|default\s*=\s*|new\s*[:=]\s*)?")
_BLANK = lazily(
    r"(?P<close>[\"'`]?\)?)[ \t]+(?:(?:BY|AS|N|is|was|set to|equals|to)[ \t]+)?(?=N?\\?[\"'])"
)
_WORD_AFTER = lazily(r"[ \t]+(?P<value>[A-Za-z0-9!@#$%^&*_+/=-]{10,200})(?=[\s.;,'\"]|\Z)")
_SAID = lazily(
    r"[ \t]+(?:is|was|ist|est|es|=>?|:)[ \t]*(?::[ \t]*)?(?P<value>[^\s,;'\"()<>]{8,})(?=[\s,;.)'\"]|\Z)"
)

_LITERAL = lazily(
    r"(?P<prefix>(?:[A-Za-z]{1,2}|@|\$@?|@\$)?)"
    r"(?:(?P<long>\"\"\"|''')(?P<lines>(?:\\[\s\S]|(?!(?P=long))[^\\]){0,20000}?)(?P=long)"
    r"|(?P<escaped>\\{1,3}[\"'])(?P<inner>(?:(?!(?P=escaped))[^\n\"]){0,4000}?)(?P=escaped)"
    r"|(?P<short>[\"'`])(?P<line>(?:\\.|(?!(?P=short))[^\n\\]){0,20000})(?P=short)"
    r"|(?P<cut>[\"'])(?P<open>[^\n\"']{8,400})(?=\n|\Z|\.\.\.))"
)

_STEP = lazily(
    r"(?P<blank>[ \t]+|\\\r?\n[ \t]*)"
    r"|(?P<line>\r?\n[ \t]*)"
    r"|(?P<comment>#[^\n]*|//[^\n]*|/\*.{0,200}?\*/)"
    r"|(?P<call>[A-Za-z_][\w.:]*!?(?:<[\w, ]*>)?\()"
    r"|(?P<index>[A-Za-z_][\w.]*\[)"
    r"|(?P<keyword>[A-Za-z_]\w*[ \t]*(?:=(?![=>~])|:=)[ \t]*)"
    r"|(?P<word>[A-Za-z_$][\w.$]*(?:::\w+)*)"
    r"|(?P<number>\d[\w.]*)"
    r"|(?P<compare>[=!]==?|<=|>=|~)"
    r"|(?P<sign>=>|->|\?\?|\|\||&&|[+*%|&?:.!<>@/^-])"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comma>,)"
)

_GROUP_LIMIT = 60_000
"""Maximum characters to search in a bracketed expression."""

_LOOKUPS = frozenset(
    "get getenv env environ setdefault pop config getattr get_or_default getordefault var default fetch lookup "
    "getproperty getstring get_value getvalue str cast coalesce nvl ifnull isnull option".split()
)
"""Functions whose first argument is a name, and whose second is a value."""

_WRAPPERS = frozenset(
    "secretstr secretbytes secret str bytes bytearray string b64decode b64encode quote quote_plus sha256 "
    "md5 sha1 sha512 hashpw generate_password_hash make_password some ok from to_string new value password token "
    "apikey azurekeycredential credential literal string.new string::from to_owned into text urlencode dedent "
    "list tuple set frozenset array of arrayof listof setof mutablelistof deque dict repr print default "
    "converttosecurestring convertto-securestring base64.b64encode base64.b64decode pack bytes.fromhex fromhex "
    "securestring networkcredential optional.of optional.ofnullable vec objectid passwordcredential".split()
)
"""Functions that return their argument, or a form of it."""

_DEFAULTS = frozenset(
    "default value default_value fallback initial new secret password token api_key key pwd".split()
)
_NOT_VALUES = lazily(
    r"user|name|login|host|url|uri|mail|type|id$|region|port|path|label|title|descr|help|scope|env|realm|issuer|audience",
    re.IGNORECASE,
)


class _Group(NamedTuple):
    """An open bracket of an expression: what literals in it are."""

    kind: str
    """`direct` values, `lookup` of a name and a default, `fields` of a class, `call` of something, `index`."""
    argument: int = 0
    keyword: str = ""


class _Literal(NamedTuple):
    """A string in an expression: span, text, repetitions, and whether it is the value itself."""

    start: int
    end: int
    times: int
    direct: bool


class _Scan:
    """Finds the values of names; the total work is bounded by the size of the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._left = 2 * len(text) + 10_000

    def spans(self, place: Place) -> Iterator[Span]:
        """Yield the values of one name, by the first form that matches."""
        text = self._text
        plain = _PLAIN.match(text, place.end)
        if plain and place.naming >= Naming.WEAK and is_random(plain["value"]):
            yield plain.span("value")
            return
        before = text[max(place.start - 3, 0) : place.start]
        sign = _SIGN.match(text, place.end)
        if sign:
            yield from self._signed(place, sign, before)
        elif text[place.end : place.end + 1] in _QUOTES and _QUOTED_NAME.search(
            text[max(place.start - 30, 0) : place.start]
        ):
            yield from self._argument(place)
            yield from self._block(place)
            yield from self._checked(place)
        elif before.endswith(("<", "</")):
            yield from self._element(place)
        else:
            yield from self._option(place, before)
            yield from self._spaced(place, before)
            yield from self._called(place)
            yield from self._checked(place)
        if not sign or sign["sign"].strip() != "=":
            yield from self._reversed(place)
        yield from self._beside(place)
        yield from self._told(place)

    def _told(self, place: Place) -> Iterator[Span]:
        """Random words that prose, a table of Markdown or pytest's `where 'x' = user.password` show of it."""
        if place.naming < Naming.WEAK:
            return
        text = self._text
        for form in (_CELL, _LATER, _SECOND, _USER_AND, _INPUT):
            match = form.match(text, place.end)
            if match and is_random(match["value"]):
                yield match.span("value")
        head = _line_before(text, place.start, 300)
        where = _WHERE.search(head) if head.endswith(".") and "where " in head else None
        if where and is_secret_value(where["value"], place.naming):
            at = place.start - len(head)
            yield at + where.start("value"), at + where.end("value")

    # --- after a sign

    def _signed(self, place: Place, sign: re.Match[str], before: str) -> Iterator[Span]:
        text, at = self._text, sign.end()
        operator = sign["sign"].strip()
        if _closes_a_text(text, at):
            return
        if operator in ("->", "=>") and text[at : at + 1] not in "'\"`@":
            if operator == "=>":
                yield from self._expression(place, at)
                mapped = _MAPPED.match(text, at)
                if mapped and is_random(mapped[0]):
                    yield mapped.span()
            return
        if operator == "->" and ")" in sign["close"]:
            return  # what a function returns
        if (
            operator.startswith(":")
            and "=" in operator
            and not text.startswith(("'", '"'), at)
            and "\n" not in operator
        ):
            yield from self._expression(place, at)
            return
        found = list(self._expression(place, at))
        if found:
            yield from found
            return
        if _LITERAL.match(text, at) and text[at : at + 1] in "'\"`":
            return
        if operator in (":", "=") and re.compile(r"[|>][+-]?\d?[ \t]*\n").match(text, at):
            yield from self._block_scalar(place, text.index("\n", at) + 1)
            return
        if operator in (":", "=") and text[at : at + 1] in ("\n", "\r", "\\"):
            yield from self._next_line(place, at)
            return
        limit = at + (_BARE_LIMIT if self._left > 0 else 64)
        value = _bare(text, place, sign, before, limit)
        self._left -= self._bare_cost(at, limit)
        if value is not None:
            yield value

    def _bare_cost(self, at: int, limit: int) -> int:
        """What a long run without blanks counts, which may have a name at each of its characters."""
        run = _BARE.match(self._text, at, limit)
        return 4 * len(run[0]) if run and len(run[0]) > 200 else 0

    def _expression(self, place: Place, at: int) -> Iterator[Span]:
        """Yield the literals that form the value of the expression at `at`; joined ones as one."""
        run: list[_Literal] = []
        for literal in self._literals(at, place.naming):
            if run and not self._joined(run[-1].end, literal.start):
                yield from self._judged(run, place)
                run = []
            run.append(literal)
        yield from self._judged(run, place)

    def _joined(self, end: int, start: int) -> bool:
        """Return whether nothing but quotes, blanks and a plus stands between two literals."""
        return start - end < 300 and _BETWEEN.fullmatch(self._text, end, start) is not None

    def _judged(self, run: Sequence[_Literal], place: Place) -> Iterator[Span]:
        values = [self._text[literal.start : literal.end] for literal in run]
        whole = "".join(
            value * min(literal.times, 100) for value, literal in zip(values, run, strict=True)
        )
        if not whole.strip():
            return
        direct = all(literal.direct for literal in run)
        if not (is_secret_value(whole, place.naming) and (direct or is_random(whole))):
            return
        if len(run) > 1 and any(is_harmless(value) and len(value) > 20 for value in values):
            return
        for literal in run:
            if literal.end > literal.start:
                yield literal.start, literal.end

    def _literals(self, at: int, strength: Naming) -> Iterator[_Literal]:
        """Yield the texts of the expression at `at`, to its end."""
        text, first = self._text, at
        groups: list[_Group] = [_Group("direct")]
        condition = False
        after = "start"  # what the last step was, for whether a line goes on and what a literal is
        limit = min(at + _GROUP_LIMIT, len(text))
        while at < limit:
            group = groups[-1]
            literal = (
                _LITERAL.match(text, at)
                if text[at] in _QUOTES or text[at + 1 : at + 3][:1] in _QUOTES
                else None
            )
            literal = literal if literal and not (literal["prefix"] and after == "value") else None
            if literal and after == "value" and len(groups) == 1 and text[at - 1] in "\"'`":
                break  # the quote ends the string that contains all of this
            if literal:
                start, end = _inner(literal)
                times = _TIMES.match(text, literal.end())
                is_key = (
                    _KEY_SIGN.match(text, literal.end()) is not None
                    and len(groups) > 1
                    and groups[-1].kind in ("direct", "pairs")
                    and after != "?"
                )
                if is_key:
                    groups[-1] = group._replace(kind="pairs", keyword=text[start:end])
                elif (
                    not condition
                    and after != "compare"
                    and not _COMPARED.match(text, literal.end())
                ):
                    role = _role(group)
                    if role:
                        is_name = _CAMEL.fullmatch(text, start, end) and any(
                            one.kind == "pairs" for one in groups
                        )
                        sure = role == "direct" and not is_name
                        yield _Literal(start, end, int(times[1]) if times else 1, sure)
                at, after = literal.end(), "value"
                continue
            step = _STEP.match(text, at)
            if step is None:
                break
            kind, said = step.lastgroup or "", step[0]
            if kind == "word" and after == "value" and len(groups) == 1 and text[at - 1] in "\"'`":
                break
            if kind == "line":
                if (
                    len(groups) == 1
                    and after not in ("sign", "open", "?")
                    and not self._goes_on(step.end(), after)
                ):
                    break
            elif kind == "call":
                groups.append(_Group(_kind_of_call(said)))
                after = "open"
            elif kind == "index":
                groups.append(_Group("index"))
                after = "open"
            elif kind == "keyword":
                if len(groups) == 1 and after != "start":
                    break
                groups[-1] = group._replace(keyword=re.split(r"[ \t]*:?=", said)[0])
                after = "sign"
            elif kind == "word":
                if said == "if":
                    condition, after = True, "sign"
                elif said in (
                    "else",
                    "and",
                    "or",
                    "return",
                    "not",
                    "lambda",
                    "await",
                    "new",
                    "then",
                    "in",
                    "is",
                ):
                    condition = condition and said != "else"
                    after = "compare" if said in ("in", "is") else "sign"
                elif len(groups) == 1 and after == "word":
                    break  # words of a sentence
                else:
                    after = "word"
            elif kind == "compare":
                after = "compare"
            elif kind == "sign":
                if said == "?":
                    condition = False
                after = "?" if said == "?" else "sign"
            elif kind == "open":
                if len(groups) == 1 and said == "{" and strength < Naming.STRONG:
                    break
                indexed = (
                    said == "["
                    and after in ("value", "close", "word")
                    and text[at - 1 : at].strip()
                )
                groups.append(
                    _Group("index" if indexed else "direct" if group.kind != "call" else "call")
                )
                after = "open"
            elif kind == "close":
                if len(groups) == 1:
                    break
                groups.pop()
                after = "close"
            elif kind == "comma":
                if len(groups) == 1:
                    break
                groups[-1] = group._replace(argument=group.argument + 1, keyword="")
                after, condition = "sign", False
            elif kind == "number":
                after = "value"
            at = step.end()
            if len(groups) == 1 and at - first > (2000 if self._left > 0 else 100):
                break
            if len(groups) > 1 and self._left <= 0:
                break
        self._left -= at - first

    def _goes_on(self, at: int, after: str) -> bool:
        """Return whether the expression goes on in the line that begins at `at`."""
        text = self._text
        if after == "start":
            return text[at : at + 1] in _QUOTES
        return after == "value" and _CONTINUED.match(text, at) is not None

    # --- after a comma of a call

    def _argument(self, place: Place) -> Iterator[Span]:
        """Yield the value in `f('password', 'value')`: a call or pair with the name as a string."""
        text = self._text
        comma = _COMMA.match(text, place.end)
        if not comma:
            return
        line = text[max(place.start - 120, 0) : place.start]
        whole = line.rpartition("\n")[2]
        if re.search(r"parametrize\(\s*[\[(]?[ru]?[\"'][\w\s,.-]*$", line):
            return  # left to `_by_position`
        default = _DEFAULT.match(text, comma.end())
        if default:
            yield from self._expression(place, default.end())
            return
        called = re.search(r"([\w.:]+)\(\s*(?:[\w.\[\]'\"]+,\s*)?[ru]?[\"'`][#.\w:-]*$", whole)
        verb = re.split(r"\.|::", called[1])[-1].lower() if called else ""
        literal = _LITERAL.match(text, comma.end())
        if literal is None:
            if verb in _SETTERS and text[comma.end() : comma.end() + 1] in "[(":
                yield from self._expression(place, comma.end())
            return
        start, end = _inner(literal)
        value = text[start:end]
        if not is_secret_value(value, place.naming):
            return
        if verb in _SETTERS or is_random(value):
            yield start, end

    # --- `name "value"`, `--name value`, `name(value)`

    def _option(self, place: Place, before: str) -> Iterator[Span]:
        """Yield the value in `--password value`, `-Password value`."""
        text = self._text
        if not before.endswith("-") or before.endswith("--"[:1] + "-" * 2):
            return
        value = _OPTION_VALUE.match(text, place.end)
        if value is None:
            return
        group = "plain" if value["plain"] else "quoted"
        said = value[group]
        if place.naming is Naming.HINT and not is_secret_value(said, Naming.HINT):
            return
        if len(said) >= 6 and not is_harmless(said) and not said.startswith(("-", "/", "$", "@")):
            if (
                group == "plain"
                and said.isalpha()
                and len(said) < 12
                and place.naming is not Naming.STRONG
            ):
                return
            if group == "plain" and re.fullmatch(r"[a-z]+", said) and len(said) < 8:
                return
            if said.islower() and said.isalpha() and said in _PROSE:
                return
            yield value.span(group)

    def _spaced(self, place: Place, before: str) -> Iterator[Span]:
        """Yield the value after a blank: `#define PASSWORD "x"`, `ENV TOKEN x`, `password is x`."""
        text = self._text
        head = _line_before(text, place.start, 200).lstrip()
        blank = _BLANK.match(text, place.end)
        if blank:
            at = blank.end() + (text[blank.end()] == "N")
            literal = _LITERAL.match(text, at)
            if literal:
                start, end = _inner(literal)
                sure = head.startswith(
                    ("#define", "define", "ENV ", "ARG ", "setenv", "set -", "export", "machine")
                ) or (
                    place.name.isupper()
                    or before.endswith((":", "$"))
                    or "BY" in blank[0]
                    or head == ""
                )
                if is_secret_value(text[start:end], place.naming) and (
                    sure or is_random(text[start:end])
                ):
                    yield start, end
                return
        plain = _PLAIN_AFTER.match(text, place.end)
        if plain and not is_harmless(plain["value"]):
            declared = re.match(
                r"(?:ENV|ARG|setenv|set -\w+|machine|default|login|SetEnv|fastcgi_param)\b", head
            )
            alone = not head and place.naming >= Naming.WEAK and place.name.islower()
            is_value = declared is not None and is_secret_value(plain["value"], place.naming)
            if is_value or (alone and is_random(plain["value"])):
                yield plain.span("value")
        after = _WORD_AFTER.match(text, place.end)
        if (
            after
            and place.naming is Naming.STRONG
            and is_random(after["value"])
            and not is_harmless(after["value"])
        ):
            yield after.span("value")
        said = _SAID.match(text, place.end)
        if said and place.naming >= Naming.WEAK:
            value = said["value"].rstrip(".!?")
            if is_random(value) or (
                place.naming is Naming.STRONG and re.search(r"\d", value) and not is_harmless(value)
            ):
                yield said.start("value"), said.start("value") + len(value)

    def _checked(self, place: Place) -> Iterator[Span]:
        """Yield the value in `assertEqual(user.password, 'x')` and `expect(password).toBe('x')`."""
        checked = _CHECKED.match(self._text, place.end)
        literal = _LITERAL.match(self._text, checked.end()) if checked else None
        if literal:
            start, end = _inner(literal)
            if is_random(self._text[start:end]) and not is_harmless(self._text[start:end]):
                yield start, end

    def _called(self, place: Place) -> Iterator[Span]:
        """Yield the value in `set_password('x')` and in `def get_password(): return 'x'`."""
        text = self._text
        if text.startswith("def ", place.start - 4) and text[place.end : place.end + 1] in "\r\n":
            at = self._returned(place.name, place.end)
            if at is not None:
                yield from self._expression(place, at)
            return
        if not text.startswith("(", place.end):
            return
        literal = _ARGUMENT.match(text, place.end)
        if literal:
            found = _LITERAL.match(text, literal.end())
            if found:
                start, end = _inner(found)
                words = place.name.lower()
                reads = re.match(
                    r"(?:get|fetch|load|find|read|create|make|generate|new|is|has|prompt)", words
                )
                if is_secret_value(text[start:end], place.naming) and (
                    not reads or is_random(text[start:end])
                ):
                    yield start, end
        if place.naming >= Naming.WEAK:
            body = _BODY.match(text, place.end)
            if body:
                at = self._returned(body[0], body.end())
                if at is not None:
                    yield from self._expression(place, at)

    def _returned(self, head: str, at: int) -> int | None:
        """Return where the returned expression starts, if it is near; the `head` ends at `at`."""
        text = self._text
        if head[-1] in "{>=":
            bare = _TEXT_AHEAD.match(text, at)
            if bare:
                return bare.end()
        returned = _RETURNED.search(text, at, min(at + 400, len(text)))
        if returned is None or re.search(r"\n\S", text[at : returned.start()].rstrip(" \t}")):
            return None
        return returned.end()

    def _reversed(self, place: Place) -> Iterator[Span]:
        """Yield the value in `'x' == password`."""
        text = self._text
        window = text[max(place.start - 300, 0) : place.start]
        quote = max(window.rfind("'"), window.rfind('"'))
        if quote < 0 or not _COMPARED_AFTER.fullmatch(window, quote + 1):
            return
        match = _COMPARED_BEFORE.search(window)
        if match and not _closes_a_text(text, place.start - len(window) + match.start()):
            at = place.start - len(window)
            if is_secret_value(match["value"], place.naming) and (
                place.naming is Naming.STRONG or is_random(match["value"])
            ):
                yield at + match.start("value"), at + match.end("value")

    # --- markup, and a name that is itself a value

    def _element(self, place: Place) -> Iterator[Span]:
        """Yield the content of `<password>x</password>`, and its attributes `value`."""
        content = _CONTENT.match(self._text, place.end)
        if (
            content
            and is_secret_value(content["value"], place.naming)
            and not _has_blanks(content["value"])
        ):
            yield content.span("value")

    def _beside(self, place: Place) -> Iterator[Span]:
        """Yield the `value`, `default` or `string` near a quoted name: XML, JSON, YAML, HTML."""
        text = self._text
        head = _line_before(text, place.start, 200)
        if not _NAMED_BY.search(head[-100:]):
            return
        value = _VALUE_AFTER.match(text, place.end)
        if value:
            group = next(
                group for group in ("quoted", "content", "plain") if value[group] is not None
            )
            said = value[group]
            if is_secret_value(said, place.naming) and not (
                group == "content" and _has_blanks(said)
            ):
                yield value.span(group)
        tag = _VALUE_BEFORE.search(head)
        if tag and is_secret_value(tag["value"], place.naming):
            at = place.start - len(head)
            yield at + tag.start("value"), at + tag.end("value")

    def _block(self, place: Place) -> Iterator[Span]:
        """Yield the default in Terraform's `variable "db_password" { default = "x" }`."""
        value = _TERRAFORM.match(self._text, place.end)
        if value and is_secret_value(value["value"], place.naming):
            yield value.span("value")

    # --- values on lines of their own

    def _block_scalar(self, place: Place, at: int) -> Iterator[Span]:
        """Yield the lines of a YAML block that are deeper than its key."""
        text = self._text
        margin = _margin_at(text, place.start)
        found: list[Span] = []
        while at < len(text) and len(found) < 200:
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            line = text[at:end]
            if line.strip():
                if len(line) - len(line.lstrip()) <= margin:
                    break
                found.append((at + len(line) - len(line.lstrip()), at + len(line.rstrip())))
            at = end + 1
        values = "\n".join(text[start:end] for start, end in found)
        if place.naming >= Naming.WEAK and is_secret_value(values.replace("\n", ""), place.naming):
            yield from found

    def _next_line(self, place: Place, at: int) -> Iterator[Span]:
        """Yield a value that stands alone on the line after its name."""
        text = self._text
        item = _LISTED.match(text, at)
        if item:
            while item:
                if place.naming >= Naming.WEAK and is_random(item["value"]):
                    yield item.span("value")
                item = _LISTED.match(text, item.end())
            return
        value = _ALONE.match(text, at)
        if (
            value is None
            or _margin_at(text, value.start("value")) <= _margin_at(text, place.start) - 1
        ):
            return
        said = value["value"]
        if (place.naming >= Naming.WEAK and is_random(said)) or (
            place.naming is Naming.STRONG
            and _is_lonely(said)
            and is_secret_value(said, place.naming)
        ):
            yield value.span("value")


def _is_lonely(value: str) -> bool:
    """Return whether a lone word on a line is not part of a sentence, a key or a longer value."""
    return re.search(r"[\d-]", value) is not None and not re.match(r"-|[\w.-]+:|.*[({\[,:]$", value)


def _closes_a_text(text: str, at: int) -> bool:
    """Return whether the quote at `at` ends a text that began before it in the line."""
    quote = text[at : at + 1]
    if quote not in ("'", '"', "`"):
        return False
    before = _line_before(text, at, 400)
    if quote not in before:
        return False
    return len(_OPENING[quote].findall(before)) % 2 == 1


_MAPPED = lazily(r"[A-Za-z0-9]{16,200}(?=[\s,;}]|\Z)")
_CAMEL = lazily(r"[A-Za-z]?[a-z]+(?:[A-Z][a-z]+)+")
"""An identifier, which in an object with names is a name again: `"output_token": "nextToken"`."""

_CELL = lazily(
    r"[`*]{0,3}[ \t]*\|[ \t]*[`*]{0,3}(?P<value>[^\s|`*]{8,400})[`*]{0,3}[ \t]*(?:\||(?=\r?\n|\Z))"
)
_LATER = lazily(
    r"[ \t][\w@., -]{2,60}:[ \t]+[`*\"']{0,3}(?P<value>[^\s`*\"',;()]{8,200})[`*\"']{0,3}\.?[ \t]*(?=\r?\n|\Z)"
)
_SECOND = lazily(
    r"[ \t]*[:=][ \t]*[\w@.-]{1,60}[ \t]*/[ \t]*(?P<value>[^\s`*\"',;()]{8,200})(?=[\s.,;]|\Z)"
)
_USER_AND = lazily(r"[ \t]+[\w.@-]{1,60}:(?P<value>[^\s`*\"',;()/]{8,200})(?=[\s\"'`.,;)]|\Z)")
_INPUT = lazily(r"[ \t]*\n[^\n]{0,200}\binput_value=[\"'](?P<value>[^\"'\n]{8,200})[\"']")
_WHERE = lazily(r"\bwhere b?(?P<quote>[\"'])(?P<value>[^\"'\n]{6,200})(?P=quote) = [^\n]*\.\Z")

_OPENING = {quote: lazily(rf"(?<![\\A-Za-z0-9]){quote}|{quote}(?![A-Za-z0-9])") for quote in "'\"`"}
"""A quote, and no apostrophe inside a word or escaped one."""

_QUOTES = frozenset("'\"`\\")
_SETTERS = frozenset(
    "get getenv setenv setdefault putenv set_var setproperty getproperty set put define setattr setitem set_item "
    "getordefault get_or_default environ env config header set_header setheader addheader add_header append add "
    "basic_auth login authenticate object fill type send_keys setx localstorage setitem property withproperty option "
    "setoption var secret addproperty setting insert replace update_or_create store write write_secret create_secret "
    "set_secret set_password getattr pop".split()
)
_BETWEEN = lazily(
    r"\"{0,3}'{0,3}`?\\?[\"']?[ \t]*(?:\*[ \t]*\d+[ \t]*)?(?:\\?\r?\n[ \t]*)?(?:[+.&][ \t]*)?"
    r"(?:\\?\r?\n[ \t]*)?[A-Za-z@]{0,2}[\"'`]{0,3}\\?"
)
_DEFAULT = lazily(r"(?:[^()\n]{0,200}?,\s*)?default\s*=\s*")
_CHECKED = lazily(
    r"(?:,\s*|[\"'\])]{1,4}\.(?:type|fill|sendKeys|send_keys|setValue|set_value|val|press\w*)\(\s*|\)\s*\.(?:to|toBe|toEqual|equals|eq|isEqualTo|is|should)\w*\(\s*)(?=[A-Za-z@]{0,2}[\"'`])"
)
_TIMES = lazily(r"[ \t]*\*[ \t]*(\d{1,6})")
_KEY_SIGN = lazily(r"[ \t]*(?::(?!=)|=>)")
_COMPARED = lazily(r"[ \t]*(?:in\b|not in\b|===?|!=)")
_CONTINUED = lazily(r"(?:[+.?:]|\|\||\?\?)[ \t]*\(?[\"'`]")
_OPTION_VALUE = lazily(
    r"[ \t]+(?:(?P<plain>[^\s`'\"|<>;&()\[\]{}]{6,})|[\"'](?P<quoted>[^\n\"']{6,200})[\"'])"
)
_PLAIN_AFTER = lazily(r"[ \t]+(?P<value>[^\s'\"|<>(){}\[\]`]{6,})[ \t]*(?=\r?\n|\Z|\\|;)")
_ARGUMENT = lazily(r"\(\s*(?:\w+\s*=\s*)?(?=[A-Za-z@]{0,2}[\"'`])")
_BODY = lazily(r"\([^()\n]{0,200}\)[^\n;=({]{0,60}?(?::(?=[ \t]*(?:\n|return))|\{|=>|=|\n)")
_TEXT_AHEAD = lazily(r"\s*(?=[\"'`])")
_RETURNED = lazily(r"\breturn\b[ \t(]*|\n[ \t]+(?=[\"'`][^\n]*\n[ \t]*(?:end|\}))")
_COMPARED_AFTER = lazily(r"[ \t]*(?:===?|!==?|in|is|\.equals\(|,)[ \t]*[\w.$]{0,60}")
_COMPARED_BEFORE = lazily(
    r"(?P<quote>[\"'])(?P<value>(?:\\.|(?!(?P=quote))[^\n\\]){1,200})(?P=quote)"
    r"[ \t]*(?:===?|!==?|in|is|\.equals\(|,)[ \t]*[\w.$]{0,60}\Z(?<!,)"
)
_CONTENT = lazily(
    r"(?:\s[^<>\n]{0,200})?>\s*(?:<!\[CDATA\[)?(?P<value>[^<>\n]{6,2000}?)(?:\]\]>)?\s*</"
)
_NAMED_BY = lazily(
    r"(?:\b(?:name|key|id|type|Name|Key|Id|Type|param|property|header|variable|for|secretName)\s*[\"'`]?\s*[=:]\s*[\"'`]?|<key>)[\w.:/$-]*$"
)
_VALUE_AFTER = lazily(
    r"[\"'`]?(?:[^<>\n{}]{0,120}?[\s,\"']|,?\s*\n[\s-]*)"
    r"[\"'`]?(?:value|Value|default|defaultValue|content|text|data)[\"'`]?\s*[=:]\s*"
    r"(?:[\"'](?P<quoted>[^\n\"']{4,2000})[\"']|(?P<plain>[^\s\"'<>{}\[\],]{6,400})(?=\s|\Z))"
    r"|(?:[\"']?[^<>\n]{0,60}>\s*(?:<value>)?|</key>\s*<string>)(?P<content>[^<>\n]{6,2000})</"
)
_VALUE_BEFORE = lazily(r"<[^<>]*\bvalue\s*=\s*[\"'](?P<value>[^\"'<>\n]{6,400})[\"'][^<>]*$")
_TERRAFORM = lazily(r"[\"']?\s*\{[^{}]{0,400}?\bdefault\s*=\s*\"(?P<value>[^\"\n]{6,400})\"")
_ALONE = lazily(
    r"\\?[ \t]*\r?\n[ \t]*(?:[>|][+-]?[ \t]*\n[ \t]*)?[\"']?(?P<value>[^\s\"'#]{8,400}?)[\"']?;?,?[ \t]*(?=\r?\n|\Z)"
)
_LISTED = lazily(
    r"[ \t]*\r?\n[ \t]*-[ \t]+[\"']?(?P<value>[^\s\"'#]{6,400})[\"']?[ \t]*(?=\r?\n|\Z)"
)
_PROSE = frozenset(
    "authentication required optional support supports handling validation instead option options changes protected "
    "through without should before manager management".split()
)


def _inner(literal: re.Match[str]) -> Span:
    """Return the span of a literal's content."""
    for group in ("lines", "inner", "line", "open"):
        if literal[group] is not None:
            return literal.span(group)
    return literal.span()


def _kind_of_call(said: str) -> str:
    """Return what the arguments of a call are to the value of an expression."""
    name = re.split(r"\.|::", re.split(r"[!<(]", said)[0].lower())
    last = name[-1]
    if last in (
        "field",
        "option",
        "argument",
        "stringvar",
        "charfield",
        "mapped_column",
        "column",
        "param",
        "flag",
    ):
        return "fields"
    if ".".join(name[-2:]) in _WRAPPERS or (
        last in _WRAPPERS and (len(name) == 1 or last not in ("get",))
    ):
        return "direct"
    if last == "getattr":
        return "getattr"
    if last in _LOOKUPS or last.endswith(("getenv", "get_env", "lookupenv")):
        return "lookup"
    return "call"


def _role(group: _Group) -> str:
    """Return what a literal in a group is: the value (`direct`), perhaps (`near`), or nothing."""
    keyword = group.keyword
    if group.kind == "index":
        return ""
    if group.kind == "pairs":
        return "near" if _NOT_VALUES.search(keyword) else "direct"
    if group.kind == "fields":
        return "direct" if keyword in _DEFAULTS else ""
    if group.kind == "getattr":
        return "direct" if group.argument == 2 else ""
    if group.kind == "lookup":
        return "direct" if keyword in _DEFAULTS or (group.argument >= 1 and not keyword) else ""
    if keyword and group.kind != "direct":
        return (
            "direct"
            if keyword in ("default", "fallback")
            else "near"
            if not _NOT_VALUES.search(keyword)
            else ""
        )
    return "direct" if group.kind == "direct" else "near"


def _has_blanks(value: str) -> bool:
    return len(value.split()) > 1


def _margin_at(text: str, at: int) -> int:
    before = _line_before(text, at, 1000)
    return len(before) - len(before.lstrip(" \t-"))


def _line_before(text: str, at: int, most: int) -> str:
    """What stands before `at` in its line, of a long line the last `most` characters."""
    start = max(at - most, 0)
    return text[max(text.rfind("\n", start, at) + 1, start) : at]


# --- values without quotes

_BARE_LIMIT = 4000
_BARE = lazily(r"(?:[^\s,;'\"()\[\]{}<>&`\\]|\\(?![nrt\"'])){6,4000}")
_BARE_LINE = lazily(r"(?P<value>[^\s'\"`]{6,4000})[ \t]*(?=\r?\n|\Z|[ \t]#)")
_LINE_HEAD = lazily(
    r"[ \t]*(?:[-+>*#;$]|//|--|export|set|env|ENV|ARG|declare -x|REM|setx|<!--|E|\d+:)?[ \t\"'+-]*[\w.\"'$-]*$"
)
_TYPES = frozenset(
    "str string String int bytes bool object any Any unknown never undefined null None Optional boolean number float "
    "dict list char text varchar password email required optional true false yes no on off self cls tuple set "
    "secret token unset empty nullable sensitive hidden".split()
)


def _bare(text: str, place: Place, sign: re.Match[str], before: str, limit: int) -> Span | None:
    """Return the span of an unquoted value that is a secret and not an expression."""
    at = sign.end()
    match = _BARE.match(text, at, limit)
    operator, spaced = sign["sign"].strip(), sign["sign"] != sign["sign"].strip()
    if operator not in ("=", ":", ":=", "?="):
        return None
    head = _line_before(text, place.start, 300)
    at_head = _LINE_HEAD.fullmatch(head) is not None and not before.endswith(".")
    if at_head:
        whole = _BARE_LINE.match(text, at, limit)
        if (
            whole
            and re.search(r"[,;()&]", whole["value"])
            and _is_odd(whole["value"], place, text, at)
        ):
            return whole.span("value")
    if match is None:
        return None
    value = match[0].rstrip(".,:;!?" if not at_head else ".,:;")
    end = at + len(value)
    following = text[end : end + 1]
    if not value or is_harmless(value) or value in _TYPES or "://" in value:
        return None
    if following in ("(", "[") or (
        following in ("{", "<") and value[-1:] in ("$", "#", "=", "%", "/")
    ):
        return None
    if place.naming is Naming.HINT:
        return (
            (at, end)
            if is_secret_value(value, Naming.HINT) and following not in ("'", '"')
            else None
        )
    return (
        (at, end)
        if _is_bare_secret(text, place, operator, spaced, head, at_head, value, end)
        else None
    )


def _is_odd(value: str, place: Place, text: str, at: int) -> bool:
    """Return whether the rest of a setting is a password with signs that code has, too."""
    if (
        place.naming < Naming.WEAK
        or is_harmless(value)
        or (text[at - 1] in " \t" and value.endswith((",", ")")))
    ):
        return False
    return (
        re.search(r"[(\[{]", value) is None
        and is_random(re.sub(r"[,;()&]", "", value))
        and value[-1] not in ",;)"
    )


def _is_bare_secret(
    text: str,
    place: Place,
    operator: str,
    spaced: bool,
    head: str,
    at_head: bool,
    value: str,
    end: int,
) -> bool:
    if len(value) < 8 and not (is_secret_value(value, place.naming) and re.search(r"\d", value)):
        return False
    dotted = re.fullmatch(r"[A-Za-z_]\w*(?:\.\w+)+", value)
    if is_random(value) and not dotted:
        return True
    if dotted or re.fullmatch(r"[\d._]+", value) or "->" in value or "::" in value:
        return dotted is not None and any(
            is_random(part) and not NUMBERED.fullmatch(part) for part in value.split(".")
        )
    if not re.fullmatch(r"[A-Za-z_$]\w*", value):
        # Signs that no expression has: `correct-horse-battery-staple`, `hunter2-very-secret`.
        if re.search(r"[=*/|%]", value[:-2]) and not re.search(r"\d", value):
            return False
        return (
            place.naming is Naming.STRONG
            and is_secret_value(value, place.naming)
            and not value.startswith(("-", "$"))
        )
    if place.naming is not Naming.STRONG and not re.search(r"\d", value):
        return False
    if operator == ":":
        return re.search(r"[a-z]\d+[a-z]", value) is not None
    following = text[end : end + 1]
    if spaced:
        return operator == "=" and at_head and _in_ini(text, place.start)
    if at_head and (place.name.isupper() or re.match(r"[ \t]*(?:export|set|ENV|ARG|-)\b", head)):
        return True
    if at_head and not head.strip():
        lonely = not head and following in ("\n", "\r", "") and not is_placeholder(value)
        return (lonely or following == " ") and "_" not in value
    if following in (")", ",", "(", ".", "[", "]", "}", "=", ":", ";") and following != ";":
        return False
    return (
        head.count("(") <= head.count(")")
        and head.count("[") <= head.count("]")
        and "_" not in value
    )


def _in_ini(text: str, at: int) -> bool:
    """Return whether the lines above are those of a section `[name]` with settings."""
    above = text[max(at - 1500, 0) : at].split("\n")[:-1]
    for line in reversed(above[-20:]):
        if re.fullmatch(r"[ \t]*\[[\w .:/-]+\][ \t]*\r?", line):
            return True
        if line.strip() and not re.match(r"[ \t]*(?:[#;]|[\w. -]+[=:][^()]*$)", line):
            return False
    return False


# --- values by their position

_TUPLE = lazily(
    r"^[ \t]*(?P<names>[A-Za-z_][\w.]*(?:[ \t]*,[ \t]*[A-Za-z_][\w.]*)+)[ \t]*(?:=(?!=)|:=|in)[ \t]*\(?",
    re.MULTILINE,
)
_PARAMETRIZE = lazily(
    r"\bparametrize\(\s*(?P<names>\(?\[?(?:[\"'][\w\s,.-]+[\"'][,\s]*)+\]?\)?)\s*,\s*"
)
_ZIPPED = lazily(r"[(\[]\s*(?P<names>(?:[\"']\w{1,40}[\"'],?\s*){2,20})[)\]]\s*,\s*(?=[(\[])")
_FRAME = lazily(r"^(?:E[ ]+|[ ]+)(?P<names>[A-Za-z_]\w*(?:[ ]+[A-Za-z_]\w*)+)[ ]*$", re.MULTILINE)
_INSERT = lazily(
    r"\binsert\s+into\s+[\w.\"`\[\]]+\s*\((?P<names>[^()]{1,1000})\)\s*values\s*", re.IGNORECASE
)
_AUTH = lazily(
    r"\b(?:auth|credentials|creds|basic_auth|basicAuth|HTTPBasicAuth|HTTPDigestAuth|BasicAuth|Credentials|NetworkCredential|"
    r"UsernamePasswordCredentials|login|authenticate|log_in|sign_in|signIn|SetBasicAuth)(?P<sign>[ \t]*=[ \t]*)?"
    r"\(\s*(?:(?:username|user)\s*=\s*)?(?P<user>[^\s,()]{1,80})\s*,\s*(?P<quote>[\"'])(?P<value>[^\"'\n]{6,200})(?P=quote)"
)


def _by_position(text: str) -> Iterator[Span]:
    """Yield values at the position of their name in a list: tuples, parametrize, SQL, CSV."""
    scan = _Scan(text)
    for match in _TUPLE.finditer(text):
        names = [naming(name.strip().split(".")[-1]) for name in match["names"].split(",")]
        if max(names) > Naming.HINT:
            yield from _columns(text, match.end(), names, scan, rows=False)
    for match in _PARAMETRIZE.finditer(text):
        names = [naming(name) for name in re.findall(r"[\w.-]+", match["names"])]
        if names and max(names) > Naming.NOTHING:
            yield from _columns(text, match.end(), names, scan, rows=True)
    for match in _ZIPPED.finditer(text):
        names = [naming(name) for name in re.findall(r"\w+", match["names"])]
        if max(names) > Naming.HINT:
            yield from _columns(text, match.end(), names, scan, rows=True)
    for match in _INSERT.finditer(text):
        names = [naming(name.strip(' \t\n"`[]')) for name in match["names"].split(",")]
        if max(names) > Naming.NOTHING:
            yield from _columns(text, match.end(), names, scan, rows=True)
    for match in _AUTH.finditer(text):
        is_sure = (
            match["sign"]
            or is_random(match["value"])
            or not re.fullmatch(r"[a-z_]+", match["value"])
        )
        if is_sure and is_secret_value(match["value"], Naming.STRONG):
            yield match.span("value")
    yield from _in_tables(text)
    for match in _FRAME.finditer(text):
        names = [naming(name) for name in match["names"].split()]
        if max(names) > Naming.HINT:
            yield from _in_frame(text, match.end(), names)


def _in_frame(text: str, at: int, names: Sequence[Naming]) -> Iterator[Span]:
    """The random words below the secret names of a table that pandas prints."""
    for _ in range(60):
        line = _FRAME_LINE.match(text, at)
        if line is None:
            return
        cells = list(_FRAME_CELL.finditer(text, line.start("cells"), line.end()))
        index = len(cells) - len(names)
        if index not in (0, 1):
            return
        for cell, name in zip(cells[index:], names, strict=True):
            if name > Naming.HINT and is_random(cell[0]):
                yield cell.span()
        at = line.end()


_FRAME_LINE = lazily(r"\r?\n(?:E[ ]+)?(?P<cells>[^\n]{3,1000})")
_FRAME_CELL = lazily(r"\S+")
_ITEM = lazily(
    r"(?P<blank>\s+)|(?P<comment>#[^\n]*)|(?P<open>[\w.]*[(\[{])|(?P<close>[)\]}])|(?P<comma>,)|(?P<other>[^\s,()\[\]{}\"'`]+|.)"
)


def _columns(
    text: str, at: int, names: Sequence[Naming], scan: _Scan, *, rows: bool
) -> Iterator[Span]:
    """Yield the literals of a row, or of rows in brackets, whose column has a secret name."""
    limit = min(at + (_GROUP_LIMIT if rows else 1000), len(text))
    depth, column, alone = 0, 0, len(names) == 1
    while at < limit and scan._left > 0:
        literal = (
            _LITERAL.match(text, at)
            if text[at] in _QUOTES or text[at + 1 : at + 2] in _QUOTES
            else None
        )
        if literal:
            start, end = _inner(literal)
            index = 0 if alone else column
            in_row = (
                depth >= 1
                if alone
                else depth == 2 or (depth <= 1 and not rows) or (depth == 1 and rows)
            )
            if in_row and index < len(names) and is_secret_value(text[start:end], names[index]):
                yield start, end
            scan._left -= literal.end() - at
            at = literal.end()
            continue
        item = _ITEM.match(text, at)
        if item is None:
            return
        if item["open"]:
            depth, column = depth + 1, 0 if rows else column
        elif item["close"]:
            depth -= 1
            if depth < 0 or (depth == 0 and not re.compile(r"\s*,\s*\(").match(text, item.end())):
                return
            column = 0 if rows else column
        elif item["comma"]:
            column = (
                0
                if rows
                and depth <= (1 if not alone else 0)
                and len(names) > 1
                and text[at - 1] in ")]}"
                else column + 1
            )
        elif item["blank"] and not rows and depth == 0 and "\n" in item[0]:
            return
        scan._left -= item.end() - at
        at = item.end()


_SIGNATURE = lazily(
    r"\b(?:def|function|func|fn|fun|sub)[ \t]+(?P<name>\w+)[ \t]*(?:<[^<>\n]*>)?\((?P<parameters>[^()]{1,600})\)"
)
_PARAMETER = lazily(r"[ \t\n$&*]*(?:(?:mut|const|final|val|var|_|this\.)[ \t]+)?\**(?P<name>\w+)")


def signatures(text: str) -> dict[str, tuple[Naming, ...]]:
    """Return the functions in `text` with secret parameters, and how each one is named."""
    found: dict[str, tuple[Naming, ...]] = {}
    for match in _SIGNATURE.finditer(text):
        names = [_PARAMETER.match(parameter) for parameter in match["parameters"].split(",")]
        known = [name["name"] for name in names if name and name["name"] not in ("self", "cls")]
        said = tuple(naming(name) for name in known)
        if said and max(said) > Naming.HINT:
            found[match["name"]] = said
    return found


def passed_spans(text: str, functions: Mapping[str, tuple[Naming, ...]]) -> Iterator[Span]:
    """Yield arguments of these functions at a secret parameter's position: `allowed('x', 2)`."""
    scan = _Scan(text)
    for name, said in functions.items():
        at = text.find(f"{name}(")
        while at >= 0:
            if not (at and (text[at - 1].isalnum() or text[at - 1] == "_")):
                for start, end in _columns(text, at + len(name) + 1, said, scan, rows=False):
                    if is_random(text[start:end]) or not text[start:end].isidentifier():
                        yield start, end
            at = text.find(f"{name}(", at + 1)


def _in_tables(text: str) -> Iterator[Span]:
    """Yield the cells of CSV columns whose header is a secret name."""
    lines = text.split("\n")
    at = 0
    columns: list[Naming] = []
    separator = ","
    for line in lines:
        cells = line.rstrip("\r").split(separator)
        if (
            columns
            and len(cells) == len(columns)
            and "(" not in line
            and "=" not in line.strip()[:1]
        ):
            position = at
            for cell, name in zip(cells, columns, strict=True):
                value = cell.strip().strip("\"'")
                if value and _is_cell(value, name):
                    start = position + cell.index(value)
                    yield start, start + len(value)
                position += len(cell) + 1
        else:
            columns = []
            found = _HEADING.fullmatch(line.rstrip("\r"))
            if found:
                separator = found["separator"]
                names = [naming(name.strip().strip("\"'")) for name in line.split(separator)]
                columns = names if max(names) > Naming.HINT else []
        at += len(line) + 1


def _is_cell(value: str, name: Naming) -> bool:
    """Return whether a cell of a column of that name is a secret."""
    if name is Naming.NOTHING or is_random(value):
        return name is not Naming.NOTHING
    return (
        name is Naming.STRONG
        and is_secret_value(value, name)
        and re.search(r"[\d-]", value) is not None
    )


_HEADING = lazily(
    r"[\"']?[A-Za-z][\w -]{0,40}[\"']?(?P<separator>[,;\t])[\"']?[A-Za-z][\w -]{0,40}[\"']?"
    r"(?:(?P=separator)[\"']?[\w -]{1,40}[\"']?){0,30}"
)


# --- commands and files with a grammar of their own

_WORD_OF_COMMAND = r"[\"']?(?P<value>[^\s\"']{5,200})"
_COMMANDS = {
    "curl": r"\bcurl\b.{0,400}?\s(?:-u|--user|--proxy-user|-U)[ =]?[\"']?[\w.@+-]{0,80}:(?P<value>[^\s\"':]{3,200})",
    "mysql": r"\bmysql(?:dump|admin|import)?\b.{0,300}?\s-p(?P<value>[^\s\"'-][^\s\"']{4,200}|[\"'][^\"'\n]{5,200})",
    "mariadb": r"\bmariadb\S*\s.{0,300}?\s-p(?P<value>[^\s\"'-][^\s\"']{4,200})",
    "sshpass": r"\bsshpass\s+-p[ ]?" + _WORD_OF_COMMAND,
    "redis-cli": r"\bredis-cli\b.{0,200}?\s-a[ ]" + _WORD_OF_COMMAND,
    "login": r"\blogin\b.{0,200}?\s-p[ ]?" + _WORD_OF_COMMAND,
    "zip": r"\b(?:un)?zip\b.{0,100}?\s-P[ ]?" + _WORD_OF_COMMAND,
    "7z": r"\b7z\b.{0,100}?\s-p" + _WORD_OF_COMMAND,
    "ldap": r"\bldap\w+\b.{0,300}?\s-w[ ]" + _WORD_OF_COMMAND,
    "sqlcmd": r"\bsqlcmd\b.{0,300}?\s-P[ ]?" + _WORD_OF_COMMAND,
    "mongo": r"\bmongo\w*\b.{0,300}?\s-p[ ]" + _WORD_OF_COMMAND,
    "htpasswd": r"\bhtpasswd\s+-\w*b\w*\s+\S+\s+\S+\s+" + _WORD_OF_COMMAND,
    "pass:": r"(?:\bpass(?:in|out)?|-k)[ =]\"?pass:(?P<value>[^\s\"']{4,200})",
    "smbclient": r"\bsmbclient\b.{0,200}?\s-U[ ][\"']?[\w\\.-]+%(?P<value>[^\s\"']{5,200})",
    "net use": r"\bnet use\b.{0,200}?/user:\S+\s+" + _WORD_OF_COMMAND,
    "echo": r"\becho\s+(?:-n\s+)?" + _WORD_OF_COMMAND + r"[\"']?\s*\|\s*\w",
    "machine": r"\bmachine[ \t]+\S+\s+login[ \t]+\S+\s+password[ \t]+(?P<value>\S{4,200})",
    ":_": r"//[\w./:-]{1,100}/?:_(?:authToken|password|auth)\s*=\s*(?P<value>[^\s\"'$]{8,400})",
    "identified": r"\bIDENTIFIED\s+(?:WITH\s+\S+\s+)?(?:BY|AS)\s+(?:PASSWORD\s+)?[\"'](?P<value>[^\n\"']{4,200})",
    "password": r"\bPASSWORD\s*(?:\(\s*)?N?'(?P<value>[^\n']{6,200})'",
    "cookie": r"cookie[\"']?\s*[:=,]\s*[\"']?(?:[\w.-]+=[^;\s]*;\s*)*?[\w.-]*(?:sess|sid|auth|token|jwt)[\w.-]*"
    r"=(?P<value>[A-Za-z0-9%._~+/=-]{16,})",
    "5432:": r"^[\w.*-]{1,80}:5432:[\w*.-]{1,60}:[\w*.-]{1,60}:(?P<value>[^\s:/]{6,200})$",
    ":*:": r"^[\w.*-]{1,80}:(?:\d+|\*):[\w*.-]{1,60}:[\w*.-]{1,60}:(?P<value>[^\s:/]{6,200})$",
    "pwd=": r"(?:^|[;\"'])[ ]?pwd=(?P<value>[^;\"'\s]{4,200})",
    "securestring": r"ConvertTo-SecureString\s+(?:-String\s+)?[\"'](?P<value>[^\"'\n]{4,200})",
    "-a ": r"\bhttps?\b.{0,200}?\s-a[ ][\"']?[\w.@+-]{1,80}:(?P<value>[^\s\"':/]{5,200})",
    "hmac.new": r"\bhmac\.new\(\s*b?[\"'](?P<value>[^\s\"']{8,400})[\"']",
    "getconnection": r"\bgetConnection\([^,()\n]{1,300},\s*\"[^\"\n]{1,80}\",\s*\"(?P<value>[^\"\n]{5,200})\"",
    "net user": r"\bnet user\s+[\w.-]+\s+(?P<value>[^\s/\"'*]{6,100})",
    "jwt.": r"\bjwt\.(?:sign|verify|encode|decode)\(.{1,200}?,\s*[\"'](?P<value>[^\s\"']{8,400})[\"']",
    "-u ": r"\b(?:http|https|xh|wget|ab|hey)\b.{0,200}?\s(?:-a|-u|-A)[ ][\"']?[\w.@+-]{1,80}"
    r":(?P<value>[^\s\"':/]{5,200})",
}
"""Patterns of lines with a secret at a fixed place, by a word in such lines."""

_COMMAND_FORMS = {word: lazily(form, re.IGNORECASE) for word, form in _COMMANDS.items()}
_UNSURE = frozenset(
    {
        "echo",
        "cookie",
        "5432:",
        ":*:",
        "zip",
        "7z",
        "login",
        "password",
        "-u ",
        "-a ",
        "jwt.",
        "net user",
        "hmac.new",
    }
)


def _in_commands(text: str) -> Iterator[Span]:
    """Yield values at fixed places in commands and files: `curl -u`, `.netrc`, SQL."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = text
    for word, form in _COMMAND_FORMS.items():
        at = lowered.find(word)
        while at >= 0:
            start = at - len(_line_before(text, at, 200))
            end = text.find("\n", at, at + 2000)
            end = min(len(text), at + 2000) if end < 0 else end
            for match in form.finditer(text[start:end]):
                value = match["value"].strip("\"'")
                begin = start + match.start("value") + match["value"].index(value)
                if _is_argument(value, word in _UNSURE):
                    yield begin, begin + len(value)
            at = lowered.find(word, end)


def _is_argument(value: str, unsure: bool) -> bool:
    if is_harmless(value) or value.startswith(("$", "-", "<", "%", "{", "@", "`")):
        return False
    return (
        not unsure
        or is_random(value)
        or (is_secret_value(value, Naming.STRONG) and bool(re.search(r"[\d-]", value)))
    )


_KUBERNETES = lazily(r"^[ \t]*[\"']?kind[\"']?\s*:\s*[\"']?Secret\b", re.MULTILINE)
_SECTION = lazily(
    r"^(?P<margin>[ \t]*)[\"']?(?:data|stringData)[\"']?\s*:\s*\{?[ \t]*\n", re.MULTILINE
)
_ENTRY = lazily(
    r"(?P<margin>[ \t]+)[\"']?[\w.-]+[\"']?\s*:\s*(?P<quote>[\"']?)"
    r"(?P<value>[^\s\"'{}|>][^\n\"']*?)(?P=quote),?[ \t]*(?:\n|\Z)"
)


def _in_kubernetes(text: str) -> Iterator[Span]:
    """Yield all values of a Kubernetes Secret: its keys need not say that they are secret."""
    if not _KUBERNETES.search(text):
        return
    for document in re.compile(r"(?:^---|\A)(?:(?!^---)[\s\S])*", re.MULTILINE).finditer(text):
        if not _KUBERNETES.search(document[0]):
            continue
        for section in _SECTION.finditer(text, document.start(), document.end()):
            at = section.end()
            while entry := _ENTRY.match(text, at, document.end()):
                if len(entry["margin"]) <= len(section["margin"]):
                    break
                if len(entry["value"]) >= 4 and not is_harmless(entry["value"]):
                    yield entry.span("value")
                at = entry.end()
