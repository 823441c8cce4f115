"""Why a test failed: the evidence of one cause, asked about in the form that the model was trained on."""

from __future__ import annotations

from pytest_starcoder.backends import OnText
from pytest_starcoder.client import Client, fit
from pytest_starcoder.jobs.answer import answer
from pytest_starcoder.prompts import FORMS, family, render
from pytest_starcoder.values import Cause, Explanation, Failure, Frame, Prompt


def explain(cause: Cause, client: Client, on_text: OnText) -> Explanation:
    """What was seen, and why `client`'s model thinks it happened; `on_text` gets that as it is written.

    Raises a BackendError, or UnreadableAnswer where the model wrote nothing.
    """
    failure = cause.first
    kind = family(client.model(), client.settings.family)
    completion = answer(question(failure, client, kind), FORMS[kind, "explain"].lead, client, on_text)
    return Explanation(
        failure.seen,
        why=completion.text,
        model=completion.model,
        truncated=completion.truncated,
        from_cache=completion.from_cache,
    )


def question(failure: Failure, client: Client, kind: str) -> Prompt:
    """The prompt for `failure` in the form of the family `kind`, with as much evidence as fits."""
    title = f"{failure.nodeid} fails with {failure.exception}"
    return fit(
        lambda parts: render(kind, "explain", title=title, evidence="\n\n".join(parts)), evidence(failure), client
    )


def evidence(failure: Failure) -> list[str]:
    """What is known of a failure, the most telling text first: where it happened, what that calls, who called it."""
    seen = f"Seen: {failure.seen}"
    if failure.message and failure.message not in failure.seen:
        seen += f"\n{failure.exception}: {failure.message}"
    frames, shown = [], set()
    for frame in [*failure.frames[-1:], *failure.callees, *reversed(failure.frames[:-1])]:
        where = (frame.path, frame.first_line)
        if where not in shown and frame.source:
            shown.add(where)
            frames.append(_code(frame))
    return [f"{seen}\n\n{frames[0]}", *frames[1:]] if frames else [seen]


def _code(frame: Frame) -> str:
    return f"{frame.path}, line {frame.line}:\n```python\n{frame.source}\n```"
