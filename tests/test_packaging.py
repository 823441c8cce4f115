"""The wheel and the source distribution: two names, all their files, working commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import entry_points, metadata, version
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from trove_classifiers import classifiers, deprecated_classifiers

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VERSION = PROJECT["version"]
INFO = f"pytest_starcoder-{VERSION}.dist-info"
SOURCE = "https://github.com/pytest-starcoder/pytest-starcoder"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the source distribution of this tree and the wheel built from it."""
    return build(tmp_path_factory.mktemp("dist"))


def build(folder: Path, *options: str) -> Path:
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        *options,
        "--outdir",
        str(folder),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def in_wheel(folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(only(folder, "*.whl")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def in_sdist(folder: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(only(folder, "*.tar.gz")) as archive:
        for member in archive.getmembers():
            top, _, name = member.name.partition("/")
            assert top == f"pytest_starcoder-{VERSION}"
            if (file := archive.extractfile(member)) is not None:
                found[name] = file.read()
    return found


@pytest.mark.slow
def test_wheel_contents(built: Path) -> None:
    names = set(in_wheel(built))
    tops = {name.split("/")[0] for name in names}
    assert tops == {"pytest_starcoder", "pytest_starcoder_hooks", INFO}
    for source, installed in (
        (ROOT / "pytest_starcoder", "pytest_starcoder"),
        (ROOT / "hooks" / "pytest_starcoder_hooks", "pytest_starcoder_hooks"),
    ):
        files = {
            path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts
        }
        expected = {f"{installed}/{path.relative_to(source).as_posix()}" for path in files}
        assert {name for name in names if name.startswith(f"{installed}/")} == expected
    assert "pytest_starcoder/py.typed" in names
    assert "pytest_starcoder/model/prompts/starcoder2/explain.txt" in names
    assert "pytest_starcoder/explain/explanations.schema.json" in names
    assert "pytest_starcoder/generate/generated.schema.json" in names
    assert "pytest_starcoder/review/review.schema.json" in names
    assert "pytest_starcoder/runner/startup/sitecustomize.py" in names
    assert "pytest_starcoder/source/git/languages.gitattributes" in names


@pytest.mark.slow
def test_wheel_from_source_distribution(built: Path, tmp_path: Path) -> None:
    assert in_wheel(build(tmp_path, "--wheel")) == in_wheel(built)


@pytest.mark.slow
def test_source_distribution_contents(built: Path) -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if told.returncode or not told.stdout:
        pytest.skip("this is no clone: what git tracks is not known")
    kept = {name for name in told.stdout.decode().split("\0") if name and (ROOT / name).exists()}
    assert set(in_sdist(built)) - {"PKG-INFO"} == kept


@pytest.mark.slow
def test_metadata_for_index(built: Path) -> None:
    """Check what `twine check --strict` checks, and that the README is the description."""
    wheel, sdist = in_wheel(built), in_sdist(built)
    assert wheel[f"{INFO}/METADATA"] == sdist["PKG-INFO"]
    told = Metadata.from_email(sdist["PKG-INFO"])
    assert (told.name, str(told.version), str(told.requires_python)) == (
        "pytest-starcoder",
        VERSION,
        ">=3.11",
    )
    assert told.description_content_type == "text/markdown"
    assert told.description == (ROOT / "README.md").read_text("utf-8")
    assert (told.license_expression, told.license_files) == ("MIT", ["LICENSE"])
    text = (ROOT / "LICENSE").read_bytes()
    assert wheel[f"{INFO}/licenses/LICENSE"] == sdist["LICENSE"] == text


def test_classifiers() -> None:
    own = PROJECT["classifiers"]
    assert set(own) <= classifiers
    assert not [
        name for name in own if name.startswith("License ::") or name in deprecated_classifiers
    ]
    tested = re.search(r"for version in ([\d. ]+); do", (ROOT / ".ci/run").read_text())
    assert tested
    said = [name.rpartition(" ")[2] for name in own if re.search(r":: 3\.\d+$", name)]
    assert said == tested[1].split()


def test_one_version() -> None:
    assert version("pytest-starcoder") == VERSION
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest, *_ = re.findall(r"(?m)^## \[(\d\S*)\] - (\d{4}-\d\d-\d\d)$", changelog)
    assert newest[0] == VERSION
    assert f"\n[{VERSION}]: {SOURCE}/releases/tag/v{VERSION}\n" in changelog
    pages = [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.y*ml"),
    ]
    texts = "\n".join(page.read_text("utf-8") for page in pages)
    shown = re.findall(r"(?:pytest-starcoder/pytest-starcoder@|rev: )v([\d.]+\d)", texts)
    assert set(shown) == {VERSION}


def test_project_links() -> None:
    urls = PROJECT["urls"]
    assert set(urls) == {"Documentation", "Changelog", "Issues", "Source"}
    assert urls["Source"] == SOURCE
    for kind in ("blob", "tree"):
        for path in re.findall(rf"{SOURCE}/{kind}/main/(\S+)", "\n".join(urls.values())):
            assert (ROOT / path).exists()


@pytest.mark.slow
def test_wheel_works(built: Path, tmp_path: Path) -> None:
    """Its dependencies come from this environment: only the package itself is the wheel's."""
    site = tmp_path / "site"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-compile",  # the run compiles what it imports
        "--target",
        str(site),
        str(only(built, "*.whl")),
    ]
    subprocess.run(command, check=True)
    (tmp_path / "test_it.py").write_text("def test_it():\n    left = 1\n    assert left == 2\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "STARCODER_BACKEND": "none",
        "STARCODER_FIX": "off",
    }
    run = [sys.executable, "-m", "pytest", "--starcoder-explain", "test_it.py"]
    done = subprocess.run(
        run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "seen      left is 1, the test expects 2" in done.stdout
    where = [sys.executable, "-c", "import pytest_starcoder; print(pytest_starcoder.__file__)"]
    printed = subprocess.run(
        where, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert printed.strip() == str(site / "pytest_starcoder" / "__init__.py")


def test_entry_points() -> None:
    groups = ("pytest11", "starcoder", "console_scripts")
    found = {(group, entry.name) for group in groups for entry in entry_points(group=group)}
    assert {
        ("pytest11", "starcoder"),
        ("starcoder", "ollama"),
        ("starcoder", "llamacpp"),
        ("starcoder", "embedded"),
        ("console_scripts", "starcoder"),
        ("console_scripts", "starcoder-review"),
    } <= found


def test_dependencies() -> None:
    names = {requirement.split(">")[0].split("=")[0] for requirement in PROJECT["dependencies"]}
    fixed_by_the_user = {"pytest", "pluggy", "requests", "python-dotenv", "gitpython"}
    assert names == fixed_by_the_user | {"unidiff", "platformdirs", "pygments", "tomlkit"}
    assert metadata("pytest-starcoder")["Requires-Python"] == ">=3.11"
