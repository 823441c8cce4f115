"""A repository is not trusted with where code is sent: what its tracked files may set."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_starcoder.errors import Untrusted
from pytest_starcoder.settings import SCHEMA, Settings, load_settings

Writer = Callable[[Path, str, str], None]

HINT = (
    "Set it with --starcoder-{option}, STARCODER_{variable}, "
    "a .env that git does not track{untrack}, or your own config.toml."
)
UNTRACK = " (`git rm --cached .env`)"


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository without files."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet")
    return folder


@pytest.fixture
def environ(clean_environment: Path) -> dict[str, str]:
    return {"HOME": str(clean_environment)}


def in_pyproject(project: Path, key: str, value: str) -> None:
    (project / "pyproject.toml").write_text(f"[tool.starcoder]\n{key} = '{value}'\n")


def in_tracked_dotenv(project: Path, key: str, value: str) -> None:
    in_untracked_dotenv(project, key, value)
    git(project, "add", "--force", ".env")


def in_untracked_dotenv(project: Path, key: str, value: str) -> None:
    (project / ".env").write_text(f"STARCODER_{key.upper()}={value}\n")


def in_user_file(home: Path, key: str, value: str) -> None:
    (home / ".config" / "starcoder").mkdir(parents=True)
    (home / ".config" / "starcoder" / "config.toml").write_text(f"{key} = '{value}'\n")


def refusal(project: Path, environ: dict[str, str], **options: str) -> str:
    with pytest.raises(Untrusted) as caught:
        load_settings(project, options, environ)
    return str(caught.value)


# Key, value, and what is said of it.
REFUSED = [
    ("host", "http://evil.example", "host = 'http://evil.example': it names another machine."),
    ("host", "127.0.0.2", "host = '127.0.0.2': it names another machine."),
    (
        "host",
        "localhost.evil.example",
        "host = 'localhost.evil.example': it names another machine.",
    ),
    ("host", "0x7f000001", "host = '0x7f000001': it names another machine."),
    ("host", "[::ffff:127.0.0.1]", "host = '[::ffff:127.0.0.1]': it names another machine."),
    (
        "backend",
        "huggingface",
        "backend = 'huggingface': that backend may send code to another machine.",
    ),
    ("backend", "openai", "backend = 'openai': that backend may send code to another machine."),
    (
        "backend",
        "somebodys-plugin",
        "backend = 'somebodys-plugin': that backend may send code to another machine.",
    ),
    (
        "model",
        "gpt-oss:120b-cloud",
        "model = 'gpt-oss:120b-cloud': "
        "Ollama sends the prompts for a cloud model to another machine.",
    ),
    (
        "model",
        "glm:Cloud",
        "model = 'glm:Cloud': Ollama sends the prompts for a cloud model to another machine.",
    ),
    ("api_key", "sk-secret", "api_key: a key is a secret."),
    ("hf_token", "hf_secret", "hf_token: a token is a secret."),
    ("cache", "/home/ann/.ssh", "cache = '/home/ann/.ssh': it names a folder."),
    (
        "confinement",
        "none",
        "confinement = 'none': it may weaken the sandbox for untrusted code.",
    ),
    (
        "confinement",
        "audit",
        "confinement = 'audit': it may weaken the sandbox for untrusted code.",
    ),
]
ALLOWED = [
    *(
        ("host", value)
        for value in (
            "127.0.0.1",
            "localhost:8080",
            "http://[::1]:11434",
            "::1",
            ":8080",
            "0.0.0.0",
        )
    ),
    *(("backend", value) for value in ("auto", "none", "ollama", "llamacpp", "embedded")),
    *(
        ("model", value)
        for value in ("starcoder2:3b", "models/starcoder2.gguf", "cloudy:7b", "cloud-7b")
    ),
    *(
        ("family", "completion"),
        ("timeout", "30"),
        ("max_tokens", "20"),
        ("cache", "off"),
        ("threads", "2"),
        ("gpu_layers", "0"),
    ),
    *(
        ("temperature", "0"),
        ("connect_timeout", "1"),
        ("first_token_timeout", "9"),
        ("session_timeout", "9"),
    ),
    *(
        ("causes", "3"),
        ("replay", "False"),
        ("replay_timeout", "9"),
        ("explain_timeout", "9"),
        ("early", "off"),
    ),
    *(("review_time_budget", "9"), ("review_fail_on", "never"), ("review_min_severity", "error")),
    *(("review_max_findings", "9"), ("review_exclude", "*"), ("review_require_model", "True")),
    *(("generate_timeout", "9"), ("generate_requests", "9"), ("generate_tokens", "900")),
    *(("undo", "False"), ("undo_timeout", "9")),
    *(("fix", "False"), ("fix_timeout", "9"), ("fix_suite", "True"), ("confinement", "kernel")),
]


def test_all_settings_are_classified() -> None:
    assert {key for key, *_ in REFUSED} | {key for key, _ in ALLOWED} == set(SCHEMA)


@pytest.mark.parametrize(("key", "value", "reason"), REFUSED)
def test_refused_in_pyproject(
    project: Path, environ: dict[str, str], key: str, value: str, reason: str
) -> None:
    in_pyproject(project, key, value)
    git(project, "add", "pyproject.toml")
    hint = HINT.format(option=key.replace("_", "-"), variable=key.upper(), untrack="")
    assert refusal(project, environ) == (
        f"pyproject.toml, line 2: a file tracked by git may not set {reason} {hint}"
    )


@pytest.mark.parametrize(("key", "value", "reason"), REFUSED)
def test_refused_in_tracked_dotenv(
    project: Path, environ: dict[str, str], key: str, value: str, reason: str
) -> None:
    in_tracked_dotenv(project, key, value)
    hint = HINT.format(option=key.replace("_", "-"), variable=key.upper(), untrack=UNTRACK)
    assert refusal(project, environ) == (
        f".env, line 1 (STARCODER_{key.upper()}): a file tracked by git may not set {reason} {hint}"
    )


def test_tracked_ollama_host(project: Path, environ: dict[str, str]) -> None:
    (project / ".env").write_text("A=1\nOLLAMA_HOST=evil.example\n")
    git(project, "add", ".env")
    assert refusal(project, environ) == (
        ".env, line 2 (OLLAMA_HOST): a file tracked by git may not set "
        "host = 'http://evil.example:11434': it names another machine. "
        + HINT.format(option="host", variable="HOST", untrack=UNTRACK)
    )


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
def test_tracked_token(project: Path, environ: dict[str, str], name: str) -> None:
    (project / ".env").write_text(f"A=1\n{name}=hf_secret\n")
    git(project, "add", ".env")
    assert refusal(project, environ, backend="huggingface") == (
        f".env, line 2 ({name}): a file tracked by git may not set hf_token: "
        "a token is a secret. "
        + HINT.format(option="hf-token", variable="HF_TOKEN", untrack=UNTRACK)
    )
    assert (
        load_settings(project, {"backend": "huggingface"}, {**environ, name: "hf_mine"}).hf_token
        == "hf_mine"
    )


@pytest.mark.parametrize("backend", ["auto", "ollama", "llamacpp", "openai"])
def test_tracked_token_of_other_backend(
    project: Path, environ: dict[str, str], backend: str
) -> None:
    (project / ".env").write_text("HF_TOKEN=hf_secret\n")
    git(project, "add", ".env")
    settings = load_settings(project, {"backend": backend}, environ)
    assert (settings.hf_token, settings.tracked) == ("", frozenset())


def test_own_token_and_tracked_backend(project: Path, environ: dict[str, str]) -> None:
    in_pyproject(project, "backend", "huggingface")
    (project / ".env").write_text("HF_TOKEN=hf_mine\n")
    assert "that backend may send code to another machine" in refusal(project, environ)


@pytest.mark.parametrize("write", [in_pyproject, in_tracked_dotenv])
@pytest.mark.parametrize(("key", "value"), ALLOWED)
def test_allowed_in_tracked_files(
    project: Path, environ: dict[str, str], write: Writer, key: str, value: str
) -> None:
    write(project, key, value)
    settings = load_settings(project, {}, environ)
    assert str(getattr(settings, key)).removesuffix(".0") == value.removesuffix(".0")
    assert settings.tracked == {key}


@pytest.mark.parametrize(("key", "value", "_reason"), REFUSED)
def test_untracked_sources(
    project: Path,
    environ: dict[str, str],
    clean_environment: Path,
    key: str,
    value: str,
    _reason: str,
) -> None:
    in_user_file(clean_environment, key, value)
    assert getattr(load_settings(project, {}, environ), key) == value
    in_untracked_dotenv(project, key, value)
    assert getattr(load_settings(project, {}, environ), key) == value
    assert (
        getattr(load_settings(project, {}, {**environ, f"STARCODER_{key.upper()}": value}), key)
        == value
    )
    settings = load_settings(project, {key: value}, environ)
    assert (getattr(settings, key), settings.tracked) == (value, frozenset())


@pytest.mark.parametrize("write", [in_pyproject, in_tracked_dotenv])
@pytest.mark.parametrize(("key", "value", "_reason"), REFUSED)
def test_overridden_tracked_value(
    project: Path, environ: dict[str, str], write: Writer, key: str, value: str, _reason: str
) -> None:
    write(project, key, value)
    mine = {"host": "gpu-box", "backend": "none", "cache": "off", "confinement": "kernel"}.get(
        key, "mine"
    )
    settings = load_settings(project, {}, {**environ, f"STARCODER_{key.upper()}": mine})
    assert (getattr(settings, key), settings.tracked) == (mine, frozenset())


def test_overridden_by_ollama_host(project: Path, environ: dict[str, str]) -> None:
    in_pyproject(project, "host", "evil.example")
    assert (
        load_settings(project, {}, {**environ, "OLLAMA_HOST": "gpu-box"}).host
        == "http://gpu-box:11434"
    )


def test_unread_tracked_host(project: Path, environ: dict[str, str]) -> None:
    (project / ".env").write_text("OLLAMA_HOST=evil.example\n")
    git(project, "add", ".env")
    assert load_settings(project, {"backend": "llamacpp"}, environ).host == ""


def test_tracked_beside_own_values(project: Path, environ: dict[str, str]) -> None:
    in_pyproject(project, "host", "127.0.0.1:9")
    settings = load_settings(project, {"api_key": "mine"}, environ)
    assert settings.tracked == {"host"}


def test_pyproject_without_git(tmp_path: Path, environ: dict[str, str]) -> None:
    in_pyproject(tmp_path, "host", "evil.example")
    assert "it names another machine" in refusal(tmp_path, environ)


def test_new_pyproject(project: Path, environ: dict[str, str]) -> None:
    in_pyproject(project, "host", "evil.example")
    assert "it names another machine" in refusal(project, environ)


@pytest.mark.parametrize("folder_name", ["", ".hg", ".svn"])
def test_dotenv_without_git(tmp_path: Path, environ: dict[str, str], folder_name: str) -> None:
    (tmp_path / folder_name).mkdir(exist_ok=True)
    in_untracked_dotenv(tmp_path, "host", "gpu-box")
    assert refusal(tmp_path, environ) == (
        ".env, line 1 (STARCODER_HOST): a file tracked by git may not set "
        "host = 'gpu-box': it names another machine. Set it with --starcoder-host, STARCODER_HOST "
        "or your own config.toml: without git, .env counts as part of the project."
    )


def test_local_dotenv_without_git(tmp_path: Path, environ: dict[str, str]) -> None:
    in_untracked_dotenv(tmp_path, "model", "starcoder2:3b")
    assert load_settings(tmp_path, {}, environ).model == "starcoder2:3b"


def test_git_dir(
    project: Path, tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_tracked_dotenv(project, "host", "evil.example")
    (project / ".git").rename(tmp_path / "elsewhere.git")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere.git"))
    assert "it names another machine" in refusal(project, environ)


def test_dotenv_of_subproject(project: Path, environ: dict[str, str]) -> None:
    part = project / "services" / "shop"
    part.mkdir(parents=True)
    (part / "pyproject.toml").touch()
    in_untracked_dotenv(part, "host", "gpu-box")
    assert load_settings(part, {}, environ).host == "gpu-box"
    git(project, "add", "services")
    assert "it names another machine" in refusal(part, environ)


def test_dotenv_of_plain_folder(project: Path, environ: dict[str, str]) -> None:
    part = project / "shop"
    part.mkdir()
    in_untracked_dotenv(part, "model", "below")
    (project / "pyproject.toml").touch()
    assert load_settings(part, {}, environ).model == Settings().model
    in_untracked_dotenv(project, "model", "at the top")
    assert load_settings(part, {}, environ).model == "at the top"


def test_dotenv_of_other_case(project: Path, environ: dict[str, str]) -> None:
    (project / ".ENV").write_text("STARCODER_HOST=evil.example\n")
    git(project, "add", ".ENV")
    in_untracked_dotenv(
        project, "host", "evil.example"
    )  # what a file system that ignores case would open
    assert "it names another machine" in refusal(project, environ)


def test_linked_dotenv(project: Path, environ: dict[str, str]) -> None:
    (project / "team.env").write_text("STARCODER_HOST=evil.example\n")
    git(project, "add", "team.env")
    (project / ".env").symlink_to("team.env")
    assert "it names another machine" in refusal(project, environ)


def test_variables_of_git_hook(
    project: Path, tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_tracked_dotenv(project, "host", "evil.example")
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(outer / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(outer / ".git" / "index"))
    assert "it names another machine" in refusal(project, environ)


def test_linked_project(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    in_tracked_dotenv(project, "host", "evil.example")
    (tmp_path / "link").symlink_to(project)
    assert "it names another machine" in refusal(tmp_path / "link", environ)


def test_tracked_dotenv_interpolation(
    project: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_API_KEY", "sk-secret")
    in_tracked_dotenv(project, "model", "${STARCODER_API_KEY}")
    assert load_settings(project, {}, environ).model == "${STARCODER_API_KEY}"


def test_relative_config_folder(
    project: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "conf" / "starcoder").mkdir(parents=True)
    (project / "conf" / "starcoder" / "config.toml").write_text("host = 'evil.example'\n")
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CONFIG_HOME", "conf")
    assert load_settings(project, {}, environ).host == ""


def test_git_is_called_only_if_needed(project: Path, environ: dict[str, str]) -> None:
    (project / ".git" / "index").write_bytes(
        b"no index"
    )  # git would not know, and every file would count as tracked
    (project / ".env").write_text("DATABASE=x\n")
    assert load_settings(project, {}, environ).tracked == frozenset()
    in_untracked_dotenv(project, "model", "x")
    assert load_settings(project, {}, environ).tracked == {"model"}
