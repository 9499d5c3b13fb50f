"""Conversations read back, run again and varied: `replay`, `rerun`, `whatif`. Nothing here calls anything."""

from __future__ import annotations

from actors.agents.replaying.rerun import Divergence, Rerun, rerun
from actors.agents.replaying.transcript import Line, Played, Transcript, replay
from actors.agents.replaying.whatif import AskModel, Changes, NotAsked, Stopped, TurnDifference, WhatIf, whatif

__all__ = [
    "AskModel",
    "Changes",
    "Divergence",
    "Line",
    "NotAsked",
    "Played",
    "Rerun",
    "Stopped",
    "Transcript",
    "TurnDifference",
    "WhatIf",
    "replay",
    "rerun",
    "whatif",
]
