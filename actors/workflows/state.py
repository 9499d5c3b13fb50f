"""The state of a run, and the fold: what each event makes of it. One event costs what it touches, not what there is."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from actors.agents.variables import Variables, copied
from events.workflows import Parent, StepError

K = TypeVar("K")
V = TypeVar("V")

ENDED = frozenset(("succeeded", "failed", "skipped", "cancelled"))


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run that handles some of the items of its parent's map: it begins there, and ends with it.

    `captured` is what the items read from around the map, by reference.
    """

    place: str
    first: int
    items: list[Any]
    keys: list[str] = []
    concurrency: int | None = None
    tolerate: int = 0
    slots: int | None = None
    """Tasks that may be under way at once."""
    captured: dict[str, Any] = {}
    variables_of: str = ""
    """The run whose context variables count."""


class Items(msgspec.Struct, frozen=True):
    """What a map goes over. `keys` is empty when the index names an item."""

    items: list[Any]
    keys: list[str]


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step at one place of the run. It exists from the moment something is known of it."""

    status: str = "pending"
    """pending, waiting, queued, retrying, open (its scope runs), cancelling, unknown; or how it ended."""
    left: int = -1
    """Needed steps that have not ended; -1 before the first did."""
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    """Of the needed steps that ended."""
    attempt: int = 0
    """Attempts so far, over the whole life of the run: no two attempts of a place have the same number."""
    base: int = 0
    """Attempts made before the run was last retried."""
    lost: int = 0
    """Attempts since then that were lost with their worker: they do not count."""
    output: Any = None
    error: StepError | None = None
    since: int = 0
    """When it took this status (µs)."""
    began: int = 0
    """When it was ready for the first time (µs)."""
    reason: str = ""
    """What it waits for."""
    ref: str = ""
    """The approval, child run, limit or ticket it waits for."""
    slots: int = 0
    """How many it counts for among the tasks under way: 1 for a task, more for a part of a map."""
    order: int = 0
    """The how-manieth step to succeed: undoing goes back along it."""
    count: int = 0
    """Items of a map, iterations of a loop."""
    done: int = 0
    bad: int = 0
    """Items that ended, and those of them that failed."""
    begun: int = 0
    next: int = 0
    """Items that began, and the first that did not."""
    parts: int = 0
    """Child runs that handle the items."""
    chosen: tuple[str, ...] | None = None
    """What a switch chose."""
    held: Items | None = None
    """The items of a map."""
    passed: str = ""
    """What its next attempt need not wait for any more: results, limits."""
    blocked: str = ""
    """The blocking check that failed: the step succeeded, but those who need it are dealt with as after a failure."""


class Scope(msgspec.Struct, frozen=True, omit_defaults=True):
    """Steps of one block at one place of the run."""

    kind: str
    left: int
    """Steps that have not ended."""
    active: int = 0
    """Steps that are under way: they began and have not ended."""
    failed: int = 0
    succeeded: int = 0
    closing: str = ""
    why: str = ""
    """Why it closes: failed, enough or stopped."""
    error: StepError | None = None
    vars: dict[str, Any] = {}


def _no_plan() -> msgspec.Raw:
    return msgspec.Raw(b"null")


class Run(msgspec.Struct, omit_defaults=True):
    """A run. `nodes` and `scopes` are keyed by place; the root scope is the empty string."""

    status: str = "new"
    workflow: str = ""
    version: int = 0
    definition: str = ""
    plan: msgspec.Raw = msgspec.field(default_factory=_no_plan)
    """The plan as it is stored; `index.index_of` opens it."""
    digest: str = ""
    """Names those bytes."""
    inputs: dict[str, Any] = {}
    parent: Parent | None = None
    reports_to: str = ""
    labels: dict[str, str] = {}
    priority: int = 5
    started_at: int = 0
    finished_at: int = 0
    closing: str = ""
    """The status it will end with once all that is under way has ended."""
    paused: bool = False
    part: Part | None = None
    nodes: MutableMapping[str, Node] = {}
    scopes: MutableMapping[str, Scope] = {}
    running: int = 0
    """Tasks that are queued or running."""
    successes: int = 0
    backlog: MutableMapping[str, str] = {}
    """Steps that wait for a slot of this run: "priority:ticket" → place."""
    tickets: dict[str, tuple[int, int]] = {}
    """For each priority: the first ticket that may still wait, and the next one to give."""
    undos: MutableMapping[str, str] = {}
    """Places that can be undone, by number in the order in which they succeeded."""
    undoable: int = 0
    """How many there are; undoing counts it down."""
    inline: int = 0
    """Items of maps that live in this run."""
    deferred: list[list[Any]] = []
    """What is still to be decided."""
    outputs: Any = None
    error: StepError | None = None
    usage: dict[str, str] = {}
    told: dict[str, str] = {}
    """What of the usage the parent knows."""
    requesters: list[str] = []
    """Everybody in whose name it runs and who is no run: whoever started it, or had it started as a tool."""
    cause: str = ""
    """What started it all."""
    variables: Variables = msgspec.field(default_factory=Variables)
    """Its context variables."""


class Layered(MutableMapping[K, V]):
    """A map over another one that it does not change: a decision tries its events on it."""

    __slots__ = ("base", "gone", "top")

    def __init__(self, base: MutableMapping[K, V]) -> None:
        self.base = base
        self.top: dict[K, V] = {}
        self.gone: set[K] = set()

    def __getitem__(self, key: K) -> V:
        if key in self.top:
            return self.top[key]
        if key in self.gone:
            raise KeyError(key)
        return self.base[key]

    def get(self, key: K, default: Any = None) -> Any:
        """The value, or the default; without the exception that the mixin raises on the way."""
        value = self.top.get(key)
        if value is not None:
            return value
        return self.base.get(key, default) if not self.gone or key not in self.gone else default

    def __setitem__(self, key: K, value: V) -> None:
        self.top[key] = value

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        self.top.pop(key, None)
        self.gone.add(key)

    def __iter__(self) -> Iterator[K]:
        yield from self.top
        for key in self.base:
            if key not in self.top and key not in self.gone:
                yield key

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        return key in self.top or (key not in self.gone and key in self.base)


def scratch(run: Run) -> Run:
    """A copy that can be evolved without touching the run: it shares all that is not changed."""
    return replace(
        run,
        nodes=Layered(run.nodes),
        scopes=Layered(run.scopes),
        backlog=Layered(run.backlog),
        undos=Layered(run.undos),
        tickets=dict(run.tickets),
        variables=copied(run.variables),
    )


def merged(run: Run, tried: Run) -> Run:
    """The scratch copy of a run as its new state: what it changed is put into the maps that it shares with the run."""
    for name in _LAYERS:
        layer = getattr(tried, name)
        base = layer.base
        for key in layer.gone:
            if key not in layer.top:
                base.pop(key, None)
        if layer.top:
            base.update(layer.top)
        setattr(tried, name, base)
    return tried


_LAYERS: Final = ("nodes", "scopes", "backlog", "undos")
