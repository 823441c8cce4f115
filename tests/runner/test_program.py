"""Untrusted programs cannot report their own verdict."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from pytest_starcoder.runner.program import ProgramResult, _result, run_program

FORGERIES = {
    "every-descriptor": """
        import os
        for descriptor in range(3, 64):
            try: os.write(descriptor, b"kernel\\npassed\\n")
            except OSError: pass
        os._exit(0)
    """,
    "guessed-token": """
        import os
        for descriptor in range(3, 64):
            try: os.write(descriptor, b"\\n" + b"0" * 32 + b"passed\\n")
            except OSError: pass
        os._exit(0)
    """,
    "own-report": """
        import os, pathlib
        for name in ("report", "job.json"):
            assert not pathlib.Path(name).exists()
            pathlib.Path(name).write_text("kernel\\npassed\\n")
        os._exit(0)
    """,
    "own-pipe": """
        import os
        os.mkfifo("report")
        os._exit(0)
    """,
}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")
@pytest.mark.parametrize("code", FORGERIES.values(), ids=FORGERIES)
def test_forgery(code: str) -> None:
    assert run_program(dedent(code), 3.0).outcome == "ended with status 0"


@pytest.mark.skipif(sys.platform == "win32", reason="other descriptors")
def test_noise() -> None:
    floods = """
        import os
        for descriptor in range(3, 64):
            try: os.write(descriptor, b"x" * 1_000)
            except OSError: pass
    """
    assert run_program(dedent(floods), 3.0).outcome == "passed"
    assert (
        run_program(dedent(floods).replace("1_000", "10_000_000"), 3.0).outcome
        == "ended with status 0"
    )


def test_replaced_functions() -> None:
    assert run_program("import os\nos.write = os._exit = None", 3.0).outcome == "passed"


@pytest.mark.parametrize(
    ("answers", "status", "result"),
    [
        ([], 0, ProgramResult("not run", "")),
        (["", "no sandbox"], 0, ProgramResult("not run", "", "no sandbox")),
        (["audit", "passed"], 0, ProgramResult("passed", "audit")),
        (["audit"], -9, ProgramResult("timed out", "audit")),
        (["audit"], 3, ProgramResult("ended with status 3", "audit")),
    ],
    ids=["no-process", "no-sandbox", "passed", "killed", "exited"],
)
def test_result(answers: list[str], status: int, result: ProgramResult) -> None:
    assert _result(answers, status) == result
