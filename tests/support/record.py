"""`cd tests && python -m support.record`: makes the recordings anew, by the tests that run on real servers.

What those tests ask is what is recorded, so no list of requests can go stale.
Nothing is written unless all of them pass. Where no `ollama` is on PATH, its
recording stays as it is.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from support.recordings import LLAMACPP, OLLAMA, RECORDINGS, Asked, Recording

BACKENDS = Path(__file__).parents[1] / "backends"
TESTS = [str(BACKENDS / "test_contract.py"), str(BACKENDS / "test_recordings.py")]


class Recorder:
    """Gives the tests the recordings that their relays fill."""

    def __init__(self) -> None:
        self.recordings: dict[Path, Recording] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[RECORDINGS] = self.recordings


def main() -> int:
    recorder = Recorder()
    status = pytest.main(["-q", "-p", "no:cacheprovider", *TESTS], [recorder])
    if status:
        print("Nothing is written: a recording is kept of a run that passes.")
        return int(status)
    for file in (OLLAMA, LLAMACPP):
        if file in recorder.recordings:
            recording = recorder.recordings[file]
            recording.server = server(recording)
            recording.save(file)
            print(
                f"{file.name}: {recording.server}, {len(recording.answers)} requests, {file.stat().st_size} bytes"
            )
        else:
            print(f"{file.name} stays as it is: its server was not there.")
    return 0


def server(recording: Recording) -> str:
    """What gave the answers, by its own account."""
    if told := recording.answers.get(Asked.of("GET", "/api/version", None)):
        return f"Ollama {json.loads(told[0].chunks[0])['version']}"
    told = recording.answers[Asked.of("GET", "/props", None)]
    return f"llama.cpp {json.loads(told[0].chunks[0])['build_info']} in xllamacpp {version('xllamacpp')}"


if __name__ == "__main__":
    raise SystemExit(main())
