"""The shape of a workflow definition, as pydantic models: what may be written, and what it means."""

# ruff: noqa: RUF012 - pydantic copies defaults; that Model is one of its classes is not seen from here

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from actors.workflows.definition.fields import Duration, Expr, Many, Name, Names, Texts, Value
from actors.workflows.definition.parts import (
    ApproveModel,
    CaseModel,
    LimitModel,
    LoopModel,
    MapModel,
    Model,
    PolicyModel,
    ProducesModel,
    RetryModel,
    RunLimitsModel,
    ScheduleModel,
    TimeoutModel,
    Trigger,
    UndoModel,
    VariableModel,
    WaitModel,
)


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
    variables: dict[Name, VariableModel] = {}
    """Context variables of a run: what agents that its steps ask are shown."""
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
