"""The table of settings in docs/settings.md, made from the schema."""

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
"""Values of a setting of which a tracked file may choose one and not another, if that is so of it."""


def rows() -> list[str]:
    """One row a key; its variable is STARCODER_ and the key in capitals."""
    return [*HEAD, *(row(key) for key in SCHEMA)]


def row(key: str) -> str:
    default = getattr(Settings(), key)
    default = ("off", "on")[default] if isinstance(default, bool) else default
    shown = (
        f"`{default:g}`" if isinstance(default, float) else f"`{default}`" if default != "" else ""
    )
    name = key.replace("_", "-")
    option = (
        f"`--{name.removeprefix('review-')}` (review)"
        if is_for_review(key)
        else f"`--starcoder-{name}`"
    )
    return f"| `{key}` | {shown} | {SCHEMA[key].help} | {option} | {trusted(key)} |"


def trusted(key: str) -> str:
    """What a file that git tracks may do with a setting, found by asking the schema about values."""
    reasons = {bool(SCHEMA[key].refusal(value)) for value in VALUES.get(key, ("on", "off"))}
    if reasons == {False}:
        return "set it"
    if reasons == {True}:
        return "not set it"
    return {"confinement": "only raise it", "cache": "only switch it"}.get(
        key, "only keep it on this machine"
    )
