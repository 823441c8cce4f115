"""Extracts code from a model's answer, by its fences or by what parses, and checks Python."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby, islice
from pathlib import PurePosixPath

from pytest_starcoder.source.diff import split_lines
from pytest_starcoder.source.functions import Function, definition_lines

# Answers of models are far shorter. A hostile text of this size takes a second to parse.
MAX_PARSED_CHARACTERS = 100_000

MAX_BLOCKS = 50

# --- languages ---

_CANONICAL_NAMES = {
    "cpp": "c++",
    "csharp": "c#",
    "jsx": "javascript",
    "mysql": "sql",
    "postgresql": "sql",
    "python2": "python",
    "splus": "r",
    "tsx": "typescript",
}
"""Pygments' name -> our name. Dialects are merged: for SQL, a `mysql` block is as good."""


@cache
def _languages() -> dict[str, str]:
    """Map every alias that Pygments knows, such as "py3", to the name of its language."""
    # Imported late: only a few commands look for code in an answer.
    from pygments.lexers import get_all_lexers

    languages = {}
    for _, aliases, _, _ in get_all_lexers(plugins=False):
        for alias in aliases:
            languages[alias] = _CANONICAL_NAMES.get(aliases[0], aliases[0])
    return languages


def language_name(label: str) -> str:
    """Return the name of the language that the label of a fence means: "py3" is "python".

    Attributes around the language are ignored. An unknown language is returned in lower case.
    """
    label = label.strip().lower().lstrip("{.")
    word = re.split(r"[\s{}(,:;]", label, maxsplit=1)[0].removeprefix("language-")
    if re.fullmatch(r"python[\d.]+", word):
        return "python"
    return _languages().get(word, word)


def similar_language(name: str) -> str:
    """Return the language whose name an unknown one nearly is; empty if the name is known."""
    import difflib  # only for errors

    languages = _languages()
    if name in languages or name in languages.values():
        return ""
    matches = difflib.get_close_matches(name, languages, n=1, cutoff=0.75)
    return languages[matches[0]] if matches else ""


def file_language(path: str) -> str:
    """Return the language of a file by its name; empty if it is unknown."""
    name = PurePosixPath(path.lower()).name
    # Most suffixes are aliases too, without the ambiguity of `*.pl` and `*.sql`.
    _, dot, suffix = name.rpartition(".")
    languages = _languages()
    if dot and suffix in languages:
        return languages[suffix]
    from pygments.lexers import find_lexer_class_for_filename

    lexer = find_lexer_class_for_filename(name)
    if lexer is None or not lexer.aliases:
        return ""
    return language_name(lexer.aliases[0])


def _as_language(word: str) -> str:
    """Return a pattern for a name that is an English word too: "in Go", "Go program"."""
    kinds = "program|function|code|script|class|struct|method|module|library"
    return rf"(?:(?<=\bin )|(?<=\binto )|(?<=\busing )){word}(?!-)|{word}(?= (?:{kinds})s?\b)"


_NAME_PATTERNS = {
    "python": r"python[\d.]*",
    "html": r"html5?|web[ -]?pages?|websites?|web sites?|single[- ]page",
    "typescript": r"typescript",
    "javascript": r"java ?script|node\.?js|js",
    "java": r"java(?! ?script)",
    "c++": r"c\+\+|cpp",
    "c#": r"c#|c sharp|csharp",
    "c": rf"ansi c|c(?:89|99|11|17)|{_as_language('c')}",
    "go": rf"golang|{_as_language('go')}",
    "rust": _as_language("rust"),
    "swift": _as_language("swift"),
    "r": _as_language("r"),
    "ruby": r"ruby",
    "php": r"php",
    "kotlin": r"kotlin",
    "scala": r"scala",
    "lua": r"lua",
    "perl": r"perl",
    "sql": r"sql|(?:postgresql|mysql|sqlite) (?:query|queries|statement|schema|table)",
    "css": r"css|style ?sheets?",
    "bash": r"bash|zsh|shell[ -](?:script|command|function)s?|(?<=\bin )shell",
}
"""How a question names a language. Pygments' aliases do not help: many are English words."""

_INPUT_LANGUAGES = frozenset({"html", "css", "sql", "bash"})
"""Languages that a question may name because a program reads, writes or runs them."""

_TOOL = re.compile(
    r"\b(?:functions?|scripts?|regex|(?:pars|scrap|crawl|fetch|download|extract|connect)\w*)\b"
)


@dataclass(frozen=True, order=True)
class _Mention:
    start: int
    end: int
    language: str
    is_target: bool
    """After "in", "into", "to" or "using"."""


def requested_language(question: str) -> str:
    """Return the language that a question in English asks for; "python" if it names none.

    What a program reads or writes does not count: "a function that parses HTML" asks for
    Python. Only the first 2,000 characters are read.
    """
    text = question[:2000].lower()
    mentions = _mentions(text)
    targets = [mention.language for mention in mentions if mention.is_target]
    for language in targets:
        if language not in _INPUT_LANGUAGES:
            return language
    if "python" in [mention.language for mention in mentions]:
        return "python"
    for mention in mentions:
        if not _is_input(mention, text):
            return mention.language
    # "A function in SQL": here the tool is written in the input language.
    for language in targets:
        if language in ("sql", "bash"):
            return language
    return "python"


def _is_input(mention: _Mention, text: str) -> bool:
    """Return whether a tool reads or writes the language: "a script that parses HTML"."""
    if mention.language not in _INPUT_LANGUAGES:
        return False
    has_tool = _TOOL.search(text, 0, mention.start) or _TOOL.match(text, mention.end + 1)
    return has_tool is not None


def _mentions(text: str) -> list[_Mention]:
    """Return the languages that a text in lower case names, in order."""
    mentions = []
    for language, words in _NAME_PATTERNS.items():
        for match in re.finditer(rf"(?<!\w)(?:{words})(?![\w+#])", text):
            before = text[: match.start()]
            is_target = before.endswith((" in ", " into ", " to ", " using "))
            mentions.append(_Mention(match.start(), match.end(), language, is_target))
    return sorted(mentions)


# --- code in an answer ---


def extract_code(answer: str, language: str) -> str:
    """Return the code of `language` in an answer, unchanged; empty if there is none.

    A fenced block with that label is preferred, even if it does not parse, then one without
    a label that looks like code; of several the best. Blocks with another label are ignored.
    Without a fence, the result is the longest part that parses. For languages other than
    Python, it is the longest run of lines that look like code.
    """
    answer = answer.removeprefix("\ufeff")
    language = language_name(language)
    if language == "python" and not python_problem(answer):
        # Its fences, if any, stand in a docstring.
        return _longest_python(answer)
    candidates = _candidates(answer, language)
    if candidates:
        return _best_block(candidates, language)
    return _unfenced_code(_text_before_fences(answer), language)


def _candidates(answer: str, language: str) -> list[str]:
    """Return the fenced blocks with the right label, or else those that look like code."""
    blocks = list(islice(_blocks(answer, language), MAX_BLOCKS))
    for block in tuple(blocks):
        # Some models put their whole answer, fences included, into another fence.
        is_wrapper = not block.language and not _is_code(block.text, language)
        if block.language == "markdown" or is_wrapper:
            blocks += islice(_blocks(block.text, language), MAX_BLOCKS)
    labelled = []
    unlabelled = []
    for block in blocks:
        if block.language == language and block.text.strip():
            labelled.append(block.text)
        elif not block.language and _is_code(block.text, language):
            unlabelled.append(block.text)
    return labelled or unlabelled


@dataclass(frozen=True)
class _Fence:
    """The line that opens a block. `mark` is its backticks or tildes."""

    indentation: str
    mark: str
    label: str


@dataclass(frozen=True)
class _Block:
    language: str
    text: str


def _blocks(answer: str, language: str) -> Iterator[_Block]:
    """Yield each fenced block; one that is not closed extends to the end."""
    lines = split_lines(answer)
    index = 0
    while index < len(lines):
        fence = _opening_fence(lines[index])
        index += 1
        if fence is None:
            continue
        if fence.mark in fence.label:  # opened and closed on one line
            word, _, code = fence.label.partition(" ")
            yield _Block(language_name(word), code[: code.find(fence.mark)])
            continue
        label = language_name(fence.label)
        is_python = language == "python" and label in ("", "python")
        end = _closing_line(lines, index, fence, is_python=is_python)
        yield _Block(label, _block_text(lines[index:end], fence))
        index = end + 1


def _opening_fence(line: str) -> _Fence | None:
    """Return the fence that a line opens; after other words it needs a known language."""
    text = line.strip()
    mark = _mark(text)
    label = text[len(mark) :]
    if mark and (mark[0] == "~" or "`" not in label):
        return _Fence(line[: len(line) - len(line.lstrip())], mark, label)
    if mark and label.endswith(mark) and _is_known(label.partition(" ")[0]):
        return _Fence("", mark, label)
    before, mark, label = text.rpartition("```")
    if mark and "`" not in before and _is_known(label):
        return _Fence("", mark, label)
    return None


def _is_known(label: str) -> bool:
    return language_name(label) in _languages()


def _mark(line: str) -> str:
    """Return the run of at least three backticks or tildes that a line begins with."""
    if not line.startswith(("```", "~~~")):
        return ""
    return line[: len(line) - len(line.lstrip(line[0]))]


def _closing_line(lines: list[str], start: int, fence: _Fence, *, is_python: bool) -> int:
    """Return the index of the line that closes a fence, `len(lines)` if none does."""
    closing_lines = _closing_lines(lines, start, fence)
    first = next(closing_lines, len(lines))
    # A docstring may contain a fence: such a block ends where all of it parses.
    if is_python and _is_open_string(_block_text(lines[start:first], fence)):
        for end in islice(closing_lines, 8):
            if not python_problem(_block_text(lines[start:end], fence)):
                return end
    return first


def _closing_lines(lines: list[str], start: int, fence: _Fence) -> Iterator[int]:
    for index in range(start, len(lines)):
        line = lines[index].strip()
        if line.startswith(fence.mark) and _mark(line) == line:
            yield index


def _is_open_string(code: str) -> bool:
    return "unterminated triple-quoted" in python_problem(code)


def _block_text(lines: list[str], fence: _Fence) -> str:
    text = "".join(line.removeprefix(fence.indentation) for line in lines)
    return text.removeprefix("\ufeff")


def _best_block(texts: list[str], language: str) -> str:
    """Return the block that parses and defines something, else the one of which most parses."""
    # Ranking parses every block: hostile ones together would take too long.
    if len(texts) == 1 or sum(map(len, texts)) > MAX_PARSED_CHARACTERS:
        return max(texts, key=len)
    return max(texts, key=lambda text: _rank(text, language))


def _rank(text: str, language: str) -> tuple[bool, bool, bool, int]:
    parses = True
    usable = text
    if language == "python" and python_problem(text):
        parses = False
        usable = parsing_prefix(text)
    defines = bool(re.search(r"^[ \t]*(?:async +)?(?:def|class) ", usable, re.MULTILINE))
    return parses and defines, defines, parses, len(usable)


def _text_before_fences(answer: str) -> str:
    """Return an answer up to its first fence, which its prompt may have opened.

    A fence with a label was opened by the answer: nothing before it is code.
    """
    lines = split_lines(answer)
    for number, line in enumerate(lines):
        fence = _opening_fence(line)
        if fence is not None:
            return "" if fence.label else "".join(lines[:number])
    return answer


def _unfenced_code(answer: str, language: str) -> str:
    if len(answer) > MAX_PARSED_CHARACTERS:
        return ""
    if language == "python":
        return _longest_python(answer)
    if language == "html" and (page := _html_page(answer)):
        return page
    longest = ""
    for is_prose, lines in groupby(split_lines(answer), _is_sentence):
        run = "".join(lines)
        if not is_prose and len(run) > len(longest) and _looks_like_code(run, language):
            longest = run
    return longest


def _is_code(text: str, language: str) -> bool:
    if language == "python":
        return not python_problem(text)
    return _looks_like_code(text, language) or (language == "html" and bool(_html_page(text)))


# --- Python ---


def python_problem(code: str) -> str:
    """Return why `code` is not acceptable, to go on from "Python that …"; empty if it is.

    It must parse, and must not be prose that happens to parse. Nothing is executed.
    """
    if len(code) > MAX_PARSED_CHARACTERS:
        return f"is too long to be checked ({len(code):,} characters)"
    line, problem = _syntax_error(code)
    if problem and line:
        return f"does not parse (line {line}: {problem})"
    if problem:
        return f"does not parse ({problem})"
    if all(_is_prose(statement) for statement in _statements(code)):
        return "is not code"
    return ""


_STATEMENT_START = re.compile(
    # Statements, decorators, strings and brackets, and names that are called or assigned to.
    r"(?:import|from|del|try|global)\b"
    r"|(?:def|class|if|for|while|with|async|assert|match|print)\s"
    r"|@\w|[\"'(\[]"
    r"|[^\W\d][\w.]*\s*(?:[\[(:,=]|[-+*/]=)"
)


def _longest_python(answer: str) -> str:
    """Return the longest run of whole lines that is Python and not prose."""
    if not python_problem(answer):
        return _without_prose(answer)
    lines = split_lines(answer)
    longest = ""
    index = parsed = 0
    # Each start may be parsed to the end of the answer: the sum is limited, too.
    while index < len(lines) and parsed < 15 * MAX_PARSED_CHARACTERS:
        if not _STATEMENT_START.match(lines[index]):
            index += 1
            continue
        start = index
        # A comment above the code belongs to it.
        while start and lines[start - 1].startswith("#"):
            start -= 1
        rest = "".join(lines[start:])
        parsed += len(rest)
        run = parsing_prefix(rest)
        longest = max(longest, _without_prose(run), key=len)
        index = max(index + 1, start + len(split_lines(run)))
    return longest


def _without_prose(code: str) -> str:
    """Return Python without the words around it; empty if only imports are left."""
    statements = _statements(code)
    wanted = [node for node in statements if not _is_prose(node) or _is_string(node)]
    if all(isinstance(node, ast.Import | ast.ImportFrom) or _is_string(node) for node in wanted):
        return ""
    first = wanted[0]
    last = wanted[-1]
    start = 0
    end = None
    # Comments at the beginning and the end have no statements, and stay with the code.
    if first is not statements[0]:
        start = first.lineno - 1
        if isinstance(first, Function | ast.ClassDef):
            start = definition_lines(first).start - 1
    if last is not statements[-1]:
        end = last.end_lineno
    return "".join(split_lines(code)[start:end])


def parsing_prefix(code: str) -> str:
    """Return the longest beginning of `code`, in whole lines, that parses as Python.

    It may end within a function or a block. Code that takes too long to parse, or has more
    than MAX_PARSED_CHARACTERS, may give a shorter one.
    """
    if len(code) > MAX_PARSED_CHARACTERS:
        code = code[: code.rfind("\n", 0, MAX_PARSED_CHARACTERS) + 1]
    lines = split_lines(code)
    end = len(lines)
    parsed = 0
    while end > 0 and parsed < 50 * MAX_PARSED_CHARACTERS:
        prefix = "".join(lines[:end])
        line, problem = _syntax_error(prefix)
        if not problem:
            return prefix if prefix.strip() else ""
        parsed += len(prefix)
        end = min(line or end, end) - 1
    return ""


def _syntax_error(code: str) -> tuple[int, str]:
    """Return the line and the message of a syntax error; line 0 if it has none."""
    invalid = re.search("[\0\ud800-\udfff]", code)
    if invalid:
        line = len(split_lines(code[: invalid.end()]))
        return line, "a character that is not allowed in source code"
    try:
        _statements(code)
    except SyntaxError as exc:
        return exc.lineno or 0, exc.msg
    except (RecursionError, MemoryError):
        return 0, "nested too deeply"
    except ValueError as exc:
        return 0, str(exc)
    return 0, ""


def _statements(code: str) -> list[ast.stmt]:
    with warnings.catch_warnings():
        # An invalid escape in a string would be reported to the user, who has not written it.
        warnings.simplefilter("ignore")
        return ast.parse(code).body


_PROSE_NODES = (
    ast.Name, ast.Attribute, ast.Constant, ast.Compare, ast.Tuple, ast.List, ast.Set, ast.Dict,
    ast.Subscript, ast.Slice, ast.Starred, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.IfExp,
    ast.JoinedStr, ast.FormattedValue, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
    ast.expr_context, ast.Expr, ast.Return, ast.Raise, ast.Assert, ast.Delete, ast.Global,
    ast.Pass, ast.Break, ast.Continue, ast.If, ast.While, ast.For, ast.With, ast.withitem,
)  # fmt: skip
"""What English parses as by accident: "Sure", "yes or no", "return home", "if so: stop"."""


def _is_prose(statement: ast.stmt) -> bool:
    """Return whether a statement only names things, as English that parses does."""
    return all(isinstance(node, _PROSE_NODES) or _is_note(node) for node in ast.walk(statement))


def _is_note(node: ast.AST) -> bool:
    """Return whether a node is like "Note: this" or "Copyright (c)", with a space."""
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
        return False
    argument = node.args[0]
    has_space = argument.col_offset > (node.func.end_col_offset or 0) + 1
    return isinstance(argument, ast.Name) and has_space and not hasattr(builtins, node.func.id)


def _is_string(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


# --- other languages: recognized by the look of their lines, and not checked ---

_PAGE_START = re.compile(r"<!doctype\s+html\b|<html\b", re.IGNORECASE)
_PAGE_END = re.compile(r"</html\s*>(?:\s*\Z)?", re.IGNORECASE)


_TAG_LINE = re.compile(r"</?[a-z]", re.IGNORECASE)


def _html_page(answer: str) -> str:
    """Return the page in an answer from its doctype to its last `</html>`; empty if cut."""
    start = _PAGE_START.search(answer)
    ends = [match.end() for match in _PAGE_END.finditer(answer)]
    if start is None or not ends:
        return ""
    return answer[start.start() : ends[-1]]


_CODE_LINE = re.compile(
    # The end of a block, a comment, or a directive.
    r"[}\])]|//|/\*|#!|#include\b|<\?"
    # An assignment.
    r"|[\w.$\[\]\"']+\s*(?::=|[-+*/|&]?=|<-|=>|->)\s*\S"
    # A call, or a key of JSON.
    r"|[\w.:$]+\(.*\)$|\"[\w-]+\":"
    # A declaration or a statement; in a sentence, its word would not be followed by brackets.
    r"|(?:const|let|var|func|fn|function|fun|def|public|private|protected|static|struct|class"
    r"|interface|enum|impl|import|if|for|while|switch|return|puts|echo)\b[^.!?]*[({=;<\"'\[]"
)
_CODE_LINES_OF = {
    "sql": re.compile(
        r"(?:select|insert into|create|update|delete from|from|where|order by|alter|drop)\b",
        re.IGNORECASE,
    ),
    "bash": re.compile(
        r"(?:\$ )?(?:cd|ls|cp|mv|rm|git|pip|npm|echo|mkdir|curl|sudo|apt|export|find|grep|cat)\s"
    ),
}
_MAYBE_CODE_LINE = re.compile(
    r"(?:end|else|do|done|fi|then|return|break|import|package|use|using|require|puts|begin)\b"
    r"(?: \S+){0,2}$"
)


def _looks_like_code(text: str, language: str) -> bool:
    """Return whether half of the lines look like code, and none reads as a sentence."""
    lines = [line.strip() for line in split_lines(text) if line.strip()]
    sure = maybe = 0
    for line in lines:
        if language == "html":
            sure += _TAG_LINE.match(line) is not None
            continue
        if _is_sentence(line):
            return False
        # A line that counts both ways is strong evidence.
        sure += _is_code_line(line, language)
        maybe += _MAYBE_CODE_LINE.match(line) is not None
    return sure > 0 and 2 * (sure + maybe) >= len(lines)


def _is_code_line(line: str, language: str) -> bool:
    if line[-1] in ";{}([" or _CODE_LINE.match(line):
        return True
    specific = _CODE_LINES_OF.get(language)
    return specific is not None and specific.match(line) is not None


def _is_sentence(line: str) -> bool:
    """Return whether a line has four words or more, and begins or ends as a sentence does."""
    words = line.split()
    if len(words) < 4 or line.strip().startswith(("//", "/*", "#!", "--")):
        return line.startswith("##")
    if words[-1][-1] in ";{}([,":
        return line.startswith("##")
    letters = [word.strip("#.,:;!?()'\"*`-").replace("'", "") for word in words]
    plain = sum(word.isalpha() for word in letters)
    if 4 * plain < 3 * len(words):
        return False
    # SELECT is no beginning of a sentence.
    is_capitalized = words[0][0].isupper() and not words[0][:2].isupper()
    return is_capitalized or words[-1][-1] in ".:!?"
