"""A plan: a workflow definition that was checked and resolved, ready to run. Plain data, the same bytes everywhere.

A `Value` is JSON in which a whole string `${ expression }` stands for what the expression gives (`$${` is a literal
`${`). Names are resolved: `needs` holds every step that must end first, whether it was written under `needs`, read by
an expression or named as an asset; steps stand in an order in which every step comes after those it needs.
"""

from __future__ import annotations

from typing import Any, Union

import msgspec

Value = Any


class Retry(msgspec.Struct, frozen=True, omit_defaults=True):
    """`attempts` in all; the n-th retry waits `backoff * factor**(n-1)` seconds, at most `longest`, ± `jitter` of it.

    `on` are the error kinds worth another try; empty: all but cancelled and unknown.
    """

    attempts: int = 1
    backoff: float = 1.0
    factor: float = 2.0
    longest: float = 300.0
    jitter: float = 0.1
    on: tuple[str, ...] = ()


class Timeouts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Seconds: `queued` until somebody begins, `attempt` for one attempt, `heartbeat` between signs of life, `total`
    for the step with all its retries."""

    queued: float | None = None
    attempt: float | None = None
    heartbeat: float | None = None
    total: float | None = None


class LimitUse(msgspec.Struct, frozen=True, omit_defaults=True):
    """A shared limit the step must hold units of while it runs; `key` picks one of several under the same name.

    `size` is how many units there are, as far as this definition knows: None leaves it as it is.
    """

    name: str
    key: Value = None
    units: int = 1
    size: int | None = None


# -- actions


class TaskAction(msgspec.Struct, frozen=True, tag="task", omit_defaults=True):
    """Perform a registered task (`name@version`). `effect_class` and `code` are those of the task as planned."""

    task: str
    input: Value = None
    queue: str = ""
    needs_labels: dict[str, str] = {}
    effect_class: str = "idempotent"
    code: str = ""


class WorkflowAction(msgspec.Struct, frozen=True, tag="workflow", omit_defaults=True):
    """Run another workflow. `mode`: wait for its outputs, detach (its start is the result), or forget."""

    workflow: str
    input: Value = None
    version: int | None = None
    mode: str = "wait"
    on_close: str = "cancel"


class WaitAction(msgspec.Struct, frozen=True, tag="wait", omit_defaults=True):
    """Wait for a duration (seconds), until a time (RFC 3339 or µs), or for an event of `event` type that matches."""

    seconds: Value = None
    until: Value = None
    event: str = ""
    match: str = ""
    """A CEL expression over `event` and the step's surroundings."""


class ApprovalAction(msgspec.Struct, frozen=True, tag="approval", omit_defaults=True):
    """Wait until people agree to `what`; `expires` in seconds."""

    what: Value = None
    title: str = ""
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    expires: float | None = None


class Case(msgspec.Struct, frozen=True, omit_defaults=True):
    """One way of a switch: taken when `when` holds (None: otherwise)."""

    then: tuple[str, ...]
    when: Value = None


class SwitchAction(msgspec.Struct, frozen=True, tag="switch", omit_defaults=True):
    """Choose which of the steps named in the cases run: the first case that holds, or all that hold (`inclusive`)."""

    cases: tuple[Case, ...]
    inclusive: bool = False


class GroupAction(msgspec.Struct, frozen=True, tag="group", omit_defaults=True):
    """Steps within a step."""

    body: Graph


class ValueAction(msgspec.Struct, frozen=True, tag="value", omit_defaults=True):
    """The step's result is a value: nothing is performed."""

    value: Value = None


Action = Union[  # noqa: UP007 - msgspec resolves the forward reference in GroupAction by this name
    TaskAction, WorkflowAction, WaitAction, ApprovalAction, SwitchAction, GroupAction, ValueAction
]


# -- how an action is repeated


class Each(msgspec.Struct, frozen=True, omit_defaults=True):
    """Once for every item. `over` has one list, or several with `combine` (zip, cross); `name` is what to call an item.

    `key` (an expression on the item) names an item; without it the index does. `tolerate` failed items (or, with
    `tolerate_share`, that share of them) do not fail the step.
    """

    over: tuple[Value, ...]
    name: str = "item"
    combine: str = ""
    key: Value = None
    concurrency: int | None = None
    tolerate: int = 0
    tolerate_share: float | None = None


class Loop(msgspec.Struct, frozen=True, omit_defaults=True):
    """Again, `while_` it holds before an iteration or `until` it holds after one; at most `most` times."""

    most: int
    while_: Value = None
    until: Value = None
    pause: float = 0.0


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a failed step means for its block: fail_fast, wait_all, continue, first_success, or k_of_n with `count`."""

    mode: str = "fail_fast"
    count: int = 0


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that must hold of a result: an expression over `output`."""

    name: str
    expression: str
    blocking: bool = True


class Produces(msgspec.Struct, frozen=True, omit_defaults=True):
    """An asset that the step materialises. `key` (a value) makes one asset of many, as for the items of a map."""

    asset: str
    key: Value = None
    value: Value = None
    """What is hashed as its content; None: the step's output."""
    checks: tuple[Check, ...] = ()


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step and all that is said of it. `dependents` is `needs` the other way round."""

    name: str
    action: Action
    needs: tuple[str, ...] = ()
    dependents: tuple[str, ...] = ()
    trigger: str = "all_success"
    when: Value = None
    each: Each | None = None
    loop: Loop | None = None
    retry: Retry = Retry()
    timeouts: Timeouts = Timeouts()
    catch: Graph | None = None
    catch_on: tuple[str, ...] = ()
    finally_: Graph | None = None
    undo: TaskAction | None = None
    optional: bool = False
    """A failure of this step does not fail its block; what needs it sees it failed."""
    priority: int | None = None
    limits: tuple[LimitUse, ...] = ()
    produces: tuple[Produces, ...] = ()
    consumes: tuple[str, ...] = ()
    cache: bool = False
    volatile: bool = False


class Graph(msgspec.Struct, frozen=True, omit_defaults=True):
    """Steps of one block. `output` is what the block gives (None: the outputs of its steps, by name)."""

    steps: tuple[Step, ...]
    output: Value = None
    policy: Policy = Policy()


class Recurrence(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a workflow runs by itself. `zone` is an IANA name, `jitter` in seconds.

    `gap`: what becomes of a time that a clock change skips (shift, skip). `overlap`: which of the two when it comes
    twice (first, last, both; empty: see `actors.cron.times`). `catch_up`: times that passed while nobody looked (none,
    last, all). `concurrent`: what to do when the run before has not ended (skip, queue, allow, cancel_other).
    """

    cron: str
    zone: str = "UTC"
    gap: str = "shift"
    overlap: str = ""
    catch_up: str = "last"
    concurrent: str = "skip"
    jitter: float = 0.0
    inputs: dict[str, Any] = {}


class RunVariable(msgspec.Struct, frozen=True, omit_defaults=True):
    """A context variable of runs: its type (JSON Schema), how updates merge, and what it is at the start unless it is
    given then (UNSET: nothing)."""

    schema: dict[str, Any] = {}
    merge: str = "last"
    secret: bool = False
    default: Any = msgspec.UNSET


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A workflow, ready to run. `inputs` is the JSON Schema of an object; `hash` names the definition."""

    name: str
    version: int
    hash: str
    root: Graph
    inputs: dict[str, Any] = {}
    concurrency: int | None = None
    """Steps of one run that may be under way at once."""
    timeout: float | None = None
    priority: int = 5
    grace: float = 10.0
    """Seconds a cancelled step has to end by itself."""
    runs: int | None = None
    """Runs of the workflow that may be under way at once."""
    queue: int = 1000
    """Further runs that may wait for their turn; beyond that they are refused."""
    schedule: Recurrence | None = None
    variables: dict[str, RunVariable] = {}
    """Context variables of a run, which agents that its steps ask are shown."""


decode_plan = msgspec.json.Decoder(Plan).decode
encode_plan = msgspec.json.Encoder(order="deterministic").encode
