"""Outcomes, exit status and pytest's own reports are the same with `--starcoder-explain` as without."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.screens import section, summary
from support.servers import FakeOllama

SUITES = {
    "pass": "def test_it(): pass",
    "fail": "def test_it(): assert 1 == 2",
    "setup": "import pytest\n@pytest.fixture\ndef db(): raise OSError('no db')\ndef test_it(db): pass",
    "teardown": "import pytest\n@pytest.fixture\ndef db():\n  yield\n  raise OSError('open')\ndef test_it(db): pass",
    "call_and_teardown": (
        "import pytest\n@pytest.fixture\ndef db():\n  yield\n  raise OSError('open')\ndef test_it(db): assert 0"
    ),
    "xfail": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert 1 == 2",
    "xpass": "import pytest\n@pytest.mark.xfail\ndef test_it(): pass",
    "strict_xpass": "import pytest\n@pytest.mark.xfail(strict=True, reason='soon')\ndef test_it(): pass",
    "skip": "import pytest\ndef test_it(): pytest.skip('not here')",
    "import_error": "import no_such_module\ndef test_it(): pass",
    "syntax_error": "def test_it(:",
    "no_tests": "",
    "system_exit": "def test_it(): raise SystemExit(3)",
    "pytest_exit": "import pytest\ndef test_a(): assert 0\ndef test_b(): pytest.exit('enough', returncode=7)",
    "bad_repr": (
        "import pytest\nclass Bad:\n  def __repr__(self): pytest.skip('from a repr')\ndef test_it(): assert Bad() == 1"
    ),
    "bad_str": (
        "import pytest\nclass Bad(Exception):\n  def __str__(self): pytest.skip('from a str')\n"
        "def test_it(): raise Bad()"
    ),
    "unittest": (
        "import unittest\nclass T(unittest.TestCase):\n  def test_a(self): self.assertEqual(1, 2)\n"
        "  @unittest.expectedFailure\n  def test_b(self): self.fail()\n  def test_c(self): self.skipTest('no')"
    ),
    "many": "import pytest\n@pytest.mark.parametrize('n', range(5))\ndef test_it(n): assert n == 7",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SUITES)
def test_outcomes_and_exit_status_are_the_same(
    pytester: pytest.Pytester, ollama_double: FakeOllama, name: str
) -> None:
    pytester.makepyfile(test_it=SUITES[name])
    bare = pytester.runpytest("-rA")
    explained = pytester.runpytest("-rA", "--starcoder-explain")
    assert explained.ret == bare.ret
    assert summary(explained) == summary(bare)
    assert bool(section(explained)) == (bare.ret in (1, 2))  # else pytest prints no summary at all


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [["-x"], ["--maxfail=2"], ["--collect-only"], ["-k", "nothing"], ["--co", "-q"]]
)
def test_options_that_end_a_run_early_do_so(
    pytester: pytest.Pytester, ollama_double: FakeOllama, options: list[str]
) -> None:
    pytester.makepyfile(test_it=SUITES["many"])
    bare = pytester.runpytest("-rA", *options)
    explained = pytester.runpytest("-rA", "--starcoder-explain", *options)
    assert (explained.ret, summary(explained)) == (bare.ret, summary(bare))


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["no_such_file.py"], ["--no-such-option"], ["-p", "no_such_plugin"]]
)
def test_pytests_own_usage_errors_stay(pytester: pytest.Pytester, arguments: list[str]) -> None:
    bare = pytester.runpytest_subprocess(*arguments)
    explained = pytester.runpytest_subprocess("--starcoder-explain", *arguments)
    assert explained.ret == bare.ret != 0
    assert [line for line in bare.errlines if line.startswith("ERROR")] == [
        line for line in explained.errlines if line.startswith("ERROR")
    ]


def test_a_ctrl_c_in_a_test_ends_the_run_as_ever(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(
        test_it="def test_a(): assert 0\ndef test_b(): raise KeyboardInterrupt\ndef test_c(): pass"
    )
    bare = pytester.runpytest_subprocess("-rA")
    explained = pytester.runpytest_subprocess("-rA", "--starcoder-explain")
    assert explained.ret == bare.ret == 2
    assert summary(explained) == summary(bare)
    assert "     why       not asked: the run was interrupted." in section(explained)
    assert ollama_double.requests == []


def test_the_junit_file_is_the_same(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(
        test_it=SUITES["many"], test_db=SUITES["setup"], test_open=SUITES["teardown"]
    )
    files = []
    for options in ([], ["--starcoder-explain"]):
        pytester.runpytest("--junitxml=out.xml", *options)
        files.append(re.sub(r' (time|timestamp|hostname)="[^"]*"', "", Path("out.xml").read_text()))
    assert files[0] != files[1]
    assert files[0] == re.sub(r"<properties>.*?</properties>", "", files[1])


def test_the_last_failed_are_the_same(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(test_it=SUITES["fail"], test_other=SUITES["pass"])
    pytester.runpytest("--starcoder-explain")
    result = pytester.runpytest("--lf")
    assert result.parseoutcomes() == {"failed": 1}
