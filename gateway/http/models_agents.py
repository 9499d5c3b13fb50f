"""What goes in and out about agents, costs and budgets, as pydantic models. Times are µs since 1970 (UTC)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from gateway.http.models import In, Query
from gateway.http.models_workflows import PageQuery, Why
from gateway.http.params import Time, Version
from projections.costs import GROUPINGS

Dollars = Annotated[str, Field(pattern=r"^\d{1,12}(\.\d{1,18})?$", examples=["2.50"])]
LifeState = Literal["defined", "starting", "ready", "busy", "draining", "stopped", "failed", "quarantined"]


class AgentSourceIn(BaseModel):
    """A definition: its Markdown text with YAML front matter is the body. `/v1/agent-schema` is its JSON Schema."""


class PublishAgentQuery(Query):
    """What the definition is called in messages."""

    file: str = Field("agent.md", max_length=500, description="the name that problems are reported under")


class PublishedAgentOut(BaseModel):
    """The version that turns are taken by, once its models and tools were found."""

    name: str
    version: int
    hash: str
    published: bool = Field(description="false: it was the newest version already")
    position: int
    duplicate: bool


class AgentRow(BaseModel):
    """An agent in a list."""

    name: str
    state: LifeState
    version: int = Field(description="the newest")
    current: int = Field(description="the one that turns are taken by; 0: none yet")
    hash: str
    description: str
    models: list[str]
    tools: list[str]
    scripted: bool = Field(description="its models are the scripted one, which is no language model")
    active: int = Field(description="turns that go on")
    queued: int = Field(description="turns that wait")
    turns: int = Field(description="that have ended")
    replied: int = Field(description="of them, those with an answer")
    stuck: int = Field(description="turns that made no progress, ever")
    trigger: str | None = Field(description="what moved it last")
    reason: str | None
    moved_at: Time | None
    moved_by: str | None
    published_at: Time
    published_by: str
    turn_at: Time | None = Field(description="when a turn ended last")


class AgentsOut(BaseModel):
    """A page of agents."""

    agents: list[AgentRow]
    next: str | None
    broken: list[dict[str, Any]] = Field(description="definitions of this host's workspace that are wrong")


class AgentQuery(Query):
    """Which version."""

    version: Version | None = Field(None, description="the definition of this version  [default: the newest]")


class AgentVersionOut(BaseModel):
    """A version."""

    version: int
    hash: str
    at: Time
    by: str


class AgentDetailOut(BaseModel):
    """An agent: a version of its definition, where it stands in its life, the turns that go on."""

    name: str
    version: int = Field(description="the one shown")
    newest: int
    current: int = Field(description="the one that turns are taken by; 0: none yet")
    hash: str
    state: LifeState
    reason: str = Field(description="why it is there, where that needs a reason")
    definition: dict[str, Any]
    source: str
    versions: list[AgentVersionOut]
    active: dict[str, int] = Field(description="conversations with a turn that goes on")
    queued: list[str] = Field(description="conversations in line")
    stuck: list[str] = Field(description="turns that made no progress")
    stand_in: bool = Field(description="its model is the scripted one, which is no language model")


class MoveAgentIn(In):
    """Why."""

    reason: Why = ""


class MovedAgentOut(BaseModel):
    """Where it stands now."""

    name: str
    state: str | None = None
    refused: int | None = Field(None, description="turns that were in line and are answered with the reason")
    position: int
    duplicate: bool


# -- costs


Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", examples=["2026-11-29"])]


class CostsQuery(Query):
    """Which costs, and how they are grouped."""

    by: str = Field("agent", max_length=200, description=f"what to sum by, with commas: {', '.join(GROUPINGS)}")
    since: Day | None = Field(None, alias="from", description="the first day (UTC)")
    until: Day | None = Field(None, alias="to", description="the last day (UTC)")
    agent: str | None = None
    conversation: str | None = None
    cause: str | None = None
    model: str | None = None
    tool: str | None = Field(None, description="calls of agents that are this tool of another one")
    purpose: Literal["turn", "summary", "what-if"] | None = None
    prices: Literal["recorded", "current"] = Field(
        "recorded", description="what each call cost, or what the usage recorded then costs as models are listed now"
    )


class CostSumOut(BaseModel):
    """A sum over model calls. Sums are exact: those of all groups are the total to the last digit."""

    calls: int
    usd: str = Field(description="dollars, of the calls whose cost is known")
    unknown: int = Field(description="calls that were answered at a cost nobody knows; they are not in `usd`")
    estimated: str = Field(description="dollars that stand for calls that were lost; they are not in `usd`")
    lost: int
    failed: int
    input: int = Field(description="tokens")
    output: int
    cache_read: int
    cache_write: int
    reasoning: int


class CostGroupOut(CostSumOut):
    """The sum of one group."""

    group: dict[str, str | int]


class CostsOut(BaseModel):
    """Costs by group, the most expensive first, and all of them together."""

    by: list[str]
    prices: Literal["recorded", "current"]
    groups: list[CostGroupOut]
    total: CostSumOut
    position: int = Field(description="how far into the log this sees")


class BudgetRow(BaseModel):
    """A budget, as scope.id: tenant.default, agent.ada, conversation.…"""

    budget: str
    scope: str
    id: str
    usd: str | None = Field(description="the limit; null: none")
    period: str
    window: str = Field(description="the day or month (UTC) that `spent` is of")
    spent: str
    reserved: str = Field(description="set aside for calls that are made now")
    calls: int
    refused: int = Field(description="calls that were not let in, ever")
    refused_at: Time | None
    changed_at: Time
    by: str | None


class BudgetsQuery(PageQuery):
    """Which budgets."""

    scope: str | None = Field(None, description="tenant, agent, conversation, cause")


class BudgetsOut(BaseModel):
    """A page of budgets."""

    budgets: list[BudgetRow]
    next: str | None


class SetBudgetIn(In):
    """A limit."""

    usd: Dollars | None = Field(description="dollars; null: no limit")
    period: Literal["total", "day", "month"] = "total"


class BudgetSetOut(BaseModel):
    """The budget."""

    budget: str
    usd: str | None
    period: str
    position: int
    duplicate: bool
