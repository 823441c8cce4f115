"""The steps of the GitHub action and the script of the GitLab example, run in a shell."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.repositories import DIVIDES, committed, git, repository
from support.reviews import COMMENT, comment
from support.servers import FakeOllama

ROOT = Path(__file__).parents[2]


@pytest.fixture
def top(tmp_path: Path, ollama_double: FakeOllama) -> Path:
    """A repository with a branch to review, and a model that comments on it."""
    ollama_double.answer = comment
    folder = repository(tmp_path / "project")
    git(folder, "checkout", "--quiet", "-b", "feature")
    committed(folder, {"shop/pricing.py": DIVIDES}, "divide")
    return folder


def in_shell(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, **environment}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def load_action() -> dict[str, Any]:
    action: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    return action


def action_step(name: str, **inputs: str) -> tuple[str, dict[str, str]]:
    """Return the script of one step of the action, and its variables with the inputs set."""
    action = load_action()
    values = {"github.action_path": str(ROOT)}
    for key, entry in action["inputs"].items():
        values[f"inputs.{key}"] = inputs.get(key, str(entry.get("default", "")))
    step = next(step for step in action["runs"]["steps"] if step["name"] == name)
    variables = {}
    for key, text in step["env"].items():
        variables[key] = re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda match: values[match[1]], text)
    return step["run"], variables


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """Return a runner's temporary folder in which the action has installed this package."""
    folder = tmp_path / "runner"
    as_installed(folder / "starcoder-review" / "bin")
    return folder


def as_installed(folder: Path) -> None:
    """Make a `python` that has this package, like that of a virtual environment."""
    folder.mkdir(parents=True)
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "python").chmod(0o755)


def reviewed(top: Path, runner: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    script, variables = action_step("Review", **{"from-ref": "main"}, **inputs)
    return in_shell(script, top, RUNNER_TEMP=str(runner), **variables)


def test_action_annotates(top: Path, runner: Path) -> None:
    done = reviewed(top, runner, sarif="review.sarif")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(
        "::error file=shop/pricing.py,line=6,title=StarCoder (starcoder2%3A7b)::"
    )
    results = json.loads((top / "review.sarif").read_text())["runs"][0]["results"]
    assert [result["message"]["text"] for result in results] == [COMMENT]


@pytest.mark.parametrize(
    "name",
    ["review.sarif", "out/review.sarif", "{top}/out/review.sarif"],
    ids=["link", "folder", "absolute"],
)
def test_action_follows_no_link(top: Path, runner: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "home"
    outside.mkdir()
    (top / "out").symlink_to(outside)
    (top / "review.sarif").symlink_to(outside / "profile")
    done = reviewed(top, runner, sarif=name.format(top=top))
    link = "review.sarif" if name == "review.sarif" else "out"
    assert (done.returncode, done.stdout) == (
        2,
        f"::error title=StarCoder::sarif: {link} is a symbolic link in the pull request. "
        "Choose another file.\n",
    )
    assert list(outside.iterdir()) == []


def test_action_never_fails(top: Path, runner: Path) -> None:
    assert reviewed(top, runner, **{"fail-on": "never"}).returncode == 0


def test_action_requires_model(top: Path, runner: Path) -> None:
    assert reviewed(top, runner, **{"backend": "none", "require-model": "true"}).returncode == 3


def test_action_quotes_inputs() -> None:
    assert all("${{" not in step["run"] for step in load_action()["runs"]["steps"])


# --- what a fork can put into its tree -------------------------------------------------------


def hostile(top: Path, ran: Path) -> dict[str, str]:
    """Put traps into the tree: modules that report being run. Return variables that lead there."""
    trap = f"open({str(ran)!r}, 'a').write(__file__)\n"
    modules = "pip venv ensurepip json requests sitecustomize usercustomize hatchling git".split()
    modules += ["types", "argparse"]
    names = [f"{module}.py" for module in modules]
    names += [
        f"{package}/{name}.py"
        for package in ("pip", "pytest_starcoder")
        for name in ("__init__", "__main__")
    ]
    names += ["pytest_starcoder_hooks/__init__.py", "pytest_starcoder_hooks/review.py", "setup.py"]
    for name in names:
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(trap)
    (top / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/\nfind-links = .\n")
    (top / "constraints.txt").write_text("pytest-starcoder==99\n")
    return {
        "PYTHONPATH": f"{top}:.",
        "PYTHONSTARTUP": str(top / "json.py"),
        "PIP_CONFIG_FILE": str(top / "pip.conf"),
        "PIP_CONSTRAINT": str(top / "constraints.txt"),
    }


def leading_there(top: Path, ran: Path) -> dict[str, str]:
    """Put programs and a user's files into the tree. Return variables that lead there."""
    for name in ("python3", "git", "dirname"):
        (top / name).write_text(f"#!/bin/sh\necho $0 >> '{ran}'\nexit 1\n")
        (top / name).chmod(0o755)
    for folder in ("pip", "starcoder"):
        (top / folder).mkdir(exist_ok=True)
    (top / "pip" / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/\n")
    (top / "starcoder" / "config.toml").write_text("backend = 'none'\n")
    path = f"{top}::.:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(top), "XDG_CONFIG_HOME": str(top)}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--wheel",
        "--outdir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def with_our_dependencies(environment: Path) -> None:
    """Let an environment that was made without the network import this one's packages."""
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")


@pytest.mark.slow
def test_action_runs_nothing(top: Path, tmp_path: Path, wheel: Path) -> None:
    ran, runner = tmp_path / "ran", tmp_path / "runner"
    runner.mkdir()
    variables = hostile(top, ran) | leading_there(top, ran)
    variables |= {"RUNNER_TEMP": str(runner), "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"}
    variables["PIP_NO_COMPILE"] = "0"  # pip's switches with "no" in their names are reversed
    install, inputs = action_step("Install", package=str(wheel))
    done = in_shell(install, top, **inputs, **variables)
    assert done.returncode == 0, done.stderr
    with_our_dependencies(runner / "starcoder-review")
    review, inputs = action_step("Review", **{"from-ref": "main"})
    done = in_shell(review, top, **inputs, **variables)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error file=shop/pricing.py,line=6,")
    assert not ran.exists()


STUB = f"""#!/bin/sh
# A python3 whose environments are copies of itself, in which nothing is installed.
echo "$PWD | $* | ${{PYTHONPATH-}}${{PIP_CONFIG_FILE-}}${{HOME-}} ${{PIP_INDEX_URL-}}" >> "$NOTES"
case "$3" in
    venv) for place; do :; done; mkdir -p "$place/bin"; cp "$0" "$place/bin/python" ;;
    pip) ;;
    *) exec '{sys.executable}' "$@" ;;
esac
"""


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """The folder of a python3 that takes notes."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "python3").write_text(STUB)
    (folder / "python3").chmod(0o755)
    return folder


def test_action_installs_own_checkout(top: Path, tmp_path: Path, stub: Path) -> None:
    runner, notes = tmp_path / "runner", tmp_path / "notes"
    runner.mkdir()
    script, inputs = action_step("Install")
    ran = tmp_path / "ran"
    variables = hostile(top, ran) | leading_there(top, ran) | inputs
    variables["PIP_INDEX_URL"] = "http://mirror.example/simple"
    variables["PATH"] = f"{top}::.:{stub}:{os.environ['PATH']}"
    done = in_shell(script, top, RUNNER_TEMP=str(runner), NOTES=str(notes), **variables)
    assert done.returncode == 0, done.stderr
    pip = "-I -m pip install --quiet --disable-pip-version-check"
    assert notes.read_text().splitlines() == [
        f"{runner} | -I -m venv --clear starcoder-review |  http://mirror.example/simple",
        f"{runner} | {pip} {ROOT} |  http://mirror.example/simple",
    ]


def gitlab() -> dict[str, Any]:
    text = (ROOT / "examples/gitlab-review.yml").read_text("utf-8")
    job: dict[str, Any] = yaml.safe_load(text)["starcoder-review"]
    return job


def test_gitlab_example_runs_nothing(top: Path, tmp_path: Path, stub: Path) -> None:
    job, ran, outside = gitlab(), tmp_path / "ran", tmp_path / "outside"
    (top / "review.json").symlink_to(outside)
    variables = hostile(top, ran) | {name: str(value) for name, value in job["variables"].items()}
    variables["CI_MERGE_REQUEST_DIFF_BASE_SHA"] = git(top, "rev-parse", "main").strip()
    variables |= {"PATH": f"{stub}:{os.environ['PATH']}", "NOTES": str(tmp_path / "notes")}
    done = in_shell("\n".join(job["script"]), top, **variables)
    assert done.returncode == 0, done.stderr
    [entry] = json.loads((top / job["artifacts"]["reports"]["codequality"]).read_text())
    assert entry["location"] == {"path": "shop/pricing.py", "lines": {"begin": 6}}
    assert (ran.exists(), outside.exists()) == (False, False)


def test_gitlab_example_pins_version() -> None:
    source = gitlab()["variables"]["REVIEWER_SOURCE"]
    assert re.fullmatch(r"git\+https://github\.com/[\w./-]+@[\w.]+", source)
