"""Trying the forbidden acts for real, to know what a sandbox is worth on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from infra.sandbox import system
from infra.sandbox.inside.acts import ACTS
from infra.sandbox.levels import LAYERS
from infra.sandbox.running import Confinement, Limits, run_confined
from infra.sandbox.targets import canaries

LIMITS: Final = Limits(cpu=20, wall=30, memory=64 << 20, processes=16, files=64, file_size=1 << 20, scratch=4 << 20)
"""Small, so that going beyond them is cheap."""
_PROGRAM: Final = str(system.HERE / "inside" / "acts.py")


class Tried(msgspec.Struct, frozen=True):
    """What became of one forbidden act. `why` is how it was stopped: the name of an errno, or what killed it."""

    act: str
    done: bool
    why: str = ""


async def forbidden_acts(confinement: Confinement, acts: Sequence[str] = tuple(ACTS)) -> dict[str, Tried]:
    """Try each act within a confinement. Raises Unavailable when that cannot be set up."""
    tried = dict[str, Tried]()
    left = list(acts)
    while left:
        found, stopped = await _attempt(confinement, left)
        tried |= found
        left = [act for act in left if act not in tried]
        if left:  # the next one got everything killed
            tried[left[0]] = Tried(left[0], False, stopped or "killed")
            left = left[1:]
    return tried


async def _attempt(confinement: Confinement, acts: Sequence[str]) -> tuple[dict[str, Tried], str]:
    with canaries() as targets:
        targets |= {name: getattr(LIMITS, name) for name in ("files", "memory", "processes", "file_size")}
        ran = await run_confined(
            [system.python(), "-I", "-S", _PROGRAM, json.dumps(targets | {"acts": list(acts)})],
            confinement, folder=targets["inside"], readable=[*filter(os.path.exists, system.python_home())],
            writable=[targets["inside"]], limits=LIMITS,
        )  # fmt: skip
    lines: list[dict[str, Any]] = [json.loads(line) for line in ran.stdout.splitlines()]
    return {line["act"]: Tried(**line) for line in lines}, ran.stopped


async def stopped_by(layers: frozenset[str]) -> dict[str, list[str]]:
    """For every act that can be done here at all: the layers each of which stops it without any other."""
    free = await forbidden_acts(Confinement("", frozenset()))
    possible = [act for act, tried in free.items() if tried.done]
    alone = [layer for layer in LAYERS if layer in layers]
    with_one = [await forbidden_acts(Confinement("", frozenset({layer})), possible) for layer in alone]
    return {
        act: [layer for layer, tried in zip(alone, with_one, strict=True) if not tried[act].done] for act in possible
    }
