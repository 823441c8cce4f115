"""Untrusted programs cannot report their own verdict."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from pytest_starcoder.runner.program import run_program

FORGERIES = {
    "writes to every descriptor": """
        import os
        for descriptor in range(3, 64):
            try: os.write(descriptor, b"kernel\\npassed\\n")
            except OSError: pass
        os._exit(0)
    """,
    "guesses a token": """
        import os
        for descriptor in range(3, 64):
            try: os.write(descriptor, b"\\n" + b"0" * 32 + b"passed\\n")
            except OSError: pass
        os._exit(0)
    """,
    "writes a file of that name": """
        import os, pathlib
        for name in ("said", "job.json"):
            assert not pathlib.Path(name).exists()
            pathlib.Path(name).write_text("kernel\\npassed\\n")
        os._exit(0)
    """,
    "puts a pipe there": """
        import os
        os.mkfifo("said")
        os._exit(0)
    """,
}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")
@pytest.mark.parametrize("code", FORGERIES.values(), ids=FORGERIES)
def test_a_program_does_not_pass_by_saying_so(code: str) -> None:
    assert run_program(dedent(code), 3.0).said == "ended with status 0"


@pytest.mark.skipif(sys.platform == "win32", reason="other descriptors")
def test_a_program_that_writes_a_lot_has_its_verdict() -> None:
    floods = """
        import os
        for descriptor in range(3, 64):
            try: os.write(descriptor, b"x" * 1_000)
            except OSError: pass
    """
    assert run_program(dedent(floods), 3.0).said == "passed"
    assert (
        run_program(dedent(floods).replace("1_000", "10_000_000"), 3.0).said
        == "ended with status 0"
    )


def test_names_of_ours_may_be_replaced() -> None:
    assert run_program("import os\nos.write = os._exit = None", 3.0).said == "passed"
