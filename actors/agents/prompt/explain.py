"""How a prompt came to be: put together once more from the log, and compared with what was recorded then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from actors.agents.conversation.fold import evolve
from actors.agents.conversation.state import Conversation, definition_of, scratch
from actors.agents.prompt.assemble import Prompt, PromptTooLong, assemble
from events.agents import CONTEXT_EVENTS
from events.conversations import CONVERSATION_EVENTS, ContextAssembled, Section
from events.envelope import Event
from events.models import ChatMessage
from events.registry import Registry

_EVENTS = Registry((*CONVERSATION_EVENTS, *CONTEXT_EVENTS))


class Shown(msgspec.Struct, frozen=True):
    """A section as it was recorded, and what it put into the prompt: text of the system message, or messages."""

    section: Section
    text: str
    messages: list[ChatMessage]


class Explained(msgspec.Struct, frozen=True):
    """One prompt. `version` is where in the stream it was recorded; `same` whether today's code puts together the very
    same; if not, `problem` or the difference of `digest` and `now` says so. `positions` has the places in the log of
    the events that sections name, as far as they are single ones."""

    turn: int
    step: int
    version: int
    template: str
    tokens: int
    digest: str
    now: str
    same: bool
    label: str
    sections: list[Shown]
    variables: dict[str, Any]
    positions: dict[str, int]
    problem: str = ""


def decoded(event: Event) -> Any:
    """An event of a conversation, typed; None for those of the kernel."""
    if event.type not in _EVENTS:
        return None
    return _EVENTS.decode(event.type, event.schema, event.data)


def typed(events: Iterable[Event]) -> Iterator[tuple[Event, Any]]:
    """The conversation's own events, typed."""
    for event in events:
        fact = decoded(event)
        if fact is not None:
            yield event, fact


def explain(events: Iterable[Event], turn: int, step: int | None = None) -> list[Explained]:
    """Every prompt of a turn, or that of one step. `events` is the whole stream of the conversation, in order."""
    state = Conversation()
    found: list[Explained] = []
    positions: dict[str, int] = {}
    for event, fact in typed(events):
        name = reference(fact)
        if name:
            positions[name] = event.position
        if isinstance(fact, ContextAssembled) and fact.turn == turn and step in (None, fact.step):
            found.append(explained(state, fact, event.version, positions))
        state = evolve(state, fact)
    return found


def explained(state: Conversation, event: ContextAssembled, version: int, positions: dict[str, int]) -> Explained:
    """One prompt, from the state just before it was recorded."""
    try:
        prompt: Prompt | None = assemble(scratch(state), event.step)
        problem = ""
    except (PromptTooLong, ValueError) as error:
        prompt, problem = None, str(error)
    parts = {part.section.name: part for part in prompt.parts} if prompt is not None else {}
    sections: list[Shown] = []
    for section in event.sections:
        part = parts.get(section.name)
        messages = part.messages if part is not None else []
        text = part.text if part is not None else ""
        if section.name == "tools":
            text = "\n".join(f"{spec.name}: {spec.description}" for spec in definition_of(state).tool_specs)
        sections.append(Shown(section, text, messages))
    named = {name: positions[name] for s in event.sections for name in s.events if name in positions}
    now = prompt.digest if prompt is not None else ""
    return Explained(
        event.turn, event.step, version, event.template, event.tokens, event.digest, now, now == event.digest,
        event.label, sections, event.variables, named, problem,
    )  # fmt: skip


def reference(fact: Any) -> str:
    """How sections name an event; "" when they never do."""
    match fact.__class__.__name__:
        case "MessageReceived":
            return f"MessageReceived:{fact.number}"
        case "AgentAdopted":
            return f"AgentAdopted:{fact.version}"
        case "VariablesRead":
            return f"VariablesRead:{fact.turn}.{fact.scope}"
        case "VariableSet":
            return f"VariableSet:{fact.name}"
        case "HistoryCompacted":
            return f"HistoryCompacted:{fact.first}-{fact.last}"
        case "ModelAnswered" | "AnswerRejected":
            return f"{fact.__class__.__name__}:{fact.turn}.{fact.step}"
        case "ToolAnswered":
            return f"ToolAnswered:{fact.turn}.{fact.ordinal}"
        case _:
            return ""
