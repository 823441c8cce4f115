"""Servers of `/v1/completions`: the choice of the model, the key, and the errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from support.doubles import Double, FakeOpenAI, FakeTgi, FakeVllm, running
from support.errors import raises_error
from support.real import RealServer
from support.servers import fake_ollama, relay

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    AccessDenied,
    BackendUnavailable,
    BadResponse,
    PromptTooLong,
    RateLimited,
    StarcoderError,
    UnknownModel,
)
from pytest_starcoder.model.backends import make_backend
from pytest_starcoder.model.backends.openai import START, OpenAI
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.model.prompts import model_family
from pytest_starcoder.settings import Settings

NAME = "bigcode/starcoder2-7b"
MODEL = Model(NAME, "d", "", 4096)
SET_KEY = "Set STARCODER_API_KEY to the key it was started with."
LOG = "Check its log."


def soon() -> Deadline:
    return Deadline.after(10)


@contextmanager
def asking(double: Double, path: str = "", **settings: Any) -> Iterator[OpenAI]:
    with running(double):
        chosen = Settings(backend="openai", host=double.url + path, **settings)
        with closing(OpenAI(chosen)) as backend:
            yield backend


def complete(backend: OpenAI, prompt: Prompt | None = None) -> Completion:
    return backend.complete(prompt or Prompt("a"), MODEL, soon(), lambda _piece: None)


# --- which model ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", [FakeVllm, FakeTgi, FakeOpenAI])
def test_only_model_is_chosen(make: Callable[[], Double]) -> None:
    with asking(make()) as backend:
        model = backend.inspect(backend.identify(soon()), soon())
        assert (model.name, model_family(model)) == (NAME, "starcoder2")
        assert complete(backend).text == " the divisor is one too small."


def test_configured_model_is_chosen() -> None:
    double = FakeVllm(more_models=("lora-a", "lora-b"))
    with asking(double, model="lora-b") as backend:
        assert backend.inspect("d", soon()).name == "lora-b"
        complete(backend)
    assert double.bodies("/v1/completions")[0]["model"] == "lora-b"


@pytest.mark.parametrize(
    ("more_models", "count", "shown"),
    [
        (("lora",), 2, f"{NAME}, lora"),
        (("b", "c", "d", "e"), 5, f"{NAME}, b, c, d, e"),
        (("b", "c", "d", "e", "f"), 6, f"{NAME}, b, c, d, e, …"),
        (("\x1b[31mred", "x" * 100), 3, f"{NAME}, red, {'x' * 79}…"),
    ],
)
def test_ambiguous_model(more_models: tuple[str, ...], count: int, shown: str) -> None:
    double = FakeVllm(more_models=more_models)
    with (
        asking(double) as backend,
        raises_error(
            UnknownModel, f"{double.url} has {count} models.", f"Set model to one of them: {shown}."
        ),
    ):
        backend.identify(soon())


@pytest.mark.parametrize("make", [FakeVllm, FakeOpenAI])
def test_unlisted_model(make: Callable[[], Double]) -> None:
    double = make()
    with (
        asking(double, model="starcoder2:7b") as backend,
        raises_error(
            UnknownModel, f"{double.url} has no model 'starcoder2:7b'.", f"It has {NAME}."
        ),
    ):
        backend.identify(soon())


def test_tgi_ignores_names() -> None:
    with asking(FakeTgi(), model="starcoder2") as backend:
        assert backend.inspect(backend.identify(soon()), soon()).name == NAME


NO_MODEL = "Load a model on it, or set host to the address of another server."


@pytest.mark.parametrize(
    "listed", [{}, {"data": []}, {"data": None}, {"data": {"id": "m"}}, {"data": ["m", None]}]
)
def test_server_without_models(listed: dict[str, Any]) -> None:
    double = FakeVllm(replies={"/v1/models": (200, listed)})
    with (
        asking(double) as backend,
        raises_error(BadResponse, f"{double.url} lists no model.", NO_MODEL),
    ):
        backend.identify(soon())


def test_identify_takes_one_request() -> None:
    double = FakeVllm()
    with asking(double) as backend:
        backend.identify(soon())
        assert [request.path for request in double.requests] == ["/v1/models"]
        backend.identify(soon())
    with asking(double) as backend:
        complete(backend)
        assert [request.path for request in double.requests[2:]] == [
            "/v1/models",
            "/v1/completions",
        ]


def test_digest_ignores_times() -> None:
    double = FakeVllm()
    with asking(double) as backend:
        first = backend.identify(soon())
        assert (
            backend.identify(soon()) == first
        )  # the double's permissions have another number each time
        double.window = 8192
        assert backend.identify(soon()) != first
        double.window = 16384
        double.model = "bigcode/starcoder2-3b"
        assert backend.identify(soon()) != first


def test_server_changes_kind() -> None:
    double = FakeOpenAI()
    with asking(double) as backend:
        backend.identify(soon())
        double.owner = "vllm"
        backend.identify(soon())
        assert backend.label == "vLLM"


# --- where it is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("", "http://127.0.0.1:8000"),
        ("gpu-box", "http://gpu-box:8000"),
        ("gpu-box:9000/v1", "http://gpu-box:9000"),
        ("gpu-box:9000/v1/", "http://gpu-box:9000"),
        ("https://models.example/team/v1", "https://models.example:443/team"),
        ("https://models.example/team", "https://models.example:443/team"),
    ],
)
def test_host_may_end_in_v1(host: str, place: str) -> None:
    assert OpenAI(Settings(backend="openai", host=host)).place == place


@pytest.mark.parametrize("path", ["", "/v1", "/v1/"])
def test_v1_is_not_doubled(path: str) -> None:
    double = FakeVllm()
    with asking(double, path) as backend:
        complete(backend)
    assert [request.path for request in double.requests] == ["/v1/models", "/v1/completions"]


# --- the key -------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [FakeVllm, FakeOpenAI])
def test_key_is_sent(make: Callable[..., Double]) -> None:
    with asking(make(key="sk-1"), api_key="sk-1") as backend:
        assert complete(backend).text == " the divisor is one too small."


def test_no_key_by_default() -> None:
    double = FakeVllm()
    with asking(double, hf_token="hf_token") as backend:
        complete(backend)
    assert {request.headers.get("Authorization") for request in double.requests} == {None}


@pytest.mark.parametrize(
    ("tracked", "sent"),
    [
        ((), "Bearer sk-1"),
        (("model",), "Bearer sk-1"),
        (("host",), None),
        (("host", "model"), None),
    ],
)
@pytest.mark.parametrize("owner", ["vllm", "llamacpp"])
def test_key_withheld_from_tracked_host(
    tracked: tuple[str, ...], sent: str | None, owner: str
) -> None:
    double = FakeVllm(owner=owner)
    with asking(double, api_key="sk-1", tracked=frozenset(tracked)) as backend:
        backend.identify(soon())
        with suppress(StarcoderError):
            complete(backend)
        with suppress(StarcoderError):
            backend.count("a", soon())
    assert {request.headers.get("Authorization") for request in double.requests} == {sent}


@pytest.mark.parametrize(
    ("double", "key", "message"),
    [
        (FakeVllm(key="sk-1"), "", "{server} requires a key (401: Unauthorized)."),
        (FakeVllm(key="sk-1"), "sk-2", "{server} refuses the key (401: Unauthorized)."),
        (
            FakeOpenAI(key="sk-1", replies={"/v1/models": (403, b"")}),
            "",
            "{server} requires a key (403).",
        ),
    ],
)
def test_missing_or_wrong_key(double: Double, key: str, message: str) -> None:
    with asking(double, api_key=key) as backend:
        server = f"The OpenAI-compatible server at {double.url}"
        with raises_error(AccessDenied, message.format(server=server), SET_KEY):
            backend.identify(soon())


def test_tgi_key() -> None:
    double = FakeTgi(key="sk-1")
    with asking(double) as backend:
        backend.identify(soon())
        with raises_error(AccessDenied, f"TGI at {double.url} requires a key (401).", SET_KEY):
            complete(backend)


# --- what is refused -----------------------------------------------------------------------

OTHER = "Is another program listening there? Set host to where the server runs, without /v1."
LESS = "Send less, or start the server with a larger window (vLLM: --max-model-len)."
TABLE: list[tuple[int, Any, type[StarcoderError], str, str]] = [
    (
        404,
        {
            "error": {
                "message": f"The model `{NAME}` does not exist.",
                "type": "NotFoundError",
                "param": "model",
                "code": 404,
            }
        },
        UnknownModel,
        f"vLLM at {{url}} does not serve 'the model' (404: The model `{NAME}` does not exist).",
        "See what it serves: {url}/v1/models.",
    ),
    (
        404,
        {
            "object": "error",
            "message": f"The model `{NAME}` does not exist.",
            "type": "NotFoundError",
            "code": 404,
        },
        UnknownModel,
        f"vLLM at {{url}} does not serve 'the model' (404: The model `{NAME}` does not exist).",
        "See what it serves: {url}/v1/models.",
    ),
    (
        404,
        {"detail": "Not Found"},
        BadResponse,
        '{url} does not answer like an OpenAI-compatible server (404: {{"detail": "Not Found"}}).',
        OTHER,
    ),
    (
        405,
        b"",
        BadResponse,
        "{url} does not answer like an OpenAI-compatible server (405).",
        OTHER,
    ),
    (
        400,
        {
            "error": {
                "message": "This model's maximum context length is 4096 tokens.",
                "type": "BadRequestError",
            }
        },
        PromptTooLong,
        "The prompt does not fit the window of the model at {url}: This model's maximum context "
        "length is 4096 tokens.",
        LESS,
    ),
    (
        400,
        {
            "error": {
                "message": "top_k must be -1 (disable), or at least 1",
                "type": "BadRequestError",
            }
        },
        BadResponse,
        "vLLM at {url} failed (400: top_k must be -1 (disable), or at least 1).",
        LOG,
    ),
    (
        429,
        {"error": {"message": "Rate limit reached.", "type": "requests"}},
        RateLimited,
        "vLLM at {url} is overloaded or still loading (429: Rate limit reached).",
        "Try again in 1 s.",
    ),
    (
        503,
        b"",
        RateLimited,
        "vLLM at {url} is overloaded or still loading (503).",
        "Try again in 1 s.",
    ),
    (
        500,
        {"error": {"message": "EngineCore encountered an issue.", "type": "InternalServerError"}},
        BadResponse,
        "vLLM at {url} failed (500: EngineCore encountered an issue).",
        LOG,
    ),
    (
        502,
        b"<html><h1>502 Bad Gateway</h1></html>",
        BackendUnavailable,
        "The proxy in front of {url} cannot reach the server (502: <html><h1>502 Bad "
        "Gateway</h1></html>).",
        START,
    ),
    (
        504,
        b"",
        BackendUnavailable,
        "The proxy in front of {url} cannot reach the server (504).",
        START,
    ),
    (
        200,
        b'data: {"error": {"message": "CUDA out of memory", "code": 500}}\n\n',
        BadResponse,
        "vLLM at {url} failed (CUDA out of memory).",
        LOG,
    ),
]


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "hint"), TABLE, ids=lambda value: str(value)[:20]
)
def test_errors_of_the_server(
    status: int, body: Any, kind: type[StarcoderError], message: str, hint: str
) -> None:
    double = FakeVllm(replies={"/v1/completions": (status, body)})
    with (
        asking(double) as backend,
        raises_error(kind, message.format(url=double.url), hint.format(url=double.url)),
    ):
        complete(backend)


def test_model_is_gone() -> None:
    double = FakeVllm()
    with asking(double, model=NAME) as backend:
        backend.identify(soon())
        double.model = "another"
        with raises_error(
            UnknownModel,
            f"vLLM at {double.url} does not serve {NAME!r} (404: The model `{NAME}` does not "
            "exist).",
            f"See what it serves: {double.url}/v1/models.",
        ):
            complete(backend)


def test_model_without_chat_template() -> None:
    double = FakeVllm(template=False)
    with (
        asking(double) as backend,
        raises_error(
            BadResponse,
            f"vLLM at {double.url} failed (400: As of transformers v4.44, default chat template "
            "is no longer allowed, "
            "so you must provide a chat template if the tokenizer does not define one).",
            LOG,
        ),
    ):
        complete(backend, Prompt("a", chat=True))


@pytest.mark.parametrize(
    ("double", "text"),
    [
        (
            FakeTgi(most_stops=3),
            "Input validation error: `stop` supports up to 3 stop sequences. Given: 4",
        ),
        (
            FakeTgi(
                replies={"/v1/completions": (424, {"error": "Request failed during generation: x"})}
            ),
            "424: Request failed during generation: x",
        ),
    ],
)
def test_errors_of_tgi(double: FakeTgi, text: str) -> None:
    with (
        asking(double) as backend,
        raises_error(BadResponse, f"TGI at {double.url} failed ({text}).", LOG),
    ):
        complete(backend, Prompt("a", stop=("1", "2", "3", "4", "5")))


def test_overloaded_tgi() -> None:
    double = FakeTgi(ending="overloaded")
    with asking(double) as backend:
        message = f"TGI at {double.url} is overloaded or still loading (Model is overloaded)."
        with raises_error(RateLimited, message, "Try again in 1 s."):
            complete(backend)
        with pytest.raises(RateLimited) as caught:
            complete(backend)
    assert caught.value.retry_after == 1.0


def test_prompt_too_long_for_tgi() -> None:
    double = FakeTgi(window=1000)
    with (
        asking(double) as backend,
        raises_error(
            PromptTooLong,
            f"The prompt does not fit the window of the model at {double.url}: Input validation "
            "error: `inputs` tokens "
            "+ `max_new_tokens` must be <= 1000. Given: 900 `inputs` tokens and 500 "
            "`max_new_tokens`.",
            LESS,
        ),
    ):
        complete(backend, Prompt("a " * 900))


# --- when to ask again ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("0", 0),
        (" 7 ", 7),
        ("", 1),
        ("soon", 1),
        ("-5", 1),
        ("1e3", 1),
        ("9" * 400, 1),
    ],
)
def test_retry_after(header: str, seconds: float) -> None:
    double = FakeVllm(replies={"/v1/completions": (429, b"", {"Retry-After": header})})
    with asking(double) as backend, pytest.raises(RateLimited) as caught:
        complete(backend)
    assert caught.value.retry_after == seconds
    assert caught.value.hint == f"Try again in {seconds:.3g} s."


def test_client_retries() -> None:
    double = FakeVllm(replies={"/v1/completions": [(429, b"", {"Retry-After": "0.01"})] * 2})
    with (
        running(double),
        Client.from_settings(Settings(backend="openai", host=double.url, cache="off")) as client,
    ):
        assert client.complete(Prompt("a")).text == " the divisor is one too small."
    assert len(double.asked("/v1/completions")) == 3


# --- other servers -------------------------------------------------------------------------


def test_list_of_ollama() -> None:
    with fake_ollama(
        replies={"/v1/models": (200, {"data": [{"id": "starcoder2:7b", "owned_by": "library"}]})}
    ) as fake:
        backend = make_backend(Settings(backend="openai", host=fake.url))
        assert backend.inspect("d", soon()) == Model("starcoder2:7b", "d", "", 4096)


# --- llama.cpp, a real one -----------------------------------------------------------------


@pytest.fixture
def real(llamacpp: RealServer) -> Iterator[OpenAI]:
    chosen = Settings(
        backend="openai", host=f"{llamacpp.url}/v1", api_key=llamacpp.key, temperature=0
    )
    with closing(OpenAI(chosen)) as backend:
        yield backend


def test_llamacpp_is_detected(llamacpp: RealServer, real: OpenAI) -> None:
    model = real.inspect(real.identify(soon()), soon())
    assert real.label == "llama.cpp"
    assert (model.name, model.architecture, model.window) == (
        "tiny-starcoder2.gguf",
        "starcoder2",
        4096,
    )
    assert real.count("<file_sep>", soon()) == 1
    assert real.version(soon())


def test_llamacpp_ignores_names(llamacpp: RealServer) -> None:
    chosen = Settings(backend="openai", host=llamacpp.url, api_key=llamacpp.key, model="starcoder2")
    with closing(OpenAI(chosen)) as backend:
        assert complete(backend, Prompt("def", max_tokens=3)).completion_tokens == 3


def test_llamacpp_preserves_stop_tokens(llamacpp: RealServer) -> None:
    with relay(llamacpp.url) as seen:
        chosen = Settings(backend="openai", host=seen.url, api_key=llamacpp.key)
        with closing(OpenAI(chosen)) as backend:
            complete(backend, Prompt("a", max_tokens=2, stop_tokens=("<file_sep>",)))
    (request,) = seen.asked("/v1/completions")
    assert request.body["preserved_tokens"] == ["<file_sep>"]


def test_llamacpp_refuses_the_key(llamacpp: RealServer) -> None:
    message = (
        f"The OpenAI-compatible server at {llamacpp.url} refuses the key (401: Invalid API Key)."
    )
    with (
        closing(OpenAI(Settings(backend="openai", host=llamacpp.url, api_key="wrong"))) as backend,
        raises_error(AccessDenied, message, SET_KEY),
    ):
        backend.identify(soon())
