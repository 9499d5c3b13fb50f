"""The parts of a step and of a workflow that hold no steps themselves, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from actors.workflows.definition.fields import IDENTIFIER, Duration, Expr, Many, Name, Texts, Value


def _tolerated(value: Any) -> int | float:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.endswith("%"):
        try:
            share = float(value[:-1]) / 100
        except ValueError:
            share = -1.0
        if 0 <= share <= 1:
            return share
    raise ValueError(f"{value!r} is neither a number of items nor a share like 5%")


_TOLERATED = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d+)?%$"}]}
Tolerated = Annotated[int | float, BeforeValidator(_tolerated), WithJsonSchema({**_TOLERATED, "examples": [2, "10%"]})]
"""An int counts items, a float is a share of them."""

Trigger = Literal["all_success", "all_failed", "one_success", "one_failed", "none_failed", "none_skipped", "all_done"]


class Model(BaseModel):
    """A map of a definition: nothing but what is named here, and keys that begin with `x-`.

    `short` is the field that a value stands for which is not a map.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, strict=True)

    short: ClassVar[str] = ""


class RetryModel(Model):
    """Try again after a failure. Short: a number, the attempts."""

    short: ClassVar[str] = "attempts"
    attempts: int = Field(default=3, ge=1, le=1000)
    """How often in all, the first one counted."""
    backoff: Duration = 1.0
    """The pause before the second attempt."""
    factor: float = Field(default=2.0, ge=1.0, le=100.0)
    """By how much each further pause is longer."""
    longest: Duration = 300.0
    """No pause is longer than this."""
    jitter: float = Field(default=0.1, ge=0.0, le=1.0)
    """The share of a pause by which it varies."""
    on: Texts = []
    """Error kinds worth another attempt, as `timeout`, `lost`, or what a task calls its own; empty: all."""


class TimeoutModel(Model):
    """How long the parts of a step may take. Short: a duration, for one attempt."""

    short: ClassVar[str] = "attempt"
    queued: Duration | None = None
    """Until somebody begins."""
    attempt: Duration | None = None
    """For one attempt."""
    heartbeat: Duration | None = None
    """Between two signs of life."""
    total: Duration | None = None
    """For the step with all its attempts and pauses."""


class LimitModel(Model):
    """A limit that steps share, of any run and workflow. Short: its name."""

    short: ClassVar[str] = "name"
    name: Name
    """What it is called."""
    key: Value = None
    """Which of several under the same name, say one for each customer."""
    units: int = Field(default=1, ge=1)
    """How much of it the step takes."""
    size: int | None = Field(default=None, ge=1)
    """How many units there are: said by whoever names it first."""


class MapModel(Model):
    """The step once for every item. Short: the list."""

    short: ClassVar[str] = "over"
    over: Value = None
    """The list; of a map, its entries as {key, value}."""
    zip: list[Value] = []
    """Lists of one length: an item has one value of each."""
    cross: list[Value] = []
    """Lists: an item for every combination."""
    as_: str = Field(default="item", alias="as", pattern=IDENTIFIER)
    """What expressions call the item."""
    key: Value = None
    """What names an item; without it its index does."""
    concurrency: int | None = Field(default=None, ge=1)
    """Items at once."""
    tolerate: Tolerated = 0
    """How many items, or what share of them, may fail."""


class LoopModel(Model):
    """The step again and again."""

    while_: Expr | None = Field(default=None, alias="while")
    """Asked before an iteration."""
    until: Expr | None = None
    """Asked after an iteration, with its `output`."""
    most: int = Field(ge=1, le=100_000)
    """When it is not over after so many iterations, the step fails."""
    pause: Duration = 0.0
    """Between iterations."""


class WaitModel(Model):
    """Wait for a duration, until a time, or for an event. Short: a duration."""

    short: ClassVar[str] = "for"
    for_: Value = Field(default=None, alias="for")
    """A duration, or an expression of seconds."""
    until: Value = None
    """A time: RFC 3339, or µs since 1970."""
    event: str = ""
    """The type of an event."""
    match: Expr | None = None
    """What must hold of the `event`."""
    timeout: Duration | None = None
    """How long to wait for the event."""


class ApproveModel(Model):
    """Wait until people agree. Short: what they agree to."""

    short: ClassVar[str] = "what"
    what: Value = None
    """What they see, and what is bound by its digest."""
    title: str = ""
    """One line."""
    approvers: Texts = []
    """Who may agree; empty: anyone who may approve."""
    quorum: int = Field(default=1, ge=1)
    """How many must."""
    expires: Duration | None = None
    """After that it is refused."""


class CaseModel(Model):
    """One way of a switch."""

    when: Expr | None = None
    """Whether it is taken; a case without it is taken when no other is."""
    then: Annotated[list[Name], Many(), Field(min_length=1)]
    """The steps of this block that run."""


class CheckModel(Model):
    """Something that must hold of what a step produced."""

    name: str
    """What it is called."""
    expression: Expr
    """What must hold of the `output`."""
    blocking: bool = True
    """Whether what is made of the asset stops when it does not hold."""


class ProducesModel(Model):
    """An asset that the step materialises. Short: its name."""

    short: ClassVar[str] = "asset"
    asset: str = Field(min_length=1, max_length=200)
    """What it is called."""
    key: Value = None
    """Which of several under the same name, as for the items of a map."""
    value: Value = None
    """What its content is, from the `output`; without it the output itself."""
    checks: list[CheckModel] = []
    """What must hold of it."""


class PolicyModel(Model):
    """What the failure of a step means for its block. Short: the mode."""

    short: ClassVar[str] = "mode"
    mode: Literal["fail_fast", "wait_all", "continue", "first_success"] = "fail_fast"
    """fail_fast stops the others, wait_all lets them end, continue takes no notice, first_success needs one."""
    k_of_n: int | None = Field(default=None, ge=1)
    """So many must succeed; the others are stopped then."""


class UndoModel(Model):
    """A task that undoes what the step did, when the run fails later. Short: its name."""

    short: ClassVar[str] = "task"
    task: str
    """The task."""
    with_: Value = Field(default=None, alias="with")
    """Its input; it may read what the step gave."""
    queue: str = ""
    """The work queue it goes to."""
    labels: dict[str, str] = {}
    """What its worker must have."""


class ScheduleModel(Model):
    """When the workflow runs by itself. Short: the cron expression."""

    short: ClassVar[str] = "cron"
    cron: str = Field(examples=["0 7 * * 1-5"])
    """Minute, hour, day of the month, month, day of the week."""
    zone: str = Field(default="UTC", examples=["Europe/Berlin"])
    """The IANA time zone it is meant in."""
    gap: Literal["shift", "skip"] = "shift"
    """When the clock jumps over the time: at the same distance later, or not at all."""
    overlap: Literal["first", "last", "both"] | None = None
    """When the clock passes the time twice."""
    catch_up: Literal["none", "last", "all"] = "last"
    """Which of the times that passed while nobody looked."""
    concurrent: Literal["skip", "queue", "allow", "cancel_other"] = "skip"
    """When the run before has not ended."""
    jitter: Duration = 0.0
    """Up to so much later, by chance."""
    inputs: dict[str, Any] = {}
    """The inputs of these runs."""


class RunLimitsModel(Model):
    """How much at once."""

    concurrency: int | None = Field(default=None, ge=1)
    """Steps of one run."""
    runs: int | None = Field(default=None, ge=1)
    """Runs of this workflow."""
    queue: int = Field(default=1000, ge=0)
    """Runs that may wait for their turn; more are refused."""
    timeout: Duration | None = None
    """How long a run may take."""


class VariableModel(Model):
    """A context variable. Short: its type."""

    short: ClassVar[str] = "type"
    type: Value = {}
    """The name of a type, or a JSON Schema."""
    default: Value = None
    """What it is while nobody has set it."""
    secret: bool = False
    """Its value is a reference (vault:NAME, env:NAME), and no model is shown it."""
    merge: Literal["last", "first", "max", "min", "sum", "union", "append", "conflict"] = "last"
    """How concurrent updates become one value."""
    description: str = ""
    """What it is for."""
