"""`starcoder doctor`: the model and why it is used, its answer, and the next step."""

from __future__ import annotations

import _thread
import json
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from support.real import RealServer
from support.servers import FakeOllama, closed_port

from pytest_starcoder.cli import main
from pytest_starcoder.cli.doctor import TEST_PROMPT
from pytest_starcoder.model.backends import choice, embedded


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def doctor(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    """Exit status and output, times and speeds replaced."""
    status = main(["doctor", *options])
    screen = capsys.readouterr()
    assert screen.err == ""
    return status, re.sub(r"\d+\.\d+ (s|a second)", r"N \1", screen.out).splitlines()


def test_working_server(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    ollama_double.answer = "\n    return n if n < 2 else fibonacci(n - 1)"
    assert doctor(capsys) == (
        0,
        [
            f"project             {project}",
            "model               starcoder2:7b   (default)",
            f"host                {ollama_double.url}   (OLLAMA_HOST)",
            f"server              Ollama at {ollama_double.url}   "
            "(backend is auto: Ollama, unless the model is a file)",
            "version             0.24.0",
            "status              starcoder2:7b is available; prompts use the starcoder2 format",
            "window              16384 tokens",
            "test                asked to continue 'def fibonacci(n):' (slower the first time, "
            "while the model loads)",
            "answer              return n if n < 2 else fibonacci(n - 1)",
            "speed               14 tokens in N s, N a second, including loading",
            "next                It works: run `pytest --starcoder-explain` in your project.",
        ],
    )


def test_real_llamacpp(capsys: pytest.CaptureFixture[str], llamacpp: RealServer) -> None:
    options = (
        "--starcoder-backend=llamacpp",
        f"--starcoder-host={llamacpp.url}",
        f"--starcoder-api-key={llamacpp.key}",
    )
    status, lines = doctor(capsys, *options)
    assert status == 0
    assert lines[1:6] == [
        "backend             llamacpp   (--starcoder-backend)",
        "model               starcoder2:7b   (default)",
        f"host                {llamacpp.url}   (--starcoder-host)",
        "api_key             (set, not shown)   (--starcoder-api-key)",
        f"server              llama.cpp at {llamacpp.url}   (backend is llamacpp: "
        "--starcoder-backend)",
    ]
    assert lines[7] == (
        "status              tiny-starcoder2.gguf is available; prompts use the starcoder2 format"
    )
    assert lines[8] == "window              4096 tokens"
    assert (
        lines[-1]
        == "next                It works: run `pytest --starcoder-explain` in your project."
    )
    assert not [line for line in lines if llamacpp.key in line]


def test_format_of_holes(capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama) -> None:
    ollama_double.model = "qwen2.5-coder:7b-instruct"
    status, lines = doctor(capsys, f"--starcoder-model={ollama_double.model}")
    assert status == 0
    assert "holes               are filled with the qwen format" in lines


def test_embedded_engine(capsys: pytest.CaptureFixture[str], tiny_model: Path) -> None:
    status, lines = doctor(capsys, f"--starcoder-model={tiny_model}")
    assert status == 0
    assert (
        f"server              the embedded llama.cpp at {tiny_model}   (backend is auto, and the "
        "model is a file)" in (lines)
    )


def test_coder_model_in_place_of_ollama(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tiny model takes the place of the coder model, for an answer within a second."""
    url = closed_port()
    monkeypatch.delenv("OLLAMA_HOST")
    monkeypatch.setattr("pytest_starcoder.model.backends.ollama.server_url", lambda _host: url)
    monkeypatch.setattr(choice, "is_coder_installed", lambda: True)
    monkeypatch.setattr(embedded, "assemble", lambda _model, _cache: tiny_model)
    status, lines = doctor(capsys)
    assert status == 0
    assert lines[1:3] == [
        "model               starcoder2:7b   (default)",
        f"server              the embedded llama.cpp at {tiny_model}   (backend is auto, and the "
        f"extra coder is installed. Nothing answers at {url}.)",
    ]
    # The vocabulary of the tiny model is StarCoder2's.
    assert lines[4] == (
        "status              qwen2.5-coder-1.5b-instruct is available; prompts use the "
        "starcoder2-instruct format"
    )


def test_closed_port(
    capsys: pytest.CaptureFixture[str], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = closed_port()
    monkeypatch.setenv("OLLAMA_HOST", url)
    assert doctor(capsys) == (
        1,
        [
            f"project             {project}",
            "model               starcoder2:7b   (default)",
            f"host                {url}   (OLLAMA_HOST)",
            f"server              Ollama at {url}   (backend is auto: Ollama, unless the model is "
            "a file)",
            f"problem             Nothing answers at {url}.",
            "next                Start Ollama with `ollama serve`, set OLLAMA_HOST to its "
            "address, "
            "or set STARCODER_MODEL to a .gguf file, which needs no server.",
        ],
    )


def test_unknown_model(capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama) -> None:
    status, lines = doctor(capsys, "--starcoder-model=other:1b")
    assert status == 1
    assert lines[-2:] == [
        f"problem             Ollama at {ollama_double.url} has no model 'other:1b'.",
        "next                Fetch it with `ollama pull other:1b`.",
    ]


def test_silent_model(capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama) -> None:
    ollama_double.answer = ""
    status, lines = doctor(capsys)
    assert status == 1
    assert lines[-2:] == [
        "problem             starcoder2:7b returned an empty answer.",
        "next                Choose another model, or update the server.",
    ]


def test_no_backend(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = doctor(capsys, "--starcoder-backend=none")
    assert status == 1
    assert lines[-2:] == [
        "problem             The backend is set to none.",
        "next                Set backend to auto to use Ollama, or to embedded with model=demo or "
        "a .gguf file.",
    ]


def test_missing_model_file(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    status, lines = doctor(capsys, "--starcoder-model=gone.gguf")
    assert status == 2
    assert lines[-2:] == [
        f"problem             --starcoder-model: the model file {project / 'gone.gguf'} cannot be "
        "read "
        "(No such file or directory).",
        "next                Set model to the path of a .gguf file.",
    ]


def test_bad_setting(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARCODER_TIMEOUT", "soon")
    assert main(["doctor"]) == 2
    assert capsys.readouterr() == (
        "",
        "starcoder: STARCODER_TIMEOUT: timeout must be a number from 0.1 to 86400 (seconds), not "
        "'soon'. "
        "Fix or remove it.\n",
    )


def test_cached_answers_prove_nothing(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama
) -> None:
    doctor(capsys)
    doctor(capsys)
    assert len(ollama_double.asked()) == 2


def test_secrets_stay_hidden(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_API_KEY", "sk-very-secret")
    ollama_double.replies["/api/generate"] = (401, {"error": "no"})
    status, lines = doctor(capsys)
    assert status == 1
    assert "api_key             (set, not shown)   (STARCODER_API_KEY)" in lines
    assert "sk-very-secret" not in "\n".join(lines)


def test_escape_sequences_are_removed(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama
) -> None:
    ollama_double.answer = "\x1b[31m return\x1b]0;title\x07 1"
    _, lines = doctor(capsys)
    assert "answer              return 1" in lines


def test_settings_are_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["doctor", "--help"])
    output = " ".join(capsys.readouterr().out.split())
    option = "--starcoder-first-token-timeout VALUE"
    assert f"{option} maximum seconds without output, including loading the model" in output
    assert "--starcoder-cache VALUE on, off or the absolute path of a folder" in output


def test_unwritable_cache(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    (project / "file").write_text("")
    status, lines = doctor(capsys, f"--starcoder-cache={project / 'file'}")
    assert status == 0
    assert f"cache               {project / 'file'} cannot be written: nothing is cached" in lines


def test_chat_model_gets_message(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama
) -> None:
    assert doctor(capsys, "--starcoder-family=chat")[0] == 0
    body = ollama_double.asked()[0].body
    assert (body["prompt"], "raw" in body) == (TEST_PROMPT, False)


# --- deep ----------------------------------------------------------------------------------

PROBES = [
    "speed",
    "stop text",
    "sentinels",
    "stop token",
    "hole",
    "pull request",
    "prefix cache",
    "window",
]

KEYS = [
    *("format", "pytest_starcoder", "python", "system", "machine"),
    *(
        "backend",
        "server",
        "version",
        "model",
        "architecture",
        "family",
        "fill",
        "window",
        "probes",
    ),
]


def deep(
    capsys: pytest.CaptureFixture[str], file: Path, *options: str
) -> tuple[int, list[str], dict[str, Any]]:
    """Exit status, the lines that come after the first examination, and the report."""
    status, lines = doctor(capsys, f"--deep={file}", *options)
    report = json.loads(
        file.read_text("utf-8"), parse_constant=lambda name: pytest.fail(f"{name} is not JSON")
    )
    return status, lines[[line.split()[0] for line in lines].index("deep") :], report


def test_deep_output(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    ollama_double.answer = "\n    return n if n < 2 else fibonacci(n - 1)"
    status, lines, report = deep(capsys, project / "found.json")
    assert status == 0
    assert (
        lines[0]
        == "deep                a few questions per check; without a GPU this takes minutes"
    )
    labels = [line[:20].strip() for line in lines[1:-2]]
    assert labels == [*PROBES[:2], "special tokens", *PROBES[3:]]
    verdicts = [line[20:].partition(":")[0] for line in lines[1:-2]]
    assert verdicts == [probe["verdict"] for probe in report["probes"]]
    assert lines[-2:] == [
        f"report              {project / 'found.json'}; it contains no code: please attach it to "
        "an issue",
        "next                It works: run `pytest --starcoder-explain` in your project.",
    ]


def test_deep_file(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    _, _, report = deep(capsys, project / "found.json")
    assert list(report) == KEYS
    assert {key: report[key] for key in KEYS[:-1]} == {
        "format": 1,
        "pytest_starcoder": version("pytest-starcoder"),
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "backend": "auto",
        "server": "Ollama",
        "version": "0.24.0",
        "model": "starcoder2:7b",
        "architecture": "starcoder2",
        "family": "starcoder2",
        "fill": "",
        "window": 16384,
    }
    assert [probe["name"] for probe in report["probes"]] == PROBES
    assert {tuple(probe) for probe in report["probes"]} == {("name", "verdict", "figures")}


def test_deep_keeps_privacy(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    (project / "theirs.py").write_text("their_secret = 1")
    ollama_double.answer = " sesame opens the door and sesame closes it"
    file = project / "found.json"
    deep(capsys, file, "--starcoder-api-key=sk-very-secret")
    written = file.read_text()
    for secret in (
        "sesame",
        "the door",
        "sk-very-secret",
        ollama_double.url,
        "127.0.0.1",
        str(project),
        "def ",
        "x =",
    ):
        assert secret not in written
    assert not [prompt for prompt in ollama_double.prompts() if "their_secret" in prompt]


def test_deep_temperature(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    deep(capsys, project / "found.json", "--starcoder-temperature=0.7")
    temperatures = [request.body["options"]["temperature"] for request in ollama_double.asked()]
    assert (temperatures[0], set(temperatures[1:])) == (0.7, {0.0})


def test_deep_timeout(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    def answer(prompt: str) -> str:
        ollama_double.delay = (
            0.7 if prompt == TEST_PROMPT else 0.0
        )  # the first question after the examination is slow
        return " 1"

    ollama_double.answer = answer
    times = ("timeout", "first-token-timeout", "session-timeout")
    _, _, report = deep(
        capsys, project / "found.json", *(f"--starcoder-{name}=0.5" for name in times)
    )
    assert report["probes"][0]["verdict"] == "yes"


def test_deep_default_file(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    status, lines = doctor(capsys, "--deep")
    assert status == 0
    assert (
        "report              starcoder-doctor.json; it contains no code: please attach it to an "
        "issue" in lines
    )
    assert list(json.loads((project / "starcoder-doctor.json").read_text())) == KEYS


@pytest.mark.parametrize(
    ("name", "reason"), [("gone/found.json", "No such file or directory"), ("", "Is a directory")]
)
def test_deep_unwritable_file(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, name: str, reason: str
) -> None:
    status, lines = doctor(capsys, f"--deep={name}")
    assert status == 2
    assert lines[-2:] == [
        f"problem             {name or '.'} cannot be written: {reason}.",
        "next                Name another file with --deep=FILE.",
    ]
    assert len(ollama_double.asked()) == 1


def test_deep_without_working_model(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    ollama_double.answer = ""
    assert doctor(capsys, "--deep")[0] == 1
    assert list(project.iterdir()) == []


def test_deep_server_stops(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    def answer(prompt: str) -> str:
        if prompt.startswith("one two"):
            ollama_double.replies["/api/generate"] = (500, {"error": "boom at /home/someone"})
        return " 1"

    ollama_double.answer = answer
    status, lines, report = deep(capsys, project / "found.json")
    assert status == 0
    assert [probe["verdict"] for probe in report["probes"]] == ["yes", *["unknown"] * 7]
    assert report["probes"][-1]["figures"] == {"error": "BadResponse"}
    assert lines[3].startswith("special tokens      unknown: Ollama at ")
    assert "boom" not in (project / "found.json").read_text()


def test_deep_interrupt(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    def answer(prompt: str) -> str:
        if prompt.startswith("<file_sep>"):
            _thread.interrupt_main()
        return " 1"

    ollama_double.answer = answer
    assert main(["doctor", "--deep"]) == 130
    assert capsys.readouterr().err == "starcoder: interrupted.\n"
    report = json.loads((project / "starcoder-doctor.json").read_text())
    assert [probe["name"] for probe in report["probes"]] == ["speed", "stop text", "sentinels"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("/home/someone/models/starcoder2-7b", "starcoder2-7b"),
        ("~/models/starcoder2-7b", "starcoder2-7b"),
        ("./models/starcoder2-7b", "starcoder2-7b"),
        ("C:\\models\\starcoder2-7b", "starcoder2-7b"),
        ("models/starcoder2-7b.gguf", "starcoder2-7b.gguf"),
        ("bigcode/starcoder2-7b", "bigcode/starcoder2-7b"),
        ("hf.co/second-state/StarCoder2-7B-GGUF:Q5_K_M", "second-state/StarCoder2-7B-GGUF:Q5_K_M"),
        ("registry.example.com:5000/starcoder2:7b", "starcoder2:7b"),
        ("registry.example.com:5000/team/starcoder2:7b", "team/starcoder2:7b"),
    ],
)
def test_deep_model_name(
    capsys: pytest.CaptureFixture[str],
    ollama_double: FakeOllama,
    project: Path,
    name: str,
    told: str,
) -> None:
    ollama_double.model = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    options = ("--starcoder-backend=ollama", f"--starcoder-model={name}")
    assert deep(capsys, project / "found.json", *options)[2]["model"] == told


def test_deep_real_llamacpp(
    capsys: pytest.CaptureFixture[str], llamacpp: RealServer, project: Path
) -> None:
    options = ("--starcoder-backend=llamacpp", f"--starcoder-host={llamacpp.url}")
    status, _, report = deep(
        capsys, project / "found.json", *options, f"--starcoder-api-key={llamacpp.key}"
    )
    assert status == 0
    assert (report["backend"], report["server"], report["model"]) == (
        "llamacpp",
        "llama.cpp",
        "tiny-starcoder2.gguf",
    )
    verdicts = {probe["name"]: probe["verdict"] for probe in report["probes"]}
    assert list(verdicts) == PROBES
    assert verdicts["sentinels"] == verdicts["window"] == verdicts["prefix cache"] == "yes"
    assert llamacpp.key not in (project / "found.json").read_text()


@pytest.mark.slow
def test_deep_embedded_engine(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, project: Path
) -> None:
    status, _, report = deep(capsys, project / "found.json", f"--starcoder-model={tiny_model}")
    assert status == 0
    assert (report["backend"], report["server"]) == ("auto", "the embedded llama.cpp")
    assert report["model"] == "tiny-starcoder2.gguf"
    assert str(tiny_model.parent) not in (project / "found.json").read_text()


def test_server_chooses_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["doctor", "--starcoder-backend=openai", f"--starcoder-host={closed_port()}"])
    assert "model               the server's only model   (default)" in capsys.readouterr().out
