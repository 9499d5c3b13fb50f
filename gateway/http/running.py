"""Starting runs and operating them: each a message to the workflow or the run, under the caller's idempotency key."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from aiohttp import web

from actors.workflows.messages import CancelRun, PauseRun, RetryRun, Signal, StartWorkflow, StopRun, UnpauseRun
from actors.workflows.plan import Graph, Plan
from events.errors import Conflict, DeadlineExceeded, InvalidData
from gateway.http import body
from gateway.http.asking import CATCH_UP, ask, caught_up, keyed, message, one, reply, send
from gateway.http.context import REPLAYED
from gateway.http.models_workflows import (
    CancelIn,
    PauseIn,
    RetryIn,
    RunForkIn,
    RunIn,
    SignalIn,
    UnpauseIn,
)
from gateway.http.route import Call, answer
from gateway.http.run_rows import beginning, detail, plan_of, run_row
from gateway.problems import Declined, Overloaded
from projections.runs import STATUSES
from projections.timeline import place

ENDED: Final = frozenset(STATUSES) - {"queued", "running"}

AGAIN: Final = 100
"""Times that one key may be refused for overload; then it needs another."""


async def start(call: Call) -> web.Response:
    """Start a run. With `wait` the answer is 200 with its end, or 202 with its state when that takes longer."""
    name = call.path("name")
    asked = await body.model(call, RunIn)
    to = f"workflow/{name}"
    request = StartWorkflow(
        keyed(call, to, "run"), asked.inputs, asked.version, None, asked.labels, asked.priority, call.principal.name,
        variables=asked.variables,
    )  # fmt: skip
    said, again = await _let_in(call, to, request)
    out = await _settled(call, said["run"], asked.wait or 0.0)
    headers = {REPLAYED: "true"} if again else None
    return answer(out, status=200 if out["status"] in ENDED else 202, headers=headers)


async def _let_in(
    call: Call, to: str, request: StartWorkflow, asked: bytes | None = None
) -> tuple[dict[str, Any], bool]:
    """Ask the workflow. A refusal for overload is recorded like any other, yet the same key may be tried again."""
    again = False
    for attempt in range(AGAIN):
        sent = message(call, to, request, f"again {attempt}" if attempt else "", asked)
        found = await send(call, sent)
        again = again or found.duplicate
        try:
            return reply(sent, found), again
        except Declined as error:
            if error.reason_code != "busy":
                raise
            if not found.duplicate:
                raise Overloaded(error.message) from None
    raise Overloaded(f"{to} refused this key {AGAIN} times", hint="use another key")


async def _settled(call: Call, id: str, wait: float) -> dict[str, Any]:
    """The run, once it has ended or `wait` seconds have passed."""
    begun = time.monotonic()
    end = begun + min(wait, call.settings.max_wait)
    while True:
        head = await call.door.store.head()
        await caught_up(call, "runs")
        row = await one(call, "runs", "runs", run=place(id))
        # It was let in; the message that begins it may still be on its way.
        left = (begun + CATCH_UP if row is None else end) - time.monotonic()
        if (row is not None and row["status"] in ENDED) or left <= 0:
            break
        await call.door.heads.beyond(head, left)
    if row is None:
        raise DeadlineExceeded(f"run {id} was let in and has not begun", hint=f"`GET /v1/runs/{id}` shows it soon")
    return await detail(call, row)


async def cancel(call: Call) -> web.Response:
    """Stop what is under way, undo what can be undone, and end. A run in line never begins."""
    asked = await body.model(call, CancelIn, optional=True)
    row = await run_row(call, call.path("id"))
    who = call.principal.name
    if row["status"] == "queued":
        stop = StopRun(row["run"], asked.reason, who)
        return _answered(row["run"], await ask(call, f"workflow/{row['workflow']}", stop))
    return await _operate(call, row["run"], CancelRun(asked.reason, who))


async def pause(call: Call) -> web.Response:
    """Let no further step begin."""
    asked = await body.model(call, PauseIn, optional=True)
    row = await run_row(call, call.path("id"))
    return await _operate(call, row["run"], PauseRun(call.principal.name, asked.reason))


async def resume(call: Call) -> web.Response:
    """Let a paused run go on."""
    await body.model(call, UnpauseIn, optional=True)
    row = await run_row(call, call.path("id"))
    return await _operate(call, row["run"], UnpauseRun(call.principal.name))


async def retry(call: Call) -> web.Response:
    """Try the failed steps of a failed run again, and what hung on them."""
    asked = await body.model(call, RetryIn, optional=True)
    row = await run_row(call, call.path("id"))
    return await _operate(call, row["run"], RetryRun(call.principal.name, asked.steps))


async def signal(call: Call) -> web.Response:
    """An event for the steps of this run that wait for one."""
    asked = await body.model(call, SignalIn)
    row = await run_row(call, call.path("id"))
    return await _operate(call, row["run"], Signal(asked.type, asked.data, asked.id))


async def _operate(call: Call, id: str, data: msgspec.Struct) -> web.Response:
    return _answered(id, await ask(call, f"run/{id}", data))


def _answered(id: str, said: dict[str, Any]) -> web.Response:
    return answer({**said, "run": id}, headers={REPLAYED: "true"} if said["duplicate"] else None)


# -- a new run on the results of an old one


async def fork(call: Call) -> web.Response:
    """Start a run on the results of this one, as far as they do not hang on the step it begins with."""
    asked = await body.model(call, RunForkIn)
    row = await run_row(call, call.path("id"))
    if row["part"]:
        raise Conflict(f"{row['run']} is part of {row['parent']}", hint=f"fork {row['parent']}")
    plan = await plan_of(call, row["run"])
    redone = _hanging_on(plan.root, asked.step)
    view = await call.door.client.view(call.tenant, f"run/{row['run']}")
    nodes: dict[str, dict[str, Any]] = view.state.get("nodes", {})
    results = {
        step.name: nodes[step.name].get("output")
        for step in plan.root.steps
        if step.name not in redone and _succeeded(nodes.get(step.name))
    }
    started = await beginning(call, row["run"])
    inputs = asked.inputs if asked.inputs is not None or started is None else started.inputs
    to = f"workflow/{row['workflow']}"
    request = StartWorkflow(
        keyed(call, to, f"fork {row['run']}"), inputs or {}, row["version"], None, row["labels"], row["priority"],
        call.principal.name, results, row["run"], _values(view.state, plan),
    )  # fmt: skip
    # What was asked for tells another request, not the results that there were at the time.
    said, _ = await _let_in(call, to, request, msgspec.json.encode([row["run"], asked.step, asked.inputs]))
    out = {**said, "forked_from": row["run"], "reused": list(results)}
    return answer(out, headers={REPLAYED: "true"} if said["duplicate"] else None)


def _values(state: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """The context variables of a run: what its steps that are not done again have set is set."""
    values: dict[str, Any] = state.get("variables", {}).get("values", {})
    return {name: value for name, value in values.items() if name in plan.variables}


def _hanging_on(graph: Graph, name: str) -> set[str]:
    """The step and all that comes after it. Raises InvalidData when there is no such step."""
    dependents = {step.name: step.dependents for step in graph.steps}
    if name not in dependents:
        top = name.split("/")[0].split("[")[0].split("#")[0].split("!")[0]
        hint = f"begin with {top}, the step it is in" if top in dependents else f"steps are {', '.join(dependents)}"
        raise InvalidData(f"there is no step {name!r} to begin with", hint=hint)
    found, todo = {name}, [name]
    while todo:
        for dependent in dependents[todo.pop()]:
            if dependent not in found:
                found.add(dependent)
                todo.append(dependent)
    return found


def _succeeded(node: dict[str, Any] | None) -> bool:
    return node is not None and node.get("status") == "succeeded"
