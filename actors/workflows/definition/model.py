"""The shape of a workflow definition, as pydantic models: what may be written, and its JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from actors.workflows.definition.durations import seconds

NAME = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
"""Names of steps, inputs, assets' parts: what an expression can write after a dot, or in brackets."""

_DURATION = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}],
    "description": "500ms, 30s, 5m, 1h, 7d, PT5M, or a number of seconds",
}
Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema(_DURATION)]
Name = Annotated[str, Field(pattern=NAME)]
Value = Annotated[Any, WithJsonSchema({"description": "a value; a whole string ${ expression } is evaluated"})]
Expr = Annotated[str, Field(description="an expression, ${ … }")]


class Model(BaseModel):
    """Nothing but what is named here, except keys that begin with `x-`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class RetryModel(Model):
    """Try again after a failure."""

    attempts: int = Field(default=3, ge=1, le=1000)
    backoff: Duration = 1.0
    factor: float = Field(default=2.0, ge=1.0, le=100.0)
    longest: Duration = 300.0
    jitter: float = Field(default=0.1, ge=0.0, le=1.0)
    on: list[str] = []


class TimeoutModel(Model):
    """How long the parts of a step may take."""

    queued: Duration | None = None
    attempt: Duration | None = None
    heartbeat: Duration | None = None
    total: Duration | None = None


class LimitModel(Model):
    """A shared limit; `size` is set by whoever names it first with one."""

    name: Name
    key: Value = None
    units: int = Field(default=1, ge=1)
    size: int | None = Field(default=None, ge=1)


class MapModel(Model):
    """Once for every item."""

    over: Value = None
    zip: list[Value] = []
    cross: list[Value] = []
    as_: Name = Field(default="item", alias="as")
    key: Value = None
    concurrency: int | None = Field(default=None, ge=1)
    tolerate: int | str = 0


class LoopModel(Model):
    """Again and again."""

    while_: Expr | None = Field(default=None, alias="while")
    until: Expr | None = None
    most: int = Field(ge=1, le=100_000)
    pause: Duration = 0.0


class WaitModel(Model):
    """Wait for a time or for an event."""

    for_: Value = Field(default=None, alias="for")
    until: Value = None
    event: str = ""
    match: str = ""
    timeout: Duration | None = None


class ApproveModel(Model):
    """Wait until people agree."""

    what: Value = None
    title: str = ""
    approvers: list[str] = []
    quorum: int = Field(default=1, ge=1)
    expires: Duration | None = None


class CaseModel(Model):
    """One way of a switch; without `when` it is taken when no other is."""

    when: Expr | None = None
    then: list[Name] = Field(min_length=1)


class CheckModel(Model):
    """Something that must hold of what a step produced."""

    name: str
    expression: Expr
    blocking: bool = True


class ProducesModel(Model):
    """An asset that the step materialises."""

    asset: str
    key: Value = None
    value: Value = None
    checks: list[CheckModel] = []


class PolicyModel(Model):
    """How many steps of a block must succeed."""

    k_of_n: int = Field(ge=1)


Policy = Literal["fail_fast", "wait_all", "continue", "first_success"] | PolicyModel
Trigger = Literal["all_success", "all_failed", "one_success", "one_failed", "none_failed", "none_skipped", "all_done"]


class BlockModel(Model):
    """Steps that run after a failure, or in any case."""

    on: list[str] = []
    steps: dict[str, StepModel] = {}
    output: Value = None
    policy: Policy = "fail_fast"


class UndoModel(Model):
    """A task that undoes what the step did."""

    task: str
    with_: Value = Field(default=None, alias="with")
    queue: str = ""
    labels: dict[str, str] = {}


class StepModel(Model):
    """A step: exactly one of task, workflow, wait, approve, switch, steps, value; and how it is run."""

    description: str = ""
    needs: list[Name] = []
    when: Expr | None = None
    trigger: Trigger = "all_success"

    task: str | None = None
    workflow: str | None = None
    wait: WaitModel | None = None
    approve: ApproveModel | None = None
    switch: list[CaseModel] | None = None
    steps: dict[str, StepModel] | None = None
    value: Value = None

    with_: Value = Field(default=None, alias="with")
    queue: str = ""
    labels: dict[str, str] = {}
    version: int | None = Field(default=None, ge=1)
    mode: Literal["wait", "detach", "forget"] = "wait"
    on_close: Literal["cancel", "abandon"] = "cancel"
    inclusive: bool = False
    output: Value = None
    policy: Policy = "fail_fast"

    map: MapModel | None = None
    loop: LoopModel | None = None
    retry: RetryModel = RetryModel(attempts=1)
    timeout: TimeoutModel = TimeoutModel()
    catch: BlockModel | None = None
    finally_: BlockModel | None = Field(default=None, alias="finally")
    undo: UndoModel | None = None
    optional: bool = False
    priority: int | None = Field(default=None, ge=0, le=9)
    limits: list[LimitModel] = []
    produces: list[ProducesModel] = []
    consumes: list[str] = []
    cache: bool = False
    volatile: bool = False
    metadata: dict[str, Any] = {}


class ScheduleModel(Model):
    """When the workflow runs by itself."""

    cron: str
    zone: str = "UTC"
    gap: Literal["shift", "skip"] = "shift"
    overlap: Literal["first", "last", "both"] = "first"
    catch_up: Literal["none", "last", "all"] = "last"
    concurrent: Literal["skip", "queue", "allow", "cancel_other"] = "skip"
    jitter: Duration = 0.0
    inputs: dict[str, Any] = {}


class RunLimitsModel(Model):
    """`concurrency`: steps of one run at once. `runs`: runs of the workflow at once; `queue`: how many more may wait."""

    concurrency: int | None = Field(default=None, ge=1)
    runs: int | None = Field(default=None, ge=1)
    queue: int = Field(default=1000, ge=0)
    timeout: Duration | None = None


class AssetModel(Model):
    """An asset in the asset view: the step that makes it, without its `produces`; or one that comes from outside."""

    step: str | None = None
    external: bool = False
    description: str = ""
    consumes: list[str] = []
    make: StepModel | None = None


class WorkflowModel(Model):
    """A workflow."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    description: str = ""
    inputs: dict[str, dict[str, Any]] = {}
    outputs: dict[str, Value] = {}
    steps: dict[str, StepModel] = {}
    assets: dict[str, AssetModel] = {}
    policy: Policy = "fail_fast"
    limits: RunLimitsModel = RunLimitsModel()
    priority: int = Field(default=5, ge=0, le=9)
    grace: Duration = 10.0
    schedule: ScheduleModel | None = None
    metadata: dict[str, Any] = {}


LATER = {
    "template": "templates", "templates": "templates", "extends": "templates", "uses": "templates",
    "migrate": "version migration", "migrations": "version migration", "migrate_from": "version migration",
    "what_if": "what-if gates", "gate": "replay gates", "gates": "replay gates", "synthetic": "synthetic stages",
    "dry_run": "dry runs", "sensor": "sensors", "sensors": "sensors", "trigger_on": "sensors", "triggers": "sensors",
    "on": "triggers other than a schedule", "agent": "agents", "shell": "the sandboxed shell", "freshness": "freshness",
    "partitions": "partitions",
}  # fmt: skip
"""Keys of parts that are yet to come: refused by name."""

SHORT = {
    "map": "over", "retry": "attempts", "timeout": "attempt", "wait": "for", "approve": "what",
}  # fmt: skip
"""What a plain value under such a key of a step means."""


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a definition, for editors: also of what may be written short."""
    schema = WorkflowModel.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Thespis workflow"
    extensions = {"^x-": {}}
    for model in (schema, *schema["$defs"].values()):
        if model.get("additionalProperties") is False:
            model["patternProperties"] = extensions
    step = schema["$defs"]["StepModel"]["properties"]
    for name, short in SHORT.items():
        step[name] = {"anyOf": [step[name], {"description": f"short for {short}: …"}]}
    step["produces"] = {"anyOf": [step["produces"], {"type": "string"}]}
    step["consumes"] = {"anyOf": [step["consumes"], {"type": "string"}]}
    step["needs"] = {"anyOf": [step["needs"], {"type": "string"}]}
    actions = ("task", "workflow", "wait", "approve", "switch", "steps", "value")
    schema["$defs"]["StepModel"]["oneOf"] = [{"required": [name]} for name in actions]
    return schema
