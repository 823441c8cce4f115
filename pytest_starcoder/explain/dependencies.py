"""Reads which distributions a project declares, and which provide modules and fixtures."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

DISTRIBUTION_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")

SETUP_KEYWORDS = ("install_requires", "extras_require", "tests_require")
"""Arguments of `setup` that hold requirements."""

DISTRIBUTIONS_BY_MODULE = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "Crypto": "pycryptodome",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "github": "PyGithub",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "ldap": "python-ldap",
    "magic": "python-magic",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "Pillow",
    "pkg_resources": "setuptools",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "socks": "PySocks",
    "usb": "pyusb",
    "win32api": "pywin32",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
"""Distributions by the name of their module, where that differs."""

NAMED_LIKE_MODULE = frozenset(
    "aiohttp alembic arrow attrs boto3 botocore celery certifi cffi click cryptography django "
    "fastapi flask freezegun gunicorn httpx hypothesis jinja2 jsonschema lxml markdown "
    "marshmallow matplotlib msgpack numpy orjson packaging pandas paramiko pendulum pika "
    "polars psutil psycopg pyarrow pydantic pygments pymongo pymysql pytz redis requests "
    "respx responses rich scipy selenium simplejson sqlalchemy starlette structlog tenacity "
    "toml tomlkit torch tornado tqdm typer urllib3 uvicorn websockets werkzeug xlrd".split()
)
"""Well-known distributions whose module has the same name."""

PLUGINS_BY_FIXTURE = {
    "aiohttp_client": "pytest-aiohttp",
    "aioresponses": "aioresponses",
    "app_client": "pytest-flask",
    "benchmark": "pytest-benchmark",
    "celery_app": "pytest-celery",
    "celery_worker": "pytest-celery",
    "check": "pytest-check",
    "data_regression": "pytest-regressions",
    "datadir": "pytest-datadir",
    "db": "pytest-django",
    "django_assert_num_queries": "pytest-django",
    "django_db_setup": "pytest-django",
    "django_user_model": "pytest-django",
    "docker_services": "pytest-docker",
    "event_loop": "pytest-asyncio",
    "faker": "Faker",
    "file_regression": "pytest-regressions",
    "freezer": "pytest-freezer",
    "fs": "pyfakefs",
    "httpserver": "pytest-httpserver",
    "httpx_mock": "pytest-httpx",
    "live_server": "pytest-django",
    "lazy_datadir": "pytest-datadir",
    "mocker": "pytest-mock",
    "module_mocker": "pytest-mock",
    "mysql": "pytest-mysql",
    "num_regression": "pytest-regressions",
    "page": "pytest-playwright",
    "postgresql": "pytest-postgresql",
    "qtbot": "pytest-qt",
    "redisdb": "pytest-redis",
    "requests_mock": "requests-mock",
    "respx_mock": "respx",
    "rf": "pytest-django",
    "script_runner": "pytest-console-scripts",
    "session_mocker": "pytest-mock",
    "settings": "pytest-django",
    "shared_datadir": "pytest-datadir",
    "snapshot": "syrupy",
    "subtests": "pytest-subtests",
    "testdir": "pytest",
    "time_machine": "time-machine",
    "worker_id": "pytest-xdist",
}
"""Plugins that provide well-known fixtures, by the name of the fixture."""

ASYNC_PLUGINS = (
    "pytest-asyncio",
    "anyio",
    "pytest-trio",
    "pytest-twisted",
    "pytest-tornasync",
    "pytest-aiohttp",
)
"""Plugins that run async tests."""


def declared_distributions(folders: Iterable[Path]) -> dict[str, tuple[str, str]]:
    """Return the declared distributions by normalized name: the name as written, and its file.

    Requirements with an environment marker are left out: they may be for other platforms.
    """
    declared: dict[str, tuple[str, str]] = {}
    for folder in dict.fromkeys(folders):
        for file in _files(folder):
            for requirement in _requirements(file):
                name = DISTRIBUTION_NAME.match(requirement)
                if name and ";" not in requirement:
                    declared.setdefault(normalize(name[1]), (name[1], file.name))
    return declared


def distribution_of(module: str, declared: dict[str, tuple[str, str]]) -> tuple[str, str] | None:
    """Return the declared distribution that provides a top-level module, and its file; or None."""
    renamed = DISTRIBUTIONS_BY_MODULE.get(module, "")
    for name in (module, renamed, f"python-{module}", f"py{module}"):
        if normalize(name) in declared:
            return declared[normalize(name)]
    return None


def normalize(name: str) -> str:
    """Return the name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _files(folder: Path) -> Iterator[Path]:
    for name in ("pyproject.toml", "Pipfile", "setup.cfg", "setup.py"):
        yield folder / name
    for pattern in ("*requirements*.txt", "requirements/*.txt"):
        yield from sorted(folder.glob(pattern))


def _requirements(file: Path) -> list[str]:
    """Return the requirements in a file; none if it cannot be read."""
    try:
        text = file.read_text("utf-8", "replace")
        if file.suffix == ".txt":
            return [line for line in text.splitlines() if not line.lstrip().startswith(("#", "-"))]
        if file.suffix == ".cfg":
            return list(_in_setup_cfg(text))
        if file.suffix == ".py":
            return list(_in_setup_py(text))
        return list(_in_toml(tomllib.loads(text)))
    except (OSError, ValueError, SyntaxError, configparser.Error, AttributeError, TypeError):
        return []


def _in_toml(tables: dict[str, Any]) -> Iterator[str]:
    project = tables.get("project", {})
    groups = [project.get("dependencies", [])]
    groups += project.get("optional-dependencies", {}).values()
    groups += tables.get("dependency-groups", {}).values()
    poetry = tables.get("tool", {}).get("poetry", {})
    groups += [poetry.get("dependencies", {}), poetry.get("dev-dependencies", {})]
    for group in poetry.get("group", {}).values():
        groups.append(group.get("dependencies", {}))
    groups += [tables.get("packages", {}), tables.get("dev-packages", {})]
    for group in groups:
        # A group may include another one; that entry is a table.
        yield from (name for name in group if isinstance(name, str))


def _in_setup_cfg(text: str) -> Iterator[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    for key in ("install_requires", "tests_require"):
        yield from parser.get("options", key, fallback="").splitlines()
    if parser.has_section("options.extras_require"):
        for _, lines in parser.items("options.extras_require"):
            yield from lines.splitlines()


def _in_setup_py(text: str) -> Iterator[str]:
    """Yield the literal requirements in the call of `setup`, without running the file."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.keyword) or node.arg not in SETUP_KEYWORDS:
            continue
        groups = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
        for group in groups:
            for part in ast.walk(group):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value
