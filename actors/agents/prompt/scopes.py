"""Which scopes a definition's context variables come from, and where those live."""

from __future__ import annotations

from typing import Final

from actors.agents.definition.plan import AgentDefinition
from actors.agents.variables import HELD_HERE, PRECEDENCE

PLATFORM: Final = "platform"
"""The id of the one platform: its variables are `variables/platform.platform`."""


def scopes_needed(definition: AgentDefinition) -> dict[str, list[str]]:
    """By scope that is an actor of its own, the names to be read there. A bare name is looked for in all of them."""
    needed: dict[str, list[str]] = {}
    for name in definition.visible:
        scope, dot, plain = name.partition(".")
        for place in (scope,) if dot else HELD_HERE:
            if place in HELD_HERE:
                needed.setdefault(place, []).append(plain if dot else name)
    return {scope: needed[scope] for scope in PRECEDENCE if scope in needed}


def variables_of(scope: str, *, tenant: str, channel: str, agent: str) -> str:
    """The address of a scope's variables."""
    ids = {"platform": PLATFORM, "tenant": tenant, "channel": channel.replace(" ", "_"), "agent": agent}
    return f"variables/{scope}.{ids[scope]}"
