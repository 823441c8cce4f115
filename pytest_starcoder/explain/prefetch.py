"""Causes are asked about while tests still run: failures in as they happen, answers out when the run is over.

A child asks, so that no thread of ours is in the process of the tests. It
knows what was seen live, and not what running tests again would show.
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
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from pytest_starcoder import interpreter
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BackendTimeout, BackendUnavailable, StarcoderError
from pytest_starcoder.explain.case import build_cases
from pytest_starcoder.explain.causes import cause_key, group_failures
from pytest_starcoder.explain.explanation import Explanation
from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.explain.question import explain
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.model.client import Client
from pytest_starcoder.redaction.redactor import Redactor
from pytest_starcoder.runner.protocol import Malformed, message_of, parsed
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import is_loopback, server_url
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.sources import SourceFiles


def wanted(settings: Settings) -> bool:
    """Whether causes are asked about at once: where the setting says so, or the model does not use this machine."""
    if settings.early != "auto" or settings.backend == "none":
        return settings.early == "on" and settings.backend != "none"
    elsewhere = bool(settings.host) and not is_loopback(server_url(settings.host))
    return elsewhere or (settings.backend == "huggingface" and not settings.host)


@dataclass(frozen=True)
class Answers:
    """What was answered before the run was over, by the test asked about; calls made, and causes asked about."""

    by_nodeid: dict[str, Explanation]
    calls: int = 0
    asked: int = 0


class Prefetch:
    """The child that asks. Whatever goes wrong in it, there is one answer less."""

    def __init__(self, settings: Settings, root: Path) -> None:
        order = {
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
            start_new_session=True,
        )
        self._send(order)

    def add(self, failure: Failure) -> None:
        """A failure, as soon as it is there."""
        self._send({"failure": failure.to_json()})

    def answers(self, deadline: Deadline) -> Answers:
        """All answers, waiting for those that are being written until `deadline`."""
        self._send(NO_MORE)
        try:
            told, _ = self._child.communicate(timeout=max(deadline.remaining(), 0.1))
        except subprocess.TimeoutExpired as exc:
            told = (
                exc.stdout.decode("utf-8", "replace")
                if isinstance(exc.stdout, bytes)
                else exc.stdout or ""
            )
        except (OSError, ValueError):
            told = ""
        finally:
            self.close()
        return _read(told)

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


@dataclass(frozen=True)
class Answer:
    """One line from the child: its progress, and the model's answer about `nodeid`, if any."""

    calls: int
    asked: int
    nodeid: str = ""
    why: str = ""
    model: str = ""
    truncated: bool = False
    from_cache: bool = False
    flaw: str = ""
    unsupported: tuple[str, ...] = ()


def _read(text: str) -> Answers:
    explanations: dict[str, Explanation] = {}
    calls = asked = 0
    for line in text.split("\n"):
        try:
            answer: Answer = parsed(message_of(line.encode("utf-8", "replace")), Answer)
        except Malformed:
            continue  # cut off where the child was ended
        calls, asked = answer.calls, answer.asked
        if answer.nodeid:
            explanations[answer.nodeid] = Explanation(
                "", **{name: getattr(answer, name) for name in ANSWERED}
            )
    return Answers(explanations, calls, asked)


ANSWERED = ("why", "model", "truncated", "from_cache", "flaw", "unsupported")
"""The fields of an explanation that are the model's."""

NO_MORE: dict[str, Any] = {"end": True}
"""Sent after the last failure. If the input ends without it, no answers are wanted any more."""

PARENT = 0.5
"""Seconds between checks for the parent: a fork of it may keep its end of the pipe open."""


# --- in the child


def main() -> None:
    """Answers what comes on standard input, one JSON object a line, until that ends."""
    order = json.loads(sys.stdin.readline())
    given = {entry.name: order["settings"][entry.name] for entry in fields(Settings)}
    settings = Settings(**{**given, "tracked": frozenset(given["tracked"])})
    waiting: SimpleQueue[Failure | None] = SimpleQueue()
    threading.Thread(target=_listen, args=(waiting,), daemon=True).start()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with contextlib.suppress(StarcoderError), Client.from_settings(settings) as client:
        for answer in _answered(_failures(waiting), client, Path(order["root"])):
            print(json.dumps(answer), flush=True)


def _listen(waiting: SimpleQueue[Failure | None]) -> None:
    """Takes every line at once: whoever writes it runs tests and must not wait."""
    for line in sys.stdin:
        message = json.loads(line)
        if message == NO_MORE:
            waiting.put(None)
            return
        waiting.put(Failure.from_json(message["failure"]))
    _leave()


def _end_with(parent: int) -> None:
    """Exit soon after the parent process has ended."""
    while os.getppid() == parent:
        time.sleep(PARENT)
    _leave()


def _leave() -> None:
    """Exit, and kill the git processes started from here."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # not a group leader when started by hand
            os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _failures(waiting: SimpleQueue[Failure | None]) -> Iterator[Failure]:
    while (failure := waiting.get()) is not None:
        yield failure


def _answered(failures: Iterable[Failure], client: Client, root: Path) -> Iterator[dict[str, Any]]:
    """An answer for the first failure of each cause, until the server is away or the settings' limits are met."""
    known: set[object] = set()
    redactor = Redactor.from_environment()
    left = client.settings.session_timeout
    for failure in failures:
        key = cause_key(failure)
        if key in known or len(known) >= client.settings.causes:
            continue
        known.add(key)
        client.allow(left)
        try:
            test_files = frozenset({failure.nodeid.partition("::")[0]})
            case = build_cases(
                group_failures([failure]),
                [Replay()],
                SourceFiles.below(root),
                History(root),
                test_files,
            )[0]
            told = explain(case, client, lambda _piece: None, redactor.redact)
        except (BackendUnavailable, BackendTimeout):
            return
        except StarcoderError:
            yield {"calls": client.calls, "asked": len(known)}
            continue
        finally:
            left -= client.spent()
        answer = {name: getattr(told, name) for name in ANSWERED}
        yield {"nodeid": failure.nodeid, "calls": client.calls, "asked": len(known), **answer}


def merged(told: Explanation, answer: Explanation) -> Explanation:
    """`told` with what the model has answered."""
    return replace(told, **{name: getattr(answer, name) for name in ANSWERED})


if __name__ == "__main__":
    main()
