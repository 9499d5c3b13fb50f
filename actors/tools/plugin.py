"""All kinds of actors that govern tools."""

from __future__ import annotations

from collections.abc import Sequence

from actors.core.kind import EffectKind, Plugin
from actors.tools.call.call import call
from actors.tools.policy_kind import policy
from actors.tools.tool_kind import tool


def tools_plugin(effects: Sequence[EffectKind]) -> Plugin:
    """The kinds `tool`, `call` and `policy`; `effects` are those that perform tools."""
    return Plugin(kinds=[tool, call, policy], effects=effects)
