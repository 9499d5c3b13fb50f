"""What must be true of a run between two messages: above all, that something is under way as long as it runs."""

from __future__ import annotations

from actors.workflows.index import Index, index_of
from actors.workflows.moves import SLOT, node_at
from actors.workflows.places import in_plan, inside, part, repeats, scope_of, stands_alone
from actors.workflows.state import ENDED, Run

LEAVES = ("waiting", "queued", "retrying", "cancelling", "unknown")


def problems(run: Run) -> list[str]:
    """Everything that is wrong; empty for a sound run. It looks at every step, so it is for tests and doctors."""
    if run.status == "new":
        return []
    index = index_of(run)
    found = [*_counts(run, index), *_line(run)]
    if run.status != "running":
        return [
            *found,
            *(
                f"{p} is {n.status} in a run that {run.status}"
                for p, n in run.nodes.items()
                if _open(n.status) and not _is_part(run, p)
            ),
        ]
    if run.deferred:
        return found
    for place, node in run.nodes.items():
        over = run.closing and _is_part(run, place)  # it may be undoing what its items did
        if node.status in ("open", "cancelling") and not over and not _goes_on(run, index, place):
            found.append(f"{place} is {node.status} and nothing of it is under way")
    for place, scope in run.scopes.items():
        if scope.kind != "root" and node_at(run, _opener(place)).status in ENDED:
            continue
        if scope.closing or (run.closing and place == ""):
            continue
        for step in index.graphs[in_plan(place)].steps:
            at = inside(place, step.name)
            node = node_at(run, at)
            if node.status == "pending" and (not step.needs or node.left == 0) and not _over(run, place):
                found.append(f"{at} is ready and was not begun")
    if not any(node.status in LEAVES for node in run.nodes.values()):
        found.append("the run is running and nothing is under way")
    return found


def _open(status: str) -> bool:
    return status not in ENDED and status != "pending"


def _is_part(run: Run, place: str) -> bool:
    """Whether a place is the map that this run handles some items of: it ends in the parent."""
    return run.part is not None and run.part.place == place


def _opener(scope: str) -> str:
    return scope.rpartition("!")[0] if scope.endswith(("!catch", "!finally")) else scope


def _over(run: Run, scope: str) -> bool:
    """Whether a block ended, and its step is at what comes after it."""
    return f"{scope}!catch" in run.scopes or (
        f"{_opener(scope)}!finally" in run.scopes and not scope.endswith("!finally")
    )


def _goes_on(run: Run, index: Index, place: str) -> bool:
    node = node_at(run, place)
    for scope in (f"{place}!finally", f"{place}!catch", place):
        if scope in run.scopes:
            steps = index.graphs[in_plan(scope)].steps
            return any(_open(node_at(run, inside(scope, step.name)).status) for step in steps)
    if node.parts:
        return any(_open(node_at(run, part(place, n)).status) for n in range(node.parts))
    if node.held is not None:
        return any(_open(node_at(run, f"{place}[{n}]").status) for n in range(node.count))
    if node.status == "open":
        return bool(node.next) and _open(node_at(run, f"{place}#{node.next - 1}").status)
    return True


def _counts(run: Run, index: Index) -> list[str]:
    found: list[str] = []
    slots = sum(node.slots for node in run.nodes.values())
    if slots != run.running:
        found.append(f"{run.running} slots are counted, {slots} are taken")
    for place, scope in run.scopes.items():
        nodes = [node_at(run, inside(place, step.name)) for step in index.graphs[in_plan(place)].steps]
        left = sum(node.status not in ENDED for node in nodes)
        active = sum(_open(node.status) for node in nodes)
        if (left, active) != (scope.left, scope.active):
            found.append(f"block {place!r}: {scope.left} left, {scope.active} under way; in truth {left}, {active}")
    for place, node in run.nodes.items():
        if node.held is not None and not node.parts:
            items = [node_at(run, f"{place}[{n}]").status for n in range(node.count)]
            done, begun = sum(s in ENDED for s in items), sum(s != "pending" for s in items)
            if (done, begun) != (node.done, node.begun):
                found.append(f"{place}: {node.begun} items begun, {node.done} done; in truth {begun}, {done}")
        if node.left >= 0 and not stands_alone(place) and repeats(place) is None and node.status == "pending":
            needs = index.steps[in_plan(place)].needs
            left = sum(node_at(run, inside(scope_of(place), need)).status not in ENDED for need in needs)
            if left != node.left:
                found.append(f"{place} waits for {node.left} steps, in truth for {left}")
    return found


def _line(run: Run) -> list[str]:
    waiting = {place for place, node in run.nodes.items() if node.status == "waiting" and node.reason == SLOT}
    if waiting != set(run.backlog.values()):
        return [f"those who wait for a slot are {sorted(waiting)}, those in line {sorted(run.backlog.values())}"]
    part = run.part
    limit = index_of(run).plan.concurrency if part is None else part.slots
    if run.status == "running" and waiting and not run.paused and not run.deferred and limit and run.running < limit:
        return [f"{limit - run.running} slots are free, and {len(waiting)} steps wait for one"]
    return []
