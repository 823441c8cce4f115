"""The question to a model why a test failed, and its answer.

The prompt starts with what is constant, followed by the code shared by all causes of
one test file, and ends with the case: a server that caches prompts by their beginning
reads only the end of the second one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.explain.breakage import Breakage
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.explain.explanation import Answer
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.explain.grounding import Evidence, Grounding
from pytest_starcoder.model.answer import answer
from pytest_starcoder.model.answer_quality import clean_answer, find_flaw
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.backends.choice import model_name
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.client import Client, cap_answer, fit_prompt, shorten_to_fit
from pytest_starcoder.model.prompt import Model, Prompt
from pytest_starcoder.model.prompts import FORMS, model_family, render
from pytest_starcoder.runner.outcome import Call
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.diff import changed_lines
from pytest_starcoder.text.display import one_line

Redact = Callable[[str], str]

MAX_TEST_LINES = 10
MAX_CALLS = 2
MAX_SUSPECTS = 2
MAX_DIFF_LINES = 12
MAX_PIECES = 4

MAX_SHARED_CODE = 4500
"""Maximum characters of code that the prompts of one test file share."""

MAX_PROMPT_TOKENS = 3800
"""By the estimate, which is half too high: with its answer, a prompt fits the smallest window."""


def ask_why(
    case: Case, client: Client, on_text: OnText, redact: Redact, shared: Sequence[Excerpt] = ()
) -> Answer:
    """Ask the model of `client` why a test failed; `on_text` gets the answer as it is written.

    Names in the answer that were not in the prompt are marked. Raises a BackendError,
    or UnreadableAnswer if the answer is empty.
    """
    kind = model_family(client.model(), client.settings.family)
    question = Question(case, redact, shared)
    # The answer counts, too: without room for it the server would cut the prompt.
    prompt = fit_prompt(
        lambda parts: question.render(kind, parts), question.parts, client, MAX_PROMPT_TOKENS
    )
    evidence = question.evidence()
    stream = _AnswerStream(evidence, lambda piece: on_text(redact(piece)))
    try:
        completion = answer(prompt, FORMS[kind, "explain"].lead, client, stream.add)
    finally:
        stream.end()  # also shows what was written before an error
    # An empty prompt is the instruction and its worked examples.
    examples = render(kind, "explain", code="", case="").text
    flaw = find_flaw(completion.text, question.text, examples)
    grounding = Grounding(evidence)
    marked = grounding.add(clean_answer(completion.text)) + grounding.end()
    why = marked.strip()
    if not why:
        raise UnreadableAnswer(
            f"{completion.model} returned an empty answer.", "Another model may do better."
        )
    return Answer(
        redact(why),
        completion.model,
        truncated=completion.truncated,
        from_cache=completion.from_cache,
        flaw=flaw,
        unsupported=tuple(redact(name) for name in grounding.unsupported),
    )


def preview_prompt(
    case: Case, settings: Settings, redact: Redact, shared: Sequence[Excerpt] = ()
) -> Prompt:
    """Return the prompt that `ask_why` would send, without a server: tokens are estimated."""
    # The form is guessed from the name: only a server knows the architecture.
    kind = model_family(Model(model_name(settings), "", "", 0), settings.family)
    question = Question(case, redact, shared)
    return shorten_to_fit(
        lambda parts: cap_answer(question.render(kind, parts), settings),
        question.parts,
        lambda prompt: estimate(prompt.text) <= MAX_PROMPT_TOKENS,
    )


def shared_code(cases: Sequence[Case]) -> dict[str, tuple[Excerpt, ...]]:
    """Return the code of all causes of each test file, so that their prompts can begin alike.

    Nothing is shared in a file with too much code.
    """
    files: dict[str, dict[tuple[str, int], Excerpt]] = {}
    for case in cases:
        excerpts = files.setdefault(file_of_cause(case), {})
        for excerpt in case.excerpts:
            excerpts.setdefault((excerpt.path, excerpt.first), excerpt)
    shared = {}
    for file, excerpts in files.items():
        size = sum(len(excerpt.text) for excerpt in excerpts.values())
        shared[file] = tuple(excerpts.values()) if size <= MAX_SHARED_CODE else ()
    return shared


def file_of_cause(case: Case) -> str:
    """Return the test file of a cause."""
    return case.cause.first.nodeid.partition("::")[0]


class Question:
    """A case as it is presented to a model; `parts` are its texts, most important first."""

    def __init__(self, case: Case, redact: Redact, shared: Sequence[Excerpt]) -> None:
        self._excerpts: dict[tuple[str, int], Excerpt] = {}
        self._places: dict[str, tuple[str, int]] = {}
        # The same function may be in both.
        for excerpt in (*case.excerpts, *shared):
            self._excerpts[excerpt.path, excerpt.first] = excerpt
        for place, excerpt in self._excerpts.items():
            self._places[redact(excerpt.text)] = place
        self._redact = redact
        self._frames = case.cause.first.frames
        self._suspects = case.suspects
        self._pieces = case.breakage.pieces
        # The case comes first, so that it is the last to be left out.
        case = replace(case, breakage=case.breakage.redacted(redact))
        self.parts = [redact(_describe(case)), *self._places]

    @property
    def text(self) -> str:
        """All parts."""
        return "\n".join(self.parts)

    def render(self, kind: str, parts: Sequence[str]) -> Prompt:
        """Return the prompt of `parts`, the first of which is the case."""
        code = self._redact(_code_by_file(parts[1:], self._places))
        return render(kind, "explain", code=code, case=parts[0])

    def evidence(self) -> Evidence:
        """Return what an answer may refer to."""
        lines: dict[str, set[int]] = {}
        for excerpt in self._excerpts.values():
            lines.setdefault(excerpt.path, set()).update(excerpt.lines)
        for frame in self._frames:
            end = frame.first_line + frame.source.count("\n") + 1
            lines.setdefault(frame.path, set()).update(range(frame.first_line, end))
        for suspect in self._suspects:
            lines.setdefault(suspect.path, set()).add(suspect.line)
        for piece in self._pieces:
            lines.setdefault(piece.path, set()).update(range(piece.line, piece.last + 1))
        return Evidence("\n".join([*self.parts, *lines]), lines)


def _code_by_file(texts: Iterable[str], places: dict[str, tuple[str, int]]) -> str:
    """Return excerpts by file, in the order of their lines."""
    files: dict[str, list[str]] = {}
    # Parts come by importance; code is easier to follow in the order of the file.
    for text in sorted(texts, key=lambda text: places[text]):
        path, _ = places[text]
        files.setdefault(path, []).append(text)
    blocks = []
    for path, excerpts in files.items():
        code = "\n\n".join(excerpts)
        blocks.append(f"{path}:\n{_python_block(code)}")
    return "\n\n".join(blocks)


def _python_block(code: str) -> str:
    return f"```python\n{code}\n```"


def _describe(case: Case) -> str:
    """Describe what only this case has: the test, observations, calls, suspects and the fix."""
    failure = case.cause.first
    paragraphs = [_describe_test(failure), _describe_observations(failure)]
    calls = _traced_calls(case)
    if calls:
        paragraphs.append("\n".join(["Calls:", *calls]))
    if case.breakage.pieces:
        paragraphs.append(_describe_breakage(case.breakage))
    if case.suspects:
        lines = ["Suspicious lines:"]
        for suspect in case.suspects[:MAX_SUSPECTS]:
            source = one_line(suspect.source, 60)
            lines.append(f"{suspect.path}:{suspect.line}: {source}")
        paragraphs.append("\n".join(lines))
    if case.fix is not None:
        diff = "\n".join(changed_lines(case.fix.diff)[:MAX_DIFF_LINES])
        paragraphs.append(f"With this change it passes:\n```diff\n{diff}\n```")
    return "\n\n".join(paragraphs)


def _describe_breakage(breakage: Breakage) -> str:
    """Describe the change that broke the test, as its removed and added lines."""
    pieces = breakage.pieces[:MAX_PIECES]
    limit = MAX_DIFF_LINES // len(pieces)
    lines: list[str] = []
    for piece in pieces:
        lines += [f"@@ {piece.path}:{piece.line}", *piece.shown_diff(limit)]
    diff = "\n".join(line[:100] for line in lines)
    title = "This change broke it; without it, the test passes"
    if len(breakage.pieces) > 1:
        title = "These changes broke it; without them, the test passes"
    return f"{title}:\n```diff\n{diff}\n```"


def _describe_test(failure: Failure) -> str:
    text = f"Test: {failure.nodeid} fails with {failure.exception}"
    if not failure.frames:
        return text
    frame = failure.frames[0]
    # The node id has the path already.
    if failure.nodeid.startswith(f"{frame.path}::"):
        text += f" at line {frame.line}"
    else:
        text += f" at {frame.path}, line {frame.line}"
    if not frame.source:
        return text
    return f"{text}:\n{_test_source(frame)}"


def _describe_observations(failure: Failure) -> str:
    lines = [f"Seen: {failure.seen}"]
    # pytest's message of an assertion repeats what was seen in a longer form.
    is_assertion = failure.exception == "AssertionError" and failure.message.startswith("assert ")
    if failure.message and failure.message not in failure.seen and not is_assertion:
        lines.append(f"{failure.exception}: {one_line(failure.message, 200)}")
    lines += [one_line(fact, 120) for fact in failure.facts[:3]]
    lines += [one_line(text, 200) for text in failure.extra[:2]]
    return "\n".join(lines)


def _test_source(frame: Frame) -> str:
    """Return the failing test around the line that failed, which is marked."""
    lines = frame.source.split("\n")
    # The source may be cut, so that the line is not in it.
    last = len(lines) - 1
    index = min(max(frame.line - frame.first_line, 0), last)
    lines[index] += "  # fails here"
    # Most of the lines shown are those before the one that failed.
    lines_before = MAX_TEST_LINES * 3 // 4
    last_first = len(lines) - MAX_TEST_LINES
    first = max(0, min(index - lines_before, last_first))
    excerpt = lines[first : first + MAX_TEST_LINES]
    if first > 0:
        excerpt = [lines[0], "    ...", *excerpt]
    return _python_block("\n".join(line[:100] for line in excerpt))


def _traced_calls(case: Case) -> list[str]:
    """Return the first traced call of each of the most suspicious functions."""
    if not case.replay.failing:
        return []
    first_calls: dict[tuple[str, int], Call] = {}
    for call in case.replay.failing[0].calls:
        first_calls.setdefault((call.path, call.line), call)
    texts = []
    for excerpt in case.excerpts:
        place = excerpt.path, excerpt.first
        if place in first_calls:
            call = first_calls.pop(place)
            arguments = one_line(call.arguments, 80)
            outcome = one_line(call.outcome, 80)
            texts.append(f"{call.function}({arguments}) {outcome}")
    return texts[:MAX_CALLS]


class _AnswerStream:
    """Marks an answer while it is written.

    A JSON object or a fence is held back until the end, when its words are taken out of it.
    """

    def __init__(self, evidence: Evidence, on_text: OnText) -> None:
        self._grounding = Grounding(evidence)
        self._on_text = on_text
        self._beginning: str | None = ""

    def add(self, piece: str) -> None:
        if self._beginning is None:
            self._show(self._grounding.add(piece))
            return
        self._beginning += piece
        text = self._beginning.lstrip()
        if text and not text.startswith(("{", "`")):
            self._show(self._grounding.add(self._beginning))
            self._beginning = None

    def end(self) -> None:
        if self._beginning:
            self._show(self._grounding.add(clean_answer(self._beginning)))
        self._show(self._grounding.end())

    def _show(self, text: str) -> None:
        if text:
            self._on_text(text)
