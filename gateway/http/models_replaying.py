"""What goes in and out when a conversation is gone through again or explained, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from gateway.http.models import In, Query
from gateway.http.params import Time, Version

Turn = Annotated[int, Field(ge=1, le=2**31 - 1)]
Model = Annotated[str, Field(min_length=3, max_length=300, pattern=r"^[a-z][a-z0-9_-]*:\S+$")]


class ReplayQuery(Query):
    """How far."""

    at: Version | None = Field(None, description="up to this version of its history")


class ReplayLine(BaseModel):
    """One thing that was said or done."""

    who: str = Field(description="user, agent, model, tool, channel, turn")
    what: str
    turn: int
    step: int
    version: int
    at: Time
    text: str = ""
    data: Any = None


class PlayedOut(BaseModel):
    """A turn as it went."""

    turn: int
    messages: list[str] = Field(default_factory=list)
    agent_version: int = 0
    status: str
    reason: str = Field("", description="why it did not reply")
    text: str = ""
    cost: str | None = None
    path: list[str] = Field(default_factory=list, description="tools in order")
    models: list[str] = Field(default_factory=list)
    steps: int = 0


class ReplayOut(BaseModel):
    """A conversation folded from its events, and nothing else."""

    conversation: str
    version: int
    lines: list[ReplayLine]
    turns: list[PlayedOut]


class RerunIn(In):
    """From where."""

    turn: Turn = Field(1, alias="from")


class DivergenceOut(BaseModel):
    """Where today's code does something else than what was recorded."""

    where: str
    version: int = Field(description="of the recorded event")
    event: str
    field: str = ""
    expected: Any = None
    got: Any = None
    why: str = ""


class RerunOut(BaseModel):
    """The record, gone through by today's code. Nothing is called."""

    conversation: str
    from_turn: int
    turns: int = Field(description="that ended as recorded")
    compared: int = Field(description="events that were looked at")
    divergence: DivergenceOut | None
    notes: list[DivergenceOut] = Field(description="differences that change nothing of what is asked")


class WhatIfIn(In):
    """What is to be different; what is left out is as recorded."""

    models: Annotated[list[Model], Field(min_length=1, max_length=20)] | None = None
    instructions: Annotated[str, Field(max_length=100_000)] | None = None
    temperature: float | None = Field(None, ge=0, le=2, strict=False)
    policy: Annotated[str, Field(max_length=500_000)] | None = Field(None, description="the text of a policy")
    turn: Turn = Field(1, alias="from")


class TurnDifferenceOut(BaseModel):
    """A turn as it was and as it would have been."""

    turn: int
    messages: list[str]
    before: PlayedOut
    after: PlayedOut
    same_answer: bool
    same_path: bool
    cost: str | None = Field(description="dollars more, or less; null: not known")


class StoppedOut(BaseModel):
    """A tool call that is not in the record: it is not made, and it ends there."""

    turn: int
    step: int
    tool: str
    arguments: str
    why: str


class WhatIfOut(BaseModel):
    """What would have come of the same messages. Models were asked, tools were not called; nothing is changed."""

    conversation: str
    whatif: str = Field(description="whatif/ID is the record of its model calls")
    turns: list[TurnDifferenceOut]
    cost_before: str | None
    cost_after: str | None
    stopped: StoppedOut | None


# -- how prompts came to be


class ExplainQuery(Query):
    """Which prompts."""

    step: Version | None = Field(None, description="only that of this step  [default: of all]")


class SectionOut(BaseModel):
    """A part of a prompt: the events it came from, its tokens, what was left out and why, and what it says."""

    name: str
    tokens: int
    events: list[str] = Field(default_factory=list)
    budget: int = 0
    cut: int = Field(0, description="tokens that were left out")
    why: str = ""
    label: str = "trusted/public"
    text: str
    messages: list[dict[str, Any]]


class PromptOut(BaseModel):
    """A prompt as it was put together."""

    turn: int
    step: int
    version: int = Field(description="of the conversation, where it was recorded")
    template: str
    tokens: int
    label: str
    digest: str
    now: str = Field(description="the digest of what today's code puts together")
    same: bool
    problem: str = ""
    sections: list[SectionOut]
    variables: dict[str, Any]
    positions: dict[str, int] = Field(description="in the log, of events that sections name")


class ExplainOut(BaseModel):
    """The prompts of a turn."""

    conversation: str
    turn: int
    prompts: list[PromptOut]
