"""Downloads a model from Hugging Face, for `starcoder models pull`; nothing else downloads.

The file is only used if it has the SHA-256 that this package expects, whatever the hub or a
mirror sends. A partial file stays when a download ends early, and the next one continues it:
huggingface_hub's own `hf_hub_download` deletes it since version 2, so only its parts are used.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from pytest_starcoder.errors import (
    AccessDenied,
    BackendError,
    BackendUnavailable,
    BadResponse,
    ConfigError,
    MissingExtra,
    MissingModel,
    RateLimited,
    UnknownModel,
    how_to_install,
    os_reason,
)
from pytest_starcoder.files import create_private_folder
from pytest_starcoder.interpreter import installed
from pytest_starcoder.model.backends.hub_models import HubModel
from pytest_starcoder.model.backends.packaged_model import (
    BLOCK_SIZE,
    is_intact,
    require_space,
    status_line,
)
from pytest_starcoder.settings.address import DEFAULT_PORTS, is_loopback, server_url
from pytest_starcoder.settings.sources import HF_TOKENS

HUGGING_FACE = "https://huggingface.co"

CONTINUE = "The same command continues it."


@dataclass(frozen=True)
class Hub:
    """The hub that models are downloaded from; the token is sent only if the hub asks for one."""

    endpoint: str = HUGGING_FACE
    token: str = field(default="", repr=False)

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).netloc


def hub_from_environment(token: str = "", environ: Mapping[str, str] = os.environ) -> Hub:
    """Return Hugging Face, or the mirror in HF_ENDPOINT. Raises ConfigError.

    No file of a repository is read for it, not even a `.env`. `token` is the user's setting;
    without one, the variables of Hugging Face count.
    """
    endpoint = environ.get("HF_ENDPOINT", "").strip().rstrip("/") or HUGGING_FACE
    try:
        if not endpoint.startswith(("https://", "http://")):
            raise ValueError("must begin with http:// or https://")
        server_url(endpoint)
    except ValueError as exc:
        raise ConfigError(f"HF_ENDPOINT {exc}.", "Fix or unset it.") from exc
    for name in HF_TOKENS:
        token = token or environ.get(name, "").strip()
    return Hub(endpoint, token)


def pull(model: HubModel, cache: Path, hub: Hub) -> Path:
    """Return the model's file in the folder `cache`; what is missing of it is downloaded.

    A partial download stays there, after Ctrl-C as well. Raises MissingExtra if huggingface_hub
    is not installed, MissingModel if the file cannot be written, BackendError if the hub does
    not send it.
    """
    path = model.path(cache)
    if is_intact(path, model):
        return path
    # A repository may have modules of these names, and its folder be on PYTHONPATH.
    with installed("huggingface_hub", "filelock"):
        _prepare_library()
        try:
            _pull(model, cache, hub)
        except OSError as exc:
            raise MissingModel(
                f"{model.name} cannot be written to {path.parent} ({os_reason(exc)}).",
                "Free some space there, or set STARCODER_CACHE to another folder.",
            ) from exc
    return path


def _prepare_library() -> None:
    """Import huggingface_hub, and let it send and say no more than is needed."""
    try:
        from huggingface_hub import constants
    except ImportError as exc:
        raise MissingExtra("huggingface_hub is not installed.", how_to_install("download")) from exc
    # Without this it asks the hub for a list of coding agents, to name the one that runs it.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    # A chunk that did not come whole is lost.
    constants.DOWNLOAD_CHUNK_SIZE = BLOCK_SIZE
    # Its warnings contain signed addresses.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _pull(model: HubModel, cache: Path, hub: Hub) -> None:
    path = model.path(cache)
    partial = model.partial_path(cache)
    create_private_folder(cache)
    create_private_folder(path.parent)
    with _only_download(model, partial):
        _complete(partial, model, hub)
        _check(partial, model)
        partial.replace(path)


@contextmanager
def _only_download(model: HubModel, partial: Path) -> Iterator[None]:
    """Keep other processes from writing the same partial file. Raises MissingModel."""
    from filelock import FileLock, Timeout  # huggingface_hub needs it too

    lock = FileLock(f"{partial}.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise MissingModel(
            f"Another process is downloading {model.name}.", "Wait until it has ended."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _complete(partial: Path, model: HubModel, hub: Hub) -> None:
    """Download what the partial file lacks."""
    size = _size(partial)
    if size > model.size:
        partial.unlink()  # it cannot be a part of the file
        size = 0
    if size == model.size:
        return
    address, headers = _locate(model, hub)
    require_space(partial, model.size - size, model.name)
    with open(partial, "ab", opener=_open_private) as file:
        _download(address, headers, file, model, hub)
        file.flush()
        os.fsync(file.fileno())


def _locate(model: HubModel, hub: Hub) -> tuple[str, dict[str, str]]:
    """Return the address that sends the file, and the headers to request it with."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(
        model.repository, model.file_name, revision=model.revision, endpoint=hub.endpoint
    )
    token = ""
    try:
        with _hub_errors(model, hub, token):
            metadata = get_hf_file_metadata(url, token=False, endpoint=hub.endpoint)
    except AccessDenied:
        if not hub.token:
            raise
        token = _sendable_token(hub)
        with _hub_errors(model, hub, token):
            metadata = get_hf_file_metadata(url, token=token, endpoint=hub.endpoint)
    _check_metadata(metadata.size, metadata.etag, model, hub)
    # The hub redirects to a host that stores files, which must not see the token.
    is_sent_by_hub = _origin(metadata.location) == _origin(hub.endpoint)
    headers = {"authorization": f"Bearer {token}"} if token and is_sent_by_hub else {}
    return metadata.location, headers


def _sendable_token(hub: Hub) -> str:
    if hub.endpoint.startswith("https://") or is_loopback(server_url(hub.endpoint)):
        return hub.token
    raise AccessDenied(
        f"{hub.host} requires a token, which is not sent without encryption.",
        "Set HF_ENDPOINT to an https:// address, or unset it.",
    )


def _check_metadata(size: int | None, etag: str | None, model: HubModel, hub: Hub) -> None:
    """Raise BadResponse if the hub would send another file: gigabytes later it would be late."""
    is_other_size = size not in (None, model.size)
    is_other_hash = bool(re.fullmatch("[0-9a-f]{64}", etag or "")) and etag != model.sha256
    if is_other_size or is_other_hash:
        raise BadResponse(
            f"{hub.host} has another file {model.file_name} than the expected one; "
            "it is not downloaded.",
            _mirror_hint(hub),
        )


def _download(
    address: str, headers: dict[str, str], file: BinaryIO, model: HubModel, hub: Hub
) -> None:
    from huggingface_hub.file_download import http_get

    try:
        with _hub_errors(model, hub, headers.get("authorization", "")):
            http_get(
                address,
                file,
                resume_size=file.tell(),
                headers=headers,
                expected_size=model.size,
                displayed_filename=model.name,
            )
    except OSError as exc:
        if exc.errno is not None:
            raise  # the disk's error
        raise BackendUnavailable(
            f"{hub.host} did not send all of {model.name}; what came is kept.", CONTINUE
        ) from exc


def _check(partial: Path, model: HubModel) -> None:
    """Raise BadResponse, and delete the file, if it is not the expected one."""
    digest = hashlib.sha256()
    with status_line().show(f"checking {model.name}"), partial.open("rb") as file:
        while block := file.read(BLOCK_SIZE):
            digest.update(block)
    if digest.hexdigest() != model.sha256:
        partial.unlink()
        raise BadResponse(
            f"What was downloaded of {model.name} has another SHA-256 than it should have; "
            "it is deleted.",
            "Pull it again. If that does not help, a proxy or a mirror changes it.",
        )


@contextmanager
def _hub_errors(model: HubModel, hub: Hub, token: str) -> Iterator[None]:
    """Translate the errors of huggingface_hub, whose messages contain signed addresses."""
    from huggingface_hub import errors

    # The base class of its HTTP library's errors, which it does not export.
    http_error: type[Exception] = vars(errors)["HTTPError"]
    try:
        yield
    except errors.OfflineModeIsEnabled as exc:
        raise BackendUnavailable(
            "HF_HUB_OFFLINE is set, so nothing is downloaded.", "Unset it."
        ) from exc
    except errors.HfHubHTTPError as exc:
        raise _refusal(exc.response.status_code, model, hub, token) from exc
    except http_error as exc:
        raise BackendUnavailable(
            f"{hub.host} cannot be reached, or the connection broke; what came is kept.", CONTINUE
        ) from exc


def _refusal(status: int, model: HubModel, hub: Hub, token: str) -> BackendError:
    if status in (401, 403):
        problem = "refuses the token" if token else "requires a token"
        return AccessDenied(
            f"{hub.host} {problem} for {model.repository} (status {status}).",
            f"Accept the terms at {HUGGING_FACE}/{model.repository}, and set HF_TOKEN to a token "
            "that may read it.",
        )
    if status == 404:
        return UnknownModel(
            f"{hub.host} does not have {model.file_name} of {model.repository} (status 404).",
            _mirror_hint(hub),
        )
    if status == 429:
        return RateLimited(f"{hub.host} has had too many requests from here.", "Try again later.")
    return BackendUnavailable(f"{hub.host} answered with status {status}.", "Try again later.")


def _mirror_hint(hub: Hub) -> str:
    if hub.endpoint != HUGGING_FACE:
        return "Unset HF_ENDPOINT, or set it to another mirror."
    return "Download a GGUF file yourself, and set model to its path."


def _origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port: what decides whether a token may be sent."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
