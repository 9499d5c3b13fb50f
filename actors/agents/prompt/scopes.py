"""Which scopes a definition's context variables come from, and where those live."""

from __future__ import annotations

from typing import Final

from actors.agents.definition.plan import AgentDefinition
from actors.agents.variables import HELD_HERE, PRECEDENCE

PLATFORM: Final = "platform"
"""The id of the one platform: its variables are `variables/platform.platform`."""


def scopes_needed(definition: AgentDefinition, run: str) -> dict[str, list[str]]:
    """By scope that another actor holds, the names to be read there. A bare name is looked for in all of them; `run`
    is the run that asks, "" when none does."""
    needed: dict[str, list[str]] = {}
    held = ("run", *HELD_HERE) if run else HELD_HERE
    for name in definition.visible:
        scope, dot, plain = name.partition(".")
        for place in (scope,) if dot else held:
            if place in held:
                needed.setdefault(place, []).append(plain if dot else name)
    return {scope: needed[scope] for scope in PRECEDENCE if scope in needed}


def variables_of(scope: str, *, tenant: str, channel: str, agent: str, run: str) -> str:
    """Who holds a scope's variables. Those of a run are held by the run."""
    if scope == "run":
        return run
    ids = {"platform": PLATFORM, "tenant": tenant, "channel": channel.replace(" ", "_"), "agent": agent}
    return f"variables/{scope}.{ids[scope]}"
