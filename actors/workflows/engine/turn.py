"""One decision of a run: events are tried on a scratch copy as they are made, so that each next one sees the last."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from actors.core.outputs import Tell
from actors.workflows.engine.look import look_from
from actors.workflows.expressions import Expressions
from actors.workflows.fold import evolve
from actors.workflows.index import Index, index_of
from actors.workflows.messages import Continue
from actors.workflows.moves import node_at
from actors.workflows.places import in_plan
from actors.workflows.plan import Step
from actors.workflows.state import ENDED, Node, Run, scratch
from actors.workflows.values import Template
from events.envelope import Message
from events.workflows import RunDeferred, StepError

KEPT: Final = 20_000
"""Compiled values kept."""

FULL: Final = 2_000
"""Outputs of one decision after which the rest is left to the next one."""


class Engine:
    """What every decision shares: the expression language, the values compiled with it, and what can be put off.

    `acts` are the functions that `Turn.later` may name; see `engine.acts`.
    """

    def __init__(self, expressions: Expressions, acts: Mapping[str, Callable[..., None]]) -> None:
        self.expressions = expressions
        self.acts = acts
        self._templates: OrderedDict[tuple[str, str, str], Template] = OrderedDict()

    def template(
        self, digest: str, place: str, field: str, value: Any, names: Callable[[], Collection[str]]
    ) -> Template:
        """A value of a plan, compiled; kept by (plan, place in the plan, field)."""
        key = (digest, place, field)
        found = self._templates.get(key)
        if found is None:
            found = self._templates[key] = Template(value, self.expressions, names())
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
    blocked: str = ""


NOTHING: Final = Facts()


class Stopped(msgspec.Struct, frozen=True):
    """What a step gives that was stopped from outside: no value, and no error of its own."""

    reason: str


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
        self._index: Index | None = None
        self._deferred = bool(run.deferred)
        self._todo: deque[list[Any]] = deque(run.deferred)

    @property
    def index(self) -> Index:
        """The plan."""
        if self._index is None:
            self._index = index_of(self.run)
        return self._index

    def emit(self, event: Any) -> None:
        """This happened."""
        self.events.append(event)
        evolve(self.run, event)

    def out(self, output: Any) -> None:
        """A tell, an effect, a timer or a reply."""
        self.outs.append(output)

    def later(self, act: str, *args: str | int) -> None:
        """Do this once what is under way is done: no recursion, however long the chain, nor too much at once."""
        self._todo.append([act, *args])

    @property
    def full(self) -> bool:
        """Whether the rest should be left to the next decision."""
        return len(self.events) + len(self.outs) > FULL

    def finish(self) -> list[Any]:
        """Do all that is left, or as much as fits; everything decided, in order."""
        todo, acts = self._todo, self.engine.acts
        while todo and not self.full:
            act = todo.popleft()
            acts[act[0]](self, *act[1:])
        if todo or self._deferred:
            self.emit(RunDeferred(list(todo)))
            if todo:
                self.out(Tell(self.address, Continue()))
        return [*self.events, *self.outs]

    @property
    def variables_of(self) -> str:
        """The run whose context variables count, if that is another one."""
        part = self.run.part
        return part.variables_of if part is not None else ""

    def step(self, place: str) -> Step:
        """The plan's word on a place."""
        return self.index.steps[in_plan(place)]

    def node(self, place: str) -> Node:
        """What is known of a place."""
        return node_at(self.run, place)

    def under_way(self, place: str) -> bool:
        """Whether what is at a place began and has not ended."""
        status = node_at(self.run, place).status
        return status != "pending" and status not in ENDED

    def is_past(self, place: str) -> bool:
        """Whether the action of a step is over, and the step is at its `catch` or `finally`."""
        scopes = self.run.scopes
        return f"{place}!catch" in scopes or f"{place}!finally" in scopes

    def template(self, place: str, field: str, value: Any) -> Template:
        """A value of the step at a place, compiled."""
        at = in_plan(place)
        return self.engine.template(self.run.digest, at, field, value, lambda: self.index.names(at))

    def render(self, place: str, field: str, value: Any) -> Any:
        """A value of the step at a place, as it is now. Raises ExpressionError."""
        if value is None:
            return None
        return self.template(place, field, value).render(look_from(self, place))
