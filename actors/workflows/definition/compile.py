"""From a definition to a plan: everything checked, names resolved, dependencies found and ordered."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from actors.workflows.definition.actions import Tasks
from actors.workflows.definition.assets import step_view
from actors.workflows.definition.document import Document, token
from actors.workflows.definition.expressions import Reader
from actors.workflows.definition.model import WorkflowModel
from actors.workflows.definition.needs import assets
from actors.workflows.definition.parts import ScheduleModel
from actors.workflows.definition.problems import DefinitionInvalid
from actors.workflows.definition.schemas import inputs_schema, outputs_schema, schedule_problems, typed_output
from actors.workflows.definition.scopes import View, open_blocks
from actors.workflows.definition.shape import follows, shape
from actors.workflows.definition.steps import Planner
from actors.workflows.definition.variables import variable
from actors.workflows.expressions import Expressions
from actors.workflows.plan import Plan, Recurrence, encode_plan


class Compiled(msgspec.Struct, frozen=True):
    """A definition that is right: its plan (version 0 until it is published), and the model for what else it says.

    `inputs` and `outputs` are JSON Schemas of objects; of the outputs those that have a schema.
    """

    plan: Plan
    model: WorkflowModel
    inputs: dict[str, Any]
    outputs: dict[str, Any] = {}


def compile_workflow(document: Document, expressions: Expressions, tasks: Tasks | None = None) -> Compiled:
    """Check a definition and plan it. Without `tasks` their names are taken as they are.

    The plan's hash does not depend on the order in which maps are written. Raises DefinitionInvalid.
    """
    value, moved, problems = step_view(document)
    document.moved = moved
    model, found = shape(document, value)
    problems += found
    if model is None:
        raise DefinitionInvalid(problems)
    reader = Reader(document, expressions, list(model.inputs))
    inputs = inputs_schema(reader, model.inputs)
    schedule_problems(reader, model, inputs)
    variables = {name: variable(reader, name, written) for name, written in model.variables.items()}
    root = open_blocks("/steps", model.steps)
    reader.problems += assets(document, root, model.assets)
    graph = Planner(reader, tasks).graph(root, model.policy, frozenset())
    outputs, outputs_typed = outputs_schema(reader, model.outputs)
    for name, written in outputs.items():
        at = f"/outputs/{token(name)}"
        reader.value(f"{at}/value" if typed_output(model.outputs[name]) else at, written, View(root))
    if not model.steps:
        reader.problem("/steps" if "steps" in value else "", "a workflow has at least one step")
    problems += [p for p in reader.problems if not follows(p, problems)]
    if problems:
        raise DefinitionInvalid(problems)
    limits = model.limits
    plan = Plan(
        model.name, 0, "", msgspec.structs.replace(graph, output=outputs or None), inputs, limits.concurrency,
        limits.timeout, model.priority, model.grace, limits.runs, limits.queue, _recurrence(model.schedule),
        {name: made for name, made in variables.items() if made is not None},
    )  # fmt: skip
    digest = blake2b(encode_plan(plan), digest_size=16).hexdigest()
    return Compiled(msgspec.structs.replace(plan, hash=digest), model, inputs, outputs_typed)


def _recurrence(model: ScheduleModel | None) -> Recurrence | None:
    if model is None:
        return None
    return Recurrence(
        model.cron,
        model.zone,
        model.gap,
        model.overlap or "",
        model.catch_up,
        model.concurrent,
        model.jitter,
        model.inputs,
    )
