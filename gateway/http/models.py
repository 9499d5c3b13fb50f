"""What goes in and out at this edge, as pydantic models: requests are checked against them, answers described."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.http.params import MAX_POSITION, Limit, Position, Time, Version

Address = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}/.{1,200}$", examples=["account/42"])]
Reason = Annotated[str, Field(min_length=1, max_length=1000)]


class In(BaseModel):
    """A body or the parameters of a request: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """Parameters of a request: text, so numbers are read from it."""

    model_config = ConfigDict(extra="forbid")


# -- events


class EventsQuery(Query):
    """Which events."""

    after: Position = Field(0, description="only events with a greater position")
    limit: Limit | None = Field(None, description="rows of a page")
    type: list[str] = Field([], description="only events of this type; may be repeated")
    stream: str | None = Field(None, description="only events of this actor, as kind/id")
    correlation: str | None = Field(None, description="only what this message or event led to")


class StreamQuery(Query):
    """Which events, from where on."""

    after: Position | None = Field(
        None, description="begin after this position; 0 is the beginning of the log, without it only what is new comes"
    )
    type: list[str] = Field([], description="only events of this type; may be repeated")
    stream: str | None = Field(None, description="only events of this actor, as kind/id")
    correlation: str | None = Field(None, description="only what this message or event led to")


class EventOut(BaseModel):
    """A recorded event."""

    position: int = Field(description="gapless place in the log")
    id: str = Field(description="of a foreign event its own id, else a UUIDv7")
    source: str
    type: str
    tenant: str
    stream: str = Field(description="the actor whose history this is, as kind/id")
    version: int = Field(description="gapless place in the stream, from 1")
    schema_: int = Field(alias="schema", description="version of the type's schema")
    time: str = Field(description="RFC 3339; of a foreign event its own time, if it has one")
    recorded: str = Field(description="RFC 3339: when it was committed")
    correlation: str = Field(description="what started it all")
    causation: str = Field(description="the message or event that directly caused this")
    data: Any = None
    data_base64: str | None = Field(None, description="the data of a foreign event that is not text")
    encoding: Literal["text", "base64", "none"] | None = Field(None, description="what data stands for, if not JSON")
    datacontenttype: str | None = None
    subject: str | None = None
    dataschema: str | None = None
    trace: str | None = Field(None, description="W3C traceparent")
    meta: dict[str, Any] | None = None
    extensions: dict[str, str] | None = None


class EventsOut(BaseModel):
    """A page of events."""

    events: list[EventOut]
    next: int = Field(description="pass as `after` to go on; also when this page is empty")
    more: bool = Field(description="whether the log holds more to look at now")
    head: int = Field(description="last position of the log at this moment")


class CloudEventIn(BaseModel):
    """A CloudEvent 1.0 in JSON."""

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    time: str | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: Any = None
    data_base64: str | None = None


class PublishedEvent(BaseModel):
    """An event that is committed."""

    id: str
    position: int = Field(description="the same one whenever the same (source, id) is sent again")
    duplicate: bool = Field(False, description="it had been recorded before")


class PublishedOut(BaseModel):
    """The events of the request, in its order."""

    events: list[PublishedEvent]


# -- actors


class ActorQuery(Query):
    """When."""

    at: Position | None = Field(None, description="the state at this version instead of now")


class HistoryQuery(Query):
    """Which versions."""

    first: Version = Field(1, alias="from", description="the first version")
    to: Version | None = Field(None, description="the last version  [default: the newest]")


class ActorOut(BaseModel):
    """An actor's state at a version."""

    address: str
    kind: str
    version: int
    state: Any
    parked: str | None = Field(None, description="why it is parked, if it is")
    at: int | None = Field(None, description="the version asked for")


class MessageIn(In):
    """A message to an actor."""

    message: str = Field(description="the message's type, one of those the actor's kind declares")
    schema_: int = Field(
        1, alias="schema", ge=1, lt=2**15, description="the version of its schema `data` is written in"
    )
    data: Any = Field(default_factory=dict, description="the message's body, as its type declares it")


class MessageOut(BaseModel):
    """What came of a message, sent after its commit."""

    id: str = Field(description="the message's id: the same for the same idempotency key")
    outcome: Literal["handled", "skipped"]
    position: int = Field(description="last position of the log that the message led to directly")
    version: int = Field(description="the actor's version after it")
    duplicate: bool = Field(description="this is the first answer again: the message had been handled before")
    reply: Any = Field(None, description="what the actor replied; only of an ask")


class QueryIn(In):
    """A question to an actor."""

    question: str
    data: Any = Field(default_factory=dict)


class QueryOut(BaseModel):
    """The answer of the actor's `query` function."""

    address: str
    answer: Any


class ParkIn(In):
    """Why."""

    reason: Reason


class ResumeIn(In):
    """Why, and whether the message it stopped at is skipped for good."""

    reason: Reason
    skip: bool = False


class ForkIn(In):
    """Where the fork begins, and its name."""

    version: int = Field(ge=1, le=MAX_POSITION)
    to: Address


class ResolveIn(In):
    """What became of an effect nobody knows the outcome of."""

    status: Literal["succeeded", "failed"]
    reason: Reason
    outcome: Any = None


class LetterIn(In):
    """What to do with a dead letter: `retry` sends its message again, `dismiss` lets it go."""

    action: Literal["retry", "dismiss"]
    reason: Reason
    event: dict[str, Any] | None = Field(
        None, description="the mended event, a structured CloudEvent; without it the message is sent as it came"
    )


class SentOut(BaseModel):
    """A message that was sent again, and where it is recorded. `duplicate`: it had been handled before."""

    to: str
    type: str
    position: int
    duplicate: bool


class LetterOut(BaseModel):
    """The dead letter is closed."""

    status: Literal["retried", "dismissed"]
    position: int
    version: int
    sent: list[SentOut]


class StepOut(BaseModel):
    """A version of an actor: its event, and the state after it."""

    event: EventOut
    state: Any


class RecordedOut(BaseModel):
    """What an operator did is recorded."""

    outcome: str
    position: int
    version: int


class ActorsQuery(Query):
    """Which actors."""

    kind: str | None = None
    parked: Literal["true", "false"] | None = None
    where: list[str] = Field([], description="column, operator, value, e.g. `version>=100`; may be repeated")
    sort: str | None = Field(None, description="columns separated by commas, `-` before a falling one")
    limit: Limit | None = Field(None, description="rows of a page")
    after: str | None = Field(None, description="the `next` of the page before")
    wait: Position | None = Field(None, description="wait until the projection has reached this position")


class ActorRow(BaseModel):
    """An actor: how long its history is, and what it waits for."""

    tenant: str
    address: str
    kind: str
    version: int
    events: int = Field(description="of its own: the history that a fork refers to is not counted again")
    first_position: int
    first_at: Time
    last_position: int
    last_at: Time
    last_type: str
    parked: str | None = Field(description="why it is stopped until somebody resumes it")
    parked_at: Time | None
    forked_from: str | None
    forked_at: int | None = Field(description="the version of `forked_from` that it continues")
    summary: str | None = Field(description="its state as JSON, cut off; null where its kind is not known")


class ActorsOut(BaseModel):
    """A page of actors."""

    actors: list[ActorRow]
    next: str | None
    position: int = Field(description="how far into the log this page sees")


# -- lineage


class NodeOut(BaseModel):
    """An event in a lineage."""

    ref: str = Field(description="unique in the log; what `parent` names")
    id: str
    source: str | None = Field(None, description="of a foreign event")
    parent: str = Field(
        description="`ref` of the event it came from, or the id of the message when that came from outside"
    )
    depth: int = Field(description="0 for the event asked about, negative for causes, positive for effects")
    position: int
    stream: str
    version: int
    type: str
    correlation: str
    time: str


class LineageOut(BaseModel):
    """An event, what led to it (nearest first), what came of it (nearest first), and where it all began."""

    event: NodeOut
    up: list[NodeOut]
    down: list[NodeOut]
    roots: list[NodeOut]
    truncated: bool = Field(description="whether a limit cut the walk short")
    position: int = Field(description="how far into the log this sees")


class LineageQuery(Query):
    """Where and how far."""

    source: str | None = Field(None, description="of a foreign event whose id several sources use")
    limit: Limit | None = Field(None, description="most nodes in each direction")
    wait: Position | None = Field(None, description="wait until the projection has reached this position")


# -- the process


class HealthOut(BaseModel):
    """The process is alive."""

    status: Literal["ok"]


class CheckOut(BaseModel):
    """One thing that must be well."""

    ok: bool
    detail: str = ""


class ReadyOut(BaseModel):
    """Whether work may be sent here."""

    ready: bool
    checks: dict[str, CheckOut]


class ProblemOut(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="stable; one per kind of error")
    hint: str | None = Field(None, description="the way out")
    retry_after: float | None = Field(None, description="seconds after which the same call may be tried again")
    instance: str | None = None
