"""A prompt from the state of a conversation: the same state and template, the same bytes, anywhere and for ever.

Sections in their order: instructions, variables, tools, summary, history, message (what this turn answers), results
(what the model and its tools said in this turn). Instructions and tools are whole or the turn fails; what they leave of
the window is shared by the others.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import msgspec

from actors.agents.conversation.state import Conversation, definition_of
from actors.agents.definition.plan import AgentDefinition
from actors.agents.prompt import parts
from actors.agents.prompt.parts import Part, joined
from events.conversations import Section
from events.models import ChatMessage, ModelRequest

TEMPLATES: Final = frozenset({"1"})
"""Ways to put a prompt together that this code knows."""

SHARES: Final = {"variables": 1 / 16, "summary": 1 / 16, "history": 3 / 8, "message": 1 / 4, "results": 1 / 4}
"""Of what instructions and tools leave of the window, unless the definition says otherwise."""

FIRST: Final = ("message", "results", "variables", "summary", "history")
"""Who gets its budget first when they are more than there is."""

LEAST_ROOM: Final = 64
"""Tokens without which no conversation is possible."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class PromptTooLong(Exception):
    """Instructions and tools alone fill the window."""


class Prompt(msgspec.Struct, frozen=True):
    """What a model is asked, and where each part of it comes from. `label` joins those of all parts."""

    request: ModelRequest
    sections: list[Section]
    parts: list[Part]
    tokens: int
    digest: str
    label: str
    variables: dict[str, Any]


def assemble(state: Conversation, step: int, shown: dict[str, Any] | None = None) -> Prompt:
    """The prompt for a step of the turn under way. `shown` are the context variables when that was settled before.

    Raises PromptTooLong, CannotRender.
    """
    turn, definition = state.turn, definition_of(state)
    assert turn is not None
    values = shown
    if values is None:
        values = parts.shown_variables(state, turn, definition) if definition.visible else {}
    first, tools = parts.instructions(state, definition, values), parts.tools(state, definition)
    window = definition.limits.context_tokens >> turn.shrunk
    room = window - first.section.tokens - tools.section.tokens
    if room < LEAST_ROOM:
        raise PromptTooLong(f"instructions and tools are {window - room} tokens, the window is {window}")
    budgets = section_budgets(definition, room)
    said = parts.variables(state, turn, values, budgets["variables"])
    summary = parts.summary(state, budgets["summary"])
    history = parts.history(state, budgets["history"])
    message = parts.message(turn, budgets["message"])
    results = parts.results(turn, budgets["results"])
    system = "\n\n".join(filter(None, (first.text, said.text)))
    messages = [ChatMessage("system", system)] if system else []
    messages += [*summary.messages, *history.messages, *message.messages, *results.messages]
    every = [first, said, tools, summary, history, message, results]
    request = ModelRequest(
        messages, definition.tool_specs, "none" if step >= definition.limits.max_steps else "auto",
        definition.temperature, definition.top_p, definition.max_tokens, response_schema=definition.output_schema,
    )  # fmt: skip
    sections = [part.section for part in every]
    return Prompt(
        request, sections, every, sum(s.tokens for s in sections), digest_of(definition.template, request),
        joined(*(s.label for s in sections)), values,
    )  # fmt: skip


def digest_of(template: str, request: ModelRequest) -> str:
    """What names a prompt: BLAKE2b of the template's version and the request's canonical JSON, in hexadecimal."""
    h = blake2b(template.encode(), digest_size=16)
    h.update(_encode(request))
    return h.hexdigest()


def section_budgets(definition: AgentDefinition, room: int) -> dict[str, int]:
    """Tokens for each section that has a budget; together they are never more than there is room for."""
    wanted = definition.limits.sections
    budgets: dict[str, int] = {}
    for name in FIRST:
        budgets[name] = min(wanted.get(name, int(room * SHARES[name])), room - sum(budgets.values()))
    return budgets
