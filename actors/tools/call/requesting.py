"""A call is requested: who asks is written down, and the tool is asked what it is."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.core.outputs import Ask, Reply
from actors.tools.call.state import CallState
from actors.tools.guards import checked
from actors.tools.labels import parse
from actors.tools.messages import RequestCall, UseTool
from actors.tools.names import tool_address
from events.address import is_address
from events.envelope import Message
from events.errors import BadDefinition, InvalidData, Refused
from events.tools import CallRequested

OWN = "trusted/private"
"""What a person writes into a call of their own."""


def request(state: CallState, m: RequestCall, message: Message) -> list[Any]:
    """Begin, or say how the same request stands."""
    requested = _requested(m, message)
    known = state.request
    if known is not None:
        if msgspec.structs.replace(requested, at=known.at, cause=known.cause) != known:
            raise Refused("another call has this address", code="exists")
        return [Reply({"call": message.to, "status": state.status})]
    asked = Ask(tool_address(m.tool), UseTool(message.to), "tool")
    return [requested, asked, Reply({"call": message.to, "status": "requested"})]


def _alone(m: RequestCall, sender: str) -> None:
    """A person asks for no agent, in nobody else's name, and has the roles that somebody gave them: none."""
    if m.agent:
        raise Refused(f"{sender} is not {m.agent}", code="agent")
    if others := [name for name in m.requesters if name.removeprefix("user:") != sender.removeprefix("user:")]:
        raise Refused(f"{sender} cannot ask in the name of {', '.join(others)}", code="speaker")
    if m.roles:
        raise Refused(f"{sender} cannot take the roles {', '.join(m.roles)}: agents have them", code="roles")
    if m.cause:
        raise Refused(f"{sender} cannot name what started a call: this message does", code="cause")


def _requested(m: RequestCall, message: Message) -> CallRequested:
    """The request as it is kept. Whoever sends it is one of those who ask; a person speaks for no agent."""
    person = not is_address(message.sender)
    if person:
        _alone(m, message.sender)
    for budget in m.budgets:
        if not budget.startswith("budget/"):
            raise Refused(f"{budget} is no budget", code="budget")
    labels = m.labels or ({"*": OWN} if person else {})
    try:
        for label in labels.values():
            parse(label)
        checked(m.guards)
    except (InvalidData, BadDefinition) as error:
        raise Refused(error.message, code="invalid") from None
    requesters = list(dict.fromkeys([*m.requesters, message.sender] if person else m.requesters or [message.sender]))
    return CallRequested(
        m.tool, m.arguments, requesters, m.ref, message.time, "" if person else message.sender, labels, m.budgets,
        m.agent, m.conversation, m.turn, m.dry, m.roles, m.guards,
        m.cause or message.correlation or message.id,
    )  # fmt: skip
