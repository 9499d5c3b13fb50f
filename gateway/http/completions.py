"""POST /v1/chat/completions: any client that speaks OpenAI's protocol talks to an agent, named as its `model`.

The conversation is the one in `metadata.conversation`, else that of the `user` with this agent, else a new one. One
that goes on knows what was said before, so of the messages only those after the last answer are taken; a new one is
given all of them. What cannot be kept (functions of the client, several choices, a form of its own, a text to stop at)
is refused.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from events import ids
from events.errors import Conflict, DeadlineExceeded, InvalidData, ThespisError
from gateway.http import body
from gateway.http.completions_stream import asks_for, pieces
from gateway.http.context import REPLAYED, key
from gateway.http.conversation_feed import stream_of
from gateway.http.guard import outward
from gateway.http.models_completions import CompletionIn, CompletionMessage
from gateway.http.posting import Posted, answered, check_agent, heard, post
from gateway.http.route import Call, answer
from gateway.http.sse import Writer, live
from gateway.http.transcript import TurnLine
from gateway.problems import Declined, TurnFailed, problem

PLACE: Final = "Thespis-Conversation"
"""The response header that names the conversation."""

BEFORE: Final = "What was said before:"

_encode = msgspec.json.Encoder().encode


class _Opened(msgspec.Struct):
    agent: str = ""


_opened = msgspec.json.Decoder(_Opened).decode


async def complete(call: Call) -> web.StreamResponse:
    """Say it, and answer with the agent's turn: whole, or as it is written."""
    asked = await body.model(call, CompletionIn)
    _check(asked)
    await check_agent(call, asked.model)
    given = key(call.request)
    id, goes_on = await _conversation(call, asked, given)
    text = _new(asked.messages) if goes_on else _all(asked.messages)
    stream = stream_of(id)
    used = given or ids.random_id()
    name = ids.keyed(call.tenant, call.principal.name, stream, f"completion\0{used}")
    posted = await post(call, stream, heard(call, stream.partition("/")[2], text, name, asked.model), used)
    if asked.stream:
        return await live(call, b"", lambda writer: _stream(call, writer, asked, id, posted))
    wait = call.settings.completion_wait
    _, turn = await answered(call, stream, posted, wait, lambda turn: turn.over or bool(turn.asks))
    if turn is None or not turn.over:
        asks = "; ".join(map(asks_for, turn.asks)) if turn is not None else ""
        raise DeadlineExceeded(
            asks or f"the turn goes on after {wait:g} s",
            hint=f"afterwards repeat with the same Idempotency-Key, or read `GET /v1/conversations/{id}`",
        )
    _check_turn(turn)
    headers = {PLACE: id} | ({REPLAYED: "true"} if posted.duplicate else {})
    return answer(_whole(asked, id, turn), headers=headers)


def _check(asked: CompletionIn) -> None:
    """Raises InvalidData for what would be passed over to somebody's surprise."""
    if asked.tools or asked.functions:
        raise InvalidData("an agent has its own tools", hint="its definition names them; leave `tools` out")
    if asked.n not in (None, 1):
        raise InvalidData(f"{asked.n} choices cannot be made, only one", hint="leave `n` out")
    if asked.stop:
        raise InvalidData("an answer cannot be cut at a text", hint="leave `stop` out")
    if asked.logprobs:
        raise InvalidData("there are no probabilities of tokens", hint="leave `logprobs` out")
    if asked.response_format is not None and asked.response_format.type != "text":
        raise InvalidData("the form of answers is in the agent's definition", hint="leave `response_format` out")
    if asked.messages[-1].role == "assistant":
        raise InvalidData("the last message is an answer: there is nothing to say", hint="end with a user message")


async def _conversation(call: Call, asked: CompletionIn, given: str | None) -> tuple[str, bool]:
    """Which conversation, and whether it knows what was said before."""
    who, agent = call.principal.name, f"agent/{asked.model}"
    if asked.metadata is not None and asked.metadata.conversation is not None:
        id = asked.metadata.conversation
    elif asked.user:
        id = ids.keyed(call.tenant, who, agent, f"user\0{asked.user}")
    elif given is not None:
        return ids.keyed(call.tenant, who, agent, f"completion\0{given}"), False
    else:
        return ids.random_id(), False
    # A repetition of the message that began it has to be the same message.
    begun = await call.door.store.read_stream(call.tenant, stream_of(id), limit=2)
    if begun and _opened(begun[0].data).agent not in ("", asked.model):
        raise Conflict(f"conversation {id} is with another agent", hint="name that one, or begin another conversation")
    return id, len(begun) > 0 and not (given is not None and _began_with(call, id, given, begun))


def _began_with(call: Call, id: str, given: str, begun: Sequence[Any]) -> bool:
    name = ids.keyed(call.tenant, call.principal.name, stream_of(id), f"completion\0{given}")
    return any(name.encode() in event.data for event in begun)


def _new(messages: Sequence[CompletionMessage]) -> str:
    """What was said after the last answer."""
    last = max((n for n, message in enumerate(messages) if message.role == "assistant"), default=-1)
    return "\n\n".join(m.text for m in messages[last + 1 :] if m.role == "user") or messages[-1].text


def _all(messages: Sequence[CompletionMessage]) -> str:
    """Everything that was said, as one message: it is the word of whoever sends it."""
    if len(messages) == 1:
        return messages[0].text
    before = "\n\n".join(f"{message.role}: {message.text}" for message in messages[:-1])
    return f"{BEFORE}\n\n{before}\n\n{messages[-1].role}: {messages[-1].text}"


def _check_turn(turn: TurnLine) -> None:
    """Raises what it means that a turn did not reply."""
    if turn.status == "replied":
        return
    reason = turn.reason or f"the turn was {turn.status}"
    if turn.code in ("blocked", "content-filter"):
        raise Declined(reason, code="content_filter", extra={})
    raise TurnFailed(reason, hint=turn.code and f"the reason is {turn.code}")


# -- the forms


def _whole(asked: CompletionIn, id: str, turn: TurnLine) -> dict[str, Any]:
    message = {"role": "assistant", "content": turn.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {
        **_head(asked, id, turn.turn, "chat.completion", turn.started_at),
        "choices": [choice],
        "usage": _usage(turn),
        "thespis": _place(id, turn),
    }


def _head(asked: CompletionIn, id: str, turn: int, kind: str, at: int) -> dict[str, Any]:
    name = f"chatcmpl-{id}.{turn}" if turn else f"chatcmpl-{id}"
    return {"id": name, "object": kind, "created": at // 1_000_000, "model": asked.model}


def _usage(turn: TurnLine) -> dict[str, Any]:
    used = turn.usage
    prompt, completion = used.get("input", 0), used.get("output", 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": used.get("cache_read", 0)},
        "completion_tokens_details": {"reasoning_tokens": used.get("reasoning", 0)},
    }


def _place(id: str, turn: TurnLine) -> dict[str, Any]:
    return {
        "conversation": id, "turn": turn.turn, "models": turn.models, "stand_in": turn.stand_in, "cost": turn.cost,
        "citations": turn.citations,
    }  # fmt: skip


async def _stream(call: Call, writer: Writer, asked: CompletionIn, id: str, posted: Posted) -> None:
    try:
        async for chunk in _chunks(call, asked, id, posted):
            await writer.send(b"data: %b\n\n" % _encode(chunk) if chunk is not None else b": waiting\n\n")
    except ThespisError as error:
        told = errors(problem(outward(error, call.principal)))
        await writer.send(b"data: %b\n\n" % _encode(told))
        return
    await writer.send(b"data: [DONE]\n\n")


async def _chunks(call: Call, asked: CompletionIn, id: str, posted: Posted) -> AsyncGenerator[dict[str, Any] | None]:
    wants_usage = asked.stream_options is not None and asked.stream_options.include_usage
    head = _head(asked, id, 0, "chat.completion.chunk", time.time_ns() // 1000)
    head["id"] += f".m{posted.number}"
    if wants_usage:
        head["usage"] = None
    yield head | _delta({"role": "assistant", "content": ""})
    async for piece in pieces(call, stream_of(id), posted):
        if isinstance(piece, str):
            yield head | _delta({"content": piece}) if piece else None
            continue
        _check_turn(piece)
        yield head | _delta({}, "stop") | {"thespis": _place(id, piece)}
        if wants_usage:
            yield head | {"choices": [], "usage": _usage(piece)}
        return


def _delta(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}


_TYPES: Final = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_CODES: Final = {
    "not-found": "model_not_found",
    "unauthenticated": "invalid_api_key",
    "rate-limited": "rate_limit_exceeded",
}


def errors(document: dict[str, Any]) -> dict[str, Any]:
    """A problem document as OpenAI's clients expect errors."""
    status, code = document["status"], document["code"]
    kind = _TYPES.get(status) or ("invalid_request_error" if status < 500 else "server_error")
    hint = f" ({document['hint']})" if document.get("hint") else ""
    told = document.get("reason_code") or _CODES.get(code, code)
    return {"error": {"message": f"{document['detail']}{hint}", "type": kind, "param": None, "code": told}}
