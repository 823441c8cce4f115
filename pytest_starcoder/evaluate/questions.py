"""Puts problems to models, each in the form that its family answers best, and reads the answers.

| family              | form                                   | answer                      |
| ------------------- | -------------------------------------- | --------------------------- |
| chat                | EvalPlus's request for a code block    | a whole program             |
| starcoder2-instruct | its authors', with the block opened    | the rest of the function    |
| all others          | bigcode-evaluation-harness's bare text | the rest of the function    |
"""

from __future__ import annotations

from dataclasses import replace

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.pass_at_k import CONTINUATION, Problem, Sampling
from pytest_starcoder.model.code_blocks import extract_code
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.model.prompts import render

CHAT = "chat"
STARCODER2_INSTRUCT = "starcoder2-instruct"

INSTRUCTIONS = {
    CHAT: "Please provide a self-contained Python script that solves the following problem "
    "in a markdown code block:",
    STARCODER2_INSTRUCT: "Write a Python function to solve the following task:",
}

# Tokens of prompt and answer: the answer repeats the function that it completes.
INSTRUCT_WINDOW = 1280

# Not "\n```\n", which would also end an answer at an opening fence without a label.
END_OF_BLOCK = "\n```\n\n"

NOTICE = "# Here is the correct implementation of the code exercise\n"

# Stops that are special tokens of StarCoder2; servers must get them as such.
CONTROL_STOPS = frozenset({"<file_sep>"})

# The prefix of StarCoder-Prompted, from Hugging Face's post on StarCoder.
#
# The form for StarCoder2 is ours and has not been measured by others.
PREFIXES = {
    "starcoder": f"<filename>solutions/solution_1.py\n{NOTICE}",
    "starcoder2": f"<file_sep>solutions/solution_1.py\n{NOTICE}",
}


def choose_form(sampling: Sampling, family: str, *, prompted: bool = False) -> Sampling:
    """Return `sampling` with the form for a family of models, and its window and prefix.

    Raises ConfigError if an instruct model is to be `prompted`.
    """
    if family not in INSTRUCTIONS:
        # A family that knows no form of a file gets the comment alone.
        prefix = PREFIXES.get(family, NOTICE) if prompted else ""
        return replace(sampling, prefix=prefix)
    if prompted:
        raise ConfigError(
            "--prompted is for models that continue a text, and this one follows instructions.",
            "Leave it out, or set STARCODER_FAMILY to completion.",
        )
    return replace(sampling, form=family, window=INSTRUCT_WINDOW)


def make_prompt(problem: Problem, sampling: Sampling, family: str) -> Prompt:
    """Return the prompt for a problem, without its limits."""
    if sampling.form == CONTINUATION:
        return _continuation(problem, sampling, family)
    question = f"{INSTRUCTIONS[sampling.form]}\n```python\n{problem.prompt.strip()}\n```"
    prompt = render(sampling.form, "ask", question=question)
    if sampling.form == CHAT:
        return replace(prompt, stop=(END_OF_BLOCK,))
    text = f"{prompt.text}```python\n{problem.prompt}"
    return replace(prompt, text=text, stop=("\n```",))


def _continuation(problem: Problem, sampling: Sampling, family: str) -> Prompt:
    stop_tokens: frozenset[str] = frozenset()
    # Other models read the token as plain text.
    if family == "starcoder2":
        stop_tokens = CONTROL_STOPS.intersection(problem.stop)
    return Prompt(
        sampling.prefix + problem.prompt,
        # In the order of the harness: some servers accept only the first few.
        stop=tuple(stop for stop in problem.stop if stop not in stop_tokens),
        stop_tokens=tuple(sorted(stop_tokens)),
    )


def read_answer(text: str, form: str) -> tuple[str, bool]:
    """Return the code in an answer, and whether it is a whole program."""
    if form != CHAT:
        return text, False
    # Without code, the answer itself shows in the file why it failed.
    return extract_code(text, "python") or text, True
