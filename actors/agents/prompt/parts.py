"""The parts of a prompt, each within its budget: what it shows, the events it comes from, what was left out and why.

Events are named by type and what identifies them in their stream: `MessageReceived:7`, `ToolAnswered:3.1` (turn and
ordinal), `TurnReplied:2-5` (a range).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, cast

import msgspec

from actors.agents.conversation.state import Conversation, Entry, Past, Turn
from actors.agents.definition.instructions import render
from actors.agents.definition.plan import AgentDefinition
from actors.agents.prompt.tokens import MESSAGE_OVERHEAD, count_tokens, cut, message_tokens
from actors.agents.variables import effective
from actors.tools.labels import join
from events.conversations import Section
from events.models import ChatMessage

LEAST: Final = 48
"""Tokens a tool's result is shortened to at most."""

_encode = msgspec.json.Encoder(order="deterministic").encode


@lru_cache(maxsize=1024)
def _join(labels: frozenset[str]) -> str:
    return join(*labels)


def joined(*labels: str) -> str:
    """Labels joined, the worst of all; there are few different ones."""
    return _join(frozenset(labels))


class Part(msgspec.Struct, frozen=True):
    """A section and what it puts into the prompt."""

    section: Section
    messages: list[ChatMessage] = []
    text: str = ""


def instructions(state: Conversation, definition: AgentDefinition, values: dict[str, Any]) -> Part:
    """The agent's own words with its variables. They are never cut. Raises CannotRender."""
    text = render(definition.instructions, values)
    label = _variables_label(state) if values else "trusted/public"
    return Part(Section("instructions", count_tokens(text), [f"AgentAdopted:{state.version}"], label=label), text=text)


def fixed_tokens(state: Conversation, definition: AgentDefinition) -> int:
    """Tokens of what is never cut, as far as it is known without variables."""
    return count_tokens(definition.instructions) + tools(state, definition).section.tokens


@lru_cache(maxsize=256)
def _tools_tokens(encoded: bytes) -> int:
    return count_tokens(encoded.decode())


def tools(state: Conversation, definition: AgentDefinition) -> Part:
    """What the model may ask for, as it is told. Never cut."""
    if not definition.tool_specs:
        return Part(Section("tools", 0))
    encoded = _encode(definition.tool_specs)
    return Part(Section("tools", _tools_tokens(encoded), [f"AgentAdopted:{state.version}"]))


def shown_variables(state: Conversation, turn: Turn, definition: AgentDefinition) -> dict[str, Any]:
    """The context variables the model is shown, by the precedence of scopes; what is not set has its default."""
    own = {name: held.value for name, held in state.variables.items() if held.is_set and not held.secret}
    found = effective({**turn.variables, "conversation": own}, definition.visible)
    for name in definition.visible:
        variable = definition.variables.get(name)
        if variable is not None and variable.secret:
            found.pop(name, None)
        elif name not in found and variable is not None and variable.default is not msgspec.UNSET:
            found[name] = variable.default
    return found


def _variables_label(state: Conversation) -> str:
    """What people set is trusted; what a run says is labelled like the message it came with."""
    turn = state.turn
    asked = turn.messages if turn is not None and ("run" in turn.variables or "step" in turn.variables) else []
    return joined("trusted/private", *(m.label for m in asked if m.run or m.variables))


def variables(state: Conversation, turn: Turn, values: dict[str, Any], budget: int) -> Part:
    """Context variables, a line each; the last ones are left out when they do not fit."""
    if not values:
        return Part(Section("variables", 0, budget=budget))
    lines: list[str] = []
    total = count_tokens("Context:\n")
    left_out = 0
    for name in sorted(values):
        line = f"- {name}: {_encode(values[name]).decode()}"
        tokens = count_tokens(line) + 1
        if total + tokens > budget:
            left_out += tokens
            continue
        total += tokens
        lines.append(line)
    events = [f"VariablesRead:{turn.number}.{scope}" for scope in sorted(turn.variables)]
    events += [f"VariableSet:{name}" for name in sorted(state.variables) if state.variables[name].is_set]
    why = "some values do not fit" if left_out else ""
    text = "\n".join(["Context:", *lines]) if lines else ""
    label = _variables_label(state)
    return Part(Section("variables", total if lines else 0, events, budget, left_out, why, label),
                text=text)  # fmt: skip


def summary(state: Conversation, budget: int) -> Part:
    """What takes the place of turns that were summarised."""
    found = state.summary
    if found is None:
        return Part(Section("summary", 0, budget=budget))
    said = f"Summary of turns {found.first} to {found.last} of this conversation:\n{found.text}"
    text, gone = cut(said, max(0, budget - MESSAGE_OVERHEAD), f"HistoryCompacted:{found.first}-{found.last}")
    message = ChatMessage("user", text)
    event = f"HistoryCompacted:{found.first}-{found.last}"
    why = "the summary is longer than its budget" if gone else ""
    return Part(Section("summary", message_tokens(message), [event], budget, gone, why, found.label), [message])


def past_messages(past: Past) -> list[ChatMessage]:
    """A turn that is over, as later prompts show it."""
    found = [ChatMessage("user", said.text) for said in past.said]
    if past.status == "replied":
        found.append(ChatMessage("assistant", past.text))
    elif past.text or past.status != "interrupted":
        found.append(ChatMessage("assistant", past.text or f"[no answer: the turn was {past.status}]"))
    return found


def history(state: Conversation, budget: int) -> Part:
    """Turns that are over, the newest that fit. Of the newest one at least a piece is shown."""
    chosen: list[list[ChatMessage]] = []
    label, total, gone, why = "trusted/public", 0, 0, ""
    first = last = 0
    for past in reversed(state.history):
        messages = past_messages(past)
        tokens = sum(map(message_tokens, messages))
        if (gone or total + tokens > budget) and chosen:
            gone += tokens
            why = "older turns do not fit"
            continue
        if tokens > budget:
            each = max(0, budget // max(1, len(messages)) - MESSAGE_OVERHEAD)
            where = f"in turn {past.turn}"
            messages = [ChatMessage(m.role, cut(m.text, each, where)[0]) for m in messages]
            gone += tokens - sum(map(message_tokens, messages))
            tokens = sum(map(message_tokens, messages))
            why = "a turn is longer than the budget"
        total += tokens
        chosen.append(messages)
        first, last = past.turn, last or past.turn
        label = joined(label, past.label, *(said.label for said in past.said))
    events = [f"Turn:{first}-{last}"] if chosen else []
    flat = [message for messages in reversed(chosen) for message in messages]
    return Part(Section("history", total, events, budget, gone, why, label), flat)


def attachment_text(attachment: Any) -> str:
    """What an attachment puts into the prompt: its text if it has one, else what it is."""
    if isinstance(attachment, dict):
        given = cast("dict[str, Any]", attachment)
        name, text = str(given.get("name", "attachment")), given.get("text")
        return f"[{name}]\n{text}" if isinstance(text, str) else f"[{name}: not shown]"
    return "[attachment: not shown]"


def message(turn: Turn, budget: int) -> Part:
    """What this turn is to answer. Of messages that are too long the middle is left out."""
    texts = [(m, m.text) for m in turn.messages if not m.blocked]
    texts = [
        (m, "\n\n".join([text, *map(attachment_text, m.attachments)]) if m.attachments else text) for m, text in texts
    ]
    total = sum(count_tokens(text) + MESSAGE_OVERHEAD for _, text in texts)
    gone, why = 0, ""
    if total > budget:
        each = max(0, budget // max(1, len(texts)) - MESSAGE_OVERHEAD)
        short = [(m, *cut(text, each, f"MessageReceived:{m.number}")) for m, text in texts]
        texts = [(m, text) for m, text, _ in short]
        gone, why = sum(left for _, _, left in short), "longer than the budget: the middle is left out"
    messages = [ChatMessage("user", text) for _, text in texts]
    label = joined(*(label_of_inbound(m.label, m.attachments) for m, _ in texts))
    events = [f"MessageReceived:{m.number}" for m, _ in texts]
    return Part(Section("message", sum(map(message_tokens, messages)), events, budget, gone, why, label), messages)


def label_of_inbound(label: str, attachments: list[Any]) -> str:
    """A message's label with what is attached to it, which others wrote."""
    return joined(label, "untrusted/private") if attachments else label


def results(turn: Turn, budget: int) -> Part:
    """What the model and its tools said in this turn. The oldest results are shortened first, none is left out."""
    if not turn.entries:
        return Part(Section("results", 0, budget=budget))
    messages = [_of_entry(entry) for entry in turn.entries]
    tokens = list(map(message_tokens, messages))
    total = sum(tokens)
    gone, why = 0, ""
    for at, entry in enumerate(turn.entries):
        if total <= budget:
            break
        size = count_tokens(entry.text)
        if entry.kind == "result" and size > LEAST:
            room = max(LEAST, size - (total - budget))
            text, left = cut(entry.text, room, _event_of(turn, entry))
            messages[at] = msgspec.structs.replace(messages[at], text=text)
            total -= tokens[at] - message_tokens(messages[at])
            gone += left
            why = "longer than the budget: older results are shortened"
    label = joined(*(entry.label for entry in turn.entries))
    events = [_event_of(turn, entry) for entry in turn.entries]
    return Part(Section("results", total, events, budget, gone, why, label), messages)


def _event_of(turn: Turn, entry: Entry) -> str:
    match entry.kind:
        case "result":
            return f"ToolAnswered:{turn.number}.{entry.ordinal}"
        case "answer":
            return f"ModelAnswered:{turn.number}.{entry.step}"
        case _:
            return f"AnswerRejected:{turn.number}.{entry.step}"


def _of_entry(entry: Entry) -> ChatMessage:
    match entry.kind:
        case "result":
            return ChatMessage("tool", entry.text, tool_use=entry.use, name=entry.name)
        case "answer":
            return ChatMessage("assistant", entry.text, entry.uses)
        case _:
            return ChatMessage("user", entry.text)
