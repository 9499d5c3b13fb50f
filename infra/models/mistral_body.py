"""What Mistral is asked, and what came back, between our values and those of its library."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
from mistralai.client import models

from actors.models.names import ToolNames, short_id
from actors.models.port import ModelInfo, Moderation
from actors.models.schemas import is_strict, name_of
from events.models import ChatMessage, ModelRequest
from infra.models import openai_body
from infra.models.assembly import Assembly, Piece
from infra.models.faults import nonsense

MESSAGES: Final[dict[str, Any]] = {
    "system": models.SystemMessage,
    "user": models.UserMessage,
    "assistant": models.AssistantMessage,
    "tool": models.ToolMessage,
}


def chat(model: str, request: ModelRequest, names: ToolNames) -> dict[str, Any]:
    """The arguments of `chat.complete_async` and `chat.stream_async`."""
    # The library's own values: plain ones it would check against classes that it makes anew for every call (2 ms each).
    messages = [MESSAGES[each.role].model_validate(message(each, names)) for each in request.messages]
    body: dict[str, Any] = {"model": model, "messages": messages}
    if request.tools:
        tools = [
            {"type": "function", "function": {
                "name": names.shown(tool.name), "description": tool.description, "parameters": tool.parameters,
            }}
            for tool in request.tools
        ]  # fmt: skip
        body["tools"] = [models.Tool.model_validate(tool) for tool in tools]
        if request.tool_choice != "auto":
            body["tool_choice"] = choice(request.tool_choice, names)
    given = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "random_seed": request.seed,
        "stop": request.stop or None,
    }
    body |= {name: value for name, value in given.items() if value is not None}
    if request.response_schema is not None:
        schema = request.response_schema
        wanted = {"name": name_of(schema), "schema": schema, "strict": is_strict(schema)}
        format = {"type": "json_schema", "json_schema": wanted}
        body["response_format"] = models.ResponseFormat.model_validate(format)
    return body


def message(said: ChatMessage, names: ToolNames) -> dict[str, Any]:
    """One message. Ids of uses have nine letters and digits here, whoever made them up."""
    if said.role == "tool":
        name = {"name": names.shown(said.name)} if said.name else {}
        return {"role": "tool", "content": said.text, "tool_call_id": short_id(said.tool_use), **name}
    if not said.tool_uses:
        return {"role": said.role, "content": said.text}
    calls = [
        {"id": short_id(use.id), "type": "function",
         "function": {"name": names.shown(use.name), "arguments": use.arguments}}
        for use in said.tool_uses
    ]  # fmt: skip
    return {"role": said.role, "content": said.text, "tool_calls": calls}


def choice(wanted: str, names: ToolNames) -> Any:
    """Which tool is to be used."""
    if wanted in ("auto", "none", "required"):
        return wanted
    return {"type": "function", "function": {"name": names.shown(wanted)}}


def take_whole(assembly: Assembly, found: Any) -> None:
    """Read an answer that came at once. Raises ModelError."""
    if not found.choices or found.choices[0].message is None:
        raise nonsense("the answer has no choices")
    first = found.choices[0]
    assembly.model, assembly.id = found.model, found.id
    assembly.add(text_of(first.message.content), pieces(first.message.tool_calls))
    assembly.finish = str(first.finish_reason)
    assembly.report(used(found.usage))


def take_odd(assembly: Assembly, body: str) -> None:
    """Read an answer that is not quite of its schema. Raises ModelError."""
    try:
        openai_body.take_whole(assembly, msgspec.json.decode(body, type=dict[str, Any]))
    except msgspec.MsgspecError as error:
        raise nonsense(f"the answer is no JSON object: {error}") from None


def used(usage: Any) -> dict[str, Any] | None:
    """A usage as it was reported; None when only the library's defaults are there."""
    if usage is None or "prompt_tokens" not in usage.model_fields_set:
        return None
    return usage.model_dump(mode="json")


def text_of(content: Any) -> str:
    """The text of a content; what the model thought by itself is not said to anybody."""
    if isinstance(content, str):
        return content
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    return "".join(str(part.text) for part in parts if getattr(part, "type", "") == "text")


def pieces(calls: Any) -> list[Piece]:
    """Tool uses."""
    found = cast("list[Any]", calls) if isinstance(calls, list) else []
    return [Piece(n, call.id or "", call.function.name, call.function.arguments) for n, call in enumerate(found)]


def info(card: Any, provider: str) -> ModelInfo:
    """A card of the list of models."""
    able = sorted(name for name, yes in card.capabilities.model_dump().items() if yes is True)
    note = f"to be retired {card.deprecation:%Y-%m-%d}" if getattr(card, "deprecation", None) else ""
    return ModelInfo(card.id, provider, card.max_context_length or 0, able, note)


def moderation(row: Any) -> Moderation:
    """What was said of one text."""
    flags: dict[str, bool] = row.categories or {}
    return Moderation(dict(row.category_scores or {}), sorted(name for name, flagged in flags.items() if flagged))
