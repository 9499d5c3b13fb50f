"""Mistral's API, as its OpenAPI document has it: every request and every answer is validated against that."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web

from tests.fakes import spec
from tests.fakes.faults import Fault, Say
from tests.fakes.server import FAULT, Fake, tokens, vector, words

AT = 1_764_000_000
ID = re.compile(r"[A-Za-z0-9]{9}")
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
BODIES = {
    "/v1/chat/completions": "ChatCompletionRequest",
    "/v1/embeddings": "EmbeddingRequest",
    "/v1/moderations": "ClassificationRequest",
}
CATEGORIES = ("sexual", "violence_and_threats", "selfharm", "pii")


class MistralFake(Fake):
    """`async with MistralFake() as fake: Mistral(fake.key, fake.url)`."""

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/v1/embeddings", self.embeddings)
        app.router.add_post("/v1/moderations", self.moderations)
        app.router.add_get("/v1/models", self.models)

    def problem(self, status: int, message: str) -> Any:
        if status == 422:
            return {"detail": [{"type": "value_error", "loc": ["body"], "msg": message, "input": None}]}
        return {"object": "error", "message": message, "type": "invalid_request_error", "code": str(status)}

    def complaint(self, request: web.Request, body: Any) -> tuple[int, str] | None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return 401, "Unauthorized"
        if request.method == "GET":
            return None
        if request.path not in BODIES:
            return 404, "no Route matched with those values"
        wrong = spec.mistral().check(BODIES[request.path], body)
        if not wrong and request.path == "/v1/chat/completions":
            wrong = conversation(body)
        return (422, "; ".join(wrong)) if wrong else None

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        say = self.answer(body)
        fault: Fault = request[FAULT]
        calls = [
            {"id": call_id(len(self.calls), n), "type": "function", "index": n,
             "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(say.tools)
        ]  # fmt: skip
        finish = say.finish or ("tool_calls" if calls else "stop")
        usage = say.usage or used(body, say)
        head = {"id": f"cmpl-{len(self.calls)}", "created": AT, "model": f"{body['model']}"}
        if not body.get("stream"):
            message = {"role": "assistant", "content": say.text, "tool_calls": calls or None}
            # The document demands `data` of an answer to a chat, where there is none.
            whole = {**head, "object": "chat.completion", "usage": usage, "data": None,
                     "choices": [{"index": 0, "finish_reason": finish, "message": message}]}  # fmt: skip
            self._valid("ChatCompletionResponse", whole)
            if fault.usage == "missing":
                del whole["usage"]
            return await self.reply(request, [msgspec.json.encode(whole)], "application/json")
        chunks = [self._chunk(head, {"role": "assistant", "content": ""})]
        chunks += [self._chunk(head, {"content": word}) for word in words(say.text) if word]
        if calls:
            chunks.append(self._chunk(head, {"content": "", "tool_calls": calls}))
        last = self._chunk(head, {"content": ""}, finish)
        chunks.append(last)
        if fault.usage == "apart":
            chunks.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        elif fault.usage != "missing":
            last["usage"] = usage
        for chunk in chunks:
            self._valid("CompletionChunk", chunk)
        pieces = [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks]
        return await self.reply(request, [*pieces, b"data: [DONE]\n\n"], "text/event-stream")

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        count = sum(map(tokens, texts))
        rows = [{"object": "embedding", "index": n, "embedding": vector(text)} for n, text in enumerate(texts)]
        whole = {"id": "emb-1", "object": "list", "model": body["model"], "data": rows,
                 "usage": {"prompt_tokens": count, "completion_tokens": 0, "total_tokens": count}}  # fmt: skip
        self._valid("EmbeddingResponse", whole)
        return await self.reply(request, [msgspec.json.encode(whole)], "application/json")

    async def moderations(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        rows: list[Any] = []
        for text in texts:
            scores = {name: 0.9 if name == "pii" and "@" in text else 0.01 for name in CATEGORIES}
            rows.append({"categories": {n: s > 0.5 for n, s in scores.items()}, "category_scores": scores})
        whole = {"id": "mod-1", "model": body["model"], "results": rows}
        self._valid("ModerationResponse", whole)
        return await self.reply(request, [msgspec.json.encode(whole)], "application/json")

    async def models(self, request: web.Request) -> web.StreamResponse:
        able = {"completion_chat": True, "function_calling": True, "completion_fim": False}
        cards: list[Any] = [
            {"id": name, "object": "model", "created": AT, "owned_by": "mistralai", "capabilities": able,
             "max_context_length": size, "aliases": [], "type": "base"}
            for name, size in (("mistral-small-latest", 262144), ("mistral-embed", 8192))
        ]  # fmt: skip
        whole = {"object": "list", "data": cards}
        self._valid("ModelList", whole)
        return await self.reply(request, [msgspec.json.encode(whole)], "application/json")

    def _chunk(self, head: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**head, "object": "chat.completion.chunk", "choices": [choice]}

    def _valid(self, name: str, value: Any) -> None:
        self.broken += spec.mistral().check(name, value)


def conversation(body: dict[str, Any]) -> list[str]:
    """What the API refuses and the document does not say: names, ids, and the order of messages."""
    wrong: list[str] = []
    open_calls: list[str] = []
    for tool in body.get("tools") or []:
        if not NAME.fullmatch(tool["function"]["name"]):
            wrong.append(f"Function name was {tool['function']['name']} but must be a-z, A-Z, 0-9, _ or -")
    for message in body["messages"]:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                wrong.append(f"Unexpected tool call id {message.get('tool_call_id')} in tool results")
            else:
                open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            wrong.append("Not the same number of function calls and responses")
        open_calls = [call["id"] for call in message.get("tool_calls") or []]
        wrong += [f"Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9" for id in open_calls
                  if not ID.fullmatch(id)]  # fmt: skip
        if message["role"] == "assistant" and not message.get("content") and not open_calls:
            wrong.append("Assistant message must have either content or tool_calls, but not none")
    if open_calls:
        wrong.append("Not the same number of function calls and responses")
    if body["messages"] and body["messages"][-1]["role"] not in ("user", "tool"):
        wrong.append(f"Expected last role User or Tool but got {body['messages'][-1]['role']}")
    return wrong


def call_id(call: int, ordinal: int) -> str:
    """Nine letters and digits."""
    return f"c{call:05d}{ordinal:03d}"


def used(body: dict[str, Any], say: Say) -> dict[str, int]:
    """The usage of an answer."""
    prompt = sum(tokens(str(message.get("content") or "")) + 3 for message in body["messages"])
    answer = tokens(say.text) + sum(tokens(name + arguments) for name, arguments in say.tools)
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
