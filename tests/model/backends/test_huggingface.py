"""Hugging Face: a TGI or an endpoint of one's own, or whoever serves the model; and where the token goes."""

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
from support.errors import told
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
from pytest_starcoder.model.prompts import family
from pytest_starcoder.settings import Settings

NAME = "bigcode/starcoder2-15b"
MODEL = Model(NAME, "d", "", 16384)
TOKEN = "hf_token"
SCHEMA = {"type": "object", "properties": {"line": {"enum": [3, 7]}}}
LATER = "Ask again later, or look into its log."
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


def test_a_host_is_an_endpoint_and_none_is_the_router() -> None:
    own = make_backend(
        Settings(backend="huggingface", host="https://x1.endpoints.huggingface.cloud")
    )
    others = make_backend(Settings(backend="huggingface"))
    assert isinstance(own, Endpoint)
    assert (own.label, own.place) == (
        "the Hugging Face endpoint",
        "https://x1.endpoints.huggingface.cloud:443",
    )
    assert isinstance(others, Router)
    assert (others.label, others.place) == ("Hugging Face", "https://router.huggingface.co")


@pytest.mark.parametrize("host", ["127.0.0.1", "gpu-box"])
def test_a_tgi_listens_at_8080_where_nothing_else_is_said(host: str) -> None:
    assert Endpoint(Settings(backend="huggingface", host=host)).place == f"http://{host}:8080"


def test_tgi_tells_its_model_and_its_window() -> None:
    with endpoint(FakeTgi(window=2048), model="mine") as backend:
        model = backend.inspect(backend.identify(soon()), soon())
        assert (model.name, model.window, family(model)) == (
            "bigcode/starcoder2-7b",
            2048,
            "starcoder2",
        )
        assert backend.version(soon()) == "3.3.7"
        assert backend.count("def f(x):", soon()) == estimate("def f(x):")


def test_a_model_that_tgi_names_with_escapes_is_shown_without() -> None:
    with endpoint(FakeTgi(model="\x1b[31mstar\ncoder2\x07")) as backend:
        assert backend.inspect("d", soon()).name == "star coder2"


@pytest.mark.parametrize(
    ("name", "value"), [("model", "bigcode/starcoder"), ("sha", "other"), ("window", 99)]
)
def test_the_digest_is_that_of_what_tgi_tells(name: str, value: Any) -> None:
    double = FakeTgi()
    with endpoint(double) as backend:
        first = backend.identify(soon())
        assert backend.identify(soon()) == first
        setattr(double, name, value)
        assert backend.identify(soon()) != first


def test_a_completion_is_asked_in_tgis_own_way() -> None:
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


def test_a_chat_is_asked_in_openais_way() -> None:
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


def test_the_pieces_are_tgis_tokens_and_the_counts_tgis() -> None:
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
def test_the_answer_ends_where_it_should(
    answer: str, prompt: Prompt, text: str, truncated: bool
) -> None:
    pieces: list[str] = []
    with endpoint(FakeTgi(answer=answer)) as backend:
        completion = complete(backend, prompt, pieces.append)
    assert (
        (completion.text, completion.truncated) == (text, truncated) == ("".join(pieces), truncated)
    )
    assert completion.completion_tokens > 0


@pytest.mark.parametrize("lines", ["id: 1\nretry: 10\n", ": ping\n\n", "event: message\n"])
def test_lines_of_the_stream_that_carry_nothing_are_passed_over(lines: str) -> None:
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
def test_fields_of_another_kind_than_promised_are_no_crash(event: dict[str, Any]) -> None:
    with endpoint(
        FakeTgi(replies={"/": (200, f"data: {json.dumps(event)}\n\n".encode())})
    ) as backend:
        assert complete(backend, Prompt("a", likelihood=True)) == Completion(
            "", NAME, truncated=True
        )


def test_a_stream_without_its_end_is_truncated_and_has_no_count() -> None:
    with endpoint(FakeTgi(ending="lost", answer="one two")) as backend:
        assert complete(backend) == Completion("one two", NAME, truncated=True)


# --- an endpoint whose code is its own -----------------------------------------------------


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("indented", [None, 1])
def test_an_endpoint_that_does_not_stream_answers_all_the_same(
    listed: bool, indented: int | None
) -> None:
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


def test_its_answer_ends_at_a_stop_as_well() -> None:
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
def test_an_endpoint_need_not_tell_anything_of_itself(reply: tuple[int, Any]) -> None:
    with endpoint(FakeEndpoint(replies={"/info": reply}), model="mine") as backend:
        assert backend.identify(soon()) == backend.identify(soon()) != ""
        assert backend.inspect("d", soon()) == Model("mine", "d", "", 4096)


@pytest.mark.parametrize(
    "body", [[{"summary_text": "a"}], {"generated_text": None}, {"generated_text": ["a"]}]
)
def test_an_endpoint_for_another_task_is_named(body: Any) -> None:
    double = FakeEndpoint(replies={"/": (200, body)})
    with (
        endpoint(double) as backend,
        told(BadResponse, f"{double.url} gave no generated_text.", BACKEND_OPENAI),
    ):
        complete(backend)


@pytest.mark.parametrize("body", [b"[]", b"3", b'["a"]', b"{", b"[{}, {}]", b"<html>"])
def test_what_is_no_answer_at_all_is_an_error(body: bytes) -> None:
    with endpoint(FakeEndpoint(replies={"/": (200, body)})) as backend, pytest.raises(BadResponse):
        complete(backend)


def test_an_error_in_a_200_is_an_error() -> None:
    double = FakeEndpoint(replies={"/": (200, {"error": "boom"})})
    with (
        endpoint(double) as backend,
        told(BadResponse, "The Hugging Face endpoint failed (boom).", LATER),
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
def test_the_token_goes_to_an_endpoint_that_ones_own_settings_name(
    settings: dict[str, Any], sent: str | None
) -> None:
    double = FakeTgi()
    with endpoint(double, **settings) as backend:
        backend.identify(soon())
        complete(backend)
        complete(backend, Prompt("a", chat=True))
    assert [request.headers.get("Authorization") for request in double.requests] == [sent] * 3


@pytest.mark.parametrize("path", ["/info", "/", "/v1/chat/completions"])
def test_the_token_follows_no_redirect(path: str) -> None:
    with fake_ollama("127.0.0.2") as elsewhere:
        away = (307, b"", {"Location": f"{elsewhere.url}/"})
        with endpoint(FakeTgi(replies={path: away}), hf_token=TOKEN) as backend:
            for ask in (lambda: backend.identify(soon()), lambda: complete(backend)):
                with suppress(BadResponse):
                    ask()
            with suppress(BadResponse):
                complete(backend, Prompt("a", chat=True))
    assert elsewhere.requests == []


@pytest.mark.parametrize("which", ["hub", "router"])
def test_nor_does_hugging_faces_own(which: str) -> None:
    with fake_ollama("127.0.0.2") as elsewhere, serving() as found:
        away = (302, b"", {"Location": f"{elsewhere.url}/api/models/{NAME}"})
        path = f"/api/models/{NAME}" if which == "hub" else "/featherless-ai/v1/completions"
        (found.hub if which == "hub" else found.router).replies[path] = away
        with pytest.raises(
            BadResponse,
            match=r"redirects to http://127\.0\.0\.2:\d+, and redirects are not followed",
        ):
            complete(found.backend)
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
        found = Serving(hubs, routers, Settings(**chosen))
        stack.callback(found.backend.close)
        yield found


def entry(
    task: str = "text-generation", status: str = "live", name: str = "theirs"
) -> dict[str, str]:
    return {"status": status, "providerId": name, "task": task}


def test_the_model_is_found_at_the_hub_and_asked_at_the_router() -> None:
    with serving() as found:
        model = found.backend.inspect(found.backend.identify(soon()), soon())
        assert (model.name, model.architecture, model.window, model.chat) == (
            NAME,
            "starcoder2",
            16384,
            False,
        )
        assert complete(found.backend).text == " the divisor is one too small."
        assert found.backend.version(soon()) == ""
        assert found.backend.count("def f(x):", soon()) == estimate("def f(x):")
    assert {request.path for request in found.hub.requests} == {
        f"/api/models/{NAME}?expand%5B%5D=sha&expand%5B%5D=config&expand%5B%5D=inferenceProviderMapping"
    }
    (body,) = found.router.bodies("/featherless-ai/v1/completions")
    assert (body["model"], body["prompt"]) == ("starcoder2-at-featherless", "a")


def test_a_completion_without_anything_before_it_finds_the_model_first() -> None:
    with serving() as found:
        complete(found.backend)
        complete(found.backend)
    assert len(found.hub.requests) == 1


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("featherless-ai", "/featherless-ai/v1/completions"),
        ("together", "/together/v1/completions"),
        ("deepinfra", "/deepinfra/v1/openai/completions"),
        ("novita", "/novita/v3/openai/completions"),
    ],
)
def test_each_provider_completes_at_a_place_of_its_own(provider: str, path: str) -> None:
    name = f"starcoder2-at-{provider.partition('-')[0]}"
    with serving(FakeHub(mapping={provider: entry(name=name)})) as found:
        assert complete(found.backend).text == " the divisor is one too small."
    (body,) = found.router.bodies(path)
    assert body["model"] == name
    assert body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "provider", ["groq", "hf-inference", "together", "../../api/whoami", "a b?", "\x1b[31m"]
)
def test_a_chat_goes_to_the_router_itself_which_knows_everyones_way(provider: str) -> None:
    with serving(FakeHub(mapping={provider: entry("conversational")})) as found:
        model = found.backend.inspect(found.backend.identify(soon()), soon())
        assert model.chat
        assert (
            complete(found.backend, Prompt("why?", chat=True)).text
            == " the divisor is one too small."
        )
    (body,) = found.router.bodies("/v1/chat/completions")
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
def test_who_serves_the_model_is_read_as_the_hub_writes_it(
    mapping: Any, served: dict[str, Any]
) -> None:
    with serving(FakeHub(mapping=mapping)) as found:
        found.backend.identify(soon())
        assert found.backend._providers == served


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
def test_a_model_that_nobody_serves_is_not_asked(mapping: Any) -> None:
    with (
        serving(FakeHub(mapping=mapping)) as found,
        told(UnknownModel, f"No provider serves {NAME} through Hugging Face.", ELSEWHERE),
    ):
        found.backend.identify(soon())


@pytest.mark.parametrize(
    ("task", "chat", "only", "hint"),
    [
        ("conversational", False, "chats", "chat"),
        ("text-generation", True, "completions", "completion"),
    ],
)
def test_a_model_that_is_served_for_the_other_alone_says_so(
    task: str, chat: bool, only: str, hint: str
) -> None:
    with (
        serving(FakeHub(mapping={"together": entry(task)})) as found,
        told(
            UnknownModel,
            f"Hugging Face serves {NAME} only for {only}.",
            f"Set family to {hint}. {ELSEWHERE}",
        ),
    ):
        complete(found.backend, Prompt("a", chat=chat))
    assert found.router.requests == []


@pytest.mark.parametrize(("name", "value"), [("sha", "other"), ("mapping", {"together": entry()})])
def test_the_digest_is_that_of_the_revision_and_of_who_serves_it(name: str, value: Any) -> None:
    with serving() as found:
        first = found.backend.identify(soon())
        assert found.backend.identify(soon()) == first
        setattr(found.hub, name, value)
        assert found.backend.identify(soon()) != first


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("bigcode/starcoder2-15b", 16384),
        ("somebody/StarCoder2-7B-tuned", 16384),
        ("bigcode/starcoderplus", 8192),
        ("meta-llama/Llama-3.1-8B", 4096),
    ],
)
def test_the_window_is_known_by_the_models_name_or_small(model: str, window: int) -> None:
    with serving(FakeHub(model=model, config=None), FakeRouter(model=model), model=model) as found:
        assert found.backend.inspect("d", soon()) == Model(model, "d", "", window)


def test_a_model_without_a_name_is_the_first_starcoders_successor() -> None:
    assert Settings(backend="huggingface").model == "bigcode/starcoderplus"


def test_a_model_with_odd_characters_stays_one_path() -> None:
    odd = "bigcode/star coder?x=1#é"
    with serving(FakeHub(model=odd), model=odd) as found:
        found.backend.identify(soon())


def test_without_a_token_nothing_is_asked() -> None:
    with (
        serving(hf_token="", api_key="sk-1") as found,
        told(
            AccessDenied,
            "Hugging Face requires a token, and none is set.",
            "Put HF_TOKEN=hf_… into the environment or into a .env that git ignores; "
            "make one at https://huggingface.co/settings/tokens.",
        ),
    ):
        complete(found.backend)
    assert found.hub.requests == found.router.requests == []


def test_both_are_asked_with_the_token_and_never_with_another_servers_key() -> None:
    with serving(api_key="sk-1") as found:
        complete(found.backend)
    for request in (*found.hub.requests, *found.router.requests):
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"


# --- what is refused -----------------------------------------------------------------------

TOKENS = "https://huggingface.co/settings/tokens"
GATED = (
    AccessDenied,
    f"{NAME} is gated, and this Hugging Face account has no access to it yet.",
    f"Ask for access at https://huggingface.co/{NAME}, signed in as the account of the token.",
)
CREDITS = (
    "You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to get 20x more monthly "
    "included credits."
)
FINE_GRAINED = "Please enable access to public gated repositories in your fine-grained token settings to view this repository."
NO_PROVIDERS = "This authentication method does not have sufficient permissions to call Inference Providers on behalf of user ann"
GONE = "https://api-inference.huggingface.co is no longer supported. Please use https://router.huggingface.co/hf-inference"
TABLE: list[tuple[int, Any, dict[str, str], type[StarcoderError], str, str]] = [
    (
        401,
        {"error": "Invalid username or password."},
        {},
        AccessDenied,
        "Hugging Face does not accept the token (401: Invalid username or password).",
        f"Look at {TOKENS}, and set HF_TOKEN to one that is valid.",
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
        "Buy some or wait for the next month (https://huggingface.co/settings/billing), or ask a model of your own: "
        "Ollama.",
    ),
    (
        429,
        {"error": "Too many requests"},
        {"Retry-After": "12"},
        RateLimited,
        "Hugging Face has had too many requests from you.",
        "Ask again in 12 s.",
    ),
    (
        429,
        b"",
        {},
        RateLimited,
        "Hugging Face has had too many requests from you.",
        "Ask again in 1 s.",
    ),
    (
        503,
        {"error": f"Model {NAME} is currently loading"},
        {},
        RateLimited,
        f"Hugging Face is still loading {NAME}.",
        "Ask again in 5 s.",
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
                "message": f"The requested model '{NAME}' is not supported by any provider you have enabled."
            }
        },
        {},
        UnknownModel,
        f"Hugging Face does not serve {NAME} (400: The requested model '{NAME}' is not supported by any provider you "
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
        f"The prompt does not fit the window of {NAME} at {{router}}: Input validation error: `inputs` must have less "
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
def test_what_hugging_face_says_is_told_with_a_next_step(
    status: int,
    body: Any,
    headers: dict[str, str],
    kind: type[StarcoderError],
    message: str,
    hint: str,
) -> None:
    with serving() as found:
        found.router.replies["/featherless-ai/v1/completions"] = (status, body, headers)
        with told(kind, message.format(router=found.router.url), hint):
            complete(found.backend)


def test_a_token_that_the_hub_does_not_know_is_said_to_be_none() -> None:
    with (
        serving(hf_token="hf_wrong") as found,
        told(
            AccessDenied,
            "Hugging Face does not accept the token (401: Invalid credentials in Authorization header).",
            f"Look at {TOKENS}, and set HF_TOKEN to one that is valid.",
        ),
    ):
        found.backend.identify(soon())


def test_a_model_that_the_hub_does_not_show_may_be_private_or_misspelt() -> None:
    with (
        serving(model="bigcode/starcode") as found,
        told(
            AccessDenied,
            "Hugging Face shows no model 'bigcode/starcode' to this token.",
            "Is its name right? A private model needs a token of its owner.",
        ),
    ):
        found.backend.identify(soon())


@pytest.mark.parametrize("chat", [False, True])
def test_an_endpoint_that_wants_a_token_says_so(chat: bool) -> None:
    with (
        endpoint(FakeTgi(key=TOKEN)) as backend,
        told(
            AccessDenied,
            "The Hugging Face endpoint requires a token, and none is set.",
            "Set HF_TOKEN.",
        ),
    ):
        complete(backend, Prompt("a", chat=chat))


def test_an_endpoint_of_another_kind_is_told_from_a_tgi() -> None:
    """vLLM knows no `/`, and says so as it says that it does not know a model."""
    double = FakeVllm(replies={"/": (404, {"detail": "no such route"})})
    with (
        endpoint(double) as backend,
        told(
            BadResponse,
            f'{double.url} does not answer like Hugging Face\'s servers (404: {{"detail": "no such route"}}).',
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
def test_a_model_that_is_loading_says_how_long_that_takes(
    body: Any, headers: dict[str, str], seconds: float
) -> None:
    double = FakeEndpoint(replies={"/": (503, body, headers)})
    with endpoint(double, model="mine") as backend, pytest.raises(RateLimited) as caught:
        complete(backend)
    assert caught.value.retry_after == seconds
    assert (
        str(caught.value)
        == f"The Hugging Face endpoint is still loading mine. Ask again in {seconds:.3g} s."
    )


def test_an_endpoint_that_is_waking_up_is_asked_again() -> None:
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
def test_a_tgi_that_is_overloaded_can_be_asked_again_though_it_says_so_after_a_200(
    chat: bool,
) -> None:
    with endpoint(FakeTgi(ending="overloaded")) as backend, pytest.raises(RateLimited) as caught:
        complete(backend, Prompt("a", chat=chat))
    assert caught.value.retry_after == 1.0


def test_a_tgi_that_finds_the_prompt_too_long_says_so_after_a_200() -> None:
    double = FakeTgi(window=1000)
    with (
        endpoint(double, model=NAME) as backend,
        told(
            PromptTooLong,
            f"The prompt does not fit the window of {NAME} at {double.url}: Input validation error: `inputs` tokens + "
            "`max_new_tokens` must be <= 1000. Given: 900 `inputs` tokens and 500 `max_new_tokens`.",
            "Send less, or deploy it with a larger window.",
        ),
    ):
        complete(backend, Prompt("a " * 900))


@pytest.mark.parametrize("chat", [False, True])
def test_an_error_that_ends_the_stream_is_an_error(chat: bool) -> None:
    with (
        endpoint(FakeTgi(ending="error")) as backend,
        told(
            BadResponse,
            "The Hugging Face endpoint failed (Request failed during generation: Server error: CUDA out of memory).",
            LATER,
        ),
    ):
        complete(backend, Prompt("a", chat=chat))


def test_nothing_that_is_said_or_shown_has_the_token_in_it() -> None:
    with serving(hf_token="hf_wrong") as found:
        with pytest.raises(StarcoderError) as caught:
            found.backend.identify(soon())
        shown = [
            repr(found.backend),
            repr(vars(found.backend)),
            repr(caught.value),
            str(caught.value),
        ]
    assert "hf_wrong" not in " ".join(shown)


def test_a_model_that_has_moved_on_the_hub_is_told_with_what_to_do() -> None:
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
