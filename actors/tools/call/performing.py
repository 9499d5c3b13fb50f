"""A call is performed: as an effect, by a workflow or by an agent; and what comes back is looked at and told."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import msgspec

from actors.agents.messages import ConversationReplied, InterruptTurn, Post
from actors.core.outputs import Ask, Effect, Outcome, Schedule, Tell
from actors.tools.arguments import canonical
from actors.tools.call.ending import finish
from actors.tools.call.move import Move
from actors.tools.guards import checked, look, outcome, redacted
from actors.tools.labels import join, with_secrecy
from actors.tools.messages import CallDue, Performed, PerformTool, tool_effect
from actors.workflows.messages import RunEnded, StartWorkflow, StopRun
from events.tools import CallAnswered, CallBegun, CallEnded, CallGuarded
from events.workflows import Parent

GRACE: Final = 60.0
"""Seconds that whoever performs a call has to stop; then nobody knows what became of it."""


def begin(move: Move) -> None:
    """Begin it: the event and the request are one append."""
    definition = move.pinned.definition
    via, to = definition.via, ""
    if via in _ACTORS:
        to, data = _ACTORS[via](move)
        move.emit(CallBegun(via, definition.effect_class, move.now, move.judged.sandbox, to))
        move.out(Ask(to, data, "perform"), Schedule("late", CallDue(), after=definition.timeout))
        return
    move.emit(CallBegun(via, definition.effect_class, move.now, move.judged.sandbox))
    move.out(Effect(tool_effect(definition.effect_class), performance(move), "perform"))


def performance(move: Move) -> PerformTool:
    """What a performer is asked."""
    request, definition = move.request, move.pinned.definition
    return PerformTool(
        definition.name, move.pinned.hash, move.pinned.arguments, move.me, request.requesters, request.agent,
        request.conversation, move.judged.sandbox, definition.timeout,
    )  # fmt: skip


def _workflow(move: Move) -> tuple[str, Any]:
    definition = move.pinned.definition
    name = definition.annotations.get("workflow") or definition.name
    start = StartWorkflow(
        move.id, move.pinned.arguments, definition.annotations.get("version"), Parent(move.me, "perform"),
        by=move.request.requesters[0], requesters=move.request.requesters, cause=move.request.cause,
    )  # fmt: skip
    return f"workflow/{name}", start


def _agent(move: Move) -> tuple[str, Any]:
    definition, arguments = move.pinned.definition, move.pinned.arguments
    name = definition.annotations.get("agent") or definition.name
    alone = arguments.get("text") if len(arguments) == 1 else None
    text = alone if isinstance(alone, str) else canonical(arguments)
    post = Post(
        "1", text, name, channel_of_tool(definition.name), move.request.requesters[0], move.state.joined,
        parent=move.me, ref="perform", requesters=move.request.requesters, cause=move.request.cause,
    )  # fmt: skip
    return f"conversation/{move.id}", post


_ACCOUNT: Final = re.compile(r"[A-Za-z0-9._~@+-]{1,100}")


def channel_of_tool(tool: str) -> str:
    """The channel `call`, with the tool as its account: what the agent costs is also what its tool costs."""
    return f"call:{tool}" if _ACCOUNT.fullmatch(tool) else "call"


_ACTORS: Final = {"workflow": _workflow, "agent": _agent}
"""Who is asked, and what, when an actor performs a tool."""


def overdue(move: Move, due: CallDue) -> None:
    """An actor has taken too long: it is told to stop, and then not waited for any more."""
    begun = move.state.begun
    assert begun is not None
    if due.told:
        answered(move, CallAnswered("unknown", move.now, error="no answer in time, and none after it was told to stop"))
        return
    reason = f"{move.request.tool} took longer than {move.pinned.definition.timeout:g} s"
    order = StopRun(move.id, reason) if begun.via == "workflow" else InterruptTurn(0, move.me, reason)
    move.out(Tell(begun.to, order), Schedule("late", CallDue(told=True), after=GRACE))


def from_effect(move: Move, result: Outcome) -> tuple[CallAnswered, str]:
    """What came of an effect, and what a model may be shown of it."""
    if result.status != "succeeded":
        return CallAnswered(result.status, move.now, error=result.error), ""
    done = _performed(result.result)
    status = "failed" if done.error or done.code else "succeeded"
    said = CallAnswered(
        status, move.now, done.value, done.error or done.code, _label(move, done.label), done.citations, done.sandbox,
        done.usage,
    )  # fmt: skip
    return said, done.text


def _performed(result: Any) -> Performed:
    """What a performer returned; or what a person says a call came to, which may be the value alone."""
    if isinstance(result, dict) and set(cast("dict[str, Any]", result)) <= _FIELDS:
        return msgspec.convert(result, Performed)
    return Performed(result)


_FIELDS: Final = frozenset(field.name for field in msgspec.structs.fields(Performed))


def from_run(move: Move, ended: RunEnded) -> CallAnswered:
    """What came of a run."""
    if ended.status == "succeeded":
        return CallAnswered("succeeded", move.now, ended.outputs, label=_label(move, ""), usage=ended.usage)
    said = ended.error.message if ended.error is not None else f"the run {ended.status}"
    return CallAnswered("failed", move.now, error=said, label=_label(move, ""), usage=ended.usage)


def from_conversation(move: Move, replied: ConversationReplied) -> tuple[CallAnswered, str]:
    """What an agent replied."""
    usage = {"usd": replied.cost} if replied.cost is not None else {}
    label = join(_label(move, ""), replied.label)
    if replied.status != "replied":
        said = replied.reason or f"the turn {replied.status}"
        return CallAnswered("failed", move.now, error=said, label=label, usage=usage), ""
    value = replied.data if replied.data is not None else replied.text
    return CallAnswered("succeeded", move.now, value, label=label, usage=usage), replied.text


def _label(move: Move, said: str) -> str:
    """The label of a result: what the tool says of it, or else its definition; at least as secret as the arguments.
    What others' tools return is nobody's word here, whatever they say."""
    definition = move.pinned.definition
    label = with_secrecy(said or definition.result, move.state.joined or "trusted/public")
    return join(label, "untrusted/public") if definition.via == "mcp" else label


def answered(move: Move, answer: CallAnswered, text: str = "") -> None:
    """The last gates: the answer is recorded, guards look at it, and whoever asked is told."""
    late = move.state.ended is not None
    text = text or _shown(move, answer)
    move.emit(answer)
    verdicts = look("tool-result", text, checked(move.judged.guards))
    action = outcome(verdicts)
    withheld = action in ("hold", "block")
    move.emit(CallGuarded("tool-result", verdicts, withheld))
    data: Any = answer.result if action in ("allow", "observe") else None
    code = "" if answer.status == "succeeded" else answer.status
    if withheld:
        rules = ", ".join(dict.fromkeys(v.rule for v in verdicts if v.action in ("hold", "block")))
        text, code = f"{move.request.tool} {answer.status}; a guard withholds the result ({rules})", "withheld"
    ended = CallEnded(
        answer.status, "late" if late else "", move.now, text if withheld else redacted(text, verdicts), code,
        answer.label,
    )  # fmt: skip
    finish(move, ended, data)


def _shown(move: Move, answer: CallAnswered) -> str:
    name = move.request.tool
    if answer.status == "succeeded":
        value = answer.result
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if answer.status == "failed":
        return f"{name} failed: {answer.error}"
    return f"nobody knows what became of {name}: {answer.error}. It may have been done; it is not tried again."
