"""Workflow definitions as a story: versions are published, runs are let in or wait for their turn, and end.

Times are microseconds since 1970 (UTC).
"""

from __future__ import annotations

from typing import Any

import msgspec


class WorkflowPublished(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new version. `source` is the definition as it was written, `plan` what runs are started on."""

    version: int
    hash: str
    source: str
    plan: msgspec.Raw
    at: int
    by: str = ""


class WorkflowRetired(msgspec.Struct, frozen=True, omit_defaults=True):
    """No run is started any more, until a version is published again."""

    at: int
    by: str = ""
    reason: str = ""


class WorkflowRunQueued(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run was asked for while as many as may run at once did: it waits. `request` is what was asked."""

    run: str
    version: int
    request: Any
    at: int


class WorkflowRunAdmitted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run was started."""

    run: str
    version: int
    at: int
    by: str = ""


class WorkflowRunEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run ended, or was taken from the queue before it began (`cancelled`)."""

    run: str
    status: str
    at: int
    reason: str = ""


DEFINITION_EVENTS = (WorkflowPublished, WorkflowRetired, WorkflowRunQueued, WorkflowRunAdmitted, WorkflowRunEnded)
