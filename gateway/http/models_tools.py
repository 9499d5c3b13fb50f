"""What goes in and out about tools, calls of them and policies, as pydantic models. Times are µs since 1970 (UTC)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from gateway.http.models import In, Query
from gateway.http.models_conversations import CitationOut
from gateway.http.models_workflows import MAX_RUN_WAIT, PageQuery, Why
from gateway.http.params import Time, Version

Hash = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[0-9a-f]+$")]
CallStatus = Literal[
    "waiting", "running", "succeeded", "failed", "unknown", "refused", "denied", "expired", "cancelled"
]


class ToolsQuery(PageQuery):
    """Which tools."""

    status: Literal["waiting", "approved", "changed", "disabled"] | None = None
    risk: Literal["read-local", "read-network", "write-reversible", "write-external", "privileged"] | None = None


class ToolRow(BaseModel):
    """A tool in a list."""

    tool: str
    status: str
    risk: str
    effect_class: str
    via: str
    origin: str
    description: str
    hash: str
    calls: int


class ToolsOut(BaseModel):
    """A page of tools."""

    tools: list[ToolRow]
    next: str | None


class ToolOut(BaseModel):
    """A tool: its definition, whether it may be used, what waits for approval, its places."""

    tool: str
    status: str
    hash: str
    definition: dict[str, Any]
    origin: str
    reason: str
    approved_by: str
    pending: dict[str, Any] | None = Field(description="`hash`, `definition` and `diff` of one that is not approved")
    held: list[str] = Field(description="calls that hold one of its places")
    waiting: list[str]


class ApproveToolIn(In):
    """Agree to the definition of this hash, in whole."""

    hash: Hash
    note: Why = ""


class DisableToolIn(In):
    """Why."""

    reason: Why = ""


class ToolMovedOut(BaseModel):
    """What came of it."""

    tool: str
    status: str | None = None
    hash: str | None = None
    position: int
    duplicate: bool


class RunToolIn(In):
    """A call, in the name of the token."""

    arguments: dict[str, Any] = Field(default_factory=dict)
    wait: float | None = Field(
        None, ge=0, le=MAX_RUN_WAIT, description="seconds to wait for its end  [default: 10]", strict=False
    )
    dry: bool = Field(False, description="go through the gates and stop before it begins")
    untrusted: bool = Field(False, description="a program wrote the arguments, a model for one, and no person")


class CallOut(BaseModel):
    """A call of a tool, and how far it came: requested, pinned, labelled, guarded, judged, (approved), budgeted,
    admitted, begun, answered, guarded, ended."""

    call: str
    tool: str
    status: CallStatus
    stage: str = Field(description="the gate that it passed last, or that stopped it")
    code: str
    text: str = Field(description="what the asker is told")
    data: Any = None
    label: str
    arguments: Any = Field(description="in canonical form, once they were found to fit")
    risk: str
    effect_class: str
    hash: str = Field(description="of the definition it is bound to")
    digest: str = Field(description="what an approval is bound to")
    labels: dict[str, str]
    decision: str = Field(description="of the policy: allow, deny, ask")
    policy: str
    rule: str
    why: str
    approval: str | None = Field(description="the approval that it waits, or waited, for")
    approved_by: list[str]
    requesters: list[str]
    agent: str
    conversation: str
    turn: int
    dry: bool
    sandbox: str
    citations: list[CitationOut]
    requested_at: Time
    ended_at: Time | None
    version: int
    position: int | None = None
    duplicate: bool = False


class PoliciesOut(BaseModel):
    """A page of policies."""

    policies: list[dict[str, Any]]
    next: str | None


class PolicyQuery(Query):
    """Which version."""

    version: Version | None = Field(None, description="the rules of this version  [default: the newest]")


class PolicyOut(BaseModel):
    """A version of the rules about tools."""

    name: str
    version: int
    newest: int
    hash: str
    rules: Any
    source: str
    at: Time
    by: str
    versions: list[dict[str, Any]]


class PolicySourceIn(BaseModel):
    """Rules: their YAML text is the body."""


class PublishPolicyQuery(Query):
    """What the file is called in messages."""

    file: str = Field("policy.yaml", max_length=500, description="the name that problems are reported under")


class PublishedPolicyOut(BaseModel):
    """The version that calls are judged by now."""

    name: str
    version: int
    hash: str
    published: bool = True
    position: int
    duplicate: bool
