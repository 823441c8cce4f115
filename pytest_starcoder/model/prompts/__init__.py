"""The documents that models are asked to continue: one folder a family, one text file a form.

A base model continues a text and does not follow instructions. Every form of its families is the
beginning of a document of a kind that it was trained on, up to the words that only the answer can
follow. The two instruct families share their instructions.

| family              | trained on                       | stop texts       | stop tokens        |
| ------------------- | -------------------------------- | ---------------- | ------------------ |
| starcoder2          | issues, questions, files, holes  | a new comment    | the next part      |
| starcoder           | the same, and commits            | a new comment    | the next part      |
| starcoder2-instruct | instructions and responses       | `###`            | end of text        |
| chat                | messages, in a template          | none             | the template's own |
| completion          | anything; worked examples        | the next example | none that we know  |

Holes in files are filled with the tokens of `fill_tokens.py` where the model has them, whatever
its family: each row there has a folder here, with the forms `fill` and `test-fill`.

StarCoder2's forms are those of arXiv:2402.19173, section 5; the first StarCoder's those of its
playground; the instruct model's that of its card.

Each backend tells its server the stop tokens in its own way: llama.cpp needs them among
`preserved_tokens`; Ollama up to 0.24 matches them as text, and from 0.30 on not at all. For this
reason every form also ends by text or by a number of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

from pytest_starcoder.model.fill_tokens import FILL_TOKENS
from pytest_starcoder.model.model_name import (
    is_base_name,
    is_instruct_name,
    is_starcoder_instruct_name,
)
from pytest_starcoder.model.prompt import Model, Prompt
from pytest_starcoder.model.special_tokens import neutralize


@dataclass(frozen=True)
class Form:
    """Limits of an answer; `lead` is its beginning, which the prompt already contains."""

    stop: tuple[str, ...] = ()
    stop_tokens: tuple[str, ...] = ()
    max_tokens: int = 500
    lead: str = ""


_CAUSE = "The test fails because"
_END = ("<|endoftext|>",)
_ISSUE = ("<issue_comment>", "<issue_closed>", "<issue_start>", "<file_sep>", *_END)
_FILE = ("<file_sep>", "<repo_name>", "<issue_start>", "<pr>", "<jupyter_start>", *_END)
_REVIEW = (
    "<pr>",
    "<pr_status>",
    "<pr_file>",
    "<pr_diff>",
    "<pr_diff_hunk>",
    "<pr_comment>",
    "<pr_event_id>",
    "<pr_review>",
    "<pr_review_state>",
    "<pr_review_comment>",
    "<pr_base>",
    "<pr_base_code>",
    "<pr_in_reply_to_comment_id>",
    "<file_sep>",
    *_END,
)

# The first StarCoder, which names some parts otherwise.
_ISSUE_1 = ("<issue_comment>", "<issue_closed>", "<issue_start>", "<filename>", *_END)
_FILE_1 = ("<filename>", "<reponame>", "<issue_start>", "<jupyter_start>", *_END)
_COMMIT = ("<commit_before>", "<commit_msg>", "<commit_after>", "<filename>", *_END)

_SCRIPT = ("\nif __name__",)
_REMARK = ("\n", "username_")
_INSTRUCT = ("###",)
_FENCE = ("\n```",)

_FORMS_BY_FAMILY = {
    "starcoder2": {
        "explain": Form(("\nusername_", "\n\n"), _ISSUE, 120, _CAUSE),
        "ask": Form(("\nusername_", "\nUpvotes:"), _ISSUE),
        "code": Form((), _FILE),
        "describe": Form(("\nusername_", "\n\n\n"), _ISSUE, 250, "It"),
        "edit": Form((*_FENCE, "\nusername_"), _ISSUE),
        "review-state": Form(("\n",), _REVIEW, 6),
        "review-line": Form(("\n",), _REVIEW, 6),
        "review": Form(_REMARK, _REVIEW, 80),
        "test": Form(_SCRIPT, _FILE, 250),
    },
    "starcoder": {
        "explain": Form(("\nusername_", "\n\n"), _ISSUE_1, 120, _CAUSE),
        "ask": Form(("\nusername_",), _ISSUE_1),
        "code": Form((), _FILE_1),
        "describe": Form(("\nusername_", "\n\n\n"), _ISSUE_1, 250, "It"),
        "edit": Form((), _COMMIT),
        "review": Form(_REMARK, _ISSUE_1, 80),
        "test": Form(_SCRIPT, _FILE_1, 250),
    },
    "starcoder2-instruct": {
        "explain": Form((*_INSTRUCT, "\n\n"), _END, 120, _CAUSE),
        "ask": Form(_INSTRUCT, _END),
        "code": Form(_FENCE, _END),
        "describe": Form(_INSTRUCT, _END, 250, "It"),
        "fill": Form(_FENCE, _END, 200),
        "edit": Form(_FENCE, _END),
        "review": Form((*_INSTRUCT, *_REMARK), _END, 80),
        "test": Form(_FENCE, _END, 400),
    },
    "chat": {
        "explain": Form(max_tokens=200),
        "ask": Form(),
        "code": Form(),
        "describe": Form(max_tokens=300),
        "fill": Form(max_tokens=300),
        "edit": Form(),
        "review": Form(max_tokens=300),
        "test": Form(max_tokens=500),
    },
    "completion": {
        "explain": Form(("\n\n", "\nTest:", "\n---"), (), 120, _CAUSE),
        "ask": Form(("\n---", "\nQuestion:")),
        "code": Form(),
        "describe": Form(("\n\n", "\n---", "\nCode:"), (), 250, "It"),
        "fill": Form(max_tokens=200),
        "edit": Form(_FENCE),
        "review": Form(_REMARK, (), 80),
        "test": Form((*_SCRIPT, "\n# File:"), (), 250),
    },
}

FORMS: dict[tuple[str, str], Form] = {}
"""By family and form. The review of StarCoder2 has three forms: state, line and comment."""

for _family, _forms in _FORMS_BY_FAMILY.items():
    for _name, _form in _forms.items():
        FORMS[_family, _name] = _form

for _row, _tokens in FILL_TOKENS.items():
    FORMS[_row, "fill"] = Form((), _tokens.stops, 200)
    FORMS[_row, "test-fill"] = Form(_SCRIPT, _tokens.stops, 250)

INSTRUCT_FAMILIES = ("chat", "starcoder2-instruct")
"""Families that answer an instruction, with code in a block."""


def model_family(model: Model, chosen: str = "auto") -> str:
    """Return the family of a model: `chosen`, or else by what its server and name say."""
    if chosen != "auto":
        return chosen
    description = f"{model.architecture} {model.name}".lower()
    name = model.name.lower().rpartition("/")[2]  # folders before it say nothing
    if "starcoder2" in description and is_starcoder_instruct_name(name):
        return "starcoder2-instruct"
    if is_instruct_name(name):
        return "chat"
    # Others have trained StarCoders to follow instructions, under other names and with a template
    # of messages. A base model may come with a template as well.
    if model.chat and not name.startswith("starcoder") and not is_base_name(name):
        return "chat"
    if "starcoder2" in description:
        return "starcoder2"
    if "starcoder" in description:
        return "starcoder"
    return "completion"


def fill_format(model: Model, chosen: str = "auto") -> str:
    """Return the row of `fill_tokens.py` to fill holes with, or else the model's family.

    A family that the user has chosen stays. Instruct models are asked by tokens only if their
    publisher trained them for it.
    """
    family = model_family(model, chosen)
    tokens = FILL_TOKENS.get(model.fill)
    if tokens is None or chosen != "auto":
        return family
    if family in INSTRUCT_FAMILIES and not tokens.instruct:
        return family
    return model.fill


def render(family: str, form: str, **parts: str) -> Prompt:
    """Fill `parts` into a form. Their special tokens are neutralized, those of the form stay."""
    shape = FORMS[family, form]
    texts = {name: neutralize(text) for name, text in parts.items()}
    if family == "starcoder2-instruct":
        # A chat model is asked for findings as JSON, so the review has a form of its own.
        owner = family if form == "review" else "chat"
        instruction = _template(owner, form).substitute(texts)
        opening = shape.lead
        if shape.stop == _FENCE:
            opening = f"```{texts['language']}\n{texts.get('opening', '')}"
        text = _template(family, "frame").substitute(instruction=instruction, opening=opening)
    else:
        text = _template(family, form).substitute(texts, lead=shape.lead)
    return Prompt(
        text,
        stop=shape.stop,
        max_tokens=shape.max_tokens,
        stop_tokens=shape.stop_tokens,
        chat=family == "chat",
    )


@cache
def _template(family: str, form: str) -> Template:
    path = Path(__file__).parent / family / f"{form}.txt"
    return Template(path.read_text("utf-8").removesuffix("\n"))
