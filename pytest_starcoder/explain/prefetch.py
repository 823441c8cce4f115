"""Asks about failures while tests are still running.

A child process asks, so that no thread of ours runs in the process of the tests. It
knows what was observed live, but not what running tests again would show.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from pytest_starcoder import interpreter
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BackendTimeout, BackendUnavailable, StarcoderError
from pytest_starcoder.explain.case import build_cases
from pytest_starcoder.explain.causes import cause_key, group_failures
from pytest_starcoder.explain.explanation import Answer
from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.explain.question import ask_why, can_correct
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.model.client import Client
from pytest_starcoder.redaction.redactor import Redactor
from pytest_starcoder.runner.protocol import Malformed, decode, encode
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import is_loopback, server_url
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.sources import SourceFiles


def should_prefetch(settings: Settings) -> bool:
    """Return whether to ask while tests run.

    With early=auto only a model on another machine is asked: one on this machine would
    slow the tests down.
    """
    if settings.backend == "none" or settings.early == "off":
        return False
    if settings.early == "on":
        return True
    if settings.host:
        return not is_loopback(server_url(settings.host))
    return settings.backend == "huggingface"


@dataclass(frozen=True)
class PrefetchedAnswers:
    """Answers by the node id of the test that was asked about.

    `calls` counts requests to the model, `questions` the causes that were asked about.
    """

    by_nodeid: dict[str, Answer] = field(default_factory=dict)
    calls: int = 0
    questions: int = 0


@dataclass(frozen=True)
class Progress:
    """One line of the child: counts as above, and an answer about `nodeid`, if there is one."""

    calls: int
    questions: int
    nodeid: str = ""
    answer: Answer = field(default_factory=Answer)


_END: dict[str, Any] = {"end": True}
"""Sent after the last failure; without it, the end of the input means that the run was killed."""


class Prefetch:
    """The child process that asks; if it fails, answers are missing."""

    def __init__(self, settings: Settings, root: Path) -> None:
        setup = {
            "settings": {**asdict(settings), "tracked": sorted(settings.tracked)},
            "root": str(root),
        }
        command, variables = interpreter.start("-m", "pytest_starcoder.explain.prefetch", root=root)
        self._child = subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # a Ctrl-C in the terminal is for the tests
        )
        self._send(setup)

    def add(self, failure: Failure) -> None:
        """Ask about a failure, unless its cause was asked about."""
        self._send({"failure": failure.to_json()})

    def answers(self, deadline: Deadline) -> PrefetchedAnswers:
        """Return all answers, waiting for those being written until `deadline`."""
        self._send(_END)
        try:
            output, _ = self._child.communicate(timeout=max(deadline.remaining(), 0.1))
        except subprocess.TimeoutExpired as exc:
            # The bytes come undecoded, although the stream is a text stream.
            output = exc.stdout.decode("utf-8", "replace") if exc.stdout else ""
        except (OSError, ValueError):
            output = ""
        finally:
            self.close()
        return parse_answers(output)

    def close(self) -> None:
        """Kill the child and the git processes it started."""
        with contextlib.suppress(OSError):  # it has ended
            if sys.platform == "win32":
                self._child.kill()
            else:
                os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()

    def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError):  # the child has ended
            assert self._child.stdin is not None
            self._child.stdin.write(json.dumps(message) + "\n")
            self._child.stdin.flush()


def parse_answers(output: str) -> PrefetchedAnswers:
    """Parse what the child wrote; the last line may be incomplete."""
    answers: dict[str, Answer] = {}
    calls = questions = 0
    for line in output.split("\n"):
        try:
            progress = decode(line.encode("utf-8", "replace"), (Progress,))
        except Malformed:
            continue
        calls, questions = progress.calls, progress.questions
        if progress.nodeid:
            answers[progress.nodeid] = progress.answer
    return PrefetchedAnswers(answers, calls, questions)


# --- in the child ---

PARENT_CHECK_INTERVAL = 0.5
"""Seconds. A fork of the parent may keep its end of the pipe open after it has ended."""


def main() -> None:
    """Answer failures from standard input, one JSON object per line, until `_END`."""
    setup = json.loads(sys.stdin.readline())
    values = {entry.name: setup["settings"][entry.name] for entry in fields(Settings)}
    values["tracked"] = frozenset(values["tracked"])
    queue: SimpleQueue[Failure | None] = SimpleQueue()
    # Failures are read in a thread, because an answer may take minutes.
    threading.Thread(target=_read_failures, args=(queue,), daemon=True).start()
    threading.Thread(target=_exit_with, args=(os.getppid(),), daemon=True).start()
    with (
        contextlib.suppress(StarcoderError),
        Client.from_settings(Settings(**values)) as client,
    ):
        for progress in _answer(iter(queue.get, None), client, Path(setup["root"])):
            print(encode(progress).decode(), end="", flush=True)


def _read_failures(queue: SimpleQueue[Failure | None]) -> None:
    """Read every line at once, because the tests wait for a full pipe."""
    for line in sys.stdin:
        message = json.loads(line)
        if message == _END:
            queue.put(None)
            return
        queue.put(Failure.from_json(message["failure"]))
    _exit()


def _exit_with(parent: int) -> None:
    """Exit soon after the parent process has ended."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_INTERVAL)
    _exit()


def _exit() -> None:
    """Exit, and kill the git processes started from here."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # not a group leader when started by hand
            os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _answer(failures: Iterable[Failure], client: Client, root: Path) -> Iterator[Progress]:
    """Ask about the first failure of each cause, within the limits of the settings.

    Ends if the server is away. Nothing is asked if the model will be asked for a correction, which
    is made for what running the tests again shows.
    """
    if client.settings.fix and client.settings.replay and can_correct(client):
        return
    keys: set[object] = set()
    redactor = Redactor.from_environment()
    remaining = client.settings.session_timeout
    for failure in failures:
        key = cause_key(failure)
        if key in keys or len(keys) >= client.settings.causes:
            continue
        keys.add(key)
        # Only the time of questions counts, not that of waiting for the next failure.
        client.allow(remaining)
        test_files = frozenset({failure.nodeid.partition("::")[0]})
        case = build_cases(
            group_failures([failure]),
            [Replay()],
            SourceFiles.below(root),
            History(root),
            test_files,
        )[0]
        try:
            answer = ask_why(case, client, lambda _piece: None, redactor.redact)
        except (BackendUnavailable, BackendTimeout):
            return
        except StarcoderError:
            yield Progress(client.calls, len(keys))
        else:
            yield Progress(client.calls, len(keys), failure.nodeid, answer)
        finally:
            remaining -= client.spent()


if __name__ == "__main__":
    main()
