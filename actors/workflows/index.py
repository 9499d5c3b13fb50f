"""A plan, opened: its steps and blocks by place. Kept by the plan's hash, since many runs share one plan."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from actors.workflows.places import inside
from actors.workflows.plan import Graph, GroupAction, Plan, Step, decode_plan, encode_plan
from actors.workflows.state import Run

KEPT: Final = 200
"""Plans kept open at once."""


class Index:
    """`steps` and `graphs` by place in the plan; the root graph is the empty string."""

    def __init__(self, plan: Plan, stored: bytes | None = None) -> None:
        self.plan = plan
        self._stored = stored
        self.steps: dict[str, Step] = {}
        self.graphs: dict[str, Graph] = {}
        self._open("", plan.root)

    @property
    def stored(self) -> msgspec.Raw:
        """The plan's bytes, the same for all runs of it."""
        if self._stored is None:
            self._stored = encode_plan(self.plan)
        return msgspec.Raw(self._stored)

    def _open(self, place: str, graph: Graph) -> None:
        todo = [(place, graph)]
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


_kept: OrderedDict[str, Index] = OrderedDict()


def index_of(run: Run) -> Index:
    """The opened plan of a run that was planned."""
    index = _kept.get(run.definition)
    if index is None:
        assert run.plan is not None
        index = _keep(run.definition, Index(run.plan))
    return index


def plan_from(definition: str, stored: bytes) -> Plan:
    """The plan that an event holds; one object for all runs of one definition."""
    index = _kept.get(definition)
    return (index or _keep(definition, Index(decode_plan(stored), stored))).plan


def _keep(definition: str, index: Index) -> Index:
    _kept[definition] = index
    if len(_kept) > KEPT:
        _kept.popitem(last=False)
    return index
