"""`variables.set`: set context variables of the run."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.agents.messages import SetVariable
from actors.workflows.tasks import Task
from infra.tasks.builtin.asking import Asking
from infra.tasks.context import Context


class Values(msgspec.Struct, forbid_unknown_fields=True):
    """Values by the names of variables, as the workflow declares them."""

    values: dict[str, Any]


def variables_task(asking: Asking) -> Task:
    """The task `variables.set`."""

    async def set_variables(input: Values, context: Context) -> dict[str, Any]:
        """Set context variables of the run: `values` by name. Returns what they are now, merged by their rules.

        Errors: `refused` (not declared, of another type, or the rule is `conflict`).
        """
        now: dict[str, Any] = {}
        for name in sorted(input.values):
            change = SetVariable(name, input.values[name], context.run)
            said = await asking.send(context, context.variables_of, change, name)
            now[name] = said["value"]
        return now

    return Task(
        "variables.set", set_variables, input=Values, output=dict[str, Any], effect_class="keyed", volatile=True
    )  # fmt: skip
