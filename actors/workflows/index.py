"""A plan, opened: its steps and blocks by place. Kept by the digest of its bytes, since many runs share one plan."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from actors.workflows.places import inside
from actors.workflows.plan import Graph, GroupAction, Plan, Step, decode_plan
from actors.workflows.state import Run

KEPT: Final = 1_000
"""Plans kept open at once."""


class Index:
    """`steps` and `graphs` by place in the plan; the root graph is the empty string."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps: dict[str, Step] = {}
        self.graphs: dict[str, Graph] = {}
        todo = [("", plan.root)]
        while todo:
            place, graph = todo.pop()
            self.graphs[place] = graph
            for step in graph.steps:
                at = inside(place, step.name)
                self.steps[at] = step
                if isinstance(step.action, GroupAction):
                    todo.append((at, step.action.body))
                if step.catch is not None:
                    todo.append((f"{at}!catch", step.catch))
                if step.finally_ is not None:
                    todo.append((f"{at}!finally", step.finally_))

    def undoes(self, place: str) -> bool:
        """Whether a step within a step can be undone."""
        return any(at.startswith(f"{place}/") and step.undo is not None for at, step in self.steps.items())

    def names(self, place: str) -> tuple[str, ...]:
        """What the maps around a place in the plan call their items."""
        found: list[str] = []
        while place:
            step = self.steps.get(place)
            if step is not None and step.each is not None:
                found.append(step.each.name)
            place = place[: max(place.rfind("/"), place.rfind("!"), 0)]
        return tuple(found)


_kept: OrderedDict[str, Index] = OrderedDict()


def index_of(run: Run) -> Index:
    """The opened plan of a run that was planned."""
    found = _kept.get(run.digest)
    if found is None:
        found = _kept[run.digest] = Index(decode_plan(run.plan))
        if len(_kept) > KEPT:
            _kept.popitem(last=False)
    elif len(_kept) > KEPT // 2:
        _kept.move_to_end(run.digest)
    return found


def digest_of(stored: bytes) -> str:
    """What names a plan: its bytes, not what they say of themselves."""
    return blake2b(stored, digest_size=16).hexdigest()
