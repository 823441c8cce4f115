"""`starcoder-review`, until there is a review: it says so, and never that anything was reviewed."""

from __future__ import annotations

import pytest
from pytest_starcoder_hooks.review import main

NOT_YET = (
    "starcoder-review: nothing was reviewed, for this version of pytest-starcoder has no review yet; "
    "commit with SKIP=starcoder-review, or remove the hook.\n"
)


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["--advisory"], 0), (["shop/pricing.py"], 2)])
def test_it_says_that_nothing_was_reviewed(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int
) -> None:
    assert main(arguments) == status
    assert capsys.readouterr() == ("", NOT_YET)


def test_it_reads_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["starcoder-review", "--advisory"])
    assert main() == 0
    assert capsys.readouterr().err == NOT_YET
