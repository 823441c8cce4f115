"""Renders the table of settings in docs/settings.md from the schema."""

from __future__ import annotations

from pytest_starcoder.settings import SCHEMA, Settings
from pytest_starcoder.settings.schema import is_for_review

HEAD = [
    "| key | default | what it is | command line | a tracked file may |",
    "| --- | --- | --- | --- | --- |",
]


VALUES = {
    "backend": ("ollama", "openai"),
    "model": ("starcoder2:7b", "gpt-oss:120b-cloud"),
    "host": ("127.0.0.1:11434", "gpu-box.example"),
    "cache": ("off", "/elsewhere"),
    "confinement": ("kernel", "audit"),
}
"""Values of settings to try: a tracked file may set some of them and not others."""


def rows() -> list[str]:
    """Return the table: one row per key."""
    return [*HEAD, *(row(key) for key in SCHEMA)]


def row(key: str) -> str:
    name = key.replace("_", "-")
    option = f"`--starcoder-{name}`"
    if is_for_review(key):
        option = f"`--{name.removeprefix('review-')}` (review)"
    default = format_default(getattr(Settings(), key))
    return f"| `{key}` | {default} | {SCHEMA[key].help} | {option} | {trusted(key)} |"


def format_default(value: object) -> str:
    if value == "":
        return ""
    if isinstance(value, bool):
        return "`on`" if value else "`off`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def trusted(key: str) -> str:
    """Return what a tracked file may do with a setting, by trying values."""
    reasons = {bool(SCHEMA[key].refusal(value)) for value in VALUES.get(key, ("on", "off"))}
    if reasons == {False}:
        return "set it"
    if reasons == {True}:
        return "not set it"
    return {"confinement": "only raise it", "cache": "only switch it"}.get(
        key, "only keep it on this machine"
    )
