"""Tiers of risk and levels of the sandbox: ordered, and raised but never lowered by what others say of their tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actors.tools.tool import RISKS
from events.tools import ToolDefinition

LEAVES: Final = frozenset({"read-network", "write-external", "privileged"})
"""Tiers by which something may leave this machine."""

SANDBOX: Final = ("", "landlock", "mounts", "namespaces", "bubblewrap")
"""Levels of the sandbox, rising; "" is none."""


def stronger(*levels: str) -> str:
    """The strongest of these levels."""
    return SANDBOX[max((SANDBOX.index(level) for level in levels), default=0)]


def worse(*risks: str) -> str:
    """The highest tier of these."""
    return RISKS[max(RISKS.index(risk) for risk in risks)]


def raised(risk: str, annotations: Mapping[str, Any]) -> str:
    """A tier with the hints of whoever made the tool (as MCP has them): they can only make it higher.

    `destructiveHint` → write-external; `readOnlyHint: false` → write-reversible; `openWorldHint` → read-network, and
    write-external for what writes. `readOnlyHint: true` lowers nothing: nobody has to believe it.
    """
    if annotations.get("readOnlyHint") is False:
        risk = worse(risk, "write-reversible")
    if annotations.get("destructiveHint") is True:
        risk = worse(risk, "write-external")
    if annotations.get("openWorldHint") is True:
        risk = worse(risk, "read-network" if risk in ("read-local", "read-network") else "write-external")
    return risk


def risk_of(definition: ToolDefinition) -> str:
    """The tier a call of it is judged by."""
    return raised(definition.risk, definition.annotations)


def role_of(definition: ToolDefinition, argument: str) -> str:
    """What an argument decides. Of a tool of others, what nobody declared counts as the worst: a destination."""
    return definition.roles.get(argument) or ("destination" if definition.via == "mcp" else "data")
