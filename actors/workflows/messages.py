"""What a run is asked, by people, by timers and by other actors."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.workflows.plan import Recurrence
from actors.workflows.state import Part
from events.workflows import Parent, StepError


class StartRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """Begin, on this plan. `results` are recorded outputs of steps that need not run again (a fork)."""

    plan: msgspec.Raw
    inputs: dict[str, Any] = {}
    parent: Parent | None = None
    labels: dict[str, str] = {}
    priority: int | None = None
    by: str = ""
    results: dict[str, Any] = {}
    forked_from: str = ""
    part: Part | None = None
    reports_to: str = ""
    """The workflow that is told `RunOver` at the end, so that the next run may begin."""
    variables: dict[str, Any] = {}
    """Context variables of the run that begin with another value than the definition says."""
    requesters: list[str] = []
    """As in `StartWorkflow`."""
    cause: str = ""
    """As in `StartWorkflow`."""


class StartWorkflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ask a workflow (`workflow/<name>`) for a run of it; `version` is its newest when not given."""

    run: str
    inputs: dict[str, Any] = {}
    version: int | None = None
    parent: Parent | None = None
    labels: dict[str, str] = {}
    priority: int | None = None
    by: str = ""
    results: dict[str, Any] = {}
    """Recorded outputs of steps that need not run again, of the run `forked_from`."""
    forked_from: str = ""
    variables: dict[str, Any] = {}
    """Context variables of the run that begin with another value than the definition says."""
    requesters: list[str] = []
    """Everybody in whose name it runs, besides `by`; only an actor can name them. None of them may agree to what the
    run, or an agent that it asks, wants agreement for."""
    cause: str = ""
    """What started it all, where a run starts another one; empty: the correlation of this message."""


class SetSchedule(msgspec.Struct, frozen=True):
    """A workflow tells its schedule (`schedule/<name>`) when to run it: version `version` says so. None: never."""

    recurrence: Recurrence | None
    version: int


class StopRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ask a workflow to cancel a run of it, whether it began or still waits for its turn."""

    run: str
    reason: str = ""
    by: str = ""


class RunOver(msgspec.Struct, frozen=True):
    """A run tells its workflow that it ended. `run` is its id."""

    run: str
    status: str


class CancelRun(msgspec.Struct, frozen=True):
    """Stop what is under way, undo what can be undone, and end."""

    reason: str = ""
    by: str = ""


class PauseRun(msgspec.Struct, frozen=True):
    """Let no further step begin."""

    by: str = ""
    reason: str = ""


class UnpauseRun(msgspec.Struct, frozen=True):
    """Go on."""

    by: str = ""


class RetryRun(msgspec.Struct, frozen=True):
    """Try what failed in a run again, and what hung on it. `steps` are places to try again although they succeeded."""

    by: str = ""
    steps: list[str] = []
    slots: int | None = None
    """Of a part of a map: how many of its parent's slots it has now."""


class Signal(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event for a step that waits for one. `steps` are those that waited when it was recorded; empty: any."""

    type: str
    data: Any = None
    id: str = ""
    steps: list[str] = []


class StepDue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A timer of a step: retry, total, grace, wait, expire."""

    step: str
    why: str
    attempt: int = 0


class Continue(msgspec.Struct, frozen=True):
    """A run tells itself: there is more to decide."""


class UndoRun(msgspec.Struct, frozen=True):
    """Undo what the items of a part did, although they succeeded: the run around them did not."""

    reason: str = ""


class RunDue(msgspec.Struct, frozen=True):
    """The run's own time is over."""


class RunEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """A child run tells its parent how it ended."""

    ref: str
    status: str
    outputs: Any = None
    error: StepError | None = None
    usage: dict[str, str] = {}
    bad: int = 0
