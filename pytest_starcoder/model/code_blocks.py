"""Code out of a model's answer, and nothing else: found by its fences or by what parses, checked where it can be."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import groupby, islice
from pathlib import PurePosixPath

from pytest_starcoder.source.diff import lines_of

LONGEST = 100_000
"""Characters up to which code is parsed: no answer of a model comes near, and a hostile one costs a second at most."""


MOST = 50
"""Fenced blocks of an answer that are looked at."""


@dataclass(frozen=True)
class Verdict:
    """`accepted` is None for a language that nothing here can check; `problem` goes on from "Python that …"."""

    accepted: bool | None
    problem: str = ""


# --- which language ---

_SUFFIXES = {
    ".py": "python", ".pyi": "python", ".html": "html", ".htm": "html", ".js": "javascript", ".mjs": "javascript",
    ".jsx": "javascript", ".ts": "typescript", ".tsx": "typescript", ".java": "java", ".c": "c", ".h": "c",
    ".cpp": "c++", ".cc": "c++", ".cxx": "c++", ".hpp": "c++", ".cs": "c#", ".go": "go", ".rs": "rust", ".rb": "ruby",
    ".php": "php", ".sh": "bash", ".bash": "bash", ".sql": "sql", ".css": "css", ".kt": "kotlin", ".swift": "swift",
    ".scala": "scala", ".r": "r", ".lua": "lua", ".pl": "perl", ".json": "json", ".yaml": "yaml", ".yml": "yaml",
    ".toml": "toml", ".xml": "xml", ".md": "markdown",
}  # fmt: skip
_ALIASES = {
    "py": "python", "py3": "python", "htm": "html", "html5": "html", "xhtml": "html", "js": "javascript",
    "mjs": "javascript", "node": "javascript", "jsx": "javascript", "ts": "typescript", "tsx": "typescript",
    "cpp": "c++", "cxx": "c++", "cs": "c#", "csharp": "c#", "golang": "go", "rs": "rust", "rb": "ruby", "sh": "bash",
    "shell": "bash", "zsh": "bash", "postgresql": "sql", "mysql": "sql", "kt": "kotlin", "yml": "yaml",
    "md": "markdown",
}  # fmt: skip
_LANGUAGES = frozenset(_SUFFIXES.values())


def _as_a_name(word: str) -> str:
    """A pattern for a name that is an English word or a letter as well: "in Go" and "Go program", not "go"."""
    kinds = "program|function|code|script|class|struct|method|module|library"
    return rf"(?:(?<=\bin )|(?<=\binto )|(?<=\busing )){word}(?!-)|{word}(?= (?:{kinds})s?\b)"


_NAMED = {
    language: re.compile(rf"(?<!\w)(?:{words})(?![\w+#])", re.IGNORECASE)
    for language, words in {
        "python": r"python[\d.]*",
        "html": r"html5?|web[ -]?pages?|websites?|web sites?|single[- ]page",
        "typescript": r"typescript",
        "javascript": r"java ?script|node\.?js|js",
        "java": r"java(?! ?script)",
        "c++": r"c\+\+|cpp",
        "c#": r"c#|c sharp|csharp",
        "c": rf"ansi c|c(?:89|99|11|17)|{_as_a_name('c')}",
        "go": rf"golang|{_as_a_name('go')}",
        "rust": _as_a_name("rust"),
        "swift": _as_a_name("swift"),
        "r": _as_a_name("r"),
        "ruby": r"ruby",
        "php": r"php",
        "kotlin": r"kotlin",
        "scala": r"scala",
        "lua": r"lua",
        "perl": r"perl",
        "sql": r"sql|(?:postgresql|mysql|sqlite) (?:query|queries|statement|schema|table)",
        "css": r"css|style ?sheets?",
        "bash": r"bash|zsh|shell[ -](?:script|command|function)s?|(?<=\bin )shell",
    }.items()
}
_READ = frozenset({"html", "css", "sql", "bash"})
"""Languages that a request also names because a program in another reads, writes or runs them."""

_TOOL = re.compile(
    r"\b(?:functions?|scripts?|regex|(?:pars|scrap|crawl|fetch|download|extract|connect)\w*)\b"
)


def requested_language(question: str) -> str:
    """The language that a question in English asks for, in lower case; python where it names none, or names Python.

    What a program reads or writes does not count: "a function that parses HTML"
    asks for Python. Only the first 2,000 characters are read.
    """
    text = question[:2000].lower()
    named = sorted(
        (found.start(), found.end(), name)
        for name, word in _NAMED.items()
        for found in word.finditer(text)
    )
    if re.match(r"\W*(?:please )?(?:translate|port|convert|rewrite)\b", text):
        named = [
            mention for mention in named if text[: mention[0]].endswith((" in ", "to ", " as "))
        ] or named
    asked = [
        name for start, _, name in named if text[:start].endswith((" in ", " into ", " using "))
    ]
    if plain := [name for name in asked if name not in _READ]:
        return plain[0]
    if any(name == "python" for *_, name in named):
        return "python"
    for start, end, name in named:
        if name not in _READ or not (_TOOL.search(text, 0, start) or _TOOL.match(text, end + 1)):
            return name
    return next((name for name in asked if name in ("sql", "bash")), "python")


def file_language(path: str) -> str:
    """The language of a file, by its suffix; empty for one that is unknown."""
    return _SUFFIXES.get(PurePosixPath(path).suffix.lower(), "")


def _called(label: str) -> str:
    """The language that a fence's label means: its first word, whatever attributes stand around it."""
    word = re.split(r"[\s{}(,:;]", label.strip().lower().lstrip("{."), maxsplit=1)[0].removeprefix(
        "language-"
    )
    return _ALIASES.get(word, "python" if re.fullmatch(r"python[\d.]+", word) else word)


# --- code in an answer ---


def extract_code(answer: str, language: str) -> str:
    """The code of `language` in an answer, as it stands there; empty where there is none.

    A fenced block with that label is preferred, whether or not `check` accepts
    it, then one without a label that passes as code; of several the best. A block
    with another label is not taken. Without any fence, it is what parses; for a
    language that nothing here parses, the longest run of lines in which half show
    the punctuation of code and none reads as a sentence.
    """
    answer, language = answer.removeprefix("\ufeff"), _called(language)
    if check(answer, language).accepted:
        return _unfenced(answer, language)  # its fences, if any, stand in a docstring or a script
    blocks = list(islice(_blocks(answer, language), MOST))
    for label, text in tuple(blocks):
        if label == "markdown" or (not label and not _passes(text, language)):
            blocks += islice(_blocks(text, language), MOST)
    labelled = [text for label, text in blocks if label == language and text.strip()]
    found = labelled or [text for label, text in blocks if not label and _passes(text, language)]
    return _best(found, language) if found else _unfenced(_unmarked(answer), language)


def _blocks(answer: str, language: str) -> Iterator[tuple[str, str]]:
    """Language and text of each fenced block; one that never ends goes to the end."""
    lines, at = lines_of(answer), 0
    while at < len(lines):
        margin, mark, label = _opening(lines[at])
        at += 1
        if mark and mark in label:  # all on one line
            word, _, code = label.partition(" ")
            yield _called(word), code[: code.find(mark)]
        elif mark:
            end = _end(
                lines, at, margin, mark, language if _called(label) in (language, "") else ""
            )
            yield _called(label), _text(lines[at:end], margin)
            at = end + 1


def _opening(line: str) -> tuple[str, str, str]:
    """Indentation, mark and label where a line opens a fence; after other words only with a language's name."""
    told = line.strip()
    mark = _mark(told)
    label = told[len(mark) :]
    if mark and (mark[0] == "~" or "`" not in label):
        return line[: len(line) - len(line.lstrip())], mark, label
    if mark and label.endswith(mark) and _known(label.partition(" ")[0]):
        return "", mark, label
    before, mark, label = told.rpartition("```")
    return ("", mark, label) if mark and "`" not in before and _known(label) else ("", "", "")


def _known(label: str) -> bool:
    return _called(label) in _LANGUAGES


def _mark(line: str) -> str:
    """The run of at least three backticks or tildes that a line begins with."""
    run = len(line) - len(line.lstrip(line[0])) if line.startswith(("```", "~~~")) else 0
    return line[:run]


def _end(lines: list[str], at: int, margin: str, mark: str, language: str) -> int:
    """The line that closes a fence, and none in a docstring, a script or preformatted text of `language`."""
    told = ((number, lines[number].strip()) for number in range(at, len(lines)))
    closing = (number for number, line in told if line.startswith(mark) and _mark(line) == line)
    first = next(closing, len(lines))
    if language and _QUOTES.search(check(_text(lines[at:first], margin), language).problem):
        for end in islice(closing, 8):
            if check(_text(lines[at:end], margin), language).accepted:
                return end
    return first


_QUOTES = re.compile(r"unterminated triple-quoted|never ends <(?:pre|code|script|style|textarea)>")


def _text(lines: list[str], margin: str) -> str:
    """The lines of a block without the indentation of its fence."""
    return "".join(line.removeprefix(margin) for line in lines).removeprefix("\ufeff")


def _best(found: list[str], language: str) -> str:
    """The block that is accepted and defines something, else that of which most can be kept."""
    if len(found) == 1 or sum(map(len, found)) > LONGEST:
        return max(found, key=len)
    return max(found, key=lambda text: _worth(text, language))


def _worth(text: str, language: str) -> tuple[bool, bool, bool, int]:
    accepted = check(text, language).accepted is not False
    kept = text if accepted or language != "python" else parsing_prefix(text)
    defines = bool(re.search(r"^[ \t]*(?:async +)?(?:def|class) ", kept, re.MULTILINE))
    return accepted and defines, defines, accepted, len(kept)


def _passes(text: str, language: str) -> bool:
    verdict = check(text, language).accepted
    return _looks_like_code(text, language) if verdict is None else verdict


def _unmarked(answer: str) -> str:
    """An answer without fences: all of it, or what stands before a fence that its prompt had opened."""
    lines = lines_of(answer)
    for number, line in enumerate(lines):
        _, mark, label = _opening(line)
        if mark:
            return "" if label else "".join(lines[:number])
    return answer


def _unfenced(answer: str, language: str) -> str:
    if len(answer) > LONGEST:
        return ""
    if language == "python":
        return _python_run(answer)
    if language == "html":
        begin = re.search(r"<!doctype\s+html\b|<html\b", answer, re.IGNORECASE)
        ends = [found.end() for found in re.finditer(r"</html\s*>", answer, re.IGNORECASE)]
        page = answer[begin.start() : ends[-1]] if begin and ends else ""
        return next((text for text in (answer, page) if _passes(text, language)), "")
    runs = ("".join(lines) for prose, lines in groupby(lines_of(answer), _is_sentence) if not prose)
    return max((run for run in runs if _looks_like_code(run, language)), key=len, default="")


# --- Python ---

_BEGINNING = re.compile(
    r"(?:import|from|del|try|global)\b|(?:def|class|if|for|while|with|async|assert|match|print)\s|@\w|[\"'(\[]"
    r"|[^\W\d][\w.]*\s*(?:[\[(:,=]|[-+*/]=)"
)


def _python_run(answer: str) -> str:
    """The longest run of whole lines that is Python and not prose."""
    if check(answer, "python").accepted:
        return _without_prose(answer)
    lines, best, at, work = lines_of(answer), "", 0, 0
    while work < 15 * LONGEST:  # each beginning may be read to the end
        at = next(
            (number for number in range(at, len(lines)) if _BEGINNING.match(lines[number])),
            len(lines),
        )
        if at == len(lines):
            break
        begin = at
        while begin and lines[begin - 1].startswith("#"):
            begin -= 1
        rest = "".join(lines[begin:])
        work += len(rest)
        run = parsing_prefix(rest)
        best = max(best, _without_prose(run), key=len)
        at = max(at + 1, begin + len(lines_of(run)))
    return best


def _without_prose(code: str) -> str:
    """Python without the words before and after it; empty where that leaves no more than imports."""
    body = _body(code)
    kept = [statement for statement in body if not _is_prose(statement) or _is_text(statement)]
    if all(
        isinstance(statement, ast.Import | ast.ImportFrom) or _is_text(statement)
        for statement in kept
    ):
        return ""
    first = min(node.lineno for node in (kept[0], *getattr(kept[0], "decorator_list", ())))
    begin = 0 if kept[0] is body[0] else first - 1
    end = None if kept[-1] is body[-1] else kept[-1].end_lineno
    return "".join(lines_of(code)[begin:end])


def parsing_prefix(code: str) -> str:
    """The longest beginning of `code`, in whole lines, that Python parses; empty where none does.

    So it ends with a whole statement, also an inner one. Of more than LONGEST
    characters, and of code that seems made to take long, it may be a shorter one.
    """
    if len(code) > LONGEST:
        code = code[: code.rfind("\n", 0, LONGEST) + 1]
    lines, work = lines_of(code), 0
    end = len(lines)
    while end > 0 and work < 50 * LONGEST:
        part = "".join(lines[:end])
        line, problem = _python_error(part)
        if not problem:
            return part if part.strip() else ""
        work += len(part)
        wrong = min(line or end, end)
        end = _open_try(lines[:wrong]) if "'except' or 'finally'" in problem else wrong - 1
    return ""


def _open_try(lines: list[str]) -> int:
    """How many lines stand before the innermost `try` in which the last one is; all but one where there is none."""
    margin = LONGEST
    for number in range(len(lines) - 1, -1, -1):
        line = lines[number].lstrip()
        indentation = len(lines[number]) - len(line)
        if line and indentation < margin:
            margin = indentation
            if re.match(r"try\s*:", line):
                return number
    return len(lines) - 1


def _python_error(code: str) -> tuple[int, str]:
    """The line and the text of what Python does not parse; empty where it parses all."""
    if found := re.search("[\0\ud800-\udfff]", code):
        return len(lines_of(code[: found.end()])), "a character that no source may have"
    try:
        _body(code)
    except SyntaxError as exc:
        return exc.lineno or 0, exc.msg
    except (RecursionError, MemoryError):
        return 0, "nested too deeply"
    except ValueError as exc:
        return 0, str(exc)
    return 0, ""


def _body(code: str) -> list[ast.stmt]:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # invalid escapes in strings and their kind: not ours to remark
        return ast.parse(code).body


_WORDS = (
    ast.Name, ast.Attribute, ast.Constant, ast.Compare, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.Subscript,
    ast.Slice, ast.Starred, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.IfExp, ast.JoinedStr, ast.FormattedValue,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context, ast.Expr, ast.Return, ast.Raise, ast.Assert,
    ast.Delete, ast.Global, ast.Pass, ast.Break, ast.Continue, ast.If, ast.While, ast.For, ast.With, ast.withitem,
)  # fmt: skip
"""What English makes of Python by accident: "Sure", "yes or no", "tic-tac-toe", "return home", "if so: stop"."""


def _is_prose(statement: ast.stmt) -> bool:
    """Whether a statement only names things; "Note: this" and "Copyright (c)" parse as well."""
    return all(isinstance(node, _WORDS) or _is_remark(node) for node in ast.walk(statement))


def _is_remark(node: ast.AST) -> bool:
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and not hasattr(builtins, node.func.id)
        and isinstance(argument := next(iter(node.args), None), ast.Name)
        and argument.col_offset > (node.func.end_col_offset or 0) + 1
    )


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


# --- HTML ---

_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_OPTIONAL = frozenset(
    "html head body p li dt dd tr td th thead tbody tfoot option optgroup colgroup caption rp rt".split()
)
"""Elements whose end may be left out."""

_ELEMENTS = _VOID | _OPTIONAL | frozenset(
    """
    a abbr address article aside audio b bdi bdo blockquote button canvas center cite code data datalist del details
    dfn dialog div dl em fieldset figcaption figure font footer form h1 h2 h3 h4 h5 h6 header hgroup i iframe ins kbd
    label legend main map mark marquee math menu meter nav noscript object ol output picture pre progress q ruby s samp
    script search section select slot small span strike strong style sub summary sup svg table template textarea time
    title tt u ul var video
    """.split()
)  # fmt: skip


_UNREADABLE = "has a mark that no browser reads"


class _Unsound(Exception):
    """Ends the reading of a page; its text goes on from "HTML that …"."""


def _html_problem(code: str) -> str:
    """Why `code` is no page; empty where it is one."""
    begin = re.match(
        r"(?:\s|<!--.*?-->)*<(!doctype\s+html\b|[a-z][a-z0-9]*)", code, re.IGNORECASE | re.DOTALL
    )
    if begin is None or not (begin[1].startswith("!") or begin[1].lower() in _ELEMENTS):
        return "begins with no element"
    page = _Page()
    try:
        page.feed(code)
        page.end()
    except _Unsound as exc:
        return str(exc)
    except ValueError:  # html.parser raises it for a number of thousands of digits
        return _UNREADABLE
    return ""


class _Page(HTMLParser):
    """Follows which elements are open; raises _Unsound at the first that cannot be."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self._begun = False

    def parse_html_declaration(self, i: int) -> int:
        """Reject `<![…]>` on every Python: 3.14 reads it as a comment, like browsers."""
        if re.compile(r"<!\[(?!CDATA\[)", re.IGNORECASE).match(self.rawdata, i):
            raise _Unsound(_UNREADABLE)
        return super().parse_html_declaration(i)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._begun = True
        if not (tag in _ELEMENTS or "-" in tag or self._foreign()):
            raise _Unsound(f"has an unknown element <{tag}>")
        if tag in _OPTIONAL and tag in self._open[self._unfinished() :]:
            self.handle_endtag(tag)  # the next item ends the one before
        if tag not in _VOID:
            self._open.append(tag)
        if len(self._open) > 500:
            raise _Unsound("nests deeper than a browser does")

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.handle_starttag(tag, attrs)
        if self._foreign() and tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        last = self._unfinished()
        if tag in self._open[last:]:
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag) :]
        elif last and self._open[last - 1] == tag:
            del self._open[last - 1 :]
        elif tag not in _VOID and tag != "p":  # browsers read a lone </p> as an empty paragraph
            raise _Unsound(
                f"ends <{tag}>, which is not open"
                if tag not in self._open
                else f"never ends <{self._open[last - 1]}>"
            )

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._open:
            raise _Unsound("has text outside its elements")

    def end(self) -> None:
        """Asks what is left; `close` would read each unfinished mark again to the end."""
        last = self._unfinished()
        if last:
            raise _Unsound(f"never ends <{self._open[last - 1]}>")
        if self.rawdata.startswith("<"):
            raise _Unsound(
                "never ends a comment"
                if self.rawdata.startswith("<!--")
                else "never ends its last tag"
            )
        self.handle_data(self.rawdata)
        if not self._begun:
            raise _Unsound("has no element")

    def _unfinished(self) -> int:
        """From where on all that is open may be left open."""
        return next(
            (at for at in range(len(self._open), 0, -1) if self._open[at - 1] not in _OPTIONAL), 0
        )

    def _foreign(self) -> bool:
        return "svg" in self._open or "math" in self._open


# --- other languages ---

_SIGNS = re.compile(
    r"[}\])]|//|/\*|#!|#include\b|<\?|[\w.$\[\]\"']+\s*(?::=|[-+*/|&]?=|<-|=>|->)\s*\S|[\w.:$]+\(.*\)$|\"[\w-]+\":"
    r"|(?:const|let|var|func|fn|function|fun|def|public|private|protected|static|struct|class|interface|enum|impl|import"
    r"|if|for|while|switch|return|puts|echo)\b[^.!?]*[({=;<\"'\[]"
)
_SIGNS_OF = {
    "sql": re.compile(
        r"(?:select|insert into|create|update|delete from|from|where|order by|alter|drop)\b",
        re.IGNORECASE,
    ),
    "bash": re.compile(
        r"(?:\$ )?(?:cd|ls|cp|mv|rm|git|pip|npm|echo|mkdir|curl|sudo|apt|export|find|grep|cat)\s"
    ),
}
_WEAK = re.compile(
    r"(?:end|else|do|done|fi|then|return|break|import|package|use|using|require|puts|begin)\b(?: \S+){0,2}$"
)


def _looks_like_code(text: str, language: str) -> bool:
    """Whether half of the lines have the signs of code, and none reads as a sentence."""
    lines = [line.strip() for line in lines_of(text) if line.strip()]
    own = _SIGNS_OF.get(language)
    signs = sum(
        bool(line[-1] in ";{}([" or _SIGNS.match(line) or (own and own.match(line)))
        for line in lines
    )
    weak = sum(bool(_WEAK.match(line)) for line in lines)
    return signs > 0 and 2 * (signs + weak) >= len(lines) and not any(map(_is_sentence, lines))


def _is_sentence(line: str) -> bool:
    """Four words or more, nearly all of letters, that begin or end as a sentence does."""
    words = line.split()
    if len(words) < 4 or words[0].startswith(("//", "/*", "#!", "--")) or words[-1][-1] in ";{}([,":
        return line.startswith("##")
    plain = sum(word.strip("#.,:;!?()'\"*`-").replace("'", "").isalpha() for word in words)
    begins = words[0][0].isupper() and not words[0][:2].isupper()
    return 4 * plain >= 3 * len(words) and (begins or words[-1][-1] in ".:!?")


# --- checked ---


def check(code: str, language: str) -> Verdict:
    """Whether `code` is Python or HTML, and no prose; other languages are not checked. Nothing is run."""
    language = _called(language)
    if language not in ("python", "html"):
        return Verdict(None)
    if len(code) > LONGEST:
        return Verdict(False, f"is too long to be checked ({len(code):,} characters)")
    problem = _python_problem(code) if language == "python" else _html_problem(code)
    return Verdict(not problem, problem)


def _python_problem(code: str) -> str:
    line, problem = _python_error(code)
    if problem:
        return f"does not parse (line {line}: {problem})" if line else f"does not parse ({problem})"
    return "is no code" if all(map(_is_prose, _body(code))) else ""
