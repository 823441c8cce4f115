"""Hugging Face: a dedicated endpoint or TGI if a host is set, else a provider behind its router.

The token goes only to Hugging Face's own hosts, or to the endpoint that was configured: redirects
are not followed, and a file that git tracks cannot choose this backend. The routes of the router
and its list of providers are those of huggingface_hub 2.4; TGI's API is that of 3.3.7.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import quote

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    AccessDenied,
    BackendUnavailable,
    BadResponse,
    PromptTooLong,
    StarcoderError,
    UnknownModel,
)
from pytest_starcoder.model.backends import OnText, completions, hookimpl
from pytest_starcoder.model.backends.dialects import (
    MAX_STOPS,
    OVERFLOW,
    OVERLOADED,
    SMALLEST_WINDOW,
    rate_limited,
    tgi_fields,
)
from pytest_starcoder.model.backends.http import ErrorReply, HttpBackend, Server, digest
from pytest_starcoder.model.backends.stops import Ending
from pytest_starcoder.model.json_fields import dict_field, dicts_field, int_field
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import server_url
from pytest_starcoder.text.display import one_line

HUB = "https://huggingface.co"
ROUTER = "https://router.huggingface.co"

COMPLETION_PREFIXES = {
    "featherless-ai": "/v1",
    "together": "/v1",
    "deepinfra": "/v1/openai",
    "novita": "/v3/openai",
}
"""Providers that complete text, with the path behind their name; the others only chat."""

WINDOWS = {"starcoder2": 16384, "starcoder": 8192}
"""Tokens by a part of the model's name, from the models' cards: the router does not say."""

ELSEWHERE = (
    "Deploy it as an Inference Endpoint or with TGI and set host to that, serve it with vLLM "
    "(backend openai), or use Ollama."
)


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> Endpoint | Router | None:
    if name != "huggingface":
        return None
    return Endpoint(settings) if settings.host else Router(settings)


class Endpoint(HttpBackend):
    """A dedicated Inference Endpoint, or any TGI, at `settings.host`."""

    label = "the Hugging Face endpoint"

    def __init__(self, settings: Settings) -> None:
        self.place = server_url(settings.host, 8080)
        self._settings = settings
        # The token is not sent to a host that only the repository names.
        token = "" if "host" in settings.tracked else settings.hf_token or settings.api_key
        self._server = Server(
            self.place,
            settings,
            name=self.label,
            start="Start it, or wake it up at https://endpoints.huggingface.co.",
            to_error=_ErrorTranslator(self.label, self.place, settings.model, token),
            api_key=token,
        )

    def identify(self, deadline: Deadline) -> str:
        """Return a digest of the revision that TGI reports; endpoints with custom code do not."""
        facts = self._facts(deadline)
        revision = map(facts.get, ("model_id", "model_sha", "max_total_tokens"))
        return digest(self.place, self._settings.model, *revision)

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        facts = self._facts(deadline)
        name = one_line(str(facts.get("model_id") or self._settings.model))
        return Model(name, digest, "", int_field(facts, "max_total_tokens") or SMALLEST_WINDOW)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        if prompt.chat:
            body = completions.request_body(prompt, self._settings, MAX_STOPS)
            body |= tgi_fields(prompt, self._settings)
            return completions.complete(self._server, body, prompt, model, deadline, on_text)
        return self._generate(prompt, model, deadline, on_text)

    def version(self, deadline: Deadline) -> str:
        return str(self._facts(deadline).get("version") or "")

    def _facts(self, deadline: Deadline) -> dict[str, Any]:
        """Return what TGI says about itself; empty for an endpoint of another kind."""
        try:
            return self._server.get("/info", deadline)
        except (BadResponse, UnknownModel):  # "not found" can mean the model, too
            return {}

    def _generate(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        """Complete a text with TGI's own API, which every endpoint has."""
        ending = Ending([*prompt.stop, *prompt.stop_tokens], on_text)
        last: Mapping[str, Any] = {}
        logprobs: list[float] = []
        with closing(self._generate_events(prompt, deadline)) as events:
            for event in events:
                last = event
                logprob = dict_field(event, "token").get("logprob")
                if prompt.likelihood and isinstance(logprob, int | float):
                    logprobs.append(logprob)
                if ending.add(_token_text(event)):
                    break
        details = dict_field(last, "details")
        has_ended = last.get("generated_text") is not None
        was_cut = not has_ended or details.get("finish_reason") == "length"
        tokens = int_field(details, "generated_tokens")
        if not tokens and (has_ended or ending.reached):
            tokens = 1  # not counted, and yet complete: 0 would keep it out of the cache
        return Completion(
            ending.end(),
            model.name,
            prompt_tokens=int_field(details, "input_length"),
            completion_tokens=tokens,
            truncated=was_cut and not ending.reached,
            likelihood=completions.mean_or_none(logprobs),
        )

    def _generate_events(self, prompt: Prompt, deadline: Deadline) -> Generator[Mapping[str, Any]]:
        """Yield the events of an answer; one that is not streamed is a single event."""
        other_lines: list[str] = []
        with closing(self._server.lines("", self._generate_body(prompt), deadline)) as lines:
            for line in lines:
                if not line.startswith(("data:", "error:", *completions.SILENT)):
                    # An endpoint that does not stream answers with one JSON value.
                    other_lines.append(line)
                    continue
                event = completions.parse_event(self._server, line)
                if event is not None:
                    yield event
        if other_lines:
            answer = self._parse_answer("\n".join(other_lines))
            yield {**answer, "token": {"text": answer["generated_text"]}}

    def _generate_body(self, prompt: Prompt) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "max_new_tokens": prompt.max_tokens,
            "return_full_text": False,
            "seed": prompt.seed,
            "stop": [*prompt.stop, *prompt.stop_tokens][:MAX_STOPS],
            "details": True,
        }
        temperature = prompt.temperature_or(self._settings.temperature)
        # TGI refuses a temperature of 0; without one it does not sample.
        if temperature > 0:
            parameters |= {"do_sample": True, "temperature": temperature, "top_p": 0.95}
        if prompt.schema is not None:
            parameters["grammar"] = {"type": "json", "value": prompt.schema}
        return {"inputs": prompt.text, "parameters": parameters, "stream": True}

    def _parse_answer(self, text: str) -> Mapping[str, Any]:
        """Parse an answer that was not streamed: an object, or a list of one."""
        text = text.strip()
        is_list = text.startswith("[") and text.endswith("]")
        answer = self._server.parse(text[1:-1] if is_list else text)
        if answer.get("error"):
            raise self._server.to_error(ErrorReply(200, text))
        if not isinstance(answer.get("generated_text"), str):
            raise BadResponse(
                f"{self.place} gave no generated_text.",
                "An endpoint that runs vLLM or llama.cpp needs backend openai.",
            )
        return answer


def _token_text(event: Mapping[str, Any]) -> str:
    """Return the text of a token; empty for the special token that ended the answer."""
    token = dict_field(event, "token")
    is_end = token.get("special") and event.get("generated_text") is not None
    text = token.get("text")
    if is_end or not isinstance(text, str):
        return ""
    return text


class Router(HttpBackend):
    """The provider of `settings.model`; the API `hub` names it, and `router` forwards to it."""

    label = "Hugging Face"

    def __init__(self, settings: Settings, hub: str = HUB, router: str = ROUTER) -> None:
        self.place = router
        self._settings = settings
        self._hub = self._make_server(hub)
        self._router = self._make_server(router)
        self._providers: dict[str, tuple[str, str]] = {}

    def _make_server(self, url: str) -> Server:
        model, token = self._settings.model, self._settings.hf_token
        server = Server(
            server_url(url),
            self._settings,
            name=self.label,
            start="Is this machine online? Ollama and the embedded backend also work offline.",
            to_error=_ErrorTranslator(self.label, self.place, model, token),
            api_key=token,
        )
        server.redirect_hint = f"If {model} has a new name there, set model to that."
        return server

    def identify(self, deadline: Deadline) -> str:
        """Return a digest of the model's revision on the hub and of its providers."""
        facts = self._model_facts(deadline)
        return digest(facts.get("sha"), self._providers)

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        config = dict_field(self._model_facts(deadline), "config")
        name = self._settings.model
        window = SMALLEST_WINDOW
        for part, tokens in WINDOWS.items():
            if part in name.lower():
                window = tokens
                break
        architecture = str(config.get("model_type", ""))
        return Model(name, digest, architecture, window, "conversational" in self._providers)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        if not self._providers:
            self.identify(deadline)
        task = "conversational" if prompt.chat else "text-generation"
        if task not in self._providers:
            served = "completion" if prompt.chat else "chat"
            raise UnknownModel(
                f"Hugging Face serves {self._settings.model} only for {served}s.",
                f"Set family to {served}. {ELSEWHERE}",
            )
        if prompt.chat:
            # The router itself knows how to chat with every provider.
            name = self._settings.model
            prefix = "/v1"
        else:
            provider, name = self._providers[task]
            prefix = f"/{provider}{COMPLETION_PREFIXES[provider]}"
        body = completions.request_body(prompt, self._settings, MAX_STOPS) | {"model": name}
        return completions.complete(self._router, body, prompt, model, deadline, on_text, prefix)

    def _model_facts(self, deadline: Deadline) -> dict[str, Any]:
        """Return what the hub says about the model, and remember its providers by task."""
        if not self._settings.hf_token:
            raise AccessDenied(
                "Hugging Face requires a token, and none is set.",
                "Set HF_TOKEN=hf_… in the environment, or in a .env file that git ignores; "
                f"create one at {HUB}/settings/tokens.",
            )
        names = ("sha", "config", "inferenceProviderMapping")
        query = "&".join(f"expand[]={name}" for name in names)
        facts = self._hub.get(f"/api/models/{quote(self._settings.model)}?{query}", deadline)
        self._providers = _live_providers(facts.get("inferenceProviderMapping"))
        if not self._providers:
            raise UnknownModel(
                f"No provider serves {self._settings.model} through Hugging Face.", ELSEWHERE
            )
        return facts


def _live_providers(mapping: object) -> dict[str, tuple[str, str]]:
    """Return by task the first live provider and its name of the model.

    The hub sends a list, or an object with the providers as keys.
    """
    if isinstance(mapping, dict):
        entries = [dict_field(mapping, provider) | {"provider": provider} for provider in mapping]
    else:
        entries = dicts_field({"": mapping}, "")
    providers: dict[str, tuple[str, str]] = {}
    for entry in entries:
        provider = str(entry.get("provider") or "")
        name = str(entry.get("providerId") or "")
        task = str(entry.get("task") or "")
        is_live = entry.get("status") == "live"
        if is_live and name and _is_supported(task, provider):
            providers.setdefault(task, (provider, name))
    return providers


def _is_supported(task: str, provider: str) -> bool:
    if task == "text-generation":
        return provider in COMPLETION_PREFIXES
    return task == "conversational"


class _ErrorTranslator:
    """Translates the errors of Hugging Face's servers."""

    def __init__(self, label: str, place: str, model: str, token: str) -> None:
        self._name = f"{label[0].upper()}{label[1:]}"
        self._place = place
        self._model = model
        self._token = token

    def __call__(self, reply: ErrorReply) -> StarcoderError:
        error = one_line(reply.headers.get("x-error-message", reply.error)).rstrip(".")
        status = reply.status
        if OVERFLOW.search(error):
            return PromptTooLong(
                f"The prompt does not fit the window of {self._model} at {self._place}: {error}.",
                "Send less, or deploy it with a larger window.",
            )
        if status in (401, 403):
            return self._access_denied(reply, error)
        if status == 402:
            return AccessDenied(
                f"The credits of this Hugging Face account are used up ({error}).",
                f"Buy some or wait for the next month ({HUB}/settings/billing), "
                "or run a model of your own with Ollama.",
            )
        # TGI reports an overload within a stream that has begun with 200.
        if status == 429 or error == OVERLOADED:
            message = f"{self._name} received too many requests from you."
            return rate_limited(message, reply.retry_after)
        if status == 503:
            message = f"{self._name} is still loading {self._model}."
            return rate_limited(message, reply.retry_after, default=5.0)
        if status == 410:
            return BackendUnavailable(
                f"{self._place} is no longer served ({error}).",
                "Remove host to use the router.",
            )
        not_served = r"not supported|not found|does not exist"
        if status in (400, 404) and re.search(not_served, error, re.IGNORECASE):
            return UnknownModel(
                f"{self._name} does not serve {self._model} ({status}: {error}).", ELSEWHERE
            )
        if status in (404, 405):
            return BadResponse(
                f"{self._place} does not answer like Hugging Face's servers ({reply.summary}).",
                "An endpoint that runs vLLM or llama.cpp needs backend openai.",
            )
        return BadResponse(
            f"{self._name} failed ({reply.summary}).", "Try again later, or check its log."
        )

    def _access_denied(self, reply: ErrorReply, error: str) -> AccessDenied:
        code = reply.headers.get("x-error-code", "")
        tokens_page = f"{HUB}/settings/tokens"
        if "fine-grained" in error:
            return AccessDenied(
                f"The Hugging Face token may not read gated models ({error}).",
                f"Allow 'public gated repositories' in the token's settings: {tokens_page}.",
            )
        if "Inference Providers" in error:
            return AccessDenied(
                f"The Hugging Face token may not call inference providers ({error}).",
                f"Allow that in the token's settings: {tokens_page}.",
            )
        gated = r"gated|restricted|authorized list|ask for access"
        if code == "GatedRepo" or re.search(gated, error, re.IGNORECASE):
            return AccessDenied(
                f"{self._model} is gated, and this Hugging Face account has no access to it yet.",
                f"Ask for access at {HUB}/{self._model}, signed in as the account of the token.",
            )
        # The hub does not say whether a private model exists.
        if code == "RepoNotFound":
            return AccessDenied(
                f"Hugging Face shows no model {self._model!r} to this token.",
                "Is its name right? A private model needs a token of its owner.",
            )
        if not self._token:
            return AccessDenied(f"{self._name} requires a token, and none is set.", "Set HF_TOKEN.")
        return AccessDenied(
            f"{self._name} does not accept the token ({reply.status}: {error}).",
            f"Set HF_TOKEN to a valid token from {tokens_page}.",
        )
