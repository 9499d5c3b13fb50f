"""What hosts and workers say to each other about calls."""

from __future__ import annotations

from typing import Final

import msgspec

from actors.workflows.tasks import TaskCall, TaskResult

WHO: Final = "hb.who"
"""Asks every worker for a sign of life now."""
BEATS: Final = "hb.task.*"
"""Signs of life: `hb.task.<worker>`."""
HALT: Final = "work.halt"
"""Tells every worker to stop a call."""
NEWS: Final = "work.queues"
"""Tells every worker that there is a new queue, or set of labels."""

OK: Final = b"ok"
"""The result is in the log."""
LATER: Final = b"later"
"""Say it again in a moment."""
YES: Final = b"yes"
NO: Final = b"no"
"""Somebody else has it."""
GONE: Final = b"gone"
"""It is over."""


def report_subject(partition: int) -> str:
    """Where the host that owns a partition takes results."""
    return f"work.{partition}.done"


def claim_subject(partition: int) -> str:
    """Where it is asked for leave to begin."""
    return f"work.{partition}.claim"


class Offer(msgspec.Struct, frozen=True):
    """A call in the queue. `turn` tells this handing out from earlier ones of the same call."""

    effect: str
    tenant: str
    partition: int
    effect_class: str
    turn: str
    call: TaskCall


class Claim(msgspec.Struct, frozen=True):
    """May I begin? Asked before an irreversible call."""

    effect: str
    turn: str
    worker: str


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a call. `unknown` says why nobody can tell."""

    effect: str
    tenant: str
    turn: str
    worker: str
    result: TaskResult
    unknown: str = ""


class Beat(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sign of life: what the worker has in hand, as effect → turn; what it takes, and what it can do."""

    worker: str
    holding: dict[str, str]
    queues: list[str]
    tasks: list[str]
    labels: dict[str, str] = {}
    slots: int = 0
    leaving: bool = False


class Halt(msgspec.Struct, frozen=True):
    """Stop a call, `grace` seconds after asking it to."""

    effect: str
    tenant: str
    run: str
    step: str
    attempt: int
    grace: float


encode = msgspec.json.Encoder().encode
decode_offer = msgspec.json.Decoder(Offer).decode
decode_claim = msgspec.json.Decoder(Claim).decode
decode_report = msgspec.json.Decoder(Report).decode
decode_beat = msgspec.json.Decoder(Beat).decode
decode_halt = msgspec.json.Decoder(Halt).decode
