"""Bodies of OpenAI's interface for chats: a request as JSON, and what came back read with suspicion."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final, cast

import msgspec

from actors.models.names import ToolNames
from actors.models.port import Chunk
from actors.models.schemas import is_strict, name_of
from events.models import ChatMessage, ModelRequest
from infra.models import faults
from infra.models.assembly import Assembly, Piece
from infra.models.faults import Secret, nonsense
from infra.models.sse import Events

DONE: Final = "[DONE]"


def chat(model: str, request: ModelRequest, names: ToolNames, *, own: bool) -> dict[str, Any]:
    """The body of a request. `own`: for OpenAI itself, which calls the limit of the answer by a newer name."""
    body: dict[str, Any] = {"model": model, "messages": [message(each, names) for each in request.messages]}
    if request.tools:
        body["tools"] = [
            {"type": "function", "function": {
                "name": names.shown(tool.name), "description": tool.description, "parameters": tool.parameters,
            }}
            for tool in request.tools
        ]  # fmt: skip
        body["tool_choice"] = choice(request.tool_choice, names)
    given = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_completion_tokens" if own else "max_tokens": request.max_tokens,
        "seed": request.seed,
        "stop": request.stop or None,
    }
    body |= {name: value for name, value in given.items() if value is not None}
    if request.response_schema is not None:
        schema = request.response_schema
        wanted = {"name": name_of(schema), "schema": schema, "strict": is_strict(schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return body


def message(said: ChatMessage, names: ToolNames) -> dict[str, Any]:
    """One message."""
    if said.role == "tool":
        return {"role": "tool", "content": said.text, "tool_call_id": said.tool_use}
    if not said.tool_uses:
        return {"role": said.role, "content": said.text}
    calls = [
        {"id": use.id, "type": "function", "function": {"name": names.shown(use.name), "arguments": use.arguments}}
        for use in said.tool_uses
    ]
    return {"role": said.role, "content": said.text or None, "tool_calls": calls}


def choice(wanted: str, names: ToolNames) -> Any:
    """Which tool is to be used."""
    if wanted in ("auto", "none", "required"):
        return wanted
    return {"type": "function", "function": {"name": names.shown(wanted)}}


def take_whole(assembly: Assembly, body: dict[str, Any]) -> None:
    """Read an answer that came at once. Raises ModelError."""
    choice = _choice(body)
    if choice is None:
        raise nonsense("the answer has no choices")
    said = _object(choice.get("message"), "message")
    _head(assembly, body)
    assembly.add(_text(said), _pieces(said, indexed=False))
    assembly.finish = str(choice.get("finish_reason") or "stop")
    assembly.report(body.get("usage"))


async def take_stream(assembly: Assembly, data: AsyncIterable[bytes], key: Secret) -> AsyncIterator[Chunk]:
    """Read a stream of server-sent events until it says `[DONE]`, or ends without. Raises ModelError."""
    events = Events()
    async for received in data:
        for event in events.feed(received):
            if event == DONE:
                return
            if (chunk := take_piece(assembly, event, key)) is not None:
                yield chunk
    for event in events.end():
        if event != DONE and (chunk := take_piece(assembly, event, key)) is not None:
            yield chunk


def take_piece(assembly: Assembly, data: str, key: Secret) -> Chunk | None:
    """Read a piece of a stream. Raises ModelError."""
    try:
        body = msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise nonsense(f"a piece of the stream is no JSON object: {error}") from None
    if body.get("error"):
        raise faults.of_status(_status(body["error"]), data, {}, key)
    _head(assembly, body)
    assembly.report(body.get("usage"))
    choice = _choice(body)
    if choice is None:
        return None
    delta = _object(choice.get("delta") or {}, "delta")
    if choice.get("finish_reason"):
        assembly.finish = str(choice["finish_reason"])
    return assembly.add(_text(delta), _pieces(delta, indexed=True))


def _head(assembly: Assembly, body: dict[str, Any]) -> None:
    assembly.model = str(body.get("model") or assembly.model)
    assembly.id = str(body.get("id") or assembly.id)


def _choice(body: dict[str, Any]) -> dict[str, Any] | None:
    choices = body.get("choices")
    if not isinstance(choices, list):
        raise nonsense("choices are no list")
    return _object(choices[0], "choice") if choices else None


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise nonsense(f"the {what} is no object")
    return cast("dict[str, Any]", value)


def _text(said: dict[str, Any]) -> str:
    content = said.get("content")
    if isinstance(content, list):
        parts = [_object(part, "part") for part in cast("list[Any]", content)]
        content = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")
    if content is None:
        content = said.get("refusal") or ""
    if not isinstance(content, str):
        raise nonsense("the content is no text")
    return content


def _pieces(said: dict[str, Any], *, indexed: bool) -> list[Piece]:
    calls: Any = said.get("tool_calls") or []
    if not isinstance(calls, list):
        raise nonsense("the tool calls are no list")
    pieces: list[Piece] = []
    for ordinal, each in enumerate(cast("list[Any]", calls)):
        call = _object(each, "tool call")
        function = _object(call.get("function") or {}, "function")
        index = call.get("index") if indexed else ordinal
        arguments = function.get("arguments")
        id = str(call.get("id") or "")
        pieces.append(
            Piece(
                index if isinstance(index, int) else None, "" if id == "null" else id, str(function.get("name") or ""),
                "" if arguments is None else arguments,
            )
        )  # fmt: skip
    return pieces


def _status(error: Any) -> int:
    found = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
    for name in ("status", "code"):
        value = found.get(name)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return 500
