"""Sources of settings, their precedence, and messages about unknown keys and bad values."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from support.repositories import git

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.settings import (
    SCHEMA,
    Settings,
    load_settings,
)
from pytest_starcoder.settings.address import server_url


class Places:
    """The environment and the three files that can contain settings."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.project = folder / "project"
        self.project.mkdir()
        git(self.project, "init", "--quiet")  # without a repository, .env may set less
        self.user_file = home / ".config" / "starcoder" / "config.toml"
        self.user_file.parent.mkdir(parents=True)
        self.environ: dict[str, str] = {}

    def env(self, **variables: str) -> Places:
        self.environ |= variables
        return self

    def dotenv(self, text: str | bytes) -> Places:
        return self._write(self.project / ".env", text)

    def user(self, text: str | bytes) -> Places:
        return self._write(self.user_file, text)

    def pyproject(self, text: str | bytes) -> Places:
        return self._write(self.project / "pyproject.toml", text)

    def load(self, **options: str) -> Settings:
        return load_settings(self.project, options, self.environ)

    def error(self, **options: str) -> str:
        with pytest.raises(ConfigError) as caught:
            self.load(**options)
        return str(caught.value)

    def _write(self, path: Path, text: str | bytes) -> Places:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self


@pytest.fixture
def places(tmp_path: Path, clean_environment: Path) -> Places:
    return Places(tmp_path, clean_environment)


ALL_KEYS = f"The settings are {', '.join(SCHEMA)}."

# --- which source wins ---------------------------------------------------------------------


def test_defaults(places: Places) -> None:
    assert places.load() == Settings()
    assert places.load().source("model") == "default"


def test_precedence(places: Places) -> None:
    places.pyproject("[tool.starcoder]\nmodel = 'pyproject'\n")
    assert (places.load().model, places.load().source("model")) == (
        "pyproject",
        "pyproject.toml, line 2",
    )
    places.user("\nmodel = 'user'\n")
    assert (places.load().model, places.load().source("model")) == (
        "user",
        f"{places.user_file}, line 2",
    )
    places.dotenv("# mine\nSTARCODER_MODEL=dotenv\n")
    assert (places.load().model, places.load().source("model")) == (
        "dotenv",
        ".env, line 2 (STARCODER_MODEL)",
    )
    places.env(STARCODER_MODEL="environment")
    assert (places.load().model, places.load().source("model")) == (
        "environment",
        "STARCODER_MODEL",
    )
    settings = places.load(model="option")
    assert (settings.model, settings.source("model")) == ("option", "--starcoder-model")


def test_combined_sources(places: Places) -> None:
    places.pyproject("[tool.starcoder]\ntimeout = 30\n").user("max_tokens = 9\n").dotenv(
        "STARCODER_THREADS=3"
    )
    settings = places.env(STARCODER_FAMILY="completion").load(cache="off")
    assert (
        settings.timeout,
        settings.max_tokens,
        settings.threads,
        settings.family,
        settings.cache,
    ) == (
        30.0,
        9,
        3,
        "completion",
        "off",
    )


WHO = {
    "option": "http://option",
    "STARCODER_HOST": "http://env-ours",
    "OLLAMA_HOST": "http://env-ollama",
    "dotenv STARCODER_HOST": "http://dotenv-ours",
    "dotenv OLLAMA_HOST": "http://dotenv-ollama",
    "user": "http://user",
    "pyproject": "http://localhost:1",
}


@pytest.mark.parametrize("first", range(len(WHO)))
def test_precedence_of_ollama_host(places: Places, first: int) -> None:
    present = dict(list(WHO.items())[first:])
    dotenv = [f"{name[7:]}={host}" for name, host in present.items() if name.startswith("dotenv ")]
    places.dotenv("\n".join(dotenv))
    places.env(
        **{
            name: host
            for name, host in present.items()
            if name in ("STARCODER_HOST", "OLLAMA_HOST")
        }
    )
    places.user(f"host = '{WHO['user']}'" if "user" in present else "")
    places.pyproject(f"[tool.starcoder]\nhost = '{WHO['pyproject']}'")
    settings = places.load(**({"host": WHO["option"]} if "option" in present else {}))
    assert server_url(settings.host) == server_url(next(iter(present.values())))


@pytest.mark.parametrize(
    "backend", ["llamacpp", "embedded", "openai", "huggingface", "none", "somebody"]
)
def test_ollama_host_of_other_backends(places: Places, backend: str) -> None:
    places.dotenv("OLLAMA_HOST=http://user:password@elsewhere").env(OLLAMA_HOST="no address at all")
    assert places.load(backend=backend).host == ""


@pytest.mark.parametrize("backend", ["auto", "ollama", " ollama "])
def test_ollama_host(places: Places, backend: str) -> None:
    settings = places.env(OLLAMA_HOST="0.0.0.0", STARCODER_BACKEND=backend).load()
    assert (settings.host, settings.source("host")) == ("http://127.0.0.1:11434", "OLLAMA_HOST")


TOKENS = ["HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HUGGING_FACE_HUB_TOKEN"]


@pytest.mark.parametrize("first", range(len(TOKENS)))
def test_precedence_of_tokens(places: Places, first: int) -> None:
    present = {name: f"hf_{name}" for name in reversed(TOKENS[first:])}
    settings = places.env(**present).load(backend="huggingface")
    assert (settings.hf_token, settings.source("hf_token")) == (
        f"hf_{TOKENS[first]}",
        TOKENS[first],
    )


def test_precedence_of_tokens_in_dotenv(places: Places) -> None:
    places.dotenv("HUGGING_FACE_HUB_TOKEN=hf_3\nHUGGINGFACEHUB_API_TOKEN=hf_2\nHF_TOKEN=hf_1\n")
    settings = places.load(backend="huggingface")
    assert (settings.hf_token, settings.source("hf_token")) == ("hf_1", ".env, line 3 (HF_TOKEN)")


def test_environment_token_before_dotenv(places: Places) -> None:
    places.dotenv("HF_TOKEN=hf_dotenv").env(HUGGING_FACE_HUB_TOKEN="hf_environment")
    assert places.load(backend="huggingface").hf_token == "hf_environment"


def test_our_token_variable_first(places: Places) -> None:
    places.env(HF_TOKEN="hf_theirs", STARCODER_HF_TOKEN="hf_ours")
    assert places.load(backend="huggingface").hf_token == "hf_ours"
    places.dotenv("STARCODER_HF_TOKEN=hf_dotenv")
    assert places.load(backend="huggingface").hf_token == "hf_ours"


@pytest.mark.parametrize(
    "backend", ["auto", "ollama", "llamacpp", "embedded", "openai", "none", "somebody"]
)
@pytest.mark.parametrize("value", ["hf_token", "no\ttoken at all é"])
def test_token_of_other_backends(places: Places, backend: str, value: str) -> None:
    places.env(HF_TOKEN=value).dotenv(
        f"HUGGINGFACEHUB_API_TOKEN='{value}'\nHF_TOKEN without a value\n"
    )
    assert places.load(backend=backend).hf_token == ""


@pytest.mark.parametrize("where", ["option", "STARCODER_BACKEND", "dotenv", "user"])
def test_token_by_place_of_backend(places: Places, where: str) -> None:
    places.env(HF_TOKEN="hf_token")
    if where == "STARCODER_BACKEND":
        places.env(STARCODER_BACKEND="huggingface")
    elif where == "dotenv":
        places.dotenv("STARCODER_BACKEND=huggingface")
    elif where == "user":
        places.user("backend = 'huggingface'")
    assert (
        places.load(**({"backend": "huggingface"} if where == "option" else {})).hf_token
        == "hf_token"
    )


@pytest.mark.parametrize(
    ("backend", "model"),
    [
        ("auto", "starcoder2:7b"),
        ("ollama", "starcoder2:7b"),
        ("llamacpp", "starcoder2:7b"),
        ("huggingface", "bigcode/starcoderplus"),
        ("openai", ""),
    ],
)
def test_default_model(places: Places, backend: str, model: str) -> None:
    settings = places.load(backend=backend)
    assert (settings.model, settings.source("model")) == (model, "default")
    assert places.load(backend=backend, model="mine").model == "mine"


def test_empty_variables(places: Places) -> None:
    places.env(STARCODER_MODEL="", STARCODER_TIMEOUT="", OLLAMA_HOST=' "" ', STARCODER_NOTHING="")
    assert (
        places.dotenv("STARCODER_MODEL=\nSTARCODER_THREADS=''\nOLLAMA_HOST=").load() == Settings()
    )


def test_empty_tokens(places: Places) -> None:
    places.env(HF_TOKEN="", HUGGINGFACEHUB_API_TOKEN=" ", HUGGING_FACE_HUB_TOKEN="hf_3")
    assert places.load(backend="huggingface").hf_token == "hf_3"


def test_unrelated_variables_and_tables(places: Places) -> None:
    places.env(STARCODE_MODEL="x", MODEL="x").dotenv("MODEL=x\nthis line is no assignment\n")
    assert places.pyproject("[tool.other]\nmodle = 1\n[project]\nname = 'x'\n").load() == Settings()


def test_dotenv_syntax(places: Places) -> None:
    places.dotenv("export STARCODER_MODEL='a model' # mine\n  STARCODER_FAMILY = \"completion\"\n")
    assert (places.load().model, places.load().family) == ("a model", "completion")


def test_dotenv_interpolation(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_MODEL", "starcoder2:15b")
    assert places.dotenv("STARCODER_MODEL=${OUR_MODEL}").load().model == "starcoder2:15b"


def test_dotenv_changes_no_environment(places: Places) -> None:
    before = dict(os.environ)
    places.dotenv("STARCODER_MODEL=a\nOTHER=b").load()
    assert dict(os.environ) == before


def test_last_dotenv_line_counts(places: Places) -> None:
    settings = places.dotenv("STARCODER_MODEL=a\n\nSTARCODER_MODEL=b\n").load()
    assert (settings.model, settings.source("model")) == ("b", ".env, line 3 (STARCODER_MODEL)")


@pytest.mark.parametrize(
    "written", ["timeout = 30", "timeout = 30.0", "timeout = '30'", "timeout = '3e1'"]
)
def test_number_formats(places: Places, written: str) -> None:
    assert places.user(written).load().timeout == 30.0


@pytest.mark.parametrize("written", ["max_tokens = 30", "max_tokens = 30.0", "max_tokens = '30'"])
def test_whole_number_formats(places: Places, written: str) -> None:
    settings = places.user(written).load().max_tokens
    assert (settings, type(settings)) == (30, int)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", "on"),
        ("false", "off"),
        ("'on'", "on"),
        ("'OFF'", "off"),
        ("'yes'", "on"),
        ("0", "off"),
        ("1", "on"),
    ],
)
def test_cache_switch(places: Places, written: str, meant: str) -> None:
    assert places.user(f"cache = {written}").load().cache == meant


def test_cache_folder(places: Places, clean_environment: Path) -> None:
    assert places.user("cache = '/var/answers'").load().cache == "/var/answers"
    assert places.user("cache = '~/answers'").load().cache == str(clean_environment / "answers")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[tool.starcoder]\nmodel = 'x'", 2),
        ("[project]\nmodel = 'no'\n[ tool . starcoder ]\n\n'model'='x'", 5),
        ("[project]\nmodel = 'no'\n[tool.'starcoder']\n\"model\" = 'x'", 4),
        ("[tool]\nstarcoder.model = 'x'", 2),
        ("tool.starcoder.model = 'x'\n[project]\nmodel = 'no'", 1),
        ("[tool]\n\nstarcoder = { timeout = 3, model = 'x' }", 3),
        (
            "[tool.other]\nmodel = 'no'\n# [tool.starcoder]\n"
            "[tool.starcoder] # model = 'no'\n  model = 'x'",
            5,
        ),
        ("[[tool.list]]\nmodel = 'no'\n[tool.starcoder]\nmodel = 'x'", 4),
    ],
)
def test_toml_line(places: Places, text: str, line: int) -> None:
    settings = places.pyproject(text).load()
    assert (settings.model, settings.source("model")) == ("x", f"pyproject.toml, line {line}")


def test_unknown_toml_line(places: Places) -> None:
    settings = places.pyproject('[tool.starcoder]\n"mod\\u0065l" = "x"').load()
    assert (settings.model, settings.source("model")) == ("x", "pyproject.toml")


@pytest.mark.parametrize("place", ["dotenv", "user", "pyproject"])
def test_byte_order_mark(places: Places, place: str) -> None:
    text = {
        "dotenv": "STARCODER_MODEL=x",
        "user": "model = 'x'",
        "pyproject": "[tool.starcoder]\nmodel = 'x'",
    }[place]
    assert getattr(places, place)(b"\xef\xbb\xbf" + text.encode()).load().model == "x"


def test_windows_line_ends(places: Places) -> None:
    settings = (
        places.dotenv("A=1\r\nSTARCODER_MODEL=x\r\n").user("# mine\r\ntimeout = 3\r\n").load()
    )
    assert (settings.model, settings.source("model")) == ("x", ".env, line 2 (STARCODER_MODEL)")
    assert settings.source("timeout") == f"{places.user_file}, line 2"


def test_folder_called_dotenv(places: Places) -> None:
    (places.project / ".env").mkdir()
    assert places.load() == Settings()


# --- where the files are -------------------------------------------------------------------


@pytest.mark.parametrize("table", ["starcoder", "tool.starcoder"])
def test_table_in_user_file(places: Places, table: str) -> None:
    name = table.partition(".")[0]
    assert places.user(f'[{table}]\nmodel = "a"\n').error() == (
        f"{places.user_file}, line 1: there is no setting '{name}'. "
        "In this file, settings are at the top level, without a table."
    )


# --- several projects in one repository ----------------------------------------------------


@pytest.fixture
def service(places: Places) -> Path:
    """Return a subfolder with an empty `pyproject.toml`; the settings are at the top."""
    places.pyproject("[tool.starcoder]\nmodel = 'top'\n")
    folder = places.project / "svc"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    return folder


@pytest.mark.parametrize("text", ["", "[project]\nname = 'svc'\n", "[tool.starcoder]\n"])
def test_project_without_settings(places: Places, service: Path, text: str) -> None:
    (service / "pyproject.toml").write_text(text)
    assert load_settings(service, {}, places.environ).model == "top"


def test_nearest_project(places: Places, service: Path) -> None:
    (service / "pyproject.toml").write_text("[tool.starcoder]\ntimeout = 7\n")
    settings = load_settings(service, {}, places.environ)
    assert (settings.model, settings.timeout) == (Settings().model, 7.0)


@pytest.mark.parametrize("text", ["", "DATABASE_URL=x\n"])
def test_dotenv_above(places: Places, service: Path, text: str) -> None:
    places.dotenv("STARCODER_THREADS=3\n")
    (service / ".env").write_text(text)
    assert load_settings(service, {}, places.environ).threads == 3


def test_nearest_dotenv(places: Places, service: Path) -> None:
    places.dotenv("STARCODER_THREADS=3\n")
    (service / ".env").write_text("STARCODER_THREADS=4\n")
    assert load_settings(service, {}, places.environ).threads == 4


def test_settings_above_repository(places: Places) -> None:
    (places.project.parent / "pyproject.toml").write_text("[tool.starcoder]\nmodel = 'above'\n")
    assert load_settings(places.project, {}, places.environ).model == Settings().model


def test_settings_above_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.starcoder]\nmodel = 'above'\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pyproject.toml").touch()
    assert load_settings(tmp_path / "project", {}, {}).model == Settings().model


def test_project_missing_at_base(places: Places, service: Path) -> None:
    def at_base(path: Path) -> str | None:
        return "" if path.parent == service else None

    (service / "pyproject.toml").write_text("[tool.starcoder]\nreview_fail_on = 'never'\n")
    settings = load_settings(service, {}, places.environ, at_base)
    assert (settings.model, settings.review_fail_on) == ("top", "warning")


# --- what cannot be used -------------------------------------------------------------------


def test_nearest_variable(places: Places) -> None:
    assert places.env(STARCODER_MODLE="x").error() == (
        "STARCODER_MODLE: there is no such setting. The nearest is STARCODER_MODEL."
    )


def test_all_settings_listed(places: Places) -> None:
    assert (
        places.env(STARCODER_QQQ="x").error()
        == f"STARCODER_QQQ: there is no such setting. {ALL_KEYS}"
    )


def test_unknown_variable_in_dotenv(places: Places) -> None:
    assert places.dotenv("A=1\nSTARCODER_TIMOUT=3\n").error() == (
        ".env, line 2 (STARCODER_TIMOUT): there is no such setting. "
        "The nearest is STARCODER_TIMEOUT."
    )


def test_escape_sequence_in_dotenv(places: Places) -> None:
    assert "\x1b" not in places.dotenv("STARCODER_\x1b[31mMODEL=3\n").error()


def test_unknown_project_key(places: Places) -> None:
    assert places.pyproject("[tool.starcoder]\ntimeout = 3\nmax-tokens = 3\n").error() == (
        "pyproject.toml, line 3: there is no setting 'max-tokens'. The nearest is 'max_tokens'."
    )


def test_unknown_user_key(places: Places) -> None:
    assert (
        places.user("qqq = 3\n").error()
        == f"{places.user_file}, line 1: there is no setting 'qqq'. {ALL_KEYS}"
    )


@pytest.mark.parametrize("key", ["sources", "tracked"])
def test_internal_fields(places: Places, key: str) -> None:
    assert f"there is no setting '{key}'" in places.user(f"{key} = []").error()


def test_dotenv_without_value(places: Places) -> None:
    assert places.dotenv("A=1\nSTARCODER_MODEL starcoder2:3b\n").error() == (
        ".env, line 2: STARCODER_MODEL has no readable value. Write NAME=value."
    )


@pytest.mark.parametrize(
    "line",
    ["STARCODER_MODEL", "export STARCODER_MODEL", "STARCODER_MODEL: x", "STARCODER_MODEL='x"],
)
def test_invalid_dotenv_lines(places: Places, line: str) -> None:
    assert ".env, line 1: STARCODER_MODEL has no readable value" in places.dotenv(line).error()


def test_invalid_project_toml(places: Places) -> None:
    assert places.pyproject("[tool.starcoder]\nmodel = \n").error() == (
        "pyproject.toml is not valid TOML: Invalid value (at line 2, column 9). Fix that line."
    )


def test_invalid_user_toml(places: Places) -> None:
    assert places.user("model\n").error() == (
        f"{places.user_file} is not valid TOML: "
        "Expected '=' after a key in a key/value pair (at line 1, column 6). "
        "Fix that line."
    )


@pytest.mark.parametrize(
    "text", ["timeout = " + "1" * 5000, "a = " + "[" * 20_000, "a = " + "{a=" * 20_000]
)
def test_excessive_toml(places: Places, text: str) -> None:
    assert places.user(text).error().startswith(f"{places.user_file} is not valid TOML: ")


@pytest.mark.parametrize(
    "text", ["tool = 3", "[tool]\nstarcoder = 3", "[[tool.starcoder]]\nmodel = 'x'"]
)
def test_missing_table(places: Places, text: str) -> None:
    assert places.pyproject(text).error() == (
        "pyproject.toml: tool.starcoder is not a table. Write it as [tool.starcoder]."
    )


@pytest.mark.parametrize("place", ["dotenv", "user", "pyproject"])
def test_undecodable_file(places: Places, place: str) -> None:
    path = {
        "dotenv": places.project / ".env",
        "user": places.user_file,
        "pyproject": places.project / "pyproject.toml",
    }
    assert getattr(places, place)(b"# caf\xe9\n").error() == (
        f"{path[place]} cannot be read: "
        "'utf-8' codec can't decode byte 0xe9 in position 5: invalid continuation byte. "
        "Make it readable UTF-8 text, or remove it."
    )


FAMILY_WORDS = "auto, starcoder2, starcoder2-instruct, starcoder, chat, completion"
BAD_VALUES = [
    ("model", "''", "must be one line of text, not ''"),
    ("model", "3", "must be one line of text, not 3"),
    ("model", '"a\\nb"', "must be one line of text, not 'a\\nb'"),
    ("model", '"\\u001b[31m"', "must be one line of text, not '\\x1b[31m'"),
    ("backend", "['ollama']", "must be one line of text, not ['ollama']"),
    ("api_key", "''", "must be one line of text"),
    ("api_key", "'schlüssel'", "must contain only ASCII characters"),
    ("hf_token", "''", "must be one line of text"),
    ("hf_token", "'hf_ключ'", "must contain only ASCII characters"),
    ("family", "'starcoder3'", f"must be one of {FAMILY_WORDS}, not 'starcoder3'"),
    ("family", "[]", f"must be one of {FAMILY_WORDS}, not []"),
    ("timeout", "0", "must be a number from 0.1 to 86400 (seconds), not 0"),
    ("timeout", "true", "must be a number from 0.1 to 86400 (seconds), not True"),
    ("timeout", "nan", "must be a number from 0.1 to 86400 (seconds), not nan"),
    ("timeout", "inf", "must be a number from 0.1 to 86400 (seconds), not inf"),
    ("timeout", "'nan'", "must be a number from 0.1 to 86400 (seconds), not 'nan'"),
    ("timeout", "'soon'", "must be a number from 0.1 to 86400 (seconds), not 'soon'"),
    (
        "timeout",
        "2026-01-01",
        "must be a number from 0.1 to 86400 (seconds), not datetime.date(2026, 1, 1)",
    ),
    ("timeout", "0x" + "f" * 6000, "must be a number from 0.1 to 86400 (seconds)"),
    ("connect_timeout", "-1", "must be a number from 0.1 to 3600 (seconds), not -1"),
    ("first_token_timeout", "86401", "must be a number from 0.1 to 86400 (seconds), not 86401"),
    ("session_timeout", "''", "must be a number from 0.1 to 86400 (seconds), not ''"),
    ("temperature", "2.1", "must be a number from 0 to 2, not 2.1"),
    ("temperature", "-inf", "must be a number from 0 to 2, not -inf"),
    ("max_tokens", "0", "must be a whole number from 1 to 100000, not 0"),
    ("max_tokens", "1.5", "must be a whole number from 1 to 100000, not 1.5"),
    ("max_tokens", "inf", "must be a whole number from 1 to 100000, not inf"),
    ("max_tokens", "false", "must be a whole number from 1 to 100000, not False"),
    ("gpu_layers", "1001", "must be auto or a whole number from 0 to 1000, not 1001"),
    ("gpu_layers", "'all'", "must be auto or a whole number from 0 to 1000, not 'all'"),
    ("threads", "1025", "must be a whole number from 0 to 1024, not 1025"),
    ("causes", "-1", "must be a whole number from 0 to 1000, not -1"),
    ("causes", "2.5", "must be a whole number from 0 to 1000, not 2.5"),
    ("replay", "'sometimes'", "must be on or off, not 'sometimes'"),
    ("replay", "2", "must be on or off, not 2"),
    ("replay_timeout", "0", "must be a number from 1 to 3600 (seconds), not 0"),
    ("undo", "'maybe'", "must be on or off, not 'maybe'"),
    ("undo_timeout", "0", "must be a number from 1 to 3600 (seconds), not 0"),
    ("explain_timeout", "0", "must be a number from 1 to 86400 (seconds), not 0"),
    ("fix", "'sometimes'", "must be on or off, not 'sometimes'"),
    ("fix_timeout", "0", "must be a number from 1 to 3600 (seconds), not 0"),
    ("fix_suite", "'half'", "must be on or off, not 'half'"),
    ("confinement", "'jail'", "must be one of kernel, audit, none, not 'jail'"),
    ("early", "'late'", "must be auto, on or off, not 'late'"),
    ("generate_timeout", "0", "must be a number from 1 to 86400 (seconds), not 0"),
    ("generate_requests", "-1", "must be a whole number from 0 to 100000, not -1"),
    ("generate_tokens", "'many'", "must be a whole number from 0 to 100000000, not 'many'"),
    ("review_time_budget", "0", "must be a number from 1 to 86400 (seconds), not 0"),
    ("review_fail_on", "'fatal'", "must be one of info, warning, error, never, not 'fatal'"),
    ("review_min_severity", "'never'", "must be one of info, warning, error, not 'never'"),
    ("review_max_findings", "0", "must be a whole number from 1 to 1000, not 0"),
    ("review_exclude", "3", "must be globs separated by commas, not 3"),
    ("review_require_model", "'maybe'", "must be on or off, not 'maybe'"),
    ("cache", "'maybe'", "must be on, off or the absolute path of a folder, not 'maybe'"),
    (
        "cache",
        "'answers/here'",
        "must be on, off or the absolute path of a folder, not 'answers/here'",
    ),
    (
        "cache",
        "'~nobody-of-that-name/x'",
        "must be on, off or the absolute path of a folder, not '~nobody-of-that-name/x'",
    ),
    ("cache", '"/a\\u0000b"', "must be on, off or the absolute path of a folder, not '/a\\x00b'"),
    ("host", "''", "must be an address such as 127.0.0.1:11434 or https://gpu-box.example, not ''"),
    (
        "host",
        "11434",
        "must be an address such as 127.0.0.1:11434 or https://gpu-box.example, not 11434",
    ),
    ("host", "'ftp://box'", "must begin with http:// or https://, not 'ftp://box'"),
    ("host", "'a b'", "contains a character that is not allowed in an address, not 'a b'"),
    (
        "host",
        '"a\\u200bb"',
        "contains a character that is not allowed in an address, not 'a\\u200bb'",
    ),
    (
        "host",
        "'box:port'",
        "must be an address whose port is a number up to 65535, such as 127.0.0.1:11434, "
        "not 'box:port'",
    ),
    (
        "host",
        "'box:99999'",
        "must be an address whose port is a number up to 65535, such as 127.0.0.1:11434, "
        "not 'box:99999'",
    ),
    ("host", "'http://key@box'", "must not contain a user or password; a key goes into api_key"),
    (
        "host",
        "'http://box/?key=1'",
        "must consist of host, port and path only; a key goes into api_key",
    ),
]


@pytest.mark.parametrize(("key", "written", "reason"), BAD_VALUES)
def test_bad_value(places: Places, key: str, written: str, reason: str) -> None:
    assert places.pyproject(f"[tool.starcoder]\n{key} = {written}\n").error() == (
        f"pyproject.toml, line 2: {key} {reason}. Fix or remove it."
    )


def test_bad_values_are_complete() -> None:
    assert {key for key, _, _ in BAD_VALUES} == set(SCHEMA)


def test_source_of_bad_value(places: Places) -> None:
    assert places.error(timeout="") == (
        "--starcoder-timeout must be a number from 0.1 to 86400 (seconds), not ''. "
        "Fix or remove it."
    )
    assert places.env(STARCODER_MAX_TOKENS="many").error() == (
        "STARCODER_MAX_TOKENS: max_tokens must be a whole number from 1 to 100000, not 'many'. "
        "Fix or remove it."
    )


def test_bad_value_in_dotenv(places: Places) -> None:
    assert places.dotenv("\n\nSTARCODER_TIMEOUT=soon").error() == (
        ".env, line 3 (STARCODER_TIMEOUT): "
        "timeout must be a number from 0.1 to 86400 (seconds), not 'soon'. Fix or remove it."
    )


def test_bad_value_with_low_precedence(places: Places) -> None:
    assert "line 1: timeout must be a number" in places.user("timeout = 'soon'").error(timeout="3")


def test_bad_ollama_host(places: Places) -> None:
    assert places.env(OLLAMA_HOST="ftp://box").error() == (
        "OLLAMA_HOST: OLLAMA_HOST must begin with http:// or https://, not 'ftp://box'. "
        "Fix or unset it."
    )


@pytest.mark.parametrize("name", TOKENS)
def test_bad_token_is_hidden(places: Places, name: str) -> None:
    assert places.env(**{name: "hf_secret\u00e9"}).error(backend="huggingface") == (
        f"{name}: {name} must contain only ASCII characters. Fix or unset it."
    )


def test_huge_value_is_cut(places: Places) -> None:
    assert len(places.user(f"family = '{'x' * 100_000}'").error()) < 400
    assert len(places.user(f"{'x' * 100_000} = 1").error()) < 700


# --- secrets -------------------------------------------------------------------------------

SECRET = "sk-very-secret"


def test_key_in_repr(places: Places) -> None:
    settings = places.env(STARCODER_API_KEY=SECRET).load()
    assert settings.api_key == SECRET
    assert SECRET not in repr(settings) + str(settings)


def test_token_in_repr(places: Places) -> None:
    settings = places.env(HF_TOKEN=SECRET).load(backend="huggingface")
    assert settings.hf_token == SECRET
    assert SECRET not in repr(settings) + str(settings)


@pytest.mark.parametrize("key", [f"{SECRET}\u00e9", f"{SECRET}\n", f"a\x07{SECRET}"])
def test_bad_key_is_hidden(places: Places, key: str) -> None:
    places.env(STARCODER_API_KEY=key)
    if key.strip() == SECRET:  # white space around it is nobody's intention
        assert places.load().api_key == SECRET
    else:
        assert SECRET not in places.error()


@pytest.mark.parametrize(
    "host",
    [
        f"http://ann:{SECRET}@box",
        f"{SECRET}@box:1",
        f"http://ann:{SECRET}@[box",
        f"http://box/?k={SECRET}",
        f"box#{SECRET}",
    ],
)
@pytest.mark.parametrize("variable", ["STARCODER_HOST", "OLLAMA_HOST"])
def test_secret_in_address(places: Places, variable: str, host: str) -> None:
    assert SECRET not in places.env(**{variable: host}).error()


# --- whatever is in the files --------------------------------------------------------------

names = st.sampled_from([*SCHEMA, "modle", "", "x", "é"])
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
values = st.one_of(
    texts,
    st.sampled_from(
        [
            "on",
            "off",
            "auto",
            "nan",
            "inf",
            "1e999",
            "-1",
            "1",
            "5",
            "localhost",
            "evil.com",
            "/tmp/x",
            "~x/y",
        ]
    ),
)
toml_values = st.one_of(
    st.integers().map(str),
    st.floats().map(lambda number: repr(number)),
    st.sampled_from(
        ["true", "false", "[]", "{}", "[1, 'a']", "1979-05-27T07:32:00Z", "07:32:00", "", "'"]
    ),
    values.map(lambda text: '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'),
)
numbered = itertools.count()


def in_range(settings: Settings) -> None:
    assert 0.1 <= settings.timeout <= 86400
    assert 0.1 <= settings.session_timeout <= 86400
    assert 0.1 <= settings.connect_timeout <= 3600
    assert 0 <= settings.temperature <= 2
    assert 1 <= settings.max_tokens <= 100_000
    assert 0 <= settings.threads <= 1024
    assert settings.cache in ("on", "off") or Path(settings.cache).is_absolute()
    assert settings.host == "" or server_url(settings.host)
    assert settings.model.isprintable()
    assert settings.api_key.isascii()
    assert settings.hf_token.isascii()


def loaded_or_refused(folder: Path, options: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Return False for an error without a sentence or a next step; check the ranges of settings."""
    try:
        settings = load_settings(folder, options, environ)
    except ConfigError as exc:
        return exc.message.endswith(".") and exc.hint.endswith(".")
    in_range(settings)
    return True


quietly = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quietly
@given(
    st.dictionaries(st.sampled_from(list(SCHEMA)), values),
    st.dictionaries(names, values),
    st.dictionaries(st.sampled_from(["OLLAMA_HOST", *TOKENS]), values),
)
def test_any_options_and_variables(
    tmp_path: Path, options: dict[str, str], variables: dict[str, str], foreign: dict[str, str]
) -> None:
    environ: dict[str, Any] = {
        f"STARCODER_{name.upper()}": value for name, value in variables.items()
    }
    assert loaded_or_refused(tmp_path, options, environ | foreign)


@quietly
@given(
    st.one_of(
        st.binary(),
        texts.map(str.encode),
        st.lists(st.tuples(names, toml_values)).map(
            lambda pairs: "\n".join(f"{name or 'x'} = {value}" for name, value in pairs).encode()
        ),
    )
)
def test_any_toml(tmp_path: Path, clean_environment: Path, content: bytes) -> None:
    folder = tmp_path / str(next(numbered))
    folder.mkdir()
    user_file = clean_environment / ".config" / "starcoder" / "config.toml"
    user_file.parent.mkdir(parents=True, exist_ok=True)
    user_file.write_bytes(content)
    assert loaded_or_refused(folder, {}, {})
    user_file.unlink()
    (folder / "pyproject.toml").write_bytes(b"[tool.starcoder]\n" + content)
    assert loaded_or_refused(folder, {}, {})


@quietly
@given(
    st.one_of(
        st.binary(),
        st.lists(st.tuples(names, values, st.sampled_from("='\" \n#$\\"))).map(
            lambda rows: "\n".join(
                f"STARCODER_{name.upper()}{sign}={sign}{value}" for name, value, sign in rows
            ).encode()
        ),
    )
)
def test_any_dotenv(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    assert loaded_or_refused(tmp_path, {}, {})
