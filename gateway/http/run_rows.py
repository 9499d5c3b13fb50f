"""A run as its readers see it: from the read model and the log, the parts of its large maps as if they were one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from actors.workflows.plan import Plan, decode_plan
from events.errors import NotFound
from events.workflows import RunFinished, RunStarted
from gateway.http.asking import caught_up, one
from gateway.http.route import Call
from projections.core.definition import Row
from projections.core.query import MAX_LIMIT, Filter, Order, Query
from projections.timeline import DONE, LIVE, intervals, place

LONGEST_WAITING: Final = 100
"""Waiting steps that are listed with a run."""

_WAITING: Final = ("queued", "waiting", "retrying", "unknown")

_usage = msgspec.json.Decoder(dict[str, str]).decode


async def run_row(call: Call, id: str) -> Row:
    """The row of a run. Raises NotFound."""
    await caught_up(call, "runs")
    row = await one(call, "runs", "runs", run=place(id))
    if row is None:
        raise NotFound(f"there is no run {id!r}", hint="`GET /v1/runs` lists them")
    return row


def shown(row: Row) -> dict[str, Any]:
    """A run in a list."""
    hidden = ("tenant", "part", "first", "finished", "position")
    return {name: value for name, value in row.items() if name not in hidden}


async def detail(call: Call, row: Row) -> dict[str, Any]:
    """A run, where it stands, and what it waits for."""
    id = row["run"]
    family = await Family.of(call, id)
    waiting = await _waiting(call, row, family)
    steps = dict.fromkeys((*LIVE, *DONE), 0)
    for some in _portions(family.runs):
        where = [Filter("run", "in", some)]
        found = await call.door.models.query("runs", Query(call.tenant, "run_progress", where, limit=MAX_LIMIT))
        for counts in found.rows:
            for status in steps:
                steps[status] += counts[status]
    started = await beginning(call, id)
    finished = await _end(call, row)
    return {
        **shown(row),
        "inputs": started.inputs if started is not None else {},
        "variables": await _variables(call, id),
        "outputs": finished.outputs if finished is not None else None,
        "steps": {status: number for status, number in steps.items() if number},
        "waiting": waiting,
        "position": row["position"],
    }


async def _variables(call: Call, id: str) -> dict[str, Any]:
    """The context variables that have a value now; those of a secret are references."""
    await caught_up(call, "variables")
    where = [Filter("holder", "=", f"run/{id}")]
    query = Query(call.tenant, "variables", where, [Order("name")], MAX_LIMIT)
    rows = (await call.door.models.query("variables", query)).rows
    return {row["name"]: msgspec.json.decode(row["value"]) for row in rows if row["value"] is not None}


async def _waiting(call: Call, row: Row, family: Family) -> list[dict[str, Any]]:
    if row["status"] == "queued":
        reason = f"its turn among the runs of {row['workflow']}"
        ref = f"workflow/{row['workflow']}"
        return [{"step": "", "status": "queued", "reason": reason, "ref": ref, "since": row["queued_at"]}]
    if row["status"] != "running":
        return []
    where = [Filter("run", "in", family.runs[:MAX_LIMIT]), Filter("status", "in", _WAITING)]
    query = Query(call.tenant, "steps", where, [Order("since")], limit=LONGEST_WAITING)
    found = await call.door.models.query("runs", query)
    return [
        {
            "step": family.place(step["run"], step["step"]),
            "status": step["status"],
            "reason": _reason(step),
            "ref": step["ref"],
            "since": step["since"],
            "until": step["until"],
        }
        for step in found.rows
        if "%" not in step["step"]
    ]


def _reason(step: Row) -> str:
    match step["status"]:
        case "queued" if step["queue"]:
            return f"a worker of queue {step['queue']}, or its result of {step['task']}"
        case "queued":
            return f"the result of {step['task']}"
        case "retrying":
            return f"the next attempt: {step['reason']}"
        case "unknown":
            return f"somebody who says what became of it: {step['reason']}"
        case _:
            return str(step["reason"])


def step_out(family: Family, row: Row) -> dict[str, Any]:
    """A step with its intervals."""
    names = (
        "status", "task", "queue", "attempt", "reason", "ref", "until", "began", "ended", "worker", "cached",
        "error_kind", "error", "items",
    )  # fmt: skip
    return {
        "step": family.place(row["run"], row["step"]),
        **{name: row[name] for name in names},
        "usage": _usage(row["usage"]),
        "intervals": intervals(row),
    }


class Family:
    """A run and the runs that handle the items of its large maps: their steps are shown as the run's own."""

    def __init__(self, root: str, parts: Mapping[str, Row]) -> None:
        self._root = root
        self._parts = parts
        self.runs: list[str] = [root, *parts]

    @staticmethod
    async def of(call: Call, root: str) -> Family:
        """Find the parts, and the parts' parts."""
        parts: dict[str, Row] = {}
        level = [root]
        while level:
            found: list[Row] = []
            for some in _portions(level):
                where = [Filter("parent", "in", some), Filter("part", "=", True)]
                found += await _all(call, Query(call.tenant, "runs", where, [Order("run")], MAX_LIMIT))
            fresh = [row for row in found if row["run"] not in parts and row["run"] != root]
            parts.update((row["run"], row) for row in fresh)
            level = [row["run"] for row in fresh]
        return Family(root, parts)

    def place(self, run: str, step: str) -> str:
        """A step of any of the runs, as the place it has in the whole."""
        while run != self._root and (part := self._parts.get(run)) is not None:
            owner = f"{part['parent_step']}["
            if step.startswith(owner):
                number, bracket, rest = step[len(owner) :].partition("]")
                if bracket and number.isdigit():
                    step = f"{owner}{int(number) + part['first']}]{rest}"
            run = part["parent"]
        return step


async def _all(call: Call, query: Query) -> list[Row]:
    rows: list[Row] = []
    after: str | None = None
    while True:
        page = await call.door.models.query("runs", msgspec.structs.replace(query, after=after))
        rows += page.rows
        after = page.next
        if after is None:
            return rows


def _portions(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[n : n + MAX_LIMIT] for n in range(0, len(names), MAX_LIMIT)]


# -- what the log keeps of a run


async def beginning(call: Call, id: str) -> RunStarted | None:
    """How the run began; None while it waits in line."""
    return await _event(call, id, 1, msgspec.json.Decoder(RunStarted).decode)


async def plan_of(call: Call, id: str) -> Plan:
    """The plan that the run is on. Raises NotFound while it waits in line."""
    found = await call.door.store.read_stream(call.tenant, f"run/{id}", after=1, limit=1)
    if not found or found[0].type != "RunPlanned":
        raise NotFound(f"run {id!r} has not begun", hint="it waits for its turn")
    return decode_plan(msgspec.json.decode(found[0].data, type=_Planned).plan)


class _Planned(msgspec.Struct):
    plan: msgspec.Raw


async def _end(call: Call, row: Row) -> RunFinished | None:
    if row["finished"] is None:
        return None
    return await _event(call, row["run"], row["finished"], msgspec.json.Decoder(RunFinished).decode)


async def _event(call: Call, id: str, version: int, decode: Callable[[bytes], Any]) -> Any:
    found = await call.door.store.read_stream(call.tenant, f"run/{id}", after=version - 1, limit=1)
    return decode(found[0].data) if found else None
