"""The effects by which calls have tools performed: one kind for each class, and one that only says what would be."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from actors.core.kind import EFFECT_CLASSES, EffectKind
from actors.tools.messages import PREVIEW, Performed, PerformTool, SeeTool, tool_effect
from actors.tools.names import tool_address
from actors.tools.tool import Tool
from infra.tools.performing import Tools

AT_ONCE: Final = 256
"""Calls of a class that a host has in hand; each tool has its own places besides."""


def tool_effects(tools: Iterable[Tool] | Tools) -> list[EffectKind]:
    """Everything `call` actors ask of the world."""
    held = tools if isinstance(tools, Tools) else Tools(tools)
    # No timeout here: the tool has its own. What may be repeated is, with the same key, when the way to it broke.
    kinds = [
        EffectKind(
            tool_effect(c), request=PerformTool, perform=partial(held.perform, c), effect_class=c, result=Performed,
            attempts=3, backoff=0.5, timeout=None, concurrency=AT_ONCE,
            reconcile=held.reconcile if c == "irreversible" else None,
        )
        for c in EFFECT_CLASSES
    ]  # fmt: skip
    preview = EffectKind(PREVIEW, request=PerformTool, perform=held.preview, effect_class="pure", attempts=1)
    return [*kinds, preview]


def seen(tools: Iterable[Tool]) -> list[tuple[str, SeeTool]]:
    """What a host tells at its start, and whom: the definitions of its tools."""
    return [(tool_address(tool.name), SeeTool(tool.hash, tool.definition, tool.origin)) for tool in tools]
