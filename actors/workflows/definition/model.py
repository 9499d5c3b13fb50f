"""The shape of a workflow definition, as pydantic models: what may be written, and what it means."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from actors.workflows.definition.fields import IDENTIFIER, Duration, Expr, Many, Name, Names, Texts, Value


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


class CatchModel(Model):
    """What to do when the step failed for good; it gives the result then. `error` says what happened."""

    on: Texts = []
    """Only for errors of these kinds; empty: of all."""
    steps: dict[str, StepModel] = {}
    """Steps."""
    output: Value = None
    """The result in place of the one that is missing."""
    policy: PolicyModel = PolicyModel()
    """What a failure in here means."""


class FinallyModel(Model):
    """What to do whatever came of the step. `outcome` says what."""

    steps: dict[str, StepModel] = Field(min_length=1)
    """Steps."""
    policy: PolicyModel = PolicyModel()
    """What a failure in here means."""


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


class StepModel(Model):
    """A step: exactly one of task, workflow, wait, approve, switch, steps, value; and how it is run."""

    description: str = ""
    """What it is for."""
    needs: Names = []
    """Steps that must end first, besides those it reads from."""
    when: Expr | None = None
    """It is skipped when this does not hold."""
    trigger: Trigger = "all_success"
    """What must have become of the steps it needs."""

    task: str | None = Field(default=None, min_length=1, examples=["files.list", "files.list@2", "+translate"])
    """Perform a task: by name, name@version, or +capability."""
    workflow: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]{0,63}$")
    """Run another workflow."""
    wait: WaitModel | None = None
    """Wait for a duration, a time, an event."""
    approve: ApproveModel | None = None
    """Wait until people agree."""
    switch: Annotated[list[CaseModel], Field(min_length=1)] | None = None
    """Choose which steps run."""
    steps: dict[str, StepModel] | None = None
    """A group of steps."""
    value: Value = None
    """Just a value."""

    with_: Value = Field(default=None, alias="with")
    """The input of a task, the inputs of a workflow."""
    queue: str = ""
    """Of a task: the work queue that workers take it from."""
    labels: dict[str, str] = {}
    """Of a task: what its worker must have."""
    version: int | None = Field(default=None, ge=1)
    """Of a workflow: which one; without it the newest."""
    mode: Literal["wait", "detach", "forget"] = "wait"
    """Of a workflow: wait for its outputs, or only for its start, or not even that."""
    on_close: Literal["cancel", "abandon"] = "cancel"
    """Of a workflow: what becomes of it when this run ends first."""
    inclusive: bool = False
    """Of a switch: every case that holds, not just the first."""
    output: Value = None
    """Of a group: its result; without it the outputs of its steps, by name."""
    policy: PolicyModel = PolicyModel()
    """Of a group: what the failure of one of its steps means."""

    map: MapModel | None = None
    """Once for every item of a list."""
    loop: LoopModel | None = None
    """Again and again."""
    retry: RetryModel = RetryModel(attempts=1)
    """Try again after a failure."""
    timeout: TimeoutModel = TimeoutModel()
    """How long it may take."""
    catch: CatchModel | None = None
    """What to do when it failed for good."""
    finally_: FinallyModel | None = Field(default=None, alias="finally")
    """What to do whatever came of it."""
    undo: UndoModel | None = None
    """What undoes it."""
    optional: bool = False
    """Its failure does not fail the block."""
    priority: int | None = Field(default=None, ge=0, le=9)
    """9 goes first."""
    limits: Annotated[list[LimitModel], Many()] = []
    """Shared limits it needs a part of."""
    produces: Annotated[list[ProducesModel], Many()] = []
    """Assets it makes."""
    consumes: Texts = []
    """Assets it is made from: whoever makes them goes first."""
    cache: bool = False
    """When nothing it depends on has changed, its recorded result is used."""
    volatile: bool = False
    """Its result may differ although nothing it depends on has."""
    metadata: dict[str, Any] = {}
    """Anything, for those who read the definition."""


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


class AssetModel(Model):
    """What is known of an asset; with `make`, the step that makes it."""

    external: bool = False
    """It comes from outside: no step here makes it."""
    description: str = ""
    """What it is."""
    step: Name | None = None
    """What the step is called; without it as the asset."""
    make: StepModel | None = None
    """The step that makes it."""
    metadata: dict[str, Any] = {}
    """Anything, for those who read the definition."""


class WorkflowModel(Model):
    """A workflow: steps, what they need of each other, and what goes in and out."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$", examples=["digest"])
    """Lower case, digits and -."""
    description: str = ""
    """What it is for."""
    inputs: dict[Name, Any] = {}
    """What goes in: a JSON Schema each, or the name of a type. Without a default it is required."""
    outputs: dict[str, Value] = {}
    """What comes out: a value each, or {value, schema}."""
    steps: dict[str, StepModel] = {}
    """What is done."""
    assets: dict[str, AssetModel] = {}
    """Assets from outside; or, in the asset view, every asset with what makes it."""
    policy: PolicyModel = PolicyModel()
    """What the failure of a step means."""
    limits: RunLimitsModel = RunLimitsModel()
    """How many steps and runs at once, and how long a run may take."""
    priority: int = Field(default=5, ge=0, le=9)
    """9 goes first."""
    grace: Duration = 10.0
    """How long a cancelled step has to end by itself."""
    schedule: ScheduleModel | None = None
    """When it runs by itself."""
    metadata: dict[str, Any] = {}
    """Anything, for those who read the definition."""


ACTIONS: Final = ("task", "workflow", "wait", "approve", "switch", "steps", "value")
"""What a step can be: exactly one of these keys."""

BELONGS: Final = {
    "with": ("task", "workflow"), "queue": ("task",), "labels": ("task",), "version": ("workflow",),
    "mode": ("workflow",), "on_close": ("workflow",), "inclusive": ("switch",), "output": ("steps",),
    "policy": ("steps",),
}  # fmt: skip
"""Keys of a step that mean something with these actions only."""

LATER: Final = {
    "template": "templates", "templates": "templates", "extends": "templates", "uses": "templates",
    "migrate": "version migration", "migrations": "version migration", "migrate_from": "version migration",
    "what_if": "what-if gates", "gate": "replay gates", "gates": "replay gates", "synthetic": "synthetic stages",
    "dry_run": "dry runs", "sensor": "sensors", "sensors": "sensors", "triggers": "sensors",
    "on": "triggers other than a schedule", "agent": "agents", "shell": "the sandboxed shell",
    "freshness": "freshness of assets", "partitions": "partitions of assets", 
    "secrets": "the vault", "secret": "the vault",
}  # fmt: skip
"""Keys of parts that are yet to come: refused by name."""
