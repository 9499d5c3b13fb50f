"""A server with OpenAI's interface, strict about what is documented; and with the quirks of others, when told so."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from tests.fakes import openai_schemas as schemas
from tests.fakes.faults import Fault, Say
from tests.fakes.server import FAULT, Fake, tokens, vector, words

AT = 1_764_000_000
BODIES = {
    "/v1/chat/completions": schemas.CHAT,
    "/v1/embeddings": schemas.EMBEDDINGS,
    "/v1/moderations": schemas.MODERATIONS,
}
QUIRKS = {"no-done", "index-0", "no-ids", "no-stream-options", "object-arguments", "no-usage"}


class OpenAIFake(Fake):
    """`async with OpenAIFake() as fake: OpenAI(fake.url, key=fake.key)`.

    `quirks`: `no-done` (streams just end), `index-0` (every tool use has index 0, whole), `no-ids` (of tool uses),
    `no-stream-options` (refused), `object-arguments` (as JSON objects), `no-usage` (never). `keyless` asks for no key.
    """

    base = "/v1"

    def __init__(self, *arguments: Any, quirks: tuple[str, ...] = (), keyless: bool = False, **more: Any) -> None:
        super().__init__(*arguments, **more)
        assert set(quirks) <= QUIRKS, quirks
        self.quirks = set(quirks)
        self.keyless = keyless

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/v1/embeddings", self.embeddings)
        app.router.add_post("/v1/moderations", self.moderations)
        app.router.add_get("/v1/models", self.models)

    def problem(self, status: int, message: str) -> Any:
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}

    def complaint(self, request: web.Request, body: Any) -> tuple[int, str] | None:
        if not self.keyless and request.headers.get("Authorization") != f"Bearer {self.key}":
            return 401, "Incorrect API key provided"
        if request.method == "GET":
            return None
        if request.path not in BODIES:
            return 404, "Invalid URL"
        wrong = schemas.check(BODIES[request.path], body)
        if not wrong and request.path == "/v1/chat/completions":
            wrong = conversation(body)
        return (400, "; ".join(wrong)) if wrong else None

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        fault: Fault = request[FAULT]
        if "stream_options" in body and "no-stream-options" in self.quirks:
            return self._json(self.problem(400, "Unrecognized request argument supplied: stream_options"), status=400)
        say = self.answer(body)
        finish = say.finish or ("tool_calls" if say.tools else "stop")
        usage = say.usage or used(body, say)
        silent = "no-usage" in self.quirks or fault.usage == "missing"
        head = {"id": f"chatcmpl-{len(self.calls)}", "created": AT, "model": body["model"]}
        if not body.get("stream"):
            message: dict[str, Any] = {"role": "assistant", "content": say.text if say.text or not say.tools else None}
            if say.tools:
                message["tool_calls"] = self._calls(say)
            choice = {"index": 0, "message": message, "finish_reason": finish}
            whole: dict[str, Any] = {**head, "object": "chat.completion", "choices": [choice]}
            if not silent:
                whole["usage"] = usage
            self._valid(schemas.ANSWER, whole)
            return await self.reply(request, [msgspec.json.encode(whole)], "application/json")
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word} for word in words(say.text) if word]
        deltas += self._call_deltas(say)
        chunks = [self._chunk(head, delta) for delta in deltas]
        chunks.append(self._chunk(head, {}, finish))
        if not silent and body.get("stream_options", {}).get("include_usage"):
            chunks.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        for chunk in chunks:
            self._valid(schemas.PIECE, chunk)
        pieces = [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks]
        if "no-done" not in self.quirks:
            pieces.append(b"data: [DONE]\n\n")
        return await self.reply(request, pieces, "text/event-stream")

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        count = sum(map(tokens, body["input"]))
        rows = [{"object": "embedding", "index": n, "embedding": vector(t)} for n, t in enumerate(body["input"])]
        whole = {"object": "list", "data": list(reversed(rows)), "model": body["model"],
                 "usage": {"prompt_tokens": count, "total_tokens": count}}  # fmt: skip
        return await self.reply(request, [msgspec.json.encode(whole)], "application/json")

    async def moderations(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        rows: list[Any] = []
        for text in body["input"]:
            scores = {"violence": 0.01, "harassment": 0.8 if "@" in text else 0.02}
            categories = {name: score > 0.5 for name, score in scores.items()}
            rows.append({"flagged": any(categories.values()), "categories": categories, "category_scores": scores})
        whole = {"id": "modr-1", "model": body.get("model", "omni"), "results": rows}
        return await self.reply(request, [msgspec.json.encode(whole)], "application/json")

    async def models(self, request: web.Request) -> web.StreamResponse:
        rows = [{"id": name, "object": "model", "created": AT, "owned_by": "us"} for name in ("gpt-4o-mini", "local")]
        whole = {"object": "list", "data": rows}
        self._valid(schemas.MODELS, whole)
        return await self.reply(request, [msgspec.json.encode(whole)], "application/json")

    def _calls(self, say: Say) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []
        for n, (name, arguments) in enumerate(say.tools):
            value: Any = msgspec.json.decode(arguments) if "object-arguments" in self.quirks else arguments
            id = {} if "no-ids" in self.quirks else {"id": f"call_{len(self.calls)}_{n}"}
            calls.append({**id, "type": "function", "function": {"name": name, "arguments": value}})
        return calls

    def _call_deltas(self, say: Say) -> list[dict[str, Any]]:
        """Arguments in halves, interleaved between uses, as they may come."""
        calls = self._calls(say)
        if "index-0" in self.quirks:
            return [{"tool_calls": [{"index": 0, **call}]} for call in calls]
        begun: list[dict[str, Any]] = []
        rest: list[dict[str, Any]] = []
        for n, call in enumerate(calls):
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            half = len(arguments) // 2 if isinstance(arguments, str) else 0
            first: Any = arguments[:half] if isinstance(arguments, str) else arguments
            begun.append({"tool_calls": [{"index": n, **call, "function": {"name": name, "arguments": first}}]})
            if isinstance(arguments, str):
                rest.append({"tool_calls": [{"index": n, "function": {"arguments": arguments[half:]}}]})
        return begun + rest

    def _chunk(self, head: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**head, "object": "chat.completion.chunk", "choices": [choice]}

    def _valid(self, schema: Any, value: Any) -> None:
        if not self.quirks & {"no-ids", "object-arguments"}:
            self.broken += schemas.check(schema, value)


def conversation(body: dict[str, Any]) -> list[str]:
    """What the API refuses and a schema cannot say: every tool use is answered, and nothing else is."""
    wrong: list[str] = []
    open_calls: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                wrong.append("messages with role 'tool' must be a response to a preceeding message with 'tool_calls'")
            open_calls.discard(message["tool_call_id"])
            continue
        if open_calls:
            wrong.append(f"tool_call_ids did not have response messages: {sorted(open_calls)}")
        open_calls = {call["id"] for call in message.get("tool_calls") or []}
    return [*wrong, f"tool_call_ids did not have response messages: {sorted(open_calls)}"] if open_calls else wrong


def used(body: dict[str, Any], say: Say) -> dict[str, Any]:
    """The usage of an answer, with its details."""
    prompt = sum(tokens(str(message.get("content") or "")) + 4 for message in body["messages"])
    answer = tokens(say.text) + sum(tokens(name + arguments) for name, arguments in say.tools)
    return {
        "prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": prompt // 2},
        "completion_tokens_details": {"reasoning_tokens": answer // 2},
    }  # fmt: skip
