# ruff: noqa: E501 - a fault on a line is a row of a table
"""Fixes in a session: shown as a diff with what was run, told apart by an input, written where that is asked for."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.screens import section
from support.servers import FakeOllama

from pytest_starcoder.runner.sandbox import available

BARE = ("--starcoder-explain", "--starcoder-backend=none", "-p", "no:cacheprovider")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="changes are tried in forks")

SHOP = """
    def mean(xs):
        return sum(xs) / (len(xs) - 1)

    def limited(n, most):
        return n < most
"""

THOROUGH = """
    import pytest
    from shop import mean

    @pytest.mark.parametrize("xs, expected", [([1, 2, 3], 2), ([0, 0, 3, 5], 2), ([1, 2], 1.5)])
    def test_mean(xs, expected):
        assert mean(xs) == expected
"""


@pytest.fixture(autouse=True)
def fixing(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STARCODER_FIX")
    monkeypatch.setenv("COLUMNS", "100")


def state(folder: Path) -> dict[str, str]:
    """The files of a project, without what Python and the tests around it write."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.py")
    }


def test_a_fix_is_shown_as_a_diff_with_the_tests_that_were_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(shop=SHOP, test_shop=THOROUGH)
    lines = section(pytester.runpytest(*BARE))
    assert lines[-1] == f"Changes were run in memory, confined by {available()}."
    start = next(number for number, line in enumerate(lines) if line.startswith("     fix"))
    assert lines[start : start + 5] == [
        "     fix       checked: 3 failing tests pass",
        "                 shop.py:2",
        "                 -    return sum(xs) / (len(xs) - 1)",
        "                 +    return sum(xs) / len(xs)",
        "     why       no model: The setting backend is none. Set backend to auto to use Ollama, or to",
    ]


def test_fixes_that_behave_differently_are_told_apart_by_an_input(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        shop=SHOP, test_shop="from shop import limited\ndef test_it(): assert limited(3, 3)"
    )
    lines = section(pytester.runpytest(*BARE))
    told = "\n".join(lines)
    assert "     fix       passes the tests you have: 1 failing test passes" in lines
    assert "                 +    return n <= most" in lines
    assert "     or        passes the tests you have: 1 failing test passes" in lines
    assert "     which?    limited(0, 3) returns True, or returns False?" in told
    assert "checked: " not in told


def test_a_neighbour_that_a_change_breaks_speaks_against_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop=SHOP,
        test_shop="""
        from shop import limited

        def test_same(): assert limited(3, 3)
        def test_less(): assert limited(1, 3)
        def test_more(): assert not limited(4, 3)
        """,
    )
    told = section(pytester.runpytest(*BARE))
    assert "     fix       checked: 1 failing test passes, 2 neighbours still pass" in told
    assert "                 +    return n <= most" in told
    assert not [line for line in told if line.startswith("     or ")]


@pytest.mark.parametrize(
    ("shop", "test", "after"),
    [
        ("LIMIT = 3\ndef f(): return g() + LIMIT\ndef g(): return LIMIT\nf.g = g\n", "(f(), f.g()) == (8, 4)", "+LIMIT = 4"),
        ("def f(n=1): return n\n", "(f(), f(5), f(1)) == (2, 5, 1)", "+def f(n=2): return n"),
        ("class A:\n    @staticmethod\n    def g(cls): return cls.__name__\ndef f(): return A.g()\n", "f() == 'A'", "+    @classmethod"),
        ("class A:\n    def g(self): return 1\nclass B(A):\n    def g(self): return super().g() + 1\ndef f(): return B().g()\n", "f() == 3", ""),
        ("RATES = {\n    'a': 0.5,\n    'b': 0.3,\n}\ndef f(): return RATES['b']\n", "f() == 0.2", "+    'b': 0.2,"),
    ],
    ids=["a constant", "a default value", "a decorator", "super", "an entry of a table"],
)  # fmt: skip
@pytest.mark.slow
def test_a_fix_is_found_wherever_it_must_stand(
    pytester: pytest.Pytester, shop: str, test: str, after: str
) -> None:
    pytester.makepyfile(test_shop=f"from shop import f\ndef test_f(): assert {test}")
    (pytester.path / "shop.py").write_text(shop)
    told = section(pytester.runpytest(*BARE))
    assert [line for line in told if line.strip().startswith(after or "+")]


@pytest.mark.slow
def test_one_fix_heals_several_causes_and_is_looked_for_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop=SHOP,
        test_shop="""
        import pytest
        from shop import mean

        def test_three(): assert mean([1, 2, 3]) == 2
        def test_one():
            assert mean([4]) == 4
        def test_many():
            with pytest.raises(ZeroDivisionError):
                mean([])
            assert mean([0, 0, 3, 5]) == 2
        """,
    )
    told = section(pytester.runpytest(*BARE))
    shown = [line for line in told if line.startswith("                 +")]
    assert set(shown) == {"                 +    return sum(xs) / len(xs)"}


@pytest.mark.slow
def test_no_file_changes_unless_that_is_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(shop=SHOP, test_shop=THOROUGH)
    before = state(pytester.path)
    pytester.runpytest(*BARE)
    assert state(pytester.path) == before


@pytest.mark.slow
def test_no_file_changes_when_the_run_is_killed_in_the_middle(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop=SHOP + "\n    def slow():\n        return __import__('time').sleep(0.01)\n",
        test_shop=THOROUGH,
    )
    before = state(pytester.path)
    for seconds in (1.0, 1.5, 2.0):
        run = subprocess.Popen([sys.executable, "-m", "pytest", *BARE], stdout=subprocess.DEVNULL)
        time.sleep(seconds)
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert state(pytester.path) == before


@pytest.mark.slow
@pytest.mark.parametrize("how", ["option", "marker", "setting", "replay"])
def test_fixes_can_be_switched_off(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    marker = {
        "marker": "@pytest.mark.starcoder_explain(fix=False)",
        "replay": "@pytest.mark.starcoder_explain(replay=False)",
    }
    test = f"import pytest\nfrom shop import mean\n{marker.get(how, '')}\ndef test_mean(): assert mean([1, 2, 3]) == 2"
    pytester.makepyfile(shop=SHOP, test_shop=test)
    if how == "setting":
        monkeypatch.setenv("STARCODER_FIX", "off")
    told = section(pytester.runpytest(*BARE, *(["--starcoder-fix=off"] if how == "option" else [])))
    assert told
    assert not [line for line in told if line.startswith("     fix")]


def test_what_no_change_heals_is_said_with_how_many_were_tried(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop="def f():\n    return 1\n",
        test_shop="from shop import f\ndef test_f(): assert f() == 'nothing near'.split()",
    )
    told = " ".join(section(pytester.runpytest(*BARE)))
    assert "fix       none found: " in told
    assert " changes tried in N s" in told


@pytest.mark.slow
def test_where_collecting_took_most_of_the_time_the_rest_is_used(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import sys, time\nif any(word.startswith('--starcoder-trials=') for word in sys.argv): time.sleep(3.2)"
    )
    pytester.makepyfile(shop=SHOP, test_shop=THOROUGH)
    told = section(pytester.runpytest(*BARE, "--starcoder-fix-timeout=8"))
    assert "     fix       checked: 3 failing tests pass" in told


def test_below_the_wanted_confinement_nothing_is_tried(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest(
        "from pytest_starcoder.runner import sandbox, trials\ntrials.available = lambda: sandbox.Level.AUDIT"
    )
    pytester.makepyfile(shop=SHOP, test_shop=THOROUGH)
    told = " ".join(
        " ".join(
            section(pytester.runpytest_subprocess(*BARE, "--starcoder-confinement=kernel"))
        ).split()
    )
    assert "fix code is confined by audit here, and the setting confinement is kernel" in told


@pytest.mark.slow
def test_the_reports_have_the_diff(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(shop=SHOP, test_shop=THOROUGH)
    pytester.runpytest(
        *BARE, "--starcoder-report=o.json", "--starcoder-report=o.md", "--starcoder-report=o.sarif"
    )
    [cause] = json.loads(Path("o.json").read_text())["causes"]
    [fix] = cause["fixes"]
    assert (fix["path"], fix["line"], fix["after"]) == (
        "shop.py",
        2,
        "    return sum(xs) / len(xs)",
    )
    assert (fix["checked"], fix["verdict"], len(fix["failing"])) == (
        True,
        "checked: 3 failing tests pass",
        3,
    )
    assert fix["confinement"] in ("kernel", "audit")
    done = subprocess.run(
        ["git", "apply", "--check", "-"], input=fix["diff"], text=True, check=False
    )
    assert done.returncode == 0
    assert "```diff\n--- a/shop.py\n+++ b/shop.py\n" in Path("o.md").read_text()
    [result] = json.loads(Path("o.sarif").read_text())["runs"][0]["results"]
    [change] = result["fixes"][0]["artifactChanges"]
    [replacement] = change["replacements"]
    lines = Path("shop.py").read_text().split("\n")
    region = replacement["deletedRegion"]
    kept = lines[region["startLine"] - 1 : region["endLine"]]
    assert region["endColumn"] == len(kept[-1]) + 1
    text = replacement["insertedContent"]["text"]
    assert text == "\n".join(kept).replace("(len(xs) - 1)", "len(xs)")


@pytest.mark.slow
def test_a_model_is_shown_the_change(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(shop=SHOP, test_shop=THOROUGH)
    pytester.runpytest("--starcoder-explain")
    [prompt] = ollama_double.prompts()
    assert (
        "With this change it passes:\n```diff\n-    return sum(xs) / (len(xs) - 1)\n+    return sum(xs) / len(xs)\n```"
        in prompt
    )


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_fix_is_written_where_that_is_asked_for(pytester: pytest.Pytester, ending: str) -> None:
    pytester.makepyfile(test_shop=THOROUGH)
    text = "# é\ndef mean(xs):\n    return sum(xs) / (len(xs) - 1)\n".replace("\n", ending)
    Path("shop.py").write_text(text, "utf-8", newline="")
    told = section(pytester.runpytest("--starcoder-apply=yes", "--starcoder-backend=none"))
    assert Path("shop.py").read_bytes().decode() == text.replace("(len(xs) - 1)", "len(xs)")
    assert "shop.py:3 was changed. Run the tests again; `git diff` shows what was written." in told
    pytester.runpytest("-q").assert_outcomes(passed=3)


@pytest.mark.slow
def test_without_a_terminal_to_ask_on_nothing_is_written(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(shop=SHOP, test_shop=THOROUGH)
    before = state(pytester.path)
    result = pytester.runpytest("--starcoder-apply", "--starcoder-backend=none")
    assert (
        "Nothing was written: there is no terminal to ask on. Use --starcoder-apply=yes."
        in result.stdout.str()
    )
    assert state(pytester.path) == before


@pytest.mark.parametrize(("answer", "written"), [("y", True), ("n", False), ("", False)])
@pytest.mark.slow
def test_on_a_terminal_the_user_decides(
    pytester: pytest.Pytester, answer: str, written: bool
) -> None:
    pytester.makepyfile(shop=SHOP, test_shop=THOROUGH)
    before = state(pytester.path)
    shown = on_a_terminal("--starcoder-apply", b"[y/N]", answer)
    assert "Change shop.py:2, with which 3 failing tests passed? [y/N]" in shown
    assert (state(pytester.path) != before) is written


def on_a_terminal(option: str, question: bytes, answer: str) -> str:
    """What a run shows on a terminal of its own, on which the question is answered."""
    pty = pytest.importorskip("pty")
    pid, screen = pty.fork()
    if pid == 0:
        command = [sys.executable, "-m", "pytest", option, "--starcoder-backend=none"]
        os.execve(command[0], command, os.environ)
    shown, asked = b"", False
    try:
        while piece := os.read(screen, 4096):
            shown += piece
            if question in shown and not asked:
                os.write(screen, f"{answer}\n".encode())
                asked = True
    except OSError:  # the terminal is gone with its last process
        pass
    os.waitpid(pid, 0)
    os.close(screen)
    return shown.decode()


ANSWERED = """

def test_limited_1() -> None:
    from shop import limited

    assert limited(0, 3) == {}
"""


@pytest.mark.parametrize(
    ("answer", "kept"), [("1", ANSWERED.format(True)), ("2", ANSWERED.format(False)), ("", "")]
)
@pytest.mark.slow
def test_the_answer_to_the_question_is_kept_as_a_test(
    pytester: pytest.Pytester, answer: str, kept: str
) -> None:
    pytester.makepyfile(
        shop=SHOP, test_shop="from shop import limited\ndef test_it(): assert limited(3, 3)"
    )
    before = Path("test_shop.py").read_text()
    shown = on_a_terminal("--starcoder-write", b"[1/2/N]", answer)
    assert "Which is right: limited(0, 3) 1. returns True, 2. returns False? [1/2/N]" in shown
    assert Path("test_shop.py").read_text() == before + ("\n" if kept else "") + kept


@pytest.mark.slow
def test_ctrl_c_ends_the_search_and_the_rest_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop="import time\n\ndef f():\n    time.sleep(0.2)\n    return [1, 2, 3, 4]\n",
        test_shop="from shop import f\ndef test_f(): assert f() == {'far': 'away'}",
    )
    command = [sys.executable, "-m", "pytest", *BARE, "--starcoder-fix-timeout=60"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    time.sleep(2.5)
    run.send_signal(signal.SIGINT)
    printed, _ = run.communicate(timeout=20)
    assert "1 failed" in printed
    assert "rerun     pytest test_shop.py::test_f" in printed
    assert run.returncode == 1


@pytest.mark.slow
def test_tests_that_need_the_users_own_fixtures_get_their_fixes(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        from shop import mean

        @pytest.fixture(scope="session")
        def values(tmp_path_factory):
            folder = tmp_path_factory.mktemp("values")
            (folder / "a.txt").write_text("1 2 3")
            return [int(part) for part in (folder / "a.txt").read_text().split()]

        @pytest.fixture(autouse=True)
        def here(monkeypatch, tmp_path):
            monkeypatch.chdir(tmp_path)
        """
    )
    pytester.makepyfile(
        shop=SHOP,
        test_shop="""
        from shop import mean
        def test_it(values, capsys, monkeypatch):
            print(mean(values))
            assert capsys.readouterr().out == "2.0\\n"
        def test_other(): assert mean([4]) == 4
        """,
    )
    told = section(pytester.runpytest(*BARE))
    assert "                 +    return sum(xs) / len(xs)" in told


def test_a_fix_in_the_tests_own_file_is_found(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_shop="""
        RATES = {"EUR": "1.5"}

        def pay(amount):
            return amount * RATES["EUR"]

        def test_pay(): assert pay(2.0) == 3.0
        def test_other(): assert pay(3.0) == 4.5
        """
    )
    told = section(pytester.runpytest(*BARE))
    assert '                 +    return amount * float(RATES["EUR"])' in told


def test_what_stands_in_a_test_alone_is_not_changed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "LIMIT = 3\n\nclass Other:\n    limit = 4\n\ndef test_it():\n    assert [1, 2] == [1, 3]"
    )
    told = section(pytester.runpytest(*BARE))
    assert told
    assert not [line for line in told if line.startswith("     fix")]


@pytest.mark.slow
def test_a_fix_that_heals_most_of_a_cause_says_what_it_does_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop="def pay(amount, rate):\n    return amount * rate\n",
        test_shop="""
        import pytest
        from shop import pay

        @pytest.mark.parametrize("amount", [2.0, 4.0, 6.0, 8.0, 10.0])
        def test_pay(amount):
            assert pay(amount, "1.5") == amount * 1.5

        def test_rounded():
            assert pay(3.0, "1.5") == 5
        """,
    )
    told = section(pytester.runpytest(*BARE))
    assert (
        "     fix       passes the tests you have: 5 failing tests pass, 1 of the same cause still fails"
        in told
    )
    assert "                 +    return amount * float(rate)" in told


WORDS = """
    def label(number):
        return "few"
"""


@pytest.mark.slow
def test_a_model_fills_the_line_where_no_small_change_helps(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.answer = lambda prompt: (
        'return "few" if number < 5 else "rather many"'
        if "<fim_prefix>" in prompt
        else " the number is not looked at."
    )
    pytester.makepyfile(
        shop=WORDS,
        test_shop="""
        from shop import label
        def test_few(): assert label(3) == "few"
        def test_many(): assert label(7).split() == ["rather", "many"]
        """,
    )
    told = section(pytester.runpytest("--starcoder-explain", "-p", "no:cacheprovider"))
    assert '                 +    return "few" if number < 5 else "rather many"' in told
    assert " still passes; written by" in " ".join(" ".join(told).split())
    again = len(ollama_double.asked())
    pytester.runpytest("--starcoder-explain", "-p", "no:cacheprovider")
    assert len(ollama_double.asked()) == again, "what was written is remembered"


@pytest.mark.slow
def test_a_model_that_writes_nonsense_costs_a_few_trials(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.answer = lambda prompt: (
        " )]}: \x1b[31m no" if "<fim_prefix>" in prompt else " nobody knows."
    )
    pytester.makepyfile(
        shop=WORDS,
        test_shop="from shop import label\ndef test_it(): assert label(7).split() == ['rather', 'many']",
    )
    told = section(pytester.runpytest("--starcoder-explain"))
    assert [line for line in told if line.startswith("     fix       none found: ")]
    assert "\x1b" not in "".join(told)


@pytest.mark.slow
def test_a_long_line_is_shown_whole_for_what_changed_may_stand_at_its_end(
    pytester: pytest.Pytester,
) -> None:
    line = "return [value for value in values if value is not None and value is not False and isinstance(value, int)]"
    pytester.makepyfile(
        shop=f"def whole(values):\n    {line}[1:]\n",
        test_shop="from shop import whole\ndef test_it(): assert whole([4, None, 5]) == [4, 5]",
    )
    told = section(pytester.runpytest(*BARE))
    assert f"                 -    {line}[1:]" in told


HELPERS = {
    "module": ("helpers", "def same(got, wanted):\n    assert got == wanted\n"),
    "library": (
        "helpers",
        "import pytest\n\ndef same(got, wanted):\n    if got != wanted:\n        pytest.fail('no')\n",
    ),
    "compared": (
        "checks",
        "def near(a, b):\n    return a == b\n\ndef same(a, b):\n    assert near(a, b)\n",
    ),
    "fixture": (
        "conftest",
        "import pytest\n\n@pytest.fixture\ndef rows():\n    return [1, 2]\n\ndef same(a, b):\n    assert a == b\n",
    ),
}
"""Test support, in modules of these names."""


@pytest.mark.slow
@pytest.mark.parametrize("name", HELPERS)
def test_no_fix_weakens_what_checks(pytester: pytest.Pytester, name: str) -> None:
    module, text = HELPERS[name]
    test = f"from {module} import same\nfrom shop import total\n\ndef test_total():\n    same(total([1, 2]), 7)\n"
    pytester.makepyfile(
        shop="def total(rows):\n    return sum(rows)\n", test_shop=test, **{module: text}
    )
    before = {path.name: path.read_text() for path in pytester.path.glob("*.py")}
    told = section(pytester.runpytest(*BARE, "--starcoder-apply=yes"))
    assert told
    after = {path.name: path.read_text() for path in pytester.path.glob("*.py")}
    assert {**before, "shop.py": ""} == {**after, "shop.py": ""}
    assert not [line for line in told if line.startswith(f"                 {module}.py:")]
    assert not [line for line in told if line.startswith(f"     suspect   {module}.py:")]


@pytest.mark.slow
def test_a_model_weakens_nothing_that_checks(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.answer = "pass"
    pytester.makepyfile(
        shop="def total(rows):\n    return sum(rows)\n",
        helpers=HELPERS["module"][1],
        test_shop="from helpers import same\nfrom shop import total\n\ndef test_total():\n    same(total([1]), 7.5)\n",
    )
    told = section(
        pytester.runpytest("--starcoder-explain", "--starcoder-apply=yes", "-p", "no:cacheprovider")
    )
    assert told
    assert (pytester.path / "helpers.py").read_text() == HELPERS["module"][1].rstrip()
    holes = [prompt for prompt in ollama_double.prompts() if "<fim_suffix>" in prompt]
    assert not [prompt for prompt in holes if "helpers.py" in prompt]
