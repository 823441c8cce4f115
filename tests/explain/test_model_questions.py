"""The questions of one session to a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.failures import MemoryBackend, Screen, make_case

from pytest_starcoder.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
    StarcoderError,
)
from pytest_starcoder.explain.explanation import Answer
from pytest_starcoder.explain.model_questions import INTERRUPTED, ModelQuestions
from pytest_starcoder.explain.prefetch import PrefetchedAnswers
from pytest_starcoder.model.client import Client
from pytest_starcoder.settings import Settings

WHY = "The test fails because the divisor is one too small."
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

        def make_client(settings: Settings) -> Client:
            self.client = Client(backend, settings)
            return self.client

        self.conversation = ModelQuestions(
            self.screen.section, str, prefetched, make_client=make_client
        )
        self.conversation.connect(settings or Settings())

    def ask(self, *names: str) -> list[Answer]:
        """Ask about one case for each name."""
        return [self.conversation.ask(make_case(name), ()) for name in names]


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
    talk = Talk(MemoryBackend((" ...",)))
    talk.ask("test_one")
    assert "(tiny:1b, a guess; it " in talk.screen.text


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
    assert conversation.ask(CASE, ()).note == "not asked: the run was interrupted."
    assert conversation.ask(SECOND, ()).note == "not asked, see above"
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
    assert answer.note == "broken off: It failed."
    assert talk.screen.lines == [
        f"     why       {WHY} … (tiny:1b, a guess)",
        "               broken off: It failed.",
    ]


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
    talk = Talk(MemoryBackend((" \x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2Jup \u202eabc \x08",)))
    talk.ask("test_one")
    assert not {"\x1b", "\x9b", "\x07", "\x08", "\u202e"} & set(talk.screen.text)
    assert talk.screen.text.endswith("up abc (tiny:1b, a guess)\n")
