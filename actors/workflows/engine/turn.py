"""One decision of a run: events are tried on a scratch copy as they are made, so that each next one sees the last."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec

from actors.workflows.expressions import Expressions
from actors.workflows.fold import evolve, node_at
from actors.workflows.index import Index, index_of
from actors.workflows.places import in_plan, repeats
from actors.workflows.plan import Step
from actors.workflows.state import Node, Run, scratch
from actors.workflows.values import Template
from events.envelope import Message
from events.workflows import StepError

KEPT: Final = 5_000
"""Compiled values kept."""


class Engine:
    """What every decision shares: the expression language, and the values compiled with it."""

    def __init__(self, expressions: Expressions) -> None:
        self.expressions = expressions
        self._templates: OrderedDict[tuple[str, str, str], Template] = OrderedDict()

    def template(self, definition: str, place: str, field: str, value: Any, names: Collection[str]) -> Template:
        """A value of a plan, compiled; kept by (definition, place in the plan, field)."""
        key = (definition, place, field)
        found = self._templates.get(key)
        if found is None:
            found = self._templates[key] = Template(value, self.expressions, names)
            if len(self._templates) > KEPT:
                self._templates.popitem(last=False)
        return found


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a result besides its value; see `StepSucceeded`."""

    attempt: int = 0
    started: int | None = None
    worker: str = ""
    usage: dict[str, str] = {}
    cached: str = ""
    collected: int | None = None
    recovered: StepError | None = None


NOTHING: Final = Facts()


class Turn:
    """What one message leads to. `events` and `outs` are what `decide` returns."""

    def __init__(self, engine: Engine, run: Run, address: str, message: Message) -> None:
        self.engine = engine
        self.run = scratch(run)
        self.address = address
        self.message = message
        self.now = message.time
        self.events: list[Any] = []
        self.outs: list[Any] = []
        self._todo: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()

    @property
    def index(self) -> Index:
        """The plan."""
        return index_of(self.run)

    def emit(self, event: Any) -> None:
        """This happened."""
        self.events.append(event)
        evolve(self.run, event)

    def out(self, output: Any) -> None:
        """A tell, an effect, a timer or a reply."""
        self.outs.append(output)

    def later(self, what: Callable[..., None], *args: Any) -> None:
        """Do this once what is under way is done: no recursion, however long the chain."""
        self._todo.append((what, args))

    def finish(self) -> list[Any]:
        """Do all that is left; everything decided, in order."""
        while self._todo:
            what, args = self._todo.popleft()
            what(*args)
        return [*self.events, *self.outs]

    def step(self, place: str) -> Step:
        """The plan's word on a place."""
        return self.index.steps[in_plan(place)]

    def node(self, place: str) -> Node:
        """What is known of a place."""
        return node_at(self.run, place)

    def template(self, place: str, field: str, value: Any) -> Template:
        """A value of the step at a place, compiled."""
        return self.engine.template(self.run.definition, in_plan(place), field, value, self.names(place))

    def render(self, place: str, field: str, value: Any) -> Any:
        """A value of the step at a place, as it is now. Raises ExpressionError."""
        from actors.workflows.engine.look import look_from

        return self.template(place, field, value).render(look_from(self, place))

    def names(self, place: str) -> tuple[str, ...]:
        """What the maps around a place call their items."""
        steps = self.index.steps
        found: list[str] = []
        place = in_plan(place)
        while place:
            step = steps.get(place)
            if step is not None and step.each is not None:
                found.append(step.each.name)
            cut = max(place.rfind("/"), place.rfind("!"))
            place = place[: max(cut, 0)]
        return tuple(found)


def is_step(place: str) -> bool:
    """Whether a place is a step itself, not one of its items or iterations."""
    return repeats(place) is None
