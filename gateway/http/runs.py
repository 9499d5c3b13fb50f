"""GET /v1/runs: runs, one of them now or then, its timeline, its graph."""

from __future__ import annotations

from collections import Counter
from typing import Any

from aiohttp import web

from actors.workflows.index import Index
from actors.workflows.places import in_plan
from actors.workflows.plan import (
    ApprovalAction,
    GroupAction,
    Step,
    SwitchAction,
    TaskAction,
    ValueAction,
    WaitAction,
    WorkflowAction,
)
from gateway.http.asking import limit, page
from gateway.http.route import Call, answer
from gateway.http.run_rows import Family, detail, plan_of, run_row, shown, step_out
from projections.core.query import Filter, Order, Query

KINDS = {
    TaskAction: "task", WorkflowAction: "workflow", WaitAction: "wait", ApprovalAction: "approval",
    SwitchAction: "switch", GroupAction: "group", ValueAction: "value",
}  # fmt: skip


async def list_runs(call: Call) -> web.Response:
    """Runs, newest first. Parts of large maps are not listed: they belong to their run."""
    asked = call.query
    where = [Filter("part", "=", False)]
    for name in ("workflow", "status", "parent"):
        if (value := getattr(asked, name)) is not None:
            where.append(Filter(name, "=", value))
    order = [Order("started_at", descending=True)]
    found = await page(call, "runs", Query(call.tenant, "runs", where, order, limit(call), asked.after))
    counted = await call.door.models.query("runs", Query(call.tenant, "run_counts"))
    counts = {row["status"]: row["runs"] for row in counted.rows}
    rows = [shown(row) for row in found.rows]
    return answer({"runs": rows, "next": found.next, "counts": counts, "position": found.cursor})


async def show(call: Call) -> web.Response:
    """A run, now or at a version of its history."""
    row = await run_row(call, call.path("id"))
    if call.query.at is None:
        return answer(await detail(call, row))
    return answer(await _then(call, row, call.query.at))


async def _then(call: Call, row: dict[str, Any], at: int) -> dict[str, Any]:
    """The run folded up to a version."""
    id = row["run"]
    view = await call.door.client.view(call.tenant, f"run/{id}", at)
    state: dict[str, Any] = view.state
    nodes: dict[str, dict[str, Any]] = state.get("nodes", {})
    known = [{"step": name, **_node(node)} for name, node in nodes.items() if "%" not in name]
    error: dict[str, Any] = state.get("error") or {}
    counts = Counter(node["status"] for node in known)
    return {
        **shown(row),
        "status": _status(state),
        "closing": state.get("closing") or None,
        "paused": state.get("paused", False),
        "finished_at": state.get("finished_at") or None,
        "error_kind": error.get("kind"),
        "error": error.get("message"),
        "usage": state.get("usage", {}),
        "inputs": state.get("inputs", {}),
        "variables": state.get("variables", {}).get("values", {}),
        "outputs": state.get("outputs"),
        "steps": dict(counts),
        "waiting": [_wait(node) for node in known if node["status"] in ("waiting", "queued", "retrying", "unknown")],
        "position": row["position"],
        "at": at,
        "nodes": known,
    }


def _status(state: dict[str, Any]) -> str:
    status = state.get("status", "new")
    return "queued" if status == "new" else str(status)


def _node(node: dict[str, Any]) -> dict[str, Any]:
    error: dict[str, Any] = node.get("error") or {}
    status = node.get("status", "pending")
    return {
        "status": "running" if status == "open" else status,
        "attempt": node.get("attempt", 0),
        "reason": node.get("reason") or None,
        "ref": node.get("ref") or None,
        "since": node.get("since", 0),
        "error_kind": error.get("kind"),
        "error": error.get("message"),
    }


def _wait(node: dict[str, Any]) -> dict[str, Any]:
    reason = node["reason"] or ("its result" if node["status"] == "queued" else node["error"] or "")
    return {
        "step": node["step"], "status": node["status"], "reason": reason, "ref": node["ref"], "since": node["since"]
    }  # fmt: skip


async def timeline(call: Call) -> web.Response:
    """The steps of a run, each with the intervals it was in."""
    row = await run_row(call, call.path("id"))
    family = await Family.of(call, row["run"])
    where = [Filter("run", "in", family.runs)]
    if call.query.status is not None:
        where.append(Filter("status", "=", call.query.status))
    order = [Order("began"), Order("position")]
    found = await call.door.models.query(
        "runs", Query(call.tenant, "steps", where, order, limit(call), call.query.after)
    )
    steps = [step_out(family, step) for step in found.rows if "%" not in step["step"]]
    return answer({"run": row["run"], "steps": steps, "next": found.next, "position": found.cursor})


async def graph(call: Call) -> web.Response:
    """The plan of a run, with the status of every step."""
    row = await run_row(call, call.path("id"))
    plan = await plan_of(call, row["run"])
    family = await Family.of(call, row["run"])
    states, counts = await _states(call, family)
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, str]] = []
    for place, step in Index(plan).steps.items():
        scope = place.rpartition("/")[0]
        nodes.append(
            {
                "id": place,
                "name": step.name,
                "kind": KINDS[step.action.__class__],
                "task": step.action.task if isinstance(step.action, TaskAction) else None,
                "scope": scope or None,
                "status": states.get(place) or _overall(counts.get(place, Counter())),
                "counts": dict(counts.get(place, {})) if _many(place, step, states) else {},
            }
        )
        edges += [{"from": f"{scope}/{need}" if scope else need, "to": place} for need in step.needs]
    about = {"run": row["run"], "workflow": row["workflow"], "version": row["version"], "status": row["status"]}
    return answer({**about, "nodes": nodes, "edges": edges})


async def _states(call: Call, family: Family) -> tuple[dict[str, str], dict[str, Counter[str]]]:
    """The status of each step that is there once, and how many of those that are repeated have which."""
    states: dict[str, str] = {}
    counts: dict[str, Counter[str]] = {}
    after: str | None = None
    where = [Filter("run", "in", family.runs)]
    while True:
        found = await call.door.models.query("runs", Query(call.tenant, "steps", where, limit=1000, after=after))
        for row in found.rows:
            place = row["step"]
            if "%" in place:
                continue
            planned = in_plan(place)
            if planned == place:
                if row["run"] == family.runs[0]:
                    states[place] = row["status"]
            else:
                counts.setdefault(planned, Counter())[row["status"]] += 1
        after = found.next
        if after is None:
            return states, counts


def _many(place: str, step: Step, states: dict[str, str]) -> bool:
    return step.each is not None or step.loop is not None or place not in states


def _overall(counts: Counter[str]) -> str:
    """One word for steps that are repeated within a map or a loop around them."""
    for status in ("running", "queued", "retrying", "waiting", "unknown", "cancelling", "failed", "cancelled"):
        if counts.get(status):
            return status
    return next(iter(counts), "pending")
