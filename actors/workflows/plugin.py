"""Everything workflows need of the kernel, as one plugin: the kinds, with the expression language put in."""

from __future__ import annotations

from collections.abc import Sequence

from actors.approval import approval
from actors.asset import asset
from actors.core.kind import EffectKind, Plugin
from actors.limit import limit
from actors.schedule import schedule
from actors.workflows.expressions import Expressions
from actors.workflows.run import run_kind
from actors.workflows.workflow import workflow


def workflow_plugin(expressions: Expressions, effects: Sequence[EffectKind] = ()) -> Plugin:
    """The kinds of workflows. `effects` perform the tasks: `task-…`, `task-cancel`."""
    return Plugin(kinds=[run_kind(expressions), workflow, schedule, approval, limit, asset], effects=effects)
