"""What Mistral is asked, and what came back, between our values and those of its library."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from actors.models.names import ToolNames, short_id
from actors.models.port import Chunk, ModelInfo, Moderation
from actors.models.schemas import is_strict, name_of
from events.models import ChatMessage, ModelRequest
from infra.models import openai_body
from infra.models.assembly import Assembly, Piece
from infra.models.faults import nonsense


def chat(model: str, request: ModelRequest, names: ToolNames) -> dict[str, Any]:
    """The arguments of `chat.complete_async` and `chat.stream_async`."""
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
        "max_tokens": request.max_tokens,
        "random_seed": request.seed,
        "stop": request.stop or None,
    }
    body |= {name: value for name, value in given.items() if value is not None}
    if request.response_schema is not None:
        schema = request.response_schema
        wanted = {"name": name_of(schema), "schema_definition": schema, "strict": is_strict(schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
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
    assembly.add(text_of(first.message.content), pieces(first.message.tool_calls, indexed=False))
    assembly.finish = str(first.finish_reason)
    assembly.report(used(found.usage))


def take_odd(assembly: Assembly, body: str) -> None:
    """Read an answer that is not quite of its schema. Raises ModelError."""
    try:
        openai_body.take_whole(assembly, msgspec.json.decode(body, type=dict[str, Any]))
    except msgspec.MsgspecError as error:
        raise nonsense(f"the answer is no JSON object: {error}") from None


def take_piece(assembly: Assembly, found: Any) -> Chunk | None:
    """Read a piece of a stream. Raises ModelError."""
    assembly.model, assembly.id = found.model, found.id
    if found.usage is not None:
        assembly.report(used(found.usage))
    if not found.choices:
        return None
    first = found.choices[0]
    if first.finish_reason:
        assembly.finish = str(first.finish_reason)
    return assembly.add(text_of(first.delta.content), pieces(first.delta.tool_calls, indexed=True))


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


def pieces(calls: Any, *, indexed: bool) -> list[Piece]:
    """Tool uses, or parts of them."""
    found = cast("list[Any]", calls) if isinstance(calls, list) else []
    return [
        Piece(
            call.index if indexed and "index" in call.model_fields_set else None if indexed else ordinal,
            "" if call.id == "null" else call.id, call.function.name, call.function.arguments,
        )
        for ordinal, call in enumerate(found)
    ]  # fmt: skip


def info(card: Any, provider: str) -> ModelInfo:
    """A card of the list of models."""
    able = sorted(name for name, yes in card.capabilities.model_dump().items() if yes is True)
    note = f"to be retired {card.deprecation:%Y-%m-%d}" if getattr(card, "deprecation", None) else ""
    return ModelInfo(card.id, provider, card.max_context_length or 0, able, note)


def moderation(row: Any) -> Moderation:
    """What was said of one text."""
    flags: dict[str, bool] = row.categories or {}
    return Moderation(dict(row.category_scores or {}), sorted(name for name, flagged in flags.items() if flagged))
