"""Tools the model wants: each is a call actor of its own, which takes it through every gate; all are waited for."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any, cast

import msgspec

from actors.agents.conversation.asking import make_step
from actors.agents.conversation.decision import Decision
from actors.agents.conversation.guarding import guards_of_calls
from actors.agents.conversation.outbound import intend
from actors.agents.conversation.spending import budgets_of
from actors.agents.conversation.state import ToolCall, requesters_of
from actors.agents.conversation.watching import check_later
from actors.agents.prompt.parts import joined
from actors.core.outputs import Tell, TellRefused
from actors.tools.labels import argument_labels
from actors.tools.messages import CallFinished, CallWaits, RequestCall
from events.conversations import ToolAnswered, ToolAsked, ToolWaits
from events.models import ToolUse

_encode = msgspec.json.Encoder(order="deterministic").encode


def arguments_of(text: str) -> dict[str, Any] | None:
    """The arguments a model wrote; None when they are no JSON object."""
    try:
        found = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, UnicodeError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


@lru_cache(maxsize=1024)
def use_digest(tool: str, arguments: str) -> str:
    """What names a use of a tool: BLAKE2b of its name and canonical arguments, in hexadecimal."""
    found = arguments_of(arguments)
    canonical = arguments.encode() if found is None else _encode(found)
    return blake2b(tool.encode() + b"\n" + canonical, digest_size=16).hexdigest()


def ask_tools(d: Decision, uses: list[ToolUse]) -> None:
    """Ask for all the tools of an answer at once."""
    step = d.turn.step
    limits = d.definition.limits
    known = {spec.name for spec in d.definition.tool_specs}
    texts = _trusted_texts(d)
    refused: list[tuple[int, str]] = []
    for use in uses:
        turn = d.turn
        ordinal = turn.ordinal + 1
        labels = _labels(d, use, texts)
        call = d.name(turn.number, ordinal)
        d.emit(
            ToolAsked(
                turn.number, step, ordinal, use.id, use.name, use.arguments, call,
                use_digest(use.name, use.arguments), joined(*labels.values()), d.now,
            )
        )  # fmt: skip
        if use.name not in known:
            refused.append((ordinal, f"There is no tool {use.name!r}."))
        elif d.turn.tool_calls > limits.max_tool_calls:
            refused.append((ordinal, f"No more than {limits.max_tool_calls} tool calls are allowed in a turn."))
        else:
            d.out(Tell(f"call/{call}", _request(d, use, ordinal, labels)))
    for ordinal, text in refused:
        _answered(d, ordinal, "refused", text, "trusted/public")
    _go_on(d)


def _request(d: Decision, use: ToolUse, ordinal: int, labels: dict[str, str]) -> RequestCall:
    turn = d.turn
    return RequestCall(
        use.name, use.arguments, _chain(d), f"{turn.number}.{ordinal}", labels, budgets_of(d),
        d.state.agent, d.definition.roles, d.id, turn.number, guards=guards_of_calls(d.definition), cause=turn.cause,
    )  # fmt: skip


def _chain(d: Decision) -> list[str]:
    return list(dict.fromkeys([*requesters_of(d.turn), f"agent/{d.state.agent}"]))


def _trusted_texts(d: Decision) -> list[str]:
    """What people themselves and the agent's author wrote: a value that stands there is trusted."""
    said = [m.text for m in d.turn.messages if not m.blocked and m.label.startswith("trusted/")]
    before = [s.text for past in d.state.history for s in past.said if s.label.startswith("trusted/")]
    return [d.definition.instructions, *before, *said]


def _labels(d: Decision, use: ToolUse, texts: list[str]) -> dict[str, str]:
    context = d.turn.label
    arguments = arguments_of(use.arguments)
    if arguments is None:
        return {"*": context}
    roles = d.definition.tool_roles.get(use.name, {})
    return argument_labels(arguments, roles, texts, context) or {"*": context}


def finished(d: Decision, m: CallFinished) -> None:
    """A call ended, however it did."""
    tool = _tool(d, m.ref, m.call)
    if tool is None:
        return
    _answered(d, tool.ordinal, m.status, m.text, m.label, m)
    _go_on(d)


def waits(d: Decision, m: CallWaits) -> None:
    """People have to agree before a call begins."""
    tool = _tool(d, m.ref, m.call)
    if tool is None or tool.approval == m.approval:
        return
    d.emit(ToolWaits(d.turn.number, tool.ordinal, tool.call, m.approval, m.digest, d.now))
    check_later(d)
    data = {"approval": m.approval, "digest": m.digest, "tool": tool.tool, "call": tool.call}
    intend(d, "approval", f"{tool.tool} asks for agreement", data, d.turn.number)


def refused(d: Decision, m: TellRefused) -> None:
    """A call could not even be requested."""
    turn = d.state.turn
    tool = next((t for t in turn.tools if f"call/{t.call}" == m.by), None) if turn is not None else None
    if tool is None or m.message_type != "RequestCall":
        return
    _answered(d, tool.ordinal, "refused", m.reason, "trusted/public")
    _go_on(d)


def _tool(d: Decision, ref: str, call: str) -> ToolCall | None:
    turn = d.state.turn
    number, _, ordinal = ref.partition(".")
    if turn is None or str(turn.number) != number:
        return None
    call = call.removeprefix("call/")
    return next((t for t in turn.tools if str(t.ordinal) == ordinal and t.call == call), None)


def _answered(d: Decision, ordinal: int, status: str, text: str, label: str, m: CallFinished | None = None) -> None:
    tool = next(t for t in d.turn.tools if t.ordinal == ordinal)
    citations = m.citations if m is not None else []
    waited = d.turn.waits_since
    d.emit(ToolAnswered(d.turn.number, ordinal, tool.call, status, text, d.now, label, citations))
    if waited and not d.turn.waits_since:
        check_later(d)


def _go_on(d: Decision) -> None:
    """Once every tool is answered, the model is asked what it makes of that."""
    turn = d.state.turn
    if turn is not None and turn.phase == "tools" and not turn.tools:
        make_step(d)
