"""What goes in and out about conversations, as pydantic models. Times are µs since 1970 (UTC)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from gateway.http.models import In, Query
from gateway.http.models_workflows import MAX_RUN_WAIT, PageQuery, Why
from gateway.http.params import Limit, Position, Time, Version

AgentName = Annotated[str, Field(min_length=1, max_length=100, examples=["ada"])]
ConversationId = Annotated[str, Field(min_length=1, max_length=150, pattern=r"^[A-Za-z0-9._:~@%+=,;!$'()&*/-]+$")]
MessageId = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=500_000)]
Policy = Literal["enqueue", "merge", "interrupt", "reject"]
TurnStatus = Literal["waiting", "running", "replied", "failed", "interrupted", "cancelled"]


class OpenIn(In):
    """A conversation to begin."""

    agent: AgentName
    id: ConversationId | None = Field(None, description="what to call it  [default: an id made from the key, or new]")
    channel: Literal["http", "terminal"] = "http"
    policy: Policy | None = Field(None, description="for messages that come during a turn  [default: the agent's]")
    title: str = Field("", max_length=200)


class OpenedOut(BaseModel):
    """The conversation."""

    conversation: str
    agent: str
    position: int
    duplicate: bool


class PostIn(In):
    """Something to say."""

    text: Text
    agent: AgentName | None = Field(None, description="begin the conversation with this agent if there is none yet")
    id: MessageId | None = Field(None, description="what the sender calls it: a repetition is answered like the first")
    wait: float | None = Field(None, ge=0, le=MAX_RUN_WAIT, description="seconds to wait for the answer", strict=False)
    untrusted: bool = Field(False, description="a program wrote it, a model for one, and no person")


class CitationOut(BaseModel):
    """Where something in an answer comes from."""

    path: str
    lines: list[int] | None = Field(None, description="first and last")
    hash: str = Field("", description="SHA-256 of the whole file then")


class ButtonOut(BaseModel):
    """A way to answer: the request that a button makes."""

    label: str
    method: Literal["POST"]
    path: str
    body: dict[str, Any]


class ShownOut(BaseModel):
    """Something that goes out through the channel `http`."""

    number: int
    kind: Literal["reply", "failure", "approval"]
    text: str = Field(description="Markdown")
    data: Any = None
    buttons: list[ButtonOut]


class PostedOut(BaseModel):
    """The message, and its answer as far as it is known."""

    conversation: str
    number: int = Field(description="of the message, from 1")
    turn: int = Field(description="the turn that answers it; 0 while it waits for its turn")
    status: TurnStatus
    text: str | None = Field(None, description="the answer, once the turn has replied")
    data: Any = Field(None, description="the answer as data, where the agent has an output schema")
    citations: list[CitationOut] = Field(default_factory=list[CitationOut])
    code: str | None = Field(None, description="why the turn failed, for programs")
    reason: str | None = Field(None, description="and for people")
    models: list[str] = Field(default_factory=list, description="that answered, as provider:model")
    stand_in: bool = Field(False, description="a scripted model answered, which is no language model")
    usage: dict[str, int] = Field(default_factory=dict, description="tokens")
    cost: str | None = Field(None, description="dollars, exact; null: not known")
    messages: list[ShownOut] = Field(
        default_factory=list["ShownOut"], description="what went out so far, as it is to be shown"
    )
    position: int
    duplicate: bool


class ConversationsQuery(PageQuery):
    """Which conversations; those come first in which something happened last."""

    agent: str | None = None
    status: Literal["idle", "busy", "waiting", "stuck", "closed"] | None = None


class ConversationRow(BaseModel):
    """A conversation in a list."""

    conversation: str
    agent: str
    channel: str
    title: str
    status: Literal["idle", "busy", "waiting", "stuck", "closed"] = Field(description="waiting: for people")
    by: str
    parent: str | None
    forked_from: str | None
    opened_at: Time
    messages: int
    turns: int = Field(description="that have ended")
    turn: int = Field(description="the last one that began")
    last_message: str = Field(description="the beginning of it")
    last_message_at: Time | None
    last_at: Time
    model_calls: int
    tool_calls: int
    input: int = Field(description="tokens")
    output: int
    usd: str = Field(description="dollars, of the calls whose cost is known")
    unknown: int = Field(description="calls at a cost nobody knows")
    estimated: str = Field(description="dollars that stand for calls that were lost")
    outbound: int
    undelivered: int
    compacted: int = Field(description="turns up to this one are shown to the model as a summary")


class ConversationsOut(BaseModel):
    """A page of conversations."""

    conversations: list[ConversationRow]
    next: str | None
    position: int = Field(description="how far into the log this sees")


class ConversationQuery(Query):
    """When, and how much of it."""

    at: Version | None = Field(None, description="the conversation as it was at this version of its history")
    limit: Limit | None = Field(None, description="turns at most, the newest ones")
    before: Version | None = Field(None, description="only turns before this one")


class LineOut(BaseModel):
    """Something somebody wrote."""

    number: int
    id: str
    sender: str
    text: str
    at: Time
    label: str
    turn: int = Field(description="0 while it waits")


class ToolLineOut(BaseModel):
    """A tool that was asked for. `status`: asked, waiting (for an approval), or what came of it."""

    ordinal: int
    tool: str
    call: str
    arguments: str = Field(description="JSON, as the model wrote it")
    status: str
    text: str
    approval: str
    digest: str


class TurnOut(BaseModel):
    """A turn of the agent."""

    turn: int
    messages: list[int] = Field(description="that it answers, by their numbers")
    started_at: Time
    ended_at: Time | None
    status: TurnStatus
    text: str
    partial: str = Field(description="what the last model answered, while the turn goes on")
    data: Any = None
    citations: list[CitationOut]
    label: str
    version: int = Field(description="of the agent's definition")
    steps: int = Field(description="model calls that were begun")
    models: list[str]
    unanswered: dict[str, str] = Field(description="models that were asked before one answered, and why they did not")
    stand_in: bool
    tools: list[ToolLineOut]
    usage: dict[str, int]
    cost: str | None
    model_calls: int
    tool_calls: int
    code: str
    reason: str
    stuck_at: Time | None


class RefusalOut(BaseModel):
    """A message that is not answered."""

    id: str
    sender: str
    code: str
    reason: str
    at: Time


class OutboundOut(BaseModel):
    """Something that went out through the channel."""

    number: int
    turn: int
    kind: str
    status: Literal["intended", "attempted", "delivered", "failed", "unknown"]
    attempts: int
    receipt: Any = None
    reason: str
    messages: list[Any] = Field(description="as the channel shows it, in its own form: texts, or objects with buttons")


class ConversationOut(BaseModel):
    """A conversation: what was said, the turns, and where it stands."""

    conversation: str
    agent: str
    channel: str
    title: str
    policy: str
    by: str
    opened_at: Time
    status: Literal["open", "closed"]
    turn: int = Field(description="the turn that goes on; 0: none does")
    waiting: int = Field(description="messages that wait for their turn")
    messages: list[LineOut] = Field(description="those of the turns shown, and those that wait")
    turns: list[TurnOut]
    more: bool = Field(description="there are earlier turns: ask with `before`")
    refused: list[RefusalOut]
    outbound: list[OutboundOut]
    forked_from: str
    cost: str = Field(description="dollars of all turns, as far as they are known")
    cost_unknown: int = Field(description="turns whose cost is not known")
    version: int
    position: int = Field(description="how far into the log this sees: follow the stream from here")


class InterruptIn(In):
    """Why, and which turn."""

    reason: Why = ""
    turn: int = Field(0, ge=0, description="only if it is this one; 0: whichever")


class CloseIn(In):
    """Why."""

    reason: Why = ""


class VariableIn(In):
    """A context variable of the conversation: a value, or what it is (`schema`), or both; or it is removed."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    value: Any = None
    schema_: dict[str, Any] | None = Field(None, alias="schema", description="JSON Schema of its values")
    merge: Literal["last", "first", "max", "min", "sum", "union", "append", "conflict"] = "last"
    secret: bool = Field(False, description="its value is a reference to a secret")
    remove: bool = False


class DoneOut(BaseModel):
    """What came of it."""

    conversation: str
    status: str | None = None
    turn: int | None = None
    name: str | None = None
    value: Any = None
    position: int
    duplicate: bool


class FollowQuery(Query):
    """From where on."""

    after: Position | None = Field(
        None, description="begin after this position; 0 is the beginning, without it only what is new comes"
    )


class ChunkOut(BaseModel):
    """A piece of an answer that is being written: the data of `event: chunk`. The other events are those of the log."""

    turn: int
    step: int
    attempt: int
    index: int = Field(description="of its first piece, from 0")
    text: str = ""
    tool: str = Field("", description="the tool that the model is asking for")
    done: bool = False
    reset: bool = Field(False, description="what was shown of this step before is replaced")
    gap: bool = Field(False, description="pieces before it were missed")
