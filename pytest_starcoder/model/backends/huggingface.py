"""Hugging Face: a dedicated endpoint or TGI where a host is set, else whoever serves the model through its router.

The token goes to Hugging Face's own hosts, or to the endpoint that was named,
and to nobody else: redirects are not followed. A file that git tracks cannot
choose this backend. The router's routes and the list of who serves what are
those of huggingface_hub 2.4; TGI's are those of 3.3.7.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import quote

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
from pytest_starcoder.model.backends import OnText, completions, hookimpl
from pytest_starcoder.model.backends.dialects import (
    OVERFLOW,
    OVERLOADED,
    SMALLEST_WINDOW,
    tgi_fields,
)
from pytest_starcoder.model.backends.http import Refused, Server, mean, whole
from pytest_starcoder.model.backends.stops import Ending
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import server_url
from pytest_starcoder.text.display import one_line

HUB = "https://huggingface.co"
ROUTER = "https://router.huggingface.co"

COMPLETING = {
    "featherless-ai": "/v1",
    "together": "/v1",
    "deepinfra": "/v1/openai",
    "novita": "/v3/openai",
}
"""The providers that complete, and where behind the router's name for them; all others only chat."""

WINDOWS = {"starcoder2": 16384, "starcoder": 8192}
"""Tokens, by what the model's name contains: the router tells none. Both from the models' cards."""

ELSEWHERE = (
    "Deploy it as an Inference Endpoint or with TGI and set host to that, serve it with vLLM (backend openai), "
    "or use Ollama."
)


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> Endpoint | Router | None:
    if name != "huggingface":
        return None
    return Endpoint(settings) if settings.host else Router(settings)


class Endpoint:
    """A dedicated Inference Endpoint, or a TGI of one's own, at `settings.host`."""

    label = "the Hugging Face endpoint"

    def __init__(self, settings: Settings) -> None:
        self.place = server_url(settings.host, 8080)
        self._settings = settings
        # A token goes to nobody whom only the repository has named.
        token = "" if "host" in settings.tracked else settings.hf_token or settings.api_key
        self._meaning = _Meaning(self.label, self.place, settings.model, token)
        self._server = Server(
            self.place,
            settings,
            name=self.label,
            start="Start it, or wake it up at https://endpoints.huggingface.co.",
            meaning=self._meaning,
            api_key=token,
        )

    def identify(self, deadline: Deadline) -> str:
        """TGI tells model and revision; an endpoint with code of its own does not, and counts as always the same."""
        told = self._told(deadline)
        facts = [
            self.place,
            self._settings.model,
            *map(told.get, ("model_id", "model_sha", "max_total_tokens")),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        told = self._told(deadline)
        name = one_line(str(told.get("model_id") or self._settings.model))
        return Model(name, digest, "", whole(told, "max_total_tokens") or SMALLEST_WINDOW)

    def count(self, text: str, deadline: Deadline) -> int:
        return estimate(text)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        if prompt.chat:
            asked = {
                **completions.body(prompt, self._settings, 4),
                **tgi_fields(prompt, self._settings),
            }
            where = completions.path(prompt)
            return completions.complete(
                self._server,
                asked,
                prompt,
                model,
                deadline,
                on_text,
                meaning=self._meaning,
                path=where,
            )
        ending = Ending([*prompt.stop, *prompt.stop_tokens], on_text)
        last: Mapping[str, Any] = {}
        likelihoods: list[float] = []
        rest: list[str] = []
        with closing(self._server.lines("", self._body(prompt), deadline)) as lines:
            for line in lines:
                if not line.startswith(("data:", "error:", *completions.SILENT)):
                    rest.append(
                        line
                    )  # an endpoint that does not stream answers with one JSON value
                    continue
                found = completions.event(self._server, line, self._meaning)
                if found is None:
                    continue
                last = found
                told = completions.object_in(found, "token").get("logprob")
                likelihoods += [told] if isinstance(told, int | float) and prompt.likelihood else []
                if ending.add(_piece(found)):
                    break
        if rest:
            last = self._whole("\n".join(rest))
            ending.add(str(last.get("generated_text", "")))
        details = completions.object_in(last, "details")
        ended = "generated_text" in last and last["generated_text"] is not None
        return Completion(
            ending.end(),
            model.name,
            prompt_tokens=whole(details, "input_length"),
            completion_tokens=whole(details, "generated_tokens")
            or (1 if ended or ending.reached else 0),
            truncated=not ending.reached
            and (not ended or details.get("finish_reason") == "length"),
            likelihood=mean(likelihoods),
        )

    def version(self, deadline: Deadline) -> str:
        return str(self._told(deadline).get("version") or "")

    def close(self) -> None:
        """There is nothing to end: no connection outlives its question."""

    def _told(self, deadline: Deadline) -> dict[str, Any]:
        """What TGI tells of itself; empty for an endpoint that is none."""
        try:
            return self._server.get("/info", deadline)
        except (BadResponse, UnknownModel):  # "not found" is said of models as well
            return {}

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "max_new_tokens": prompt.max_tokens,
            "return_full_text": False,
            "seed": prompt.seed,
            "stop": [*prompt.stop, *prompt.stop_tokens][:4],
            "details": True,
        }
        temperature = prompt.temperature_or(self._settings.temperature)
        if temperature > 0:  # TGI refuses 0, which is what not sampling means
            parameters |= {"do_sample": True, "temperature": temperature, "top_p": 0.95}
        if prompt.schema is not None:
            parameters["grammar"] = {"type": "json", "value": prompt.schema}
        return {"inputs": prompt.text, "parameters": parameters, "stream": True}

    def _whole(self, text: str) -> Mapping[str, Any]:
        """The one answer of an endpoint that does not stream, an object or a list of one."""
        text = text.strip()
        found = self._server.parse(
            text[1:-1] if text.startswith("[") and text.endswith("]") else text
        )
        if found.get("error"):
            raise self._meaning(Refused(200, text))
        if not isinstance(found.get("generated_text"), str):
            raise BadResponse(
                f"{self.place} gave no generated_text.",
                "An endpoint that runs vLLM or llama.cpp wants backend openai.",
            )
        return found


def _piece(event: Mapping[str, Any]) -> str:
    """The text of a token; none of the control token that ended the answer."""
    token = completions.object_in(event, "token")
    last = token.get("special") and event.get("generated_text") is not None
    text = token.get("text")
    return text if isinstance(text, str) and not last else ""


class Router:
    """Whoever serves `settings.model` through Hugging Face; `hub` and `router` are where that is found and asked."""

    label = "Hugging Face"

    def __init__(self, settings: Settings, hub: str = HUB, router: str = ROUTER) -> None:
        self.place = router
        self._settings = settings
        self._meaning = _Meaning(self.label, self.place, settings.model, settings.hf_token)

        def server(url: str) -> Server:
            return Server(
                server_url(url),
                settings,
                name=self.label,
                start="Is this machine online? Offline, Ollama and the embedded engine answer.",
                meaning=self._meaning,
                api_key=settings.hf_token,
                moved=f"If {settings.model} has a new name there, set model to that.",
            )

        self._hub, self._router = server(hub), server(router)
        self._served: dict[str, tuple[str, str]] = {}

    def identify(self, deadline: Deadline) -> str:
        """The model's revision on the hub, and who serves it."""
        found = self._found(deadline)
        return hashlib.sha256(
            json.dumps([found.get("sha"), self._served], sort_keys=True).encode()
        ).hexdigest()

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        config = completions.object_in(self._found(deadline), "config")
        name = self._settings.model.lower()
        window = next((tokens for part, tokens in WINDOWS.items() if part in name), SMALLEST_WINDOW)
        return Model(
            self._settings.model,
            digest,
            str(config.get("model_type", "")),
            window,
            "conversational" in self._served,
        )

    def count(self, text: str, deadline: Deadline) -> int:
        return estimate(text)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        if not self._served:
            self.identify(deadline)
        task = "conversational" if prompt.chat else "text-generation"
        if task not in self._served:
            only, family = ("chats", "chat") if not prompt.chat else ("completions", "completion")
            raise UnknownModel(
                f"Hugging Face serves {self._settings.model} for {only} alone.",
                f"Set family to {family}. {ELSEWHERE}",
            )
        provider, name = self._served[task]
        if prompt.chat:  # the router itself knows everyone's way to chat
            name, prefix = self._settings.model, "/v1"
        else:
            prefix = f"/{provider}{COMPLETING[provider]}"
        asked = {"model": name, **completions.body(prompt, self._settings, 4)}
        where = completions.path(prompt, prefix)
        return completions.complete(
            self._router, asked, prompt, model, deadline, on_text, meaning=self._meaning, path=where
        )

    def version(self, deadline: Deadline) -> str:
        return ""

    def close(self) -> None:
        """There is nothing to end: no connection outlives its question."""

    def _found(self, deadline: Deadline) -> dict[str, Any]:
        """What the hub tells of the model; remembers who serves it, by task."""
        if not self._settings.hf_token:
            raise AccessDenied(
                "Hugging Face wants a token, and none is set.",
                "Put HF_TOKEN=hf_… into the environment or into a .env that git ignores; "
                f"make one at {HUB}/settings/tokens.",
            )
        expand = "&".join(
            f"expand[]={name}" for name in ("sha", "config", "inferenceProviderMapping")
        )
        found = self._hub.get(f"/api/models/{quote(self._settings.model)}?{expand}", deadline)
        self._served = _served(found.get("inferenceProviderMapping"))
        if not self._served:
            raise UnknownModel(
                f"Nobody serves {self._settings.model} through Hugging Face.", ELSEWHERE
            )
        return found


def _served(mapping: object) -> dict[str, tuple[str, str]]:
    """Provider and its name of the model, by task, of those that are live; the hub writes a list or an object."""
    if isinstance(mapping, dict):
        mapping = [
            {**entry, "provider": name}
            for name, entry in mapping.items()
            if isinstance(entry, dict)
        ]
    served: dict[str, tuple[str, str]] = {}
    for entry in mapping if isinstance(mapping, list) else []:
        if not isinstance(entry, dict):
            continue
        provider, name, task = (
            str(entry.get(key) or "") for key in ("provider", "providerId", "task")
        )
        able = provider in COMPLETING if task == "text-generation" else task == "conversational"
        if able and name and entry.get("status") == "live":
            served.setdefault(task, (provider, name))
    return served


class _Meaning:
    """What a refusal of Hugging Face's means: each kind its own sentence."""

    def __init__(self, label: str, place: str, model: str, token: str) -> None:
        self._named = f"{label[0].upper()}{label[1:]}"
        self._place = place
        self._model = model
        self._token = token

    def __call__(self, refused: Refused) -> StarcoderError:
        error = one_line(refused.headers.get("x-error-message", refused.error)).rstrip(".")
        status = refused.status
        if OVERFLOW.search(error):
            return PromptTooLong(
                f"The prompt does not fit the window of {self._model} at {self._place}: {error}.",
                "Send less, or deploy it with a larger window.",
            )
        if status in (401, 403):
            return self._denied(refused, error)
        if status == 402:
            return AccessDenied(
                f"The credits of this Hugging Face account are used up ({error}).",
                f"Buy some or wait for the next month ({HUB}/settings/billing), or ask a model of your own: Ollama.",
            )
        if status == 429 or error == OVERLOADED:
            wait = 1.0 if refused.retry_after is None else refused.retry_after
            return RateLimited(
                f"{self._named} has had too many requests from you.",
                f"Ask again in {wait:.3g} s.",
                retry_after=wait,
            )
        if status == 503:
            wait = _estimated(refused)
            return RateLimited(
                f"{self._named} is still loading {self._model}.",
                f"Ask again in {wait:.3g} s.",
                retry_after=wait,
            )
        if status == 410:
            return BackendUnavailable(
                f"{self._place} is no longer served ({error}).",
                "Remove host, and the router is asked.",
            )
        if status in (400, 404) and re.search(
            r"not supported|not found|does not exist", error, re.IGNORECASE
        ):
            return UnknownModel(
                f"{self._named} does not serve {self._model} ({refused.status}: {error}).",
                ELSEWHERE,
            )
        if status in (404, 405):
            return BadResponse(
                f"{self._place} does not know what Hugging Face's servers know ({refused.told}).",
                "An endpoint that runs vLLM or llama.cpp wants backend openai.",
            )
        return BadResponse(
            f"{self._named} failed ({refused.told}).", "Ask again later, or look into its log."
        )

    def _denied(self, refused: Refused, error: str) -> AccessDenied:
        code = refused.headers.get("x-error-code", "")
        if "fine-grained" in error:
            return AccessDenied(
                f"The Hugging Face token may not read gated models ({error}).",
                f"Allow 'public gated repositories' in the token's settings: {HUB}/settings/tokens.",
            )
        if "Inference Providers" in error:
            return AccessDenied(
                f"The Hugging Face token may not call inference providers ({error}).",
                f"Allow that in the token's settings: {HUB}/settings/tokens.",
            )
        if code == "GatedRepo" or re.search(
            r"gated|restricted|authorized list|ask for access", error, re.IGNORECASE
        ):
            return AccessDenied(
                f"{self._model} is gated, and this Hugging Face account has no access to it yet.",
                f"Ask for access at {HUB}/{self._model}, signed in as the account of the token.",
            )
        if code == "RepoNotFound":
            return AccessDenied(
                f"Hugging Face shows no model {self._model!r} to this token.",
                "Is its name right? A private one needs a token of its owner's.",
            )
        if not self._token:
            return AccessDenied(f"{self._named} wants a token, and none is set.", "Set HF_TOKEN.")
        return AccessDenied(
            f"{self._named} does not accept the token ({refused.status}: {error}).",
            f"Look at {HUB}/settings/tokens, and set HF_TOKEN to one that is valid.",
        )


def _estimated(refused: Refused) -> float:
    """Seconds until a loading model is there: as told, else 5."""
    try:
        told = json.loads(refused.text).get("estimated_time")
    except (ValueError, AttributeError, RecursionError):
        told = None
    if isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told < 1e9:
        return float(told)
    return 5.0 if refused.retry_after is None else refused.retry_after
