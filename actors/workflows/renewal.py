"""A run that is retried: what of its state is kept, and what is as if it had never begun. Part of the fold.

Kept is what succeeded, within groups, maps and loops too. Renewed is what failed or was stopped, what was undone, what
is named, and whatever hung on any of these. Attempts go on counting, so that no late result is taken for a new one.
"""

from __future__ import annotations

from msgspec.structs import replace

from actors.workflows.index import index_of
from actors.workflows.moves import node_at
from actors.workflows.places import belongs, in_plan, inside, part
from actors.workflows.plan import Step
from actors.workflows.state import Node, Run
from events.workflows import RunRetried


def retried(run: Run, event: RunRetried) -> None:
    """Renew what is to be tried again."""
    run.status, run.closing, run.error, run.finished_at, run.outputs = "running", "", None, 0, None
    run.running, run.deferred = 0, []
    if run.part is not None:
        run.part = replace(run.part, slots=event.slots)
    run.backlog.clear()
    run.tickets = {}
    undone = [place.removesuffix("!undo") for place, n in run.nodes.items() if place.endswith("!undo") and n.began]
    Renewal(run, {*event.steps, *undone}).all()
    for place in [place for place in run.nodes if place.endswith("!undo")]:
        node = run.nodes[place]
        run.nodes[place] = Node(attempt=node.attempt, base=node.attempt)
    places = [place for _, place in sorted((int(n), p) for n, p in run.undos.items())]
    run.undos.clear()
    for n, place in enumerate(p for p in places if node_at(run, p).status == "succeeded"):
        run.undos[str(n)] = place
    run.undoable = len(run.undos)


class Renewal:
    """One pass over what there is. `again` are places to renew although they succeeded."""

    def __init__(self, run: Run, again: set[str]) -> None:
        self.run = run
        self.again = again
        self.within = {outer for place in again for outer in _enclosing(place)}
        self.steps = index_of(run).steps
        self.graphs = index_of(run).graphs
        self.forgotten: list[str] = []

    def all(self) -> None:
        """Renew the whole run."""
        if self.run.part is not None:
            place = self.run.part.place
            if self.run.nodes[place].held is not None:
                self.map(place)
        else:
            self.scope("")
        if self.forgotten:
            self._forget()

    def scope(self, place: str) -> None:
        """A block: its steps one by one, each after those it needs; then what it counts."""
        run = self.run
        graph = self.graphs[in_plan(place)]
        renewed: set[str] = set()
        for step in graph.steps:
            at = inside(place, step.name)
            if not renewed.isdisjoint(step.needs):
                self.forgotten.append(at)
                renewed.add(step.name)
            elif not self.keeps(at, step):
                self.step(at, step)
                renewed.add(step.name)
        kept = {s.name: _end_of(node_at(run, inside(place, s.name))) for s in graph.steps if s.name not in renewed}
        under_way = [s for s in renewed if node_at(run, inside(place, s)).status == "open"]
        run.scopes[place] = replace(
            run.scopes[place], left=len(graph.steps) - len(kept), active=len(under_way), closing="", why="", error=None,
            failed=list(kept.values()).count("failed"), succeeded=list(kept.values()).count("succeeded"),
        )  # fmt: skip
        for step in graph.steps:
            if step.name in renewed and step.needs:
                ends = [kept[need] for need in step.needs if need in kept]
                bad = sum(end in ("failed", "cancelled") for end in ends)
                run.nodes[inside(place, step.name)] = replace(
                    node_at(run, inside(place, step.name)), left=len(step.needs) - len(ends),
                    succeeded=ends.count("succeeded"), failed=bad, skipped=ends.count("skipped"),
                )  # fmt: skip

    def keeps(self, place: str, step: Step) -> bool:
        """Whether a step keeps its end."""
        status = _end_of(node_at(self.run, place))
        if place in self.again or place in self.within:
            return False
        return status in ("succeeded", "skipped") or (status == "failed" and step.optional)

    def step(self, place: str, step: Step) -> None:
        """A step that is to be tried again: from where it can be taken up, else from its beginning."""
        run = self.run
        node = node_at(run, place)
        last = run.scopes.get(f"{place}!finally")
        if place in self.again or node.status == "pending":
            self.forgotten.append(place)
        elif last is not None and last.vars["outcome"]["status"] == "succeeded" and place not in self.within:
            self._open(place)
            self.scope(f"{place}!finally")
        else:
            self.forgotten += [f"{place}!catch", f"{place}!finally"]
            run.scopes.pop(f"{place}!catch", None)
            run.scopes.pop(f"{place}!finally", None)
            self.main(place, step)

    def main(self, place: str, step: Step, *, item: bool = False) -> None:
        """What a step does besides `catch` and `finally`; of an item, what is done with it."""
        node = node_at(self.run, place)
        if step.each is not None and not item and node.held is not None:
            self.map(place)
        elif step.loop is not None and node.next:
            self.loop(place, step)
        elif place in self.run.scopes:
            self._open(place)
            self.scope(place)
        else:
            self.forgotten.append(place)

    def map(self, place: str) -> None:
        """A map keeps its items, and the results of those that succeeded."""
        run = self.run
        node = run.nodes[place]
        step = self.steps[in_plan(place)]
        done = begun = 0
        for n in range(0 if node.parts else node.count):
            item = f"{place}[{n}]"
            if node_at(run, item).status == "succeeded" and item not in self.within:
                done += 1
                begun += 1
            elif node_at(run, item).status != "pending":
                self.main(item, step, item=True)
                begun += node_at(run, item).status == "open"
        for n in range(node.parts):
            at = part(place, n)
            known = node_at(run, at)
            if known.status == "succeeded" and at not in self.again and not known.bad:
                done += len(known.output or ())
            elif known.status != "pending":
                run.nodes[at] = Node(attempt=known.attempt, base=known.attempt)
        self._open(place)
        run.nodes[place] = replace(run.nodes[place], done=done, begun=begun, bad=0, next=0)

    def loop(self, place: str, step: Step) -> None:
        """A loop goes on with the iteration that failed; when none did, it begins anew."""
        run = self.run
        last = run.nodes[place].next - 1
        at = f"{place}#{last}"
        if node_at(run, at).status not in ("failed", "cancelled") or any(belongs(p, place) for p in self.again):
            self.forgotten.append(place)
            return
        if at in run.scopes:
            self._open(at)
            self.scope(at)
        else:
            self.forgotten.append(at)
        under_way = node_at(run, at).status == "open"
        self._open(place)
        run.nodes[place] = replace(run.nodes[place], begun=last + under_way, done=last, next=last + under_way, bad=0)

    def _open(self, place: str) -> None:
        run = self.run
        node = node_at(run, place)
        run.nodes[place] = replace(node, status="open", error=None, reason="", ref="", output=None, slots=0, order=0)

    def _forget(self) -> None:
        """All that was known of these places and of what is within them; not how often they were tried."""
        run = self.run
        lost = set(self.forgotten)

        def gone(place: str) -> bool:
            return place in lost or any(outer in lost for outer in _enclosing(place))

        for place in [place for place in run.scopes if place and gone(place)]:
            del run.scopes[place]
        for place in [place for place in run.nodes if gone(place)]:
            node = run.nodes[place]
            fresh = Node(attempt=node.attempt, base=node.attempt)
            if place in lost:
                fresh = replace(
                    fresh, left=node.left, succeeded=node.succeeded, failed=node.failed, skipped=node.skipped
                )
            run.nodes[place] = fresh


def _end_of(node: Node) -> str:
    """How a step ended for those who need it."""
    return "failed" if node.blocked else node.status


def _enclosing(place: str) -> list[str]:
    """Every place that this one is within, innermost first."""
    found: list[str] = []
    for n in range(len(place) - 1, 0, -1):
        if place[n] in "/[#!%" and belongs(place, place[:n]):
            found.append(place[:n])
    return found
