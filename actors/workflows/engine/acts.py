"""What a decision can put off, by the name under which it does: so no module needs to import those it leads to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from actors.workflows.engine import blocks, flow, loops, maps, parts, slots, stopping, undoing

ACTS: Final[Mapping[str, Callable[..., None]]] = {
    "begin": flow.begin,
    "check block": blocks.check,
    "check map": maps.check,
    "end block": blocks.done,
    "ended": flow.ended,
    "fill map": maps.fill,
    "fill parts": parts.fill,
    "fill slots": slots.fill,
    "next iteration": loops.iterate,
    "on": slots.again,
    "open block": flow.open_scope,
    "ready": flow.ready,
    "stop": stopping.stop,
    "undo": undoing.go_on,
}
