"""The user's options that a run of ours keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.runner.pytest_arguments import select_arguments

REPORTS = Path("reports")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-n 2 -k mean", "-k mean"),
        ("-n2 -nauto --dist=load --maxprocesses 3", ""),
        ("--cov --cov=src --cov-report term -v", "-v"),
        ("--junitxml out.xml --junit-xml=o.xml -ra", "-ra"),
        ("-x --maxfail=3 --lf --ff --sw -m slow", "-m slow"),
        ("-p own.plugin -p xdist -p no:cacheprovider", "-p own.plugin -p xdist"),
        ("-pno:randomly", "-p no:randomly"),
        ("--max-worker-restart=0 --dist loadgroup -d", "--max-worker-restart=0"),
        ("--randomly-dont-reorganize", "--randomly-dont-reorganize"),
        ("--alluredir=res --clean-alluredir", "--alluredir=reports/alluredir"),
        ("--alluredir res -q", "--alluredir=reports/alluredir -q"),
        ("--cucumberjson=c.json --json-report --store-durations --splits 2 --group=1", ""),
        ("--record-mode=rewrite --block-network", "--record-mode=none --block-network"),
        ("--record-mode all --vcr-record=all", "--record-mode=none --vcr-record=none"),
        ("--snapshot-update --inline-snapshot=fix --force-regen", ""),
        ("--regen-all --mpl-generate-path=b", ""),
        ("--fixtures-dir=data --runslow --create-db", "--fixtures-dir=data --runslow --create-db"),
        ("-c other.ini --rootdir=/x --basetemp /tmp/b --pdb", ""),
        ("--reruns 3 --count=2 --randomly-seed=1", "--count=2 --randomly-seed=1"),
        ("--starcoder-explain --starcoder-model starcoder2:3b --no-starcoder -q", "-q"),
        ("--starcoder-host=h --starcoder-apply --starcoder-generate a.py -q", "-q"),
        ("--starcoder-report out.json --starcoder-show-prompt -s", "-s"),
        ("--import-mode=importlib --ds=config.test", "--import-mode=importlib --ds=config.test"),
        ("-k tests/a -o xfail_strict=true", "-k tests/a -o xfail_strict=true"),
        ("-- tests/a.py", ""),
    ],
)  # fmt: skip
def test_selected_arguments(line: str, expected: str) -> None:
    assert select_arguments(line.split(), [], REPORTS) == expected.split()


def test_positionals_are_dropped() -> None:
    assert select_arguments(
        ["tests/a.py::test_b", "-q", "tests"], ["tests/a.py::test_b", "tests"], REPORTS
    ) == ["-q"]
    assert select_arguments(["--cov", "tests", "-q"], ["tests"], REPORTS) == ["-q"]


words = st.sampled_from(
    [
        "-n",
        "2",
        "--cov",
        "-p",
        "xdist",
        "-k",
        "a b",
        "--",
        "",
        "-",
        "--starcoder-model",
        "-x",
        "t.py",
    ]
)


@given(st.lists(st.one_of(words, st.text(max_size=9))), st.lists(words, max_size=2))
def test_any_arguments(arguments: list[str], positionals: list[str]) -> None:
    selected = select_arguments(arguments, positionals, REPORTS)
    for word in selected:
        assert word == "-p" or word in arguments or f"-p{word}" in arguments
