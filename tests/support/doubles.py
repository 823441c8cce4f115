"""Doubles of servers with `/v1/completions` and of Hugging Face, over real HTTP on loopback.

Each answers like its original, as far as our client can see: vLLM 0.11, TGI 3.3.7, OpenAI's
API, the hub and the router as huggingface_hub 2.4 calls them, and an endpoint with custom
code. Errors have the original's form.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from support.servers import Request, _serving

Reply = tuple[int, Any] | tuple[int, Any, dict[str, str]]
"""Status, body (bytes as they are, anything else as JSON), headers."""

Events = Iterator[Any]
"""The events of a stream; a text is sent as it is."""

EOS = "<|endoftext|>"
CONTROL = re.compile(r"<\|?\w+\|?>")
LIKELIHOOD = -0.5


def pieces(text: str) -> list[str]:
    """Split a text into tokens: control tokens, and words with the space before them."""
    return re.findall(rf"{CONTROL.pattern}| ?[^ <]+|[ <]", text)


def tokens(text: str) -> int:
    """Count the tokens of a prompt."""
    return len(re.findall(r"\w+|[^\w\s]", text))


@dataclass
class Double:
    """A server double; every attribute can be changed while it runs.

    `answer` is the completion of every prompt, or a function of the prompt. `key` is the
    required API key, if any. `ending` is "done", "cut" (the connection breaks), "lost" (the
    stream has no end marker) or "error" (it ends with a server error). `replies` overrides the
    reply of a path, or lists its next replies. `requests` are all requests so far.
    """

    url: str = ""
    model: str = "bigcode/starcoder2-7b"
    answer: str | Callable[[str], str] = " the divisor is one too small."
    window: int = 16384
    key: str = ""
    delay: float = 0.0
    ending: str = "done"
    streams: bool = True
    replies: dict[str, Reply | list[Reply]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path.partition("?")[0] == path]

    def bodies(self, path: str) -> list[Any]:
        return [request.body for request in self.asked(path)]

    def other_reply(self, path: str) -> Reply | None:
        replies = self.replies.get(path.partition("?")[0])
        if isinstance(replies, list):
            return replies.pop(0) if replies else None
        return replies

    def reply(self, request: Request) -> Reply | Events:
        raise NotImplementedError

    def completion_of(self, prompt: str) -> str:
        return self.answer(prompt) if callable(self.answer) else self.answer

    def let_in(self, request: Request) -> bool:
        return not self.key or request.headers.get("Authorization") == f"Bearer {self.key}"

    def error(self, message: str, kind: str = "", status: int = 500) -> Any:
        """Return an error in the form of this server."""
        return {
            "error": {
                "message": message,
                "type": kind or "server_error",
                "param": None,
                "code": status,
            }
        }


Kind = TypeVar("Kind", bound=Double)


@contextlib.contextmanager
def running(double: Kind, host: str = "127.0.0.1") -> Iterator[Kind]:
    """Run the double on `host` for the duration of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(json.loads(content or b"null"))

        def _answer(self, body: Any) -> None:
            request = Request(self.command, self.path, body, dict(self.headers))
            double.requests.append(request)
            reply = double.other_reply(self.path) or double.reply(request)
            with contextlib.suppress(ConnectionError):
                if isinstance(reply, tuple):
                    self._whole(*reply)
                else:
                    self._stream(reply)

        def _whole(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _stream(self, events: Events) -> None:
            time.sleep(double.delay)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in events:
                if event is CUT:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                text = event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n"
                self.wfile.write(b"%x\r\n%b\r\n" % (len(text.encode()), text.encode()))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    with _serving(Handler, host) as double.url:
        yield double


CUT = object()
"""The event that breaks the connection."""

DONE = "data: [DONE]\n\n"


# --- /v1/completions, as OpenAI's API has it ------------------------------------------------


@dataclass
class FakeOpenAI(Double):
    """An unknown server with OpenAI's API; `more_models` are listed besides `model`."""

    owner: str = "somebody"
    facts: dict[str, Any] = field(default_factory=dict)
    more_models: tuple[str, ...] = ()
    most_stops: int = 4
    cached: int | None = None

    def reply(self, request: Request) -> Reply | Events:
        path, posted = request.path, request.method == "POST"
        if path.startswith("/v1") and not self.let_in(request):
            return self.denied()
        if path == "/v1/models" and not posted:
            return 200, {
                "object": "list",
                "data": [self.entry(name) for name in (self.model, *self.more_models)],
            }
        if path == "/v1/completions" and posted:
            return self.completed(request.body, request.body["prompt"])
        if path == "/v1/chat/completions" and posted:
            return self.completed(request.body, request.body["messages"][-1]["content"], chat=True)
        return self.elsewhere(request)

    def entry(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": int(time.time()),
            "owned_by": self.owner,
            **self.facts,
        }

    def denied(self) -> Reply:
        return 401, self.error("Incorrect API key provided.", "invalid_request_error", 401)

    def elsewhere(self, _request: Request) -> Reply | Events:
        return 404, {"detail": "Not Found"}

    def completed(self, body: dict[str, Any], prompt: str, *, chat: bool = False) -> Reply | Events:
        refusal = self.refusal(body, prompt, chat=chat)
        if refusal:
            return refusal
        written, finish = self.written(body, prompt)
        prompt_tokens = tokens(prompt) + (10 if chat else 0)
        usage: dict[str, Any] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": self.spent(body, prompt),
        }
        usage["total_tokens"] = sum(usage.values())
        if self.cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self.cached}
        if not body.get("stream") or not self.streams:
            return 200, {
                **self.frame(chat),
                "choices": [self.choice("".join(written), finish, body, chat, whole=True)],
                "usage": usage,
            }
        return self.events(body, written, finish, usage, chat)

    def refusal(self, body: dict[str, Any], prompt: str, *, chat: bool) -> Reply | None:
        if body["model"] not in (self.model, *self.more_models):
            message = f"The model `{body['model']}` does not exist."
            return 404, self.error(message, "NotFoundError", 404)
        if len(body.get("stop") or ()) > self.most_stops:
            message = (
                "Invalid 'stop': array too long. "
                f"Expected an array with maximum length {self.most_stops}."
            )
            return 400, self.error(message, "invalid_request_error", 400)
        if tokens(prompt) + body["max_tokens"] > self.window:
            message = (
                f"This model's maximum context length is {self.window} tokens. However, you "
                f"requested {tokens(prompt) + body['max_tokens']} tokens. "
                "Please reduce the length of the prompt."
            )
            return 400, self.error(message, "BadRequestError", 400)
        return None

    def written(self, body: dict[str, Any], prompt: str) -> tuple[list[str], str]:
        """Return the pieces of the answer before its stop, and the finish reason."""
        text, finish = "", "stop"
        for index, piece in enumerate(pieces(self.completion_of(prompt))):
            if index == body["max_tokens"]:
                finish = "length"
                break
            if piece == EOS:
                break
            text += self.shown(piece, body)
            stops = [text.index(stop) for stop in body.get("stop") or () if stop in text]
            if stops:
                text = text[: min(stops)]
                break
        return pieces(text), finish

    def shown(self, piece: str, _body: dict[str, Any]) -> str:
        """Return the text of a token; control tokens have none."""
        return "" if CONTROL.fullmatch(piece) else piece

    def spent(self, body: dict[str, Any], prompt: str) -> int:
        return min(int(body["max_tokens"]), len(pieces(self.completion_of(prompt))))

    def events(
        self,
        body: dict[str, Any],
        written: list[str],
        finish: str,
        usage: dict[str, Any],
        chat: bool,
    ) -> Events:
        if chat:
            yield {
                **self.frame(chat),
                "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}],
            }
        for piece in written:
            yield {
                **self.frame(chat),
                "choices": [self.choice(piece, None, body, chat)],
                "usage": None,
            }
        if self.ending == "cut":
            yield CUT
        elif self.ending == "error":
            yield self.error("EngineCore encountered an issue.", "InternalServerError", 500)
            yield DONE
        elif self.ending == "done":
            yield {
                **self.frame(chat),
                "choices": [self.choice("", finish, body, chat)],
                "usage": None,
            }
            if (body.get("stream_options") or {}).get("include_usage"):
                yield {**self.frame(chat), "choices": [], "usage": usage}
            yield DONE

    def frame(self, chat: bool) -> dict[str, Any]:
        return {
            "id": "cmpl-1",
            "object": "chat.completion.chunk" if chat else "text_completion",
            "model": self.model,
        }

    def choice(
        self,
        text: str,
        finish: str | None,
        body: dict[str, Any],
        chat: bool,
        *,
        whole: bool = False,
    ) -> dict[str, Any]:
        content: dict[str, Any] = {"text": text}
        if chat:
            key = "message" if whole else "delta"
            content = {key: {"role": "assistant", "content": text}}
        logprobs: dict[str, Any] | None = None
        if body.get("logprobs") and text:
            numbers = [LIKELIHOOD] * len(pieces(text))
            logprobs = {"token_logprobs": numbers}
            if chat:
                logprobs = {"content": [{"logprob": number} for number in numbers]}
        return {"index": 0, **content, "logprobs": logprobs, "finish_reason": finish}


@dataclass
class FakeVllm(FakeOpenAI):
    """vLLM: drops control tokens by default, counts tokens, protects only `/v1`.

    Without `template`, it refuses chats.
    """

    owner: str = "vllm"
    most_stops: int = 1000
    template: bool = True

    def entry(self, name: str) -> dict[str, Any]:
        moment = next(_moments)
        permission = [{"id": f"modelperm-{moment}", "created": moment}]
        facts = {
            "root": self.model,
            "parent": None,
            "max_model_len": self.window,
            "permission": permission,
        }
        return super().entry(name) | facts | self.facts

    def denied(self) -> Reply:
        return 401, {"error": "Unauthorized"}

    def elsewhere(self, request: Request) -> Reply:
        if request.path == "/tokenize" and request.method == "POST":
            count = tokens(request.body["prompt"])
            return 200, {
                "count": count,
                "max_model_len": self.window,
                "tokens": [1] * count,
                "token_strs": None,
            }
        if request.path == "/version":
            return 200, {"version": "0.11.0"}
        return 404, {"detail": "Not Found"}

    def refusal(self, body: dict[str, Any], prompt: str, *, chat: bool) -> Reply | None:
        if chat and not self.template:
            message = (
                "As of transformers v4.44, default chat template is no longer allowed, so you must "
                "provide a chat template if the tokenizer does not define one."
            )
            return 400, self.error(message, "BadRequestError", 400)
        return super().refusal(body, prompt, chat=chat)

    def shown(self, piece: str, body: dict[str, Any]) -> str:
        return piece if body.get("skip_special_tokens") is False else super().shown(piece, body)


_moments = itertools.count(1)


# --- text-generation-inference -------------------------------------------------------------


@dataclass
class FakeTgi(Double):
    """TGI: answers include their stop, control tokens are text, streams fail after a 200.

    `sampled` has one entry per request: False for a greedy answer.
    """

    most_stops: int = 4
    sha: str = "main-0123"
    sampled: list[bool] = field(default_factory=list)

    def reply(self, request: Request) -> Reply | Events:
        path, body = request.path, request.body
        if request.method == "GET":
            replies: dict[str, dict[str, Any]] = {
                "/info": {
                    "model_id": self.model,
                    "model_sha": self.sha,
                    "max_input_tokens": self.window - 1,
                    "max_total_tokens": self.window,
                    "max_stop_sequences": self.most_stops,
                    "version": "3.3.7",
                },
                "/v1/models": {
                    "object": "list",
                    "data": [
                        {"id": self.model, "object": "model", "created": 0, "owned_by": self.model}
                    ],
                },
            }
            return (200, replies[path]) if path in replies else (404, b"")
        if path not in ("/", "/v1/completions", "/v1/chat/completions"):
            return 404, b""
        if not self.let_in(request):
            return 401, b""
        native = path == "/"
        parameters = dict(body.get("parameters") or {}) if native else self.translated(body)
        prompt = body["inputs"] if native else body.get("prompt") or body["messages"][-1]["content"]
        problem = self.problem(parameters, prompt)
        openai = not native
        if problem:
            message, kind = problem
            if body.get("stream"):
                return iter([self.event(message, kind, openai)])
            return (429 if kind == "overloaded" else 422), {"error": message, "error_type": kind}
        self.sampled.append(bool(parameters.get("do_sample") or (parameters.get("top_p") or 1) < 1))
        written = self.written(parameters, prompt)
        if not body.get("stream"):
            text = "".join(piece for piece, special in written[0] if not special)
            return 200, [{"generated_text": text}] if native else {
                "choices": [{"text": text, "finish_reason": "stop"}]
            }
        return (
            self.native(*written, prompt, parameters)
            if native
            else self.events(*written, prompt, body)
        )

    def translated(self, body: dict[str, Any]) -> dict[str, Any]:
        return {
            "max_new_tokens": body["max_tokens"],
            "stop": body.get("stop") or [],
            "top_p": body.get("top_p"),
            "do_sample": body["temperature"] != 0,
            "adapter_id": None if body["model"] == "tgi" else body["model"],
            "grammar": body.get("response_format"),
        }

    def problem(self, parameters: dict[str, Any], prompt: str) -> tuple[str, str] | None:
        wrong = ""
        if parameters.get("temperature", 1) <= 0:
            wrong = "`temperature` must be strictly positive"
        elif not 0 < (parameters.get("top_p") or 0.5) < 1:
            wrong = "`top_p` must be > 0.0 and < 1.0"
        elif len(parameters["stop"]) > self.most_stops:
            count = len(parameters["stop"])
            wrong = f"`stop` supports up to {self.most_stops} stop sequences. Given: {count}"
        elif not prompt:
            wrong = "`inputs` cannot be empty"
        elif tokens(prompt) + parameters["max_new_tokens"] > self.window:
            wrong = (
                f"`inputs` tokens + `max_new_tokens` must be <= {self.window}. "
                f"Given: {tokens(prompt)} `inputs` tokens "
                f"and {parameters['max_new_tokens']} `max_new_tokens`"
            )
        elif parameters.get("grammar") and "properties" not in parameters["grammar"]["value"]:
            wrong = "grammar is not valid: Grammar must have a 'properties' field"
        if wrong:
            return f"Input validation error: {wrong}", "validation"
        if parameters.get("adapter_id"):
            return (
                f"Request failed during generation: no adapter {parameters['adapter_id']!r}",
                "generation",
            )
        if self.ending == "overloaded":
            return "Model is overloaded", "overloaded"
        return None

    def event(self, message: str, kind: str, openai: bool) -> dict[str, Any]:
        if openai:
            return {"error": {"message": message, "http_status_code": 422}}
        return {"error": message, "error_type": kind}

    def written(
        self, parameters: dict[str, Any], prompt: str
    ) -> tuple[list[tuple[str, bool]], str]:
        """Return the tokens, each with whether it is a control token, and the finish reason."""
        answer: list[tuple[str, bool]] = []
        text = ""
        for piece in (*pieces(self.completion_of(prompt)), EOS):
            answer.append((piece, bool(CONTROL.fullmatch(piece))))
            text += piece
            if len(answer) >= parameters["max_new_tokens"]:
                return answer, "length"
            if piece == EOS:
                return answer, "eos_token"
            if any(text.endswith(stop) for stop in parameters["stop"]):
                return answer, "stop_sequence"
        raise AssertionError("EOS is always the last token")

    def native(
        self, written: list[tuple[str, bool]], finish: str, prompt: str, parameters: dict[str, Any]
    ) -> Events:
        yield ": keep-alive\n\n"
        text = "".join(piece for piece, special in written if not special)
        details = {
            "finish_reason": finish,
            "generated_tokens": len(written),
            "input_length": tokens(prompt),
            "seed": 1,
        }
        for index, (piece, special) in enumerate(written, 1):
            last = index == len(written)
            if last and (yield from self._ended(openai=False)):
                return
            yield {
                "index": index,
                "token": {"id": 1, "text": piece, "logprob": LIKELIHOOD, "special": special},
                "generated_text": text if last else None,
                "details": details if last and parameters.get("details") else None,
            }

    def events(
        self, written: list[tuple[str, bool]], finish: str, prompt: str, body: dict[str, Any]
    ) -> Events:
        chat = "messages" in body
        usage = {"prompt_tokens": tokens(prompt), "completion_tokens": len(written)}
        usage["total_tokens"] = sum(usage.values())
        for index, (piece, special) in enumerate(written, 1):
            last = index == len(written)
            if last and (yield from self._ended(openai=True)):
                return
            if chat:
                delta = {"role": "assistant", "content": "" if special else piece}
                reason = finish.replace("eos_token", "stop") if last else None
                logprobs = None
                if body.get("logprobs"):
                    logprobs = {"content": [{"token": piece, "logprob": LIKELIHOOD}]}
                choice = {
                    "index": 0,
                    "delta": delta,
                    "finish_reason": reason,
                    "logprobs": logprobs,
                }
                yield {"choices": [choice]}
            else:
                choice = {
                    "index": 0,
                    "text": piece,
                    "logprobs": None,
                    "finish_reason": finish if last else "",
                }
                yield {
                    "object": "text_completion",
                    "choices": [choice],
                    **({"usage": usage} if last else {}),
                }
        if chat and (body.get("stream_options") or {}).get("include_usage"):
            yield {"choices": [], "usage": usage}
        yield DONE

    def _ended(self, *, openai: bool) -> Generator[Any, None, bool]:
        """End the stream early if `ending` says so; return whether it did."""
        if self.ending == "cut":
            yield CUT
        elif self.ending == "error":
            yield self.event(
                "Request failed during generation: Server error: CUDA out of memory.",
                "generation",
                openai,
            )
        return self.ending != "done"


@dataclass
class FakeEndpoint(Double):
    """An endpoint with custom code: it neither streams nor describes its model."""

    listed: bool = True
    indented: int | None = None

    def reply(self, request: Request) -> Reply | Events:
        if request.path != "/":
            return 404, b"Not Found", {"Content-Type": "text/plain"}
        if not self.let_in(request):
            return 401, {"error": "Invalid token"}
        answer: Any = {"generated_text": self.completion_of(request.body["inputs"])}
        return 200, json.dumps([answer] if self.listed else answer, indent=self.indented).encode()


# --- Hugging Face's own hosts --------------------------------------------------------------


@dataclass
class FakeHub(Double):
    """The hub with one model; `mapping` has its providers, by name or as a list."""

    model: str = "bigcode/starcoder2-15b"
    key: str = "hf_token"
    sha: str = "46d44742"
    config: dict[str, Any] | None = field(default_factory=lambda: {"model_type": "starcoder2"})
    mapping: Any = field(
        default_factory=lambda: {
            "featherless-ai": {
                "status": "live",
                "providerId": "starcoder2-at-featherless",
                "task": "text-generation",
            }
        }
    )

    def reply(self, request: Request) -> Reply | Events:
        address = urlsplit(request.path)
        if request.headers.get("Authorization") not in (None, f"Bearer {self.key}"):
            message = "Invalid credentials in Authorization header"
            return 401, {"error": message}, {"X-Error-Message": message}
        if unquote(address.path) != f"/api/models/{self.model}":
            message = "Repository not found"
            return (
                401,
                {"error": message},
                {"X-Error-Code": "RepoNotFound", "X-Error-Message": message},
            )
        facts = {"sha": self.sha, "config": self.config, "inferenceProviderMapping": self.mapping}
        reply = {"id": self.model}
        for name, value in parse_qsl(address.query):
            if name == "expand[]" and facts.get(value) is not None:
                reply[value] = facts[value]
        return 200, reply


@dataclass
class FakeRouter(FakeOpenAI):
    """The router: each provider completes at its own path, under its own name of the model.

    All of them share the path of chats.
    """

    model: str = "bigcode/starcoder2-15b"
    key: str = "hf_token"
    places: dict[str, str] = field(
        default_factory=lambda: {
            "/featherless-ai/v1/completions": "starcoder2-at-featherless",
            "/together/v1/completions": "starcoder2-at-together",
            "/deepinfra/v1/openai/completions": "starcoder2-at-deepinfra",
            "/novita/v3/openai/completions": "starcoder2-at-novita",
        }
    )

    def reply(self, request: Request) -> Reply | Events:
        if not self.let_in(request):
            return 401, {"error": "Invalid username or password."}
        if request.path == "/v1/chat/completions":
            return self.completed(request.body, request.body["messages"][-1]["content"], chat=True)
        if request.path not in self.places:
            return 404, {"error": "Not Found"}
        self.more_models = (self.places[request.path],)
        return self.completed(request.body, request.body["prompt"])
