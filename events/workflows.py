"""Workflow runs as a story: a run is started on a plan, its steps are queued, end one way or another, and so does it.

`step` is the place of a step in its run: `a`, `group/a`, `files[3]/measure`, `poll#2`, `a!catch/b`, `a!finally/b`,
`a!undo`. Times are microseconds since 1970 (UTC); `usage` sums whatever the tasks report.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.registry import Type, as_before, versioned


class StepError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong: `kind` is what retry rules and `catch` look at (error, timeout, lost, cancelled, unknown, …)."""

    kind: str
    message: str
    data: Any = None


class Parent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who started a run and wants to hear of its end: an actor, and what it calls this run."""

    address: str
    ref: str
    depth: int = 1
    policy: str = "cancel"
    """When the parent is cancelled or fails: cancel, or abandon."""


# -- the run


class RunStarted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run began. `definition` is the hash of the plan that follows in `RunPlanned`."""

    workflow: str
    version: int
    definition: str
    inputs: dict[str, Any]
    at: int
    parent: Parent | None = None
    labels: dict[str, str] = {}
    priority: int = 5
    by: str = ""
    forked_from: str = ""
    part: Any = None
    """Of a run that handles some of the items of its parent's map: which."""
    reports_to: str = ""
    """The workflow that is told of the end."""
    requesters: list[str] = []
    """Everybody in whose name it runs, besides `by`: of a run that is a tool, the people of the turn and the agents."""
    cause: str = ""
    """What started it all: the correlation that what its steps ask for has."""


class RunPlanned(msgspec.Struct, frozen=True):
    """The plan, as it is stored: the same for every run of one version, so a large one is stored once."""

    plan: msgspec.Raw


class RunPaused(msgspec.Struct, frozen=True):
    """Steps under way go on; no other begins."""

    by: str
    reason: str = ""


class RunUnpaused(msgspec.Struct, frozen=True):
    """Steps begin again."""

    by: str


class RunClosing(msgspec.Struct, frozen=True, omit_defaults=True):
    """The run will end as `status` (failed or cancelled) once its steps under way have ended."""

    status: str
    reason: str
    by: str = ""
    error: StepError | None = None


class RunRetried(msgspec.Struct, frozen=True):
    """A run that did not succeed goes on: what failed, was stopped or undone is tried again, and what hung on it.

    `steps` are places that are tried again although they succeeded.
    """

    steps: list[str]
    by: str
    slots: int | None = None
    """Of a part of a map: how many of its parent's slots it has now."""


class RunDeferred(msgspec.Struct, frozen=True):
    """There is more to decide than fits into one decision: the next one goes on with this; empty: nothing is left."""

    todo: list[list[Any]]


class RunFinished(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end: succeeded, failed or cancelled."""

    status: str
    at: int
    outputs: Any = None
    error: StepError | None = None
    usage: dict[str, str] = {}


# -- steps


class StepQueued(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task was asked for: an effect of that key is open now."""

    step: str
    task: str
    attempt: int
    at: int
    input: Any = None
    queue: str = ""


class StepWaiting(msgspec.Struct, frozen=True, omit_defaults=True):
    """The step is ready but must wait: for a limit, an approval, a time, an event, a child run, a person."""

    step: str
    reason: str
    at: int
    until: int | None = None
    ref: str = ""
    attempt: int = 0
    """Of a wait that may be tried again (a child run, an approval): the how-manieth it is; 0 says nothing."""
    slots: int = 0
    """Slots of the run that it takes all the same: those of a part of a map, for its items."""
    passed: str = ""
    """What a task need not wait for any more: `results` (no earlier one will do), `limits` (it holds their units)."""


class EventAwaited(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step waits for an event of `type` for which `match` holds; `seen` is what else that expression reads."""

    step: str
    type: str
    at: int
    match: str = ""
    names: list[str] = []
    """What the maps around the step call their items."""
    seen: dict[str, Any] = {}


class EventWaitOver(msgspec.Struct, frozen=True):
    """The step waits for its event no longer."""

    step: str
    at: int


class StepRetrying(msgspec.Struct, frozen=True, omit_defaults=True):
    """An attempt failed; the next one begins at `until`."""

    step: str
    attempt: int
    error: StepError
    at: int
    until: int
    usage: dict[str, str] = {}


class StepSucceeded(msgspec.Struct, frozen=True, omit_defaults=True):
    """The step's result. `started` and `worker` are the performer's word; `cached` names where the result is from."""

    step: str
    at: int
    output: Any = None
    attempt: int = 1
    started: int | None = None
    worker: str = ""
    usage: dict[str, str] = {}
    cached: str = ""
    collected: int | None = None
    """Of a map: its output is the list of the results of that many items."""
    recovered: StepError | None = None
    """The error that `catch` dealt with."""
    blocked: str = ""
    """The blocking check of what it produced that failed: for those who need it, the step failed."""


class StepFailed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The step failed for good."""

    step: str
    at: int
    error: StepError
    attempt: int = 1
    started: int | None = None
    worker: str = ""
    usage: dict[str, str] = {}


class StepSkipped(msgspec.Struct, frozen=True, omit_defaults=True):
    """The step does not run: its condition is false, or too little of what it needs came true."""

    step: str
    reason: str
    at: int
    decision: Any = None
    """What the condition saw: {expression, inputs, value}."""


class StepCancelling(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step under way was asked to stop. With `error` (out of time, too many items failed) that is how it will end."""

    step: str
    reason: str
    at: int
    error: StepError | None = None


class StepCancelled(msgspec.Struct, frozen=True, omit_defaults=True):
    """The step was stopped before it had a result."""

    step: str
    reason: str
    at: int
    attempt: int = 1
    usage: dict[str, str] = {}


class StepUnknown(msgspec.Struct, frozen=True):
    """Nobody knows whether the task did its work; a reconciler or a person must say. The step waits."""

    step: str
    at: int
    reason: str


class LateResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """A result came after the step had ended without it: kept, not applied."""

    step: str
    at: int
    status: str
    output: Any = None
    error: str = ""
    usage: dict[str, str] = {}


# -- structure


class BranchTaken(msgspec.Struct, frozen=True):
    """A switch chose `chosen` and not `others`; `inputs` is what its conditions saw."""

    step: str
    at: int
    chosen: list[str]
    others: list[str]
    inputs: Any


class ScopeOpened(msgspec.Struct, frozen=True, omit_defaults=True):
    """Steps of a block begin: `kind` is group, item, iteration, catch, finally or undo; `vars` is what they can see."""

    scope: str
    kind: str
    at: int
    vars: dict[str, Any] = {}


class ScopeClosing(msgspec.Struct, frozen=True, omit_defaults=True):
    """No further step of this block begins; it ends once those under way have ended."""

    scope: str
    reason: str
    at: int
    error: StepError | None = None
    why: str = "failed"
    """failed (a step did), enough (as many succeeded as must), stopped (from outside)."""


class MapExpanded(msgspec.Struct, frozen=True, omit_defaults=True):
    """A map step has these items. With `children` they are handled by child runs, at most 1,000 items each."""

    step: str
    at: int
    count: int
    items: list[Any] = []
    keys: list[str] = []
    children: list[str] = []


class LoopStarted(msgspec.Struct, frozen=True):
    """A loop step begins its first iteration."""

    step: str
    at: int


class ChildEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """A child run told how it ended."""

    step: str
    child: str
    at: int
    status: str
    output: Any = None
    error: StepError | None = None
    usage: dict[str, str] = {}
    bad: int = 0
    """Of a part of a map: its items that failed."""


RUN_STARTED = versioned(RunStarted, schema=2, upcasters={1: as_before})
"""Version 1 knew one requester, `by`, and not the cause."""

RUN_EVENTS: tuple[type[Any] | Type, ...] = (
    RUN_STARTED, RunPlanned, RunPaused, RunUnpaused, RunClosing, RunRetried, RunDeferred,
    RunFinished,
    StepQueued, StepWaiting, EventAwaited, EventWaitOver,
    StepRetrying, StepSucceeded, StepFailed, StepSkipped, StepCancelling, StepCancelled,
    StepUnknown, LateResult, BranchTaken, ScopeOpened, ScopeClosing, MapExpanded, LoopStarted,
    ChildEnded,
)  # fmt: skip
