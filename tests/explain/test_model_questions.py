"""The questions of one session to a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from support.failures import MemoryBackend, Screen, make_case, make_fix

from pytest_starcoder.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
    StarcoderError,
)
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.explanation import Answer
from pytest_starcoder.explain.fixes import NO_FIXES, Fixes
from pytest_starcoder.explain.model_questions import INTERRUPTED, ModelQuestions
from pytest_starcoder.explain.prefetch import PrefetchedAnswers
from pytest_starcoder.explain.question import NOTHING_SEEN
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.model.client import Client
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.settings import Settings

WHY = "The test fails because the divisor is 2, one too small."
NO_PREFETCH = PrefetchedAnswers()
CASE, SECOND = make_case("test_one"), make_case("test_two")


class Talk:
    """A conversation with a backend in memory."""

    def __init__(
        self,
        backend: MemoryBackend,
        settings: Settings | StarcoderError | None = None,
        prefetched: PrefetchedAnswers = NO_PREFETCH,
        width: int = 200,
    ) -> None:
        self.screen = Screen(width)
        self.client: Client | None = None
        self.corrections: list[str] = []

        def make_client(settings: Settings) -> Client:
            self.client = Client(backend, settings)
            return self.client

        self.conversation = ModelQuestions(
            self.screen.section, str, prefetched, make_client=make_client
        )
        self.conversation.connect(settings or Settings())

    def ask(self, *names: str) -> list[Answer]:
        """Ask about one case for each name."""
        return [self.ask_about(make_case(name))[0] for name in names]

    def ask_about(self, case: Case, correction: Fixes = NO_FIXES) -> tuple[Answer, Fixes | None]:
        """Ask about a case; trying what the model suggests has the result `correction`."""

        def try_correction(code: str) -> Fixes:
            self.corrections.append(code)
            return correction

        return self.conversation.ask(case, try_correction)


def raising(error: BaseException) -> Callable[[], None]:
    def raise_error() -> None:
        raise error

    return raise_error


def test_answer() -> None:
    talk = Talk(MemoryBackend())
    [answer] = talk.ask("test_one")
    assert answer == Answer(WHY, "tiny:1b")
    assert talk.screen.lines == [f"     why       {WHY} (tiny:1b, a guess)"]
    assert (talk.conversation.model, talk.conversation.server) == ("tiny:1b", "Memory")
    assert (talk.conversation.answered, talk.conversation.calls) == (1, 1)
    assert talk.conversation.outage == ""
    assert talk.conversation.place == "tiny:1b on Memory"


def test_heading_says_why_the_coder_model_answers() -> None:
    talk = Talk(MemoryBackend())
    assert talk.client is not None
    talk.client.fallback = "Nothing answers at http://127.0.0.1:11434."
    assert talk.conversation.place == (
        "tiny:1b on Memory; Nothing answers at http://127.0.0.1:11434"
    )


def test_truncated_answer() -> None:
    talk = Talk(MemoryBackend(truncated=True))
    talk.ask("test_one")
    assert talk.screen.lines == [f"     why       {WHY} … (tiny:1b, a guess)"]


def test_flaw() -> None:
    talk = Talk(MemoryBackend((" it is 2. So it is. So it is.",)))
    talk.ask("test_one")
    assert talk.screen.text.endswith("(tiny:1b, a guess; it repeats itself)\n")


NOTHING = "none shown: what tiny:1b says names nothing that was seen"


def test_answer_that_names_nothing() -> None:
    talk = Talk(MemoryBackend((" the code is wrong.",)))
    assert talk.ask("test_one") == [Answer(note=NOTHING)]
    assert talk.screen.lines == [f"     why       {NOTHING}"]
    assert talk.conversation.answered == 0


def test_prefetched_answer_that_names_nothing() -> None:
    answer = Answer("So it is.", "tiny:1b", flaw=NOTHING_SEEN)
    prefetched = PrefetchedAnswers({"tests/test_shop.py::test_one": answer}, calls=2, questions=1)
    talk = Talk(MemoryBackend(), prefetched=prefetched)
    assert talk.ask("test_one") == [Answer(note=NOTHING)]


def test_prefetched_answer() -> None:
    answer = Answer("So it is.", "tiny:1b", from_cache=True)
    prefetched = PrefetchedAnswers({"tests/test_shop.py::test_one": answer}, calls=2, questions=1)
    backend = MemoryBackend()
    talk = Talk(backend, prefetched=prefetched)
    assert talk.ask("test_one") == [answer]
    assert talk.screen.lines == ["     why       So it is. (tiny:1b, a guess, remembered)"]
    assert (talk.conversation.calls, backend.prompts) == (2, [])


@pytest.mark.parametrize("prefetched", [0, 1])
def test_limit_of_causes(prefetched: int) -> None:
    backend = MemoryBackend()
    talk = Talk(backend, Settings(causes=1 + prefetched), PrefetchedAnswers({}, 0, prefetched))
    answers = talk.ask("test_one", "test_two", "test_three")
    limit = 1 + prefetched
    assert [answer.note for answer in answers] == [
        "",
        f"not asked: the setting causes is {limit}. Ask about more with --starcoder-causes=N.",
        "not asked, see above",
    ]
    assert talk.screen.lines[1:] == [f"     why       {answer.note}" for answer in answers[1:]]
    assert len(backend.prompts) == 1


def test_no_causes() -> None:
    backend = MemoryBackend()
    [answer] = Talk(backend, Settings(causes=0)).ask("test_one")
    assert answer.note.startswith("not asked: the setting causes is 0.")
    assert backend.prompts == []


def test_interrupted_run() -> None:
    screen = Screen()
    conversation = ModelQuestions(screen.section, str, NO_PREFETCH, INTERRUPTED)
    notes = [conversation.ask(case, lambda _: NO_FIXES)[0].note for case in (CASE, SECOND)]
    assert notes == ["not asked: the run was interrupted.", "not asked, see above"]
    assert (conversation.model, conversation.server, conversation.client) == ("", "", None)
    conversation.close()


def test_bad_settings() -> None:
    talk = Talk(MemoryBackend(), ConfigError("There is no such setting.", "Remove it."))
    [first, second] = talk.ask("test_one", "test_two")
    assert first.note == "no model: There is no such setting. Remove it."
    assert second.note == "not asked, see above"


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (BackendUnavailable("Nothing answers.", "Start it."), "Nothing answers. Start it."),
        (KeyboardInterrupt(), "interrupted."),
        (
            ValueError("boom"),
            "ValueError: boom. Please report this as a bug of pytest-starcoder.",
        ),
    ],
    ids=["away", "ctrl-c", "bug"],
)
def test_connection_error(error: BaseException, note: str) -> None:
    class Away(MemoryBackend):
        def identify(self, deadline: object) -> str:
            raise error

    talk = Talk(Away())
    [first, second] = talk.ask("test_one", "test_two")
    assert first.note == f"no model: {note}"
    assert second.note == "not asked, see above"
    assert talk.conversation.client is None


def test_bug_while_asking() -> None:
    [answer] = Talk(MemoryBackend(before_answer=raising(ValueError("boom")))).ask("test_one")
    bug = "Please report this as a bug of pytest-starcoder."
    assert answer.note == f"no answer: ValueError: boom. {bug}"


def test_one_bad_answer() -> None:
    def answer() -> None:
        pass

    calls: Iterator[Callable[[], None]] = iter([raising(BackendError("It failed.")), answer])
    backend = MemoryBackend(before_answer=lambda: next(calls)())
    first, second = Talk(backend).ask("test_one", "test_two")
    assert (first.note, second.why) == ("no answer: It failed.", WHY)


def test_two_bad_answers() -> None:
    backend = MemoryBackend(before_answer=raising(BackendError("It failed.")))
    answers = Talk(backend).ask("test_one", "test_two", "test_three", "test_four")
    assert [answer.note for answer in answers] == [
        "no answer: It failed.",
        "no answer, as above",
        "not asked, see above",
        "not asked, see above",
    ]
    assert len(backend.prompts) == 2


@pytest.mark.parametrize("error", [BackendTimeout("Too late."), KeyboardInterrupt()])
def test_final_error(error: BaseException) -> None:
    backend = MemoryBackend(before_answer=raising(error))
    first, second = Talk(backend).ask("test_one", "test_two")
    assert first.note.startswith("no answer: ")
    assert second.note == "not asked, see above"
    assert len(backend.prompts) == 1


def test_broken_off_answer() -> None:
    talk = Talk(MemoryBackend(after_pieces=raising(BackendError("It failed."))))
    [answer] = talk.ask("test_one")
    assert answer.note == "no answer: It failed."
    assert talk.screen.lines == ["     why       no answer: It failed."]


def test_empty_answer() -> None:
    [answer] = Talk(MemoryBackend((" ",))).ask("test_one")
    assert answer.note == (
        "no answer: tiny:1b returned an empty answer. Another model may do better."
    )


def test_outage() -> None:
    backend = MemoryBackend(before_answer=raising(BackendUnavailable("Nothing answers.")))
    talk = Talk(backend)
    assert talk.client is not None
    talk.client.outage = BackendUnavailable("Nothing answers.", "Start it.")
    answers = talk.ask("test_one", "test_two", "test_three")
    # All are tried, because any of them may be in the cache.
    assert [answer.note for answer in answers[1:]] == ["no answer, as above"] * 2
    assert talk.conversation.outage == ("Nothing answers. The answers are those it gave before.")


def test_control_characters() -> None:
    talk = Talk(MemoryBackend((" \x1b[31mred\x1b[0m \x1b]0;title\x07 \x08 \x9b2Jup \u202eabc",)))
    talk.ask("test_one")
    assert not {"\x1b", "\x9b", "\x07", "\x08", "\u202e"} & set(talk.screen.text)
    assert talk.screen.text.endswith("up abc. (tiny:1b, a guess)\n")


# --- where a change was checked ------------------------------------------------------------

FIX = make_fix("-    return total / 3\n+    return total / 2")
FIXED = replace(CASE, fix=FIX)
LEAD = "With `return total / 2` instead of `return total / 3` the test passes"


def test_fix_is_explained() -> None:
    talk = Talk(MemoryBackend())
    answer, fixes = talk.ask_about(FIXED)
    assert answer == Answer(f"{LEAD}, because the divisor is 2, one too small.", "tiny:1b")
    assert fixes is None
    assert talk.screen.lines == [f"     why       {answer.why} (tiny:1b, a guess)"]


def test_only_what_was_checked() -> None:
    talk = Talk(MemoryBackend((" `zap` is 17.",)))
    answer, _ = talk.ask_about(FIXED)
    assert (answer.why, answer.model) == (f"{LEAD}.", "")
    assert talk.screen.lines == [f"     why       {LEAD}."]
    assert talk.conversation.answered == 1


def test_earlier_answer_knows_nothing_of_the_fix() -> None:
    early = Answer("So it is.", "tiny:1b")
    prefetched = PrefetchedAnswers({"tests/test_shop.py::test_one": early}, calls=2, questions=1)
    answer, _ = Talk(MemoryBackend(), prefetched=prefetched).ask_about(FIXED)
    assert answer.why.startswith(LEAD)


@pytest.mark.parametrize("settings", [Settings(), Settings(family="chat")])
def test_rival_fixes(settings: Settings) -> None:
    talk = Talk(MemoryBackend(), settings)
    answer, _ = talk.ask_about(replace(CASE, fix=replace(FIX, checked=False)))
    assert answer == Answer(note="none shown: other fixes may be right as well")
    assert talk.conversation.calls == 0


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (BackendUnavailable("It is gone.", "Start it."), "no answer: It is gone. Start it."),
        (KeyboardInterrupt(), "no answer: interrupted."),
    ],
    ids=["away", "ctrl-c"],
)
@pytest.mark.parametrize("when", ["before_answer", "after_pieces"])
def test_server_gone_after_the_change(error: BaseException, note: str, when: str) -> None:
    backend = MemoryBackend()
    setattr(backend, when, raising(error))
    talk = Talk(backend)
    answer, _ = talk.ask_about(FIXED)
    assert answer == Answer(f"{LEAD}.", note=note)
    assert talk.screen.lines == [f"     why       {LEAD}.", f"               {note}"]
    assert talk.ask("test_two")[0].note == "not asked, see above"


# --- where a model corrects a function -----------------------------------------------------

CHAT = Settings(family="chat")
FAILED_AGAIN = replace(CASE, replay=Replay((Outcome("tests/test_shop.py::test_one", "failed"),)))
SUGGESTION = "```python\ndef mean(xs):\n    return total / 2\n```\n"
PASSING = Fixes((replace(FIX, model="tiny:1b"),), tried=1)


def answering(*answers: str) -> MemoryBackend:
    """Return a backend that gives one answer after another."""
    backend = MemoryBackend()
    remaining = iter(answers)

    def answer_next() -> None:
        backend.answer = (next(remaining),)

    backend.before_answer = answer_next
    return backend


def test_correction_passes() -> None:
    talk = Talk(answering(SUGGESTION, " the divisor is 3."), CHAT)
    answer, fixes = talk.ask_about(FAILED_AGAIN, PASSING)
    assert talk.corrections == ["def mean(xs):\n    return total / 2\n"]
    assert fixes == PASSING
    assert answer == Answer(f"{LEAD}, because the divisor is 3.", "tiny:1b")
    assert talk.screen.lines == [
        "     fix       checked: 1 failing test passes; written by tiny:1b",
        "                 shop.py:11",
        "                 -    return total / 3",
        "                 +    return total / 2",
        f"     why       {answer.why} (tiny:1b, a guess)",
    ]


@pytest.mark.parametrize(
    ("tried", "note"),
    [
        (Fixes(tried=1), "none shown: the test fails with what tiny:1b suggests, too"),
        (NO_FIXES, "none shown: tiny:1b suggests no change that can be tried"),
        (Fixes(note="interrupted"), "none shown: interrupted"),
    ],
    ids=["fails", "not-tried", "interrupted"],
)
def test_correction_is_not_shown(tried: Fixes, note: str) -> None:
    talk = Talk(answering(SUGGESTION), CHAT)
    assert talk.ask_about(FAILED_AGAIN, tried) == (Answer(note=note), None)
    assert talk.screen.lines == [f"     why       {note}"]


def test_server_gone_before_correction() -> None:
    backend = MemoryBackend(before_answer=raising(BackendError("It failed.")))
    answer, fixes = Talk(backend, CHAT).ask_about(FAILED_AGAIN)
    assert (answer, fixes) == (Answer(note="no answer: It failed."), None)


def test_server_gone_after_correction() -> None:
    answers = iter([lambda: None, raising(BackendError("It failed."))])
    backend = MemoryBackend((SUGGESTION,), before_answer=lambda: next(answers)())
    answer, fixes = Talk(backend, CHAT).ask_about(FAILED_AGAIN, PASSING)
    assert answer == Answer(f"{LEAD}.", note="no answer: It failed.")
    assert fixes == PASSING, "the fix was checked, whatever the model says of it"


def test_secret_in_correction() -> None:
    screen = Screen(200)
    client = Client(answering(SUGGESTION, " the divisor is 3."), CHAT)
    conversation = ModelQuestions(
        screen.section,
        lambda text: text.replace("total", "t***l"),
        NO_PREFETCH,
        make_client=lambda _: client,
    )
    conversation.connect(CHAT)
    _, fixes = conversation.ask(FAILED_AGAIN, lambda _: PASSING)
    assert "total" not in screen.text
    assert fixes == PASSING, "a redacted fix could not be applied"


@pytest.mark.parametrize(
    ("case", "settings"),
    [(CASE, CHAT), (FAILED_AGAIN, replace(CHAT, fix=False)), (FAILED_AGAIN, Settings())],
    ids=["not-run-again", "no-fixes-wanted", "base-model"],
)
def test_guess_where_no_correction_can_be_tried(case: Case, settings: Settings) -> None:
    talk = Talk(MemoryBackend(), settings)
    answer, _ = talk.ask_about(case)
    assert (answer.why, talk.corrections) == (WHY, [])
