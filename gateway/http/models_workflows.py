"""What goes in and out about workflows and runs, as pydantic models. Times are µs since 1970 (UTC)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from gateway.http.models import In, Query
from gateway.http.params import Limit, Time, Version

Why = Annotated[str, Field(max_length=1000)]
Step = Annotated[str, Field(min_length=1, max_length=1000)]
Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Labels = Annotated[dict[str, str], Field(max_length=50)]
Name = Annotated[str, Field(min_length=1, max_length=200)]

MAX_RUN_WAIT = 60.0
"""Seconds."""


class PageQuery(Query):
    """Which page."""

    limit: Limit | None = Field(None, description="rows of a page")
    after: str | None = Field(None, description="the `next` of the page before")


# -- workflows


class SourceIn(BaseModel):
    """A definition: its YAML or JSON text is the body. `/v1/workflow-schema` is its JSON Schema."""


class PublishQuery(Query):
    """What the definition is called in messages."""

    file: str = Field("workflow.yaml", max_length=500, description="the name that problems are reported under")


class PublishedWorkflowOut(BaseModel):
    """The version that runs are started on now."""

    name: str
    version: int
    hash: str
    published: bool = Field(description="false: it was the newest version already")


class WorkflowOut(BaseModel):
    """A workflow."""

    name: str
    version: int = Field(description="the newest")
    hash: str
    retired: bool
    steps: int = Field(description="of its outermost block")
    inputs: dict[str, Any] = Field(description="JSON Schema")
    published_at: Time | None
    by: str
    schedule: dict[str, Any] | None
    schedule_paused: bool
    next_at: Time | None = Field(description="when it runs by itself next")
    fired_at: Time | None
    fired_run: str | None


class VersionOut(BaseModel):
    """A version."""

    version: int
    hash: str
    published_at: Time
    by: str


class WorkflowDetailOut(WorkflowOut):
    """A workflow, its newest versions, its definition as it was written, and how its runs stand."""

    versions: list[VersionOut]
    source: str


class WorkflowVersionOut(VersionOut):
    """A version with its definition."""

    name: str
    inputs: dict[str, Any]
    source: str


class ProblemsOut(BaseModel):
    """A definition of a workspace that is not served, and all that is wrong with it."""

    file: str
    problems: list[dict[str, Any]]


class WorkflowsOut(BaseModel):
    """A page of workflows."""

    workflows: list[WorkflowOut]
    next: str | None
    broken: list[ProblemsOut] = Field(description="definitions of this host's workspace that are wrong")


# -- runs


class RunIn(In):
    """A run to start."""

    inputs: dict[str, Any] = Field(default_factory=dict)
    version: int | None = Field(None, ge=1, le=2**31 - 1, description="of the workflow  [default: the newest]")
    wait: float | None = Field(None, ge=0, le=MAX_RUN_WAIT, description="seconds to wait for its end", strict=False)
    labels: Labels = Field(default_factory=dict)
    priority: int | None = Field(None, ge=0, le=9)
    variables: dict[str, Any] = Field(
        default_factory=dict, description="context variables that begin with another value than the definition says"
    )


class RunsQuery(PageQuery):
    """Which runs, newest first."""

    workflow: str | None = None
    status: Status | None = None
    parent: str | None = Field(None, description="only those that a step of this run started")


class RunRow(BaseModel):
    """A run."""

    run: str
    workflow: str
    version: int
    definition: str = Field(description="hash of the plan")
    status: Status
    closing: str | None = Field(None, description="what it will end as, once all that is under way has ended")
    paused: bool
    parent: str | None = Field(None, description="the run that started it")
    parent_step: str | None = None
    labels: dict[str, str]
    priority: int
    by: str
    forked_from: str | None = None
    queued_at: Time | None = Field(None, description="when it had to wait in line")
    started_at: Time
    finished_at: Time | None = None
    error_kind: str | None = None
    error: str | None = None
    usage: dict[str, str]


class RunsOut(BaseModel):
    """A page of runs, and how many there are in all of each status."""

    runs: list[RunRow]
    next: str | None
    counts: dict[str, int]
    position: int = Field(description="how far into the log this sees")


class RunQuery(Query):
    """When."""

    at: Version | None = Field(None, description="the run as it was at this version of its history")


class WaitingOut(BaseModel):
    """A step that has to wait, and for what."""

    step: str
    status: str
    reason: str
    ref: str | None = None
    since: Time
    until: Time | None = None


class RunOut(RunRow):
    """A run, and where it stands."""

    inputs: dict[str, Any]
    variables: dict[str, Any] = Field(
        description="its context variables that have a value; of a secret the reference to it"
    )
    outputs: Any = None
    steps: dict[str, int] = Field(description="how many have each status, items and iterations included")
    waiting: list[WaitingOut] = Field(description="the first hundred")
    position: int = Field(description="how far into the log this sees")
    at: int | None = Field(None, description="the version asked for")
    nodes: list[dict[str, Any]] | None = Field(None, description="with `at`: its steps then")


class StepsQuery(PageQuery):
    """Which steps."""

    status: str | None = None


class IntervalOut(BaseModel):
    """A time in which a step was queued, running, waiting, retrying, cancelling or unknown."""

    state: str
    from_: Time = Field(alias="from")
    to: Time | None = Field(description="null: still")
    attempt: int
    reason: str | None = None
    worker: str | None = None


class StepRow(BaseModel):
    """A step, and when it was in which state."""

    step: str
    status: str
    task: str | None
    queue: str | None
    attempt: int
    reason: str | None
    ref: str | None
    until: Time | None
    began: Time
    ended: Time | None
    worker: str | None
    cached: str | None = Field(description="the run that the result is from")
    error_kind: str | None
    error: str | None
    items: int | None = Field(description="of a map")
    usage: dict[str, str]
    intervals: list[IntervalOut]


class TimelineOut(BaseModel):
    """Steps of a run in the order in which they began. A page may be short."""

    run: str
    steps: list[StepRow]
    next: str | None
    position: int


class GraphNode(BaseModel):
    """A step of the plan. `counts` is how many of its items or iterations have each status."""

    id: str
    name: str
    kind: str
    task: str | None
    scope: str | None = Field(description="the step whose block it stands in")
    status: str
    counts: dict[str, int]


class GraphEdge(BaseModel):
    """`to` needs `from`."""

    from_: str = Field(alias="from")
    to: str


class RunGraphOut(BaseModel):
    """The plan of a run with the status of every step."""

    run: str
    workflow: str
    version: int
    status: str
    nodes: list[GraphNode]
    edges: list[GraphEdge]


class CancelIn(In):
    """Why."""

    reason: Why = ""


class PauseIn(In):
    """Why."""

    reason: Why = ""


class UnpauseIn(In):
    """Nothing to say."""


class RetryIn(In):
    """Which steps; none: all that failed."""

    steps: list[Step] = Field(default_factory=list, max_length=1000)


class SignalIn(In):
    """An event for a step that waits for one."""

    type: Annotated[str, Field(min_length=1, max_length=200)]
    data: Any = None
    id: Annotated[str, Field(max_length=200)] = ""


class RunForkIn(In):
    """Where the new run begins: the results of all that does not hang on the step are taken over."""

    step: Step = Field(alias="from")
    inputs: dict[str, Any] | None = Field(None, description="other inputs than those of the run")


class RunAnswer(BaseModel):
    """What came of it."""

    run: str
    status: str | None = None
    matched: int | None = Field(None, description="steps that the event was for")
    position: int
    duplicate: bool


class ForkedOut(BaseModel):
    """The new run."""

    run: str
    forked_from: str
    reused: list[str] = Field(description="steps whose results are taken over")
    status: str
    position: int
    duplicate: bool
