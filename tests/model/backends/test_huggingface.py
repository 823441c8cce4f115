"""Hugging Face: endpoints, the providers behind the router, and where the token goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest
from support.doubles import (
    EOS,
    Double,
    FakeEndpoint,
    FakeHub,
    FakeRouter,
    FakeTgi,
    FakeVllm,
    running,
)
from support.errors import raises_error
from support.servers import answers, fake_ollama, raw_server

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
from pytest_starcoder.model.backends.huggingface import ELSEWHERE, Endpoint, Router
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.model.prompts import model_family
from pytest_starcoder.settings import Settings

NAME = "bigcode/starcoder2-15b"
MODEL = Model(NAME, "d", "", 16384)
TOKEN = "hf_token"
SCHEMA = {"type": "object", "properties": {"line": {"enum": [3, 7]}}}
LATER = "Try again later, or check its log."
BACKEND_OPENAI = "An endpoint that runs vLLM or llama.cpp needs backend openai."


def soon() -> Deadline:
    return Deadline.after(10)


def complete(
    backend: Endpoint | Router,
    prompt: Prompt | None = None,
    on_text: Callable[[str], None] = lambda _piece: None,
) -> Completion:
    return backend.complete(prompt or Prompt("a"), MODEL, soon(), on_text)


# --- an endpoint of one's own --------------------------------------------------------------


@contextmanager
def endpoint(double: Double, **settings: Any) -> Iterator[Endpoint]:
    with running(double):
        chosen = Settings(backend="huggingface", host=double.url, **settings)
        with closing(Endpoint(chosen)) as backend:
            yield backend


def test_endpoint_or_router() -> None:
    configured = make_backend(
        Settings(backend="huggingface", host="https://x1.endpoints.huggingface.cloud")
    )
    default = make_backend(Settings(backend="huggingface"))
    assert isinstance(configured, Endpoint)
    assert (configured.label, configured.place) == (
        "the Hugging Face endpoint",
        "https://x1.endpoints.huggingface.cloud:443",
    )
    assert isinstance(default, Router)
    assert (default.label, default.place) == ("Hugging Face", "https://router.huggingface.co")


@pytest.mark.parametrize("host", ["127.0.0.1", "gpu-box"])
def test_default_port_of_tgi(host: str) -> None:
    assert Endpoint(Settings(backend="huggingface", host=host)).place == f"http://{host}:8080"


def test_tgi_model_and_window() -> None:
    with endpoint(FakeTgi(window=2048), model="mine") as backend:
        model = backend.inspect(backend.identify(soon()), soon())
        assert (model.name, model.window, model_family(model)) == (
            "bigcode/starcoder2-7b",
            2048,
            "starcoder2",
        )
        assert backend.version(soon()) == "3.3.7"
        assert backend.count("def f(x):", soon()) == estimate("def f(x):")


def test_escapes_in_model_name() -> None:
    with endpoint(FakeTgi(model="\x1b[31mstar\ncoder2\x07")) as backend:
        assert backend.inspect("d", soon()).name == "star coder2"


@pytest.mark.parametrize(
    ("name", "value"), [("model", "bigcode/starcoder"), ("sha", "other"), ("window", 99)]
)
def test_endpoint_digest(name: str, value: Any) -> None:
    double = FakeTgi()
    with endpoint(double) as backend:
        first = backend.identify(soon())
        assert backend.identify(soon()) == first
        setattr(double, name, value)
        assert backend.identify(soon()) != first


def test_endpoint_completion_request() -> None:
    double = FakeTgi()
    with endpoint(double) as backend:
        complete(backend, Prompt("<pr>", ("1", "2", "3"), 7, SCHEMA, ("<4>", "<5>")))
    assert double.bodies("/") == [
        {
            "inputs": "<pr>",
            "parameters": {
                "max_new_tokens": 7,
                "return_full_text": False,
                "seed": 1,
                "stop": ["1", "2", "3", "<4>"],
                "details": True,
                "do_sample": True,
                "temperature": 0.2,
                "top_p": 0.95,
                "grammar": {"type": "json", "value": SCHEMA},
            },
            "stream": True,
        }
    ]


def test_endpoint_chat_request() -> None:
    double = FakeTgi()
    with endpoint(double) as backend:
        completion = complete(
            backend, Prompt("why?", max_tokens=9, schema=SCHEMA, chat=True, likelihood=True)
        )
    (body,) = double.bodies("/v1/chat/completions")
    assert (body["model"], body["messages"]) == ("tgi", [{"role": "user", "content": "why?"}])
    assert body["response_format"] == {"type": "json", "value": SCHEMA}
    assert (completion.text, completion.truncated) == (" the divisor is one too small.", False)
    assert completion.likelihood == pytest.approx(-0.5)


@pytest.mark.parametrize("chat", [False, True])
def test_temperature_0_is_greedy(chat: bool) -> None:
    double = FakeTgi()
    with endpoint(double, temperature=0) as backend:
        complete(backend, Prompt("a", chat=chat))
    with endpoint(double) as backend:
        complete(backend, Prompt("a", chat=chat))
    assert double.sampled == [False, True]


def test_endpoint_pieces_and_counts() -> None:
    pieces: list[str] = []
    with endpoint(FakeTgi()) as backend:
        completion = complete(backend, Prompt("one two, three", likelihood=True), pieces.append)
    assert pieces == [" the", " divisor", " is", " one", " too", " small."]
    assert completion == Completion(
        " the divisor is one too small.",
        NAME,
        prompt_tokens=4,
        completion_tokens=7,
        likelihood=-0.5,
    )


@pytest.mark.parametrize(
    ("answer", "prompt", "text", "truncated"),
    [
        ("one two three", Prompt("a"), "one two three", False),
        ("one two three", Prompt("a", max_tokens=2), "one two", True),
        ("one two\n\n three", Prompt("a", ("\n\n",)), "one two", False),
        ("one two\n\nthree", Prompt("a", ("\n\n",)), "one two", False),
        ("one two three", Prompt("a", ("1", "2", "3", "4", " three")), "one two", False),
        ("one<file_sep>two", Prompt("a", stop_tokens=("<file_sep>",)), "one", False),
        ("one<fim_pad> two", Prompt("a"), "one<fim_pad> two", False),
        (f"one{EOS}two", Prompt("a"), "one", False),
        ("", Prompt("a"), "", False),
    ],
)
def test_endpoint_stops(answer: str, prompt: Prompt, text: str, truncated: bool) -> None:
    pieces: list[str] = []
    with endpoint(FakeTgi(answer=answer)) as backend:
        completion = complete(backend, prompt, pieces.append)
    assert (
        (completion.text, completion.truncated) == (text, truncated) == ("".join(pieces), truncated)
    )
    assert completion.completion_tokens > 0


@pytest.mark.parametrize("lines", ["id: 1\nretry: 10\n", ": ping\n\n", "event: message\n"])
def test_silent_lines_are_skipped(lines: str) -> None:
    event = json.dumps({"token": {"text": "a"}, "generated_text": "a"})
    with endpoint(FakeTgi(replies={"/": (200, f"{lines}data:{event}\n\n".encode())})) as backend:
        assert complete(backend) == Completion("a", NAME, completion_tokens=1)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"token": None},
        {"token": {"text": 3, "logprob": "x", "special": "y"}},
        {"token": "a", "details": 3, "generated_text": None},
    ],
)
def test_unexpected_field_types(event: dict[str, Any]) -> None:
    with endpoint(
        FakeTgi(replies={"/": (200, f"data: {json.dumps(event)}\n\n".encode())})
    ) as backend:
        assert complete(backend, Prompt("a", likelihood=True)) == Completion(
            "", NAME, truncated=True
        )


def test_endpoint_stream_without_end() -> None:
    with endpoint(FakeTgi(ending="lost", answer="one two")) as backend:
        assert complete(backend) == Completion("one two", NAME, truncated=True)


# --- an endpoint whose code is its own -----------------------------------------------------


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("indented", [None, 1])
def test_endpoint_without_streaming(listed: bool, indented: int | None) -> None:
    pieces: list[str] = []
    with endpoint(
        FakeEndpoint(listed=listed, indented=indented, answer="one\ntwo"), model="mine"
    ) as backend:
        model = backend.inspect(backend.identify(soon()), soon())
        assert (model.name, model.window) == ("mine", 4096)
        assert backend.version(soon()) == ""
        completion = backend.complete(Prompt("a"), model, soon(), pieces.append)
    assert completion == Completion("one\ntwo", "mine", completion_tokens=1)
    assert pieces == ["one\ntwo"]


def test_stops_without_streaming() -> None:
    with endpoint(FakeEndpoint(answer="one\n\ntwo")) as backend:
        assert complete(backend, Prompt("a", ("\n\n",))).text == "one"


@pytest.mark.parametrize(
    "reply",
    [
        (404, b"Not Found"),
        (404, {"error": "Not Found"}),
        (404, {"detail": "Not Found"}),
        (404, {"error": "model not found"}),
        (405, b""),
        (200, b"<html>"),
        (500, b"boom"),
    ],
)
def test_endpoint_without_info(reply: tuple[int, Any]) -> None:
    with endpoint(FakeEndpoint(replies={"/info": reply}), model="mine") as backend:
        assert backend.identify(soon()) == backend.identify(soon()) != ""
        assert backend.inspect("d", soon()) == Model("mine", "d", "", 4096)


@pytest.mark.parametrize(
    "body", [[{"summary_text": "a"}], {"generated_text": None}, {"generated_text": ["a"]}]
)
def test_endpoint_for_another_task(body: Any) -> None:
    double = FakeEndpoint(replies={"/": (200, body)})
    with (
        endpoint(double) as backend,
        raises_error(BadResponse, f"{double.url} gave no generated_text.", BACKEND_OPENAI),
    ):
        complete(backend)


@pytest.mark.parametrize("body", [b"[]", b"3", b'["a"]', b"{", b"[{}, {}]", b"<html>"])
def test_endpoint_without_answer(body: bytes) -> None:
    with endpoint(FakeEndpoint(replies={"/": (200, body)})) as backend, pytest.raises(BadResponse):
        complete(backend)


def test_error_with_status_200() -> None:
    double = FakeEndpoint(replies={"/": (200, {"error": "boom"})})
    with (
        endpoint(double) as backend,
        raises_error(BadResponse, "The Hugging Face endpoint failed (boom).", LATER),
    ):
        complete(backend)


# --- where the token goes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, None),
        ({"hf_token": TOKEN}, f"Bearer {TOKEN}"),
        ({"api_key": "sk-1"}, "Bearer sk-1"),
        ({"hf_token": TOKEN, "api_key": "sk-1"}, f"Bearer {TOKEN}"),
        ({"hf_token": TOKEN, "tracked": frozenset({"model"})}, f"Bearer {TOKEN}"),
        ({"hf_token": TOKEN, "api_key": "sk-1", "tracked": frozenset({"host"})}, None),
    ],
)
def test_token_for_configured_endpoint(settings: dict[str, Any], sent: str | None) -> None:
    double = FakeTgi()
    with endpoint(double, **settings) as backend:
        backend.identify(soon())
        complete(backend)
        complete(backend, Prompt("a", chat=True))
    assert [request.headers.get("Authorization") for request in double.requests] == [sent] * 3


@pytest.mark.parametrize("path", ["/info", "/", "/v1/chat/completions"])
def test_token_follows_no_redirect(path: str) -> None:
    with fake_ollama("127.0.0.2") as elsewhere:
        away = (307, b"", {"Location": f"{elsewhere.url}/"})
        with endpoint(FakeTgi(replies={path: away}), hf_token=TOKEN) as backend:
            for ask in (lambda: backend.identify(soon()), lambda: complete(backend)):
                with suppress(BadResponse):
                    ask()
            with suppress(BadResponse):
                complete(backend, Prompt("a", chat=True))
    assert elsewhere.requests == []


@pytest.mark.parametrize("server", ["hub", "router"])
def test_hub_token_follows_no_redirect(server: str) -> None:
    with fake_ollama("127.0.0.2") as elsewhere, serving() as serving_model:
        away = (302, b"", {"Location": f"{elsewhere.url}/api/models/{NAME}"})
        path = f"/api/models/{NAME}" if server == "hub" else "/featherless-ai/v1/completions"
        (serving_model.hub if server == "hub" else serving_model.router).replies[path] = away
        with pytest.raises(
            BadResponse,
            match=r"redirects to http://127\.0\.0\.2:\d+, and redirects are not followed",
        ):
            complete(serving_model.backend)
    assert elsewhere.requests == []


# --- the router ----------------------------------------------------------------------------


class Serving:
    """The hub and the router, and the backend that asks them."""

    def __init__(self, hub: FakeHub, router: FakeRouter, settings: Settings) -> None:
        self.hub = hub
        self.router = router
        self.backend = Router(settings, hub.url, router.url)


@contextmanager
def serving(
    hub: FakeHub | None = None, router: FakeRouter | None = None, **settings: Any
) -> Iterator[Serving]:
    chosen = {"backend": "huggingface", "model": NAME, "hf_token": TOKEN, **settings}
    with ExitStack() as stack:
        hubs = stack.enter_context(running(hub or FakeHub()))
        routers = stack.enter_context(running(router or FakeRouter()))
        serving_model = Serving(hubs, routers, Settings(**chosen))
        stack.callback(serving_model.backend.close)
        yield serving_model


def entry(
    task: str = "text-generation", status: str = "live", name: str = "theirs"
) -> dict[str, str]:
    return {"status": status, "providerId": name, "task": task}


def test_hub_and_router_requests() -> None:
    with serving() as serving_model:
        model = serving_model.backend.inspect(serving_model.backend.identify(soon()), soon())
        assert (model.name, model.architecture, model.window, model.chat) == (
            NAME,
            "starcoder2",
            16384,
            False,
        )
        assert complete(serving_model.backend).text == " the divisor is one too small."
        assert serving_model.backend.version(soon()) == ""
        assert serving_model.backend.count("def f(x):", soon()) == estimate("def f(x):")
    assert {request.path for request in serving_model.hub.requests} == {
        f"/api/models/{NAME}?expand%5B%5D=sha&expand%5B%5D=config&expand%5B%5D=inferenceProviderMapping"
    }
    (body,) = serving_model.router.bodies("/featherless-ai/v1/completions")
    assert (body["model"], body["prompt"]) == ("starcoder2-at-featherless", "a")


def test_completion_looks_up_the_model() -> None:
    with serving() as serving_model:
        complete(serving_model.backend)
        complete(serving_model.backend)
    assert len(serving_model.hub.requests) == 1


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("featherless-ai", "/featherless-ai/v1/completions"),
        ("together", "/together/v1/completions"),
        ("deepinfra", "/deepinfra/v1/openai/completions"),
        ("novita", "/novita/v3/openai/completions"),
    ],
)
def test_provider_paths(provider: str, path: str) -> None:
    name = f"starcoder2-at-{provider.partition('-')[0]}"
    with serving(FakeHub(mapping={provider: entry(name=name)})) as serving_model:
        assert complete(serving_model.backend).text == " the divisor is one too small."
    (body,) = serving_model.router.bodies(path)
    assert body["model"] == name
    assert body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "provider", ["groq", "hf-inference", "together", "../../api/whoami", "a b?", "\x1b[31m"]
)
def test_chat_path(provider: str) -> None:
    with serving(FakeHub(mapping={provider: entry("conversational")})) as serving_model:
        model = serving_model.backend.inspect(serving_model.backend.identify(soon()), soon())
        assert model.chat
        assert (
            complete(serving_model.backend, Prompt("why?", chat=True)).text
            == " the divisor is one too small."
        )
    (body,) = serving_model.router.bodies("/v1/chat/completions")
    assert body["model"] == NAME


@pytest.mark.parametrize(
    ("mapping", "served"),
    [
        ({"together": entry()}, {"text-generation": ("together", "theirs")}),
        ([{"provider": "together", **entry()}], {"text-generation": ("together", "theirs")}),
        (
            [{"provider": "novita", **entry()}, {"provider": "groq", **entry("conversational")}],
            {"text-generation": ("novita", "theirs"), "conversational": ("groq", "theirs")},
        ),
        (
            [
                {"provider": "novita", **entry(name="first")},
                {"provider": "together", **entry(name="second")},
            ],
            {"text-generation": ("novita", "first")},
        ),
        (
            {"novita": entry(status="staging"), "together": entry()},
            {"text-generation": ("together", "theirs")},
        ),
        (
            {"novita": entry(status="error"), "together": entry()},
            {"text-generation": ("together", "theirs")},
        ),
        (
            {"hf-inference": entry(), "together": entry()},
            {"text-generation": ("together", "theirs")},
        ),
        (
            {"novita": entry(name=""), "together": entry()},
            {"text-generation": ("together", "theirs")},
        ),
    ],
)
def test_live_providers(mapping: Any, served: dict[str, Any]) -> None:
    with serving(FakeHub(mapping=mapping)) as serving_model:
        serving_model.backend.identify(soon())
        assert serving_model.backend._providers == served


@pytest.mark.parametrize(
    "mapping",
    [
        None,
        {},
        [],
        3,
        ["together"],
        {"together": "live"},
        {"together": {}},
        {"together": entry("summarization")},
        {"groq": entry()},
        {"../../api/whoami": entry()},
        {"together/../../api": entry()},
        {"": entry()},
        [{**entry(), "provider": None}],
        [{**entry(), "provider": ["together"]}],
        [{"provider": "together", "status": "live"}],
    ],
)
def test_model_without_provider(mapping: Any) -> None:
    with (
        serving(FakeHub(mapping=mapping)) as serving_model,
        raises_error(UnknownModel, f"No provider serves {NAME} through Hugging Face.", ELSEWHERE),
    ):
        serving_model.backend.identify(soon())


@pytest.mark.parametrize(
    ("task", "chat", "only", "hint"),
    [
        ("conversational", False, "chats", "chat"),
        ("text-generation", True, "completions", "completion"),
    ],
)
def test_model_served_for_other_task(task: str, chat: bool, only: str, hint: str) -> None:
    with (
        serving(FakeHub(mapping={"together": entry(task)})) as serving_model,
        raises_error(
            UnknownModel,
            f"Hugging Face serves {NAME} only for {only}.",
            f"Set family to {hint}. {ELSEWHERE}",
        ),
    ):
        complete(serving_model.backend, Prompt("a", chat=chat))
    assert serving_model.router.requests == []


@pytest.mark.parametrize(("name", "value"), [("sha", "other"), ("mapping", {"together": entry()})])
def test_router_digest(name: str, value: Any) -> None:
    with serving() as serving_model:
        first = serving_model.backend.identify(soon())
        assert serving_model.backend.identify(soon()) == first
        setattr(serving_model.hub, name, value)
        assert serving_model.backend.identify(soon()) != first


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("bigcode/starcoder2-15b", 16384),
        ("somebody/StarCoder2-7B-tuned", 16384),
        ("bigcode/starcoderplus", 8192),
        ("meta-llama/Llama-3.1-8B", 4096),
    ],
)
def test_router_window(model: str, window: int) -> None:
    with serving(
        FakeHub(model=model, config=None), FakeRouter(model=model), model=model
    ) as serving_model:
        assert serving_model.backend.inspect("d", soon()) == Model(model, "d", "", window)


def test_default_model() -> None:
    assert Settings(backend="huggingface").model == "bigcode/starcoderplus"


def test_model_name_is_quoted() -> None:
    odd = "bigcode/star coder?x=1#é"
    with serving(FakeHub(model=odd), model=odd) as serving_model:
        serving_model.backend.identify(soon())


def test_missing_token() -> None:
    with (
        serving(hf_token="", api_key="sk-1") as serving_model,
        raises_error(
            AccessDenied,
            "Hugging Face requires a token, and none is set.",
            "Set HF_TOKEN=hf_… in the environment, or in a .env file that git ignores; "
            "create one at https://huggingface.co/settings/tokens.",
        ),
    ):
        complete(serving_model.backend)
    assert serving_model.hub.requests == serving_model.router.requests == []


def test_router_uses_the_token() -> None:
    with serving(api_key="sk-1") as serving_model:
        complete(serving_model.backend)
    for request in (*serving_model.hub.requests, *serving_model.router.requests):
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"


# --- what is refused -----------------------------------------------------------------------

TOKENS = "https://huggingface.co/settings/tokens"
GATED = (
    AccessDenied,
    f"{NAME} is gated, and this Hugging Face account has no access to it yet.",
    f"Ask for access at https://huggingface.co/{NAME}, signed in as the account of the token.",
)
CREDITS = (
    "You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO "
    "to get 20x more monthly "
    "included credits."
)
FINE_GRAINED = (
    "Please enable access to public gated repositories in your fine-grained token "
    "settings to view this repository."
)
NO_PROVIDERS = (
    "This authentication method does not have sufficient permissions to call "
    "Inference Providers on behalf of user ann"
)
GONE = "https://api-inference.huggingface.co is no longer supported. Please use https://router.huggingface.co/hf-inference"
TABLE: list[tuple[int, Any, dict[str, str], type[StarcoderError], str, str]] = [
    (
        401,
        {"error": "Invalid username or password."},
        {},
        AccessDenied,
        "Hugging Face does not accept the token (401: Invalid username or password).",
        f"Set HF_TOKEN to a valid token from {TOKENS}.",
    ),
    (
        401,
        b"",
        {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to model {NAME} is restricted."},
        *GATED,
    ),
    (
        403,
        {"error": f"Access to model {NAME} is restricted and you are not in the authorized list."},
        {},
        *GATED,
    ),
    (
        403,
        b"",
        {"X-Error-Code": "GatedRepo", "X-Error-Message": FINE_GRAINED},
        AccessDenied,
        f"The Hugging Face token may not read gated models ({FINE_GRAINED[:-1]}).",
        f"Allow 'public gated repositories' in the token's settings: {TOKENS}.",
    ),
    (
        403,
        {"error": NO_PROVIDERS},
        {},
        AccessDenied,
        f"The Hugging Face token may not call inference providers ({NO_PROVIDERS}).",
        f"Allow that in the token's settings: {TOKENS}.",
    ),
    (
        402,
        {"error": CREDITS},
        {},
        AccessDenied,
        f"The credits of this Hugging Face account are used up ({CREDITS[:-1]}).",
        "Buy some or wait for the next month (https://huggingface.co/settings/billing), or run a "
        "model of your own with Ollama.",
    ),
    (
        429,
        {"error": "Too many requests"},
        {"Retry-After": "12"},
        RateLimited,
        "Hugging Face received too many requests from you.",
        "Try again in 12 s.",
    ),
    (
        429,
        b"",
        {},
        RateLimited,
        "Hugging Face received too many requests from you.",
        "Try again in 1 s.",
    ),
    (
        503,
        {"error": f"Model {NAME} is currently loading"},
        {},
        RateLimited,
        f"Hugging Face is still loading {NAME}.",
        "Try again in 5 s.",
    ),
    (
        410,
        {"error": f"{GONE} instead."},
        {},
        BackendUnavailable,
        f"{{router}} is no longer served ({GONE} instead).",
        "Remove host to use the router.",
    ),
    (
        400,
        {
            "error": {
                "message": f"The requested model '{NAME}' is not supported by any provider "
                "you have enabled."
            }
        },
        {},
        UnknownModel,
        f"Hugging Face does not serve {NAME} (400: The requested model '{NAME}' is not supported "
        "by any provider you "
        "have enabled).",
        ELSEWHERE,
    ),
    (
        404,
        {"error": "Not Found"},
        {},
        UnknownModel,
        f"Hugging Face does not serve {NAME} (404: Not Found).",
        ELSEWHERE,
    ),
    (
        405,
        b"",
        {},
        BadResponse,
        "{router} does not answer like Hugging Face's servers (405).",
        BACKEND_OPENAI,
    ),
    (
        400,
        {"error": "top_p is too large"},
        {},
        BadResponse,
        "Hugging Face failed (400: top_p is too large).",
        LATER,
    ),
    (
        422,
        {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000"},
        {},
        PromptTooLong,
        f"The prompt does not fit the window of {NAME} at {{router}}: Input validation error: "
        "`inputs` must have less "
        "than 1024 tokens. Given: 2000.",
        "Send less, or deploy it with a larger window.",
    ),
    (
        500,
        {"error": "\x1b[31mboom\x07"},
        {"X-Error-Message": "\x1b]0;title\x07boom"},
        BadResponse,
        "Hugging Face failed (500: boom).",
        LATER,
    ),
]


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "message", "hint"),
    TABLE,
    ids=lambda value: str(value)[:20],
)
def test_errors_of_hugging_face(
    status: int,
    body: Any,
    headers: dict[str, str],
    kind: type[StarcoderError],
    message: str,
    hint: str,
) -> None:
    with serving() as serving_model:
        serving_model.router.replies["/featherless-ai/v1/completions"] = (status, body, headers)
        with raises_error(kind, message.format(router=serving_model.router.url), hint):
            complete(serving_model.backend)


def test_invalid_token() -> None:
    with (
        serving(hf_token="hf_wrong") as serving_model,
        raises_error(
            AccessDenied,
            "Hugging Face does not accept the token (401: Invalid credentials in Authorization "
            "header).",
            f"Set HF_TOKEN to a valid token from {TOKENS}.",
        ),
    ):
        serving_model.backend.identify(soon())


def test_hidden_model() -> None:
    with (
        serving(model="bigcode/starcode") as serving_model,
        raises_error(
            AccessDenied,
            "Hugging Face shows no model 'bigcode/starcode' to this token.",
            "Is its name right? A private model needs a token of its owner.",
        ),
    ):
        serving_model.backend.identify(soon())


@pytest.mark.parametrize("chat", [False, True])
def test_endpoint_requires_token(chat: bool) -> None:
    with (
        endpoint(FakeTgi(key=TOKEN)) as backend,
        raises_error(
            AccessDenied,
            "The Hugging Face endpoint requires a token, and none is set.",
            "Set HF_TOKEN.",
        ),
    ):
        complete(backend, Prompt("a", chat=chat))


def test_endpoint_of_another_kind() -> None:
    """vLLM knows no `/`, and says so as it says that it does not know a model."""
    double = FakeVllm(replies={"/": (404, {"detail": "no such route"})})
    with (
        endpoint(double) as backend,
        raises_error(
            BadResponse,
            f'{double.url} does not answer like Hugging Face\'s servers (404: {{"detail": "no '
            'such route"}).',
            BACKEND_OPENAI,
        ),
    ):
        complete(backend)


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        ({"error": "x"}, {"Retry-After": "3"}, 3),
        ({"error": "x"}, {}, 5),
        (b"<html>", {}, 5),
        ([1], {}, 5),
        (b"[" * 100_000, {}, 5),
    ],
)
def test_loading_model(body: Any, headers: dict[str, str], seconds: float) -> None:
    double = FakeEndpoint(replies={"/": (503, body, headers)})
    with endpoint(double, model="mine") as backend, pytest.raises(RateLimited) as caught:
        complete(backend)
    assert caught.value.retry_after == seconds
    assert (
        str(caught.value)
        == f"The Hugging Face endpoint is still loading mine. Try again in {seconds:.3g} s."
    )


def test_waking_endpoint_is_retried() -> None:
    loading = (503, {"error": "loading"}, {"Retry-After": "0.01"})
    double = FakeTgi(replies={"/": [loading, loading]})
    with (
        running(double),
        Client.from_settings(
            Settings(backend="huggingface", host=double.url, cache="off")
        ) as client,
    ):
        assert client.complete(Prompt("a")).text == " the divisor is one too small."


@pytest.mark.parametrize("chat", [False, True])
def test_overloaded_tgi(
    chat: bool,
) -> None:
    with endpoint(FakeTgi(ending="overloaded")) as backend, pytest.raises(RateLimited) as caught:
        complete(backend, Prompt("a", chat=chat))
    assert caught.value.retry_after == 1.0


def test_prompt_too_long_for_tgi() -> None:
    double = FakeTgi(window=1000)
    with (
        endpoint(double, model=NAME) as backend,
        raises_error(
            PromptTooLong,
            f"The prompt does not fit the window of {NAME} at {double.url}: Input validation "
            "error: `inputs` tokens + "
            "`max_new_tokens` must be <= 1000. Given: 900 `inputs` tokens and 500 "
            "`max_new_tokens`.",
            "Send less, or deploy it with a larger window.",
        ),
    ):
        complete(backend, Prompt("a " * 900))


@pytest.mark.parametrize("chat", [False, True])
def test_error_at_end_of_stream(chat: bool) -> None:
    with (
        endpoint(FakeTgi(ending="error")) as backend,
        raises_error(
            BadResponse,
            "The Hugging Face endpoint failed (Request failed during generation: Server error: "
            "CUDA out of memory).",
            LATER,
        ),
    ):
        complete(backend, Prompt("a", chat=chat))


def test_token_is_never_shown() -> None:
    with serving(hf_token="hf_wrong") as serving_model:
        with pytest.raises(StarcoderError) as caught:
            serving_model.backend.identify(soon())
        shown = [
            repr(serving_model.backend),
            repr(vars(serving_model.backend)),
            repr(caught.value),
            str(caught.value),
        ]
    assert "hf_wrong" not in " ".join(shown)


def test_moved_model() -> None:
    moved = answers(b"", "307 Temporary Redirect", "Location: /api/models/bigcode/new-name")
    with raw_server(moved) as url:
        backend = Router(
            Settings(backend="huggingface", model="bigcode/old", hf_token="hf_x"), url, url
        )
        with pytest.raises(BadResponse) as caught:
            backend.identify(Deadline.after(5))
    assert str(caught.value) == (
        f"{url} redirects to another page, and redirects are not followed. "
        "If bigcode/old has a new name there, set model to that."
    )
