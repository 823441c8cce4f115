"""Records the answers of real servers again: `cd tests && python -m support.record`.

The requests are those of the tests themselves, so no list of requests can become outdated.
Nothing is written unless all tests pass. Without `ollama` on PATH, its recording stays as it is.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from support.recordings import LLAMACPP, OLLAMA, RECORDINGS, Asked, Recording

BACKENDS = Path(__file__).parents[1] / "model" / "backends"
TESTS = [str(BACKENDS / "test_contract.py"), str(BACKENDS / "test_recordings.py")]


class Recorder:
    """A pytest plugin that hands the tests the recordings to fill."""

    def __init__(self) -> None:
        self.recordings: dict[Path, Recording] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[RECORDINGS] = self.recordings


def main() -> int:
    recorder = Recorder()
    status = pytest.main(["-q", "-p", "no:cacheprovider", *TESTS], [recorder])
    if status:
        print("Nothing was written, because tests failed.")
        return int(status)
    for file in (OLLAMA, LLAMACPP):
        recording = recorder.recordings.get(file)
        if recording is None:
            print(f"{file.name} stays as it is: its server is not installed.")
            continue
        recording.server = server_version(recording)
        recording.save(file)
        size = f"{len(recording.answers)} requests, {file.stat().st_size} bytes"
        print(f"{file.name}: {recording.server}, {size}")
    return 0


def server_version(recording: Recording) -> str:
    """Return the name and version that the recorded server reported."""
    answers = recording.answers.get(Asked.of("GET", "/api/version", None))
    if answers:
        return f"Ollama {json.loads(answers[0].chunks[0])['version']}"
    answers = recording.answers[Asked.of("GET", "/props", None)]
    build = json.loads(answers[0].chunks[0])["build_info"]
    return f"llama.cpp {build} in xllamacpp {version('xllamacpp')}"


if __name__ == "__main__":
    raise SystemExit(main())
