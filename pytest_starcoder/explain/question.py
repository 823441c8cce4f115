"""Why a test failed: the evidence of one cause, asked about in the form that the model was trained on.

The prompt begins with what is constant, goes on with the code that all causes
of one file share, and ends with the case: a server that remembers how a prompt
began reads of the second one little more than its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.explain.explanation import Explanation
from pytest_starcoder.explain.failure import Frame
from pytest_starcoder.explain.grounding import Evidence, Grounding
from pytest_starcoder.model.answer import answer
from pytest_starcoder.model.answer_quality import clean_answer, judge
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.client import Client, cap_answer, fit, shorten_to_fit
from pytest_starcoder.model.prompt import Model, Prompt
from pytest_starcoder.model.prompts import FORMS, family, render
from pytest_starcoder.redaction.values import with_texts
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.diff import changed_lines
from pytest_starcoder.text.display import one_line

Redact = Callable[[str], str]

TEST_LINES = 10
"""Lines of the failing test that are shown at the most."""

CALLS = 2
"""Traced calls that are shown, of different functions."""

SUSPECTS = 2
"""Lines that the model is told to be suspicious."""

DIFF_LINES = 12
"""Lines of a fix that are shown at the most."""

SHARED = 4500
"""Characters of code that the causes of one file may share."""

ROOM = 3800
"""Tokens of a prompt by the estimate, which is too many by half: with its answer it fits the smallest window."""


def observed(case: Case, redact: Redact) -> Explanation:
    """What is known of a cause without a model."""
    failure = case.cause.first
    where = failure.frames[-1] if failure.frames else None
    explanation = Explanation(
        failure.seen,
        exception=failure.exception,
        phase=failure.phase,
        path=where.path if where else "",
        line=where.line if where else 0,
        function=where.function if where else "",
        nodeids=case.cause.nodeids,
        facts=(*failure.facts, *case.changed),
        frames=failure.frames,
        calls=() if case.suspects else failure.callees,
        suspects=case.suspects,
        replay=case.replay.statements,
        order=case.replay.order,
        extra=failure.extra,
    )
    return with_texts(explanation, redact)


def explain(
    case: Case, client: Client, on_text: OnText, redact: Redact, shared: Sequence[Excerpt] = ()
) -> Explanation:
    """What is known of a cause, and why `client`'s model thinks it happened; `on_text` gets that as it is written.

    What the model names and was not shown is marked in it. Raises a
    BackendError, or UnreadableAnswer where the model wrote nothing of use.
    """
    kind = family(client.model(), client.settings.family)
    question = Question(case, redact, shared)
    prompt = fit(lambda parts: question.render(kind, parts), question.parts, client, ROOM)
    stream = _Stream(question.evidence(), lambda piece: on_text(redact(piece)))
    try:
        completion = answer(prompt, FORMS[kind, "explain"].lead, client, stream.add)
    finally:
        stream.end()  # what came before a break as well
    words = clean_answer(completion.text)
    flaw = judge(completion.text, question.text, render(kind, "explain", code="", case="").text)
    grounded = Grounding(question.evidence())
    why = (grounded.add(words) + grounded.end()).strip()
    if not why:
        raise UnreadableAnswer(
            f"{completion.model} answered with nothing.", "Another model may do better."
        )
    return replace(
        observed(case, redact),
        why=redact(why),
        model=completion.model,
        truncated=completion.truncated,
        from_cache=completion.from_cache,
        flaw=flaw,
        unsupported=tuple(grounded.unsupported),
    )


def prompt_of(
    case: Case, settings: Settings, redact: Redact, shared: Sequence[Excerpt] = ()
) -> Prompt:
    """The prompt that `explain` sends, made without asking: the model is told by its name, tokens are estimated."""
    kind = family(Model(settings.model, "", "", 0), settings.family)
    question = Question(case, redact, shared)
    return shorten_to_fit(
        lambda parts: cap_answer(question.render(kind, parts), settings),
        question.parts,
        lambda prompt: estimate(prompt.text) <= ROOM,
    )


def shared_code(cases: Sequence[Case]) -> dict[str, tuple[Excerpt, ...]]:
    """By test file the code of all its causes, so that their prompts can begin alike; none where that is too much."""
    found: dict[str, dict[tuple[str, int], Excerpt]] = {}
    for case in cases:
        file = found.setdefault(file_of(case), {})
        for excerpt in case.excerpts:
            file.setdefault((excerpt.path, excerpt.first), excerpt)
    return {
        file: tuple(code.values())
        if sum(len(excerpt.text) for excerpt in code.values()) <= SHARED
        else ()
        for file, code in found.items()
    }


def file_of(case: Case) -> str:
    """The test file of a cause."""
    return case.cause.first.nodeid.partition("::")[0]


class Question:
    """What a prompt says of a case; `parts` are its texts, the most telling first."""

    def __init__(self, case: Case, redact: Redact, shared: Sequence[Excerpt]) -> None:
        self._excerpts = {(found.path, found.first): found for found in (*case.excerpts, *shared)}
        self._texts = {redact(found.text): place for place, found in self._excerpts.items()}
        self._redact = redact
        self._case = redact(_case(case))
        self._frames = case.cause.first.frames
        self._suspects = case.suspects
        self.parts = [self._case, *self._texts]

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.parts)

    def render(self, kind: str, parts: Sequence[str]) -> Prompt:
        """The prompt of `parts`, the first of which is the case."""
        return render(
            kind, "explain", code=self._redact(_code(parts[1:], self._texts)), case=parts[0]
        )

    def evidence(self) -> Evidence:
        """What an answer may speak of."""
        lines: dict[str, set[int]] = {}
        for excerpt in self._excerpts.values():
            lines.setdefault(excerpt.path, set()).update(excerpt.lines)
        for frame in self._frames:
            count = frame.source.count("\n") + 1
            lines.setdefault(frame.path, set()).update(
                range(frame.first_line, frame.first_line + count)
            )
        for suspect in self._suspects:
            lines.setdefault(suspect.path, set()).add(suspect.line)
        return Evidence("\n".join([*self.parts, *lines]), lines)


def _code(texts: Iterable[str], places: dict[str, tuple[str, int]]) -> str:
    """The code of excerpts by file, in the order in which it stands there."""
    files: dict[str, list[str]] = {}
    for text in sorted(texts, key=lambda text: places[text]):
        files.setdefault(places[text][0], []).append(text)
    shown = ("\n\n".join(found) for found in files.values())
    return "\n\n".join(
        f"{path}:\n```python\n{text}\n```" for path, text in zip(files, shown, strict=True)
    )


def _case(case: Case) -> str:
    """What only this case has: the test, what was seen of it, what was called, which lines are suspicious."""
    failure = case.cause.first
    told = [f"Test: {failure.nodeid} fails with {failure.exception}"]
    if failure.frames:
        first = failure.frames[0]
        path = "" if failure.nodeid.startswith(f"{first.path}::") else f"{first.path}, "
        told[0] += f" at {path}line {first.line}"
        if first.source:
            told[0] += f":\n{_test(first)}"
    seen = [f"Seen: {failure.seen}"]
    compared = failure.exception == "AssertionError" and failure.message.startswith(
        "assert "
    )  # seen says it better
    if failure.message and failure.message not in failure.seen and not compared:
        seen.append(f"{failure.exception}: {one_line(failure.message, 200)}")
    seen += [one_line(fact, 120) for fact in failure.facts[:3]]
    seen += [one_line(extra, 200) for extra in failure.extra[:2]]
    told.append("\n".join(seen))
    if calls := _calls(case):
        told.append("Calls:\n" + "\n".join(calls))
    if case.suspects:
        lines = [
            f"{found.path}:{found.line}: {one_line(found.source, 60)}"
            for found in case.suspects[:SUSPECTS]
        ]
        told.append("Suspicious lines:\n" + "\n".join(lines))
    if case.fix is not None:
        changed = changed_lines(case.fix.diff)
        told.append(
            "With this change it passes:\n```diff\n" + "\n".join(changed[:DIFF_LINES]) + "\n```"
        )
    return "\n\n".join(told)


def _test(frame: Frame) -> str:
    """The failing test around the line that failed, which says so."""
    lines = frame.source.split("\n")
    index = min(max(frame.line - frame.first_line, 0), len(lines) - 1)
    lines[index] += "  # fails here"
    first = max(0, min(index - TEST_LINES * 3 // 4, len(lines) - TEST_LINES))
    shown = [line[:100] for line in lines[first : first + TEST_LINES]]
    return (
        "```python\n"
        + "\n".join(([lines[0][:100], "    ..."] if first > 0 else []) + shown)
        + "\n```"
    )


def _calls(case: Case) -> list[str]:
    """The first traced calls of the functions that hold the most suspicious lines."""
    found: dict[tuple[str, int], str] = {}
    for excerpt in case.excerpts:
        for call in case.replay.failing[0].calls if case.replay.failing else ():
            place = call.path, call.line
            if place == (excerpt.path, excerpt.first) and place not in found and len(found) < CALLS:
                found[place] = (
                    f"{call.function}({one_line(call.arguments, 80)}) {one_line(call.outcome, 80)}"
                )
    return list(found.values())


class _Stream:
    """The answer as it is written, with marks; an object or a fence is kept back, since its words come out of it."""

    def __init__(self, evidence: Evidence, on_text: OnText) -> None:
        self._grounded = Grounding(evidence)
        self._on_text = on_text
        self._held: str | None = ""

    def add(self, piece: str) -> None:
        if self._held is None:
            self._say(self._grounded.add(piece))
            return
        self._held += piece
        begun = self._held.lstrip()
        if begun and not begun.startswith(("{", "`")):
            self._say(self._grounded.add(self._held))
            self._held = None

    def end(self) -> None:
        if self._held:
            self._say(self._grounded.add(clean_answer(self._held)))
        self._say(self._grounded.end())

    def _say(self, text: str) -> None:
        if text:
            self._on_text(text)
