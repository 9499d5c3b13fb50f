"""Actors to torture the kernel with: one message asks for any mixture of what an actor can ask for.

A clerk that is asked to `Do` counts, sends two notes to a desk, calls the world, and winds or stops its bell; a desk
takes most notes and refuses some; a board hears of every note a desk took. With them come the accounts and transfers of
the example ledger. What is done and recorded is judged in `proof.py`, which knows these names and nothing of the code.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from actors import (
    Attempt,
    Cancel,
    Effect,
    EffectKind,
    Kind,
    Message,
    Outcome,
    Plugin,
    Refused,
    Reply,
    Schedule,
    Tell,
    TellRefused,
)
from actors.core.kind import merge
from events.envelope import Event
from gateway.examples.ledger.workspace import plugin as ledger
from gateway.torture.outside import Outside
from projections import Projection, Rows, Table

BELL = "bell"
"""The name of a clerk's only timer: winding it again replaces it."""

EFFECTS = {
    "pure": "pure",
    "idempotent": "idempotent",
    "keyed": "keyed",
    "irreversible": "irreversible",
    "reconciled": "irreversible",
}
"""Kinds of calls, with their class; of the last one the world can be asked afterwards what came of it."""


class Do(Struct, frozen=True):
    """A numbered errand. `add` may be negative, and is refused when the total would be; `notes` names a desk to send
    the notes 2n and 2n + 1 to, `call` a kind of effect; `bell` winds it to ring after so many seconds, or stops it (0);
    at one with `choke` the clerk's code fails, every time.
    """

    n: int
    add: int = 0
    notes: str = ""
    call: str = ""
    bell: float | None = None
    choke: bool = False


class Did(Struct, frozen=True):
    """It was decided."""

    n: int
    add: int
    notes: str
    call: str
    bell: float | None


class Note(Struct, frozen=True):
    """To a desk."""

    k: int


class Noted(Struct, frozen=True):
    """The desk took it."""

    by: str
    k: int


class Rebuffed(Struct, frozen=True):
    """The desk did not, and the clerk knows."""

    k: int


class Seen(Struct, frozen=True):
    """The board heard of it."""

    by: str
    k: int


class Ring(Struct, frozen=True):
    """The bell, wound by errand n."""

    n: int


class Rang(Struct, frozen=True):
    """The clerk heard it."""

    n: int


class Request(Struct, frozen=True):
    """To the world."""

    n: int


class Done(Struct, frozen=True):
    """What came of a call."""

    n: int
    effect: str
    status: str


class Clerk(Struct):
    """What a clerk remembers."""

    total: int = 0
    events: int = 0


class Count(Struct):
    """What desks and boards remember."""

    events: int = 0


def clerk(state: Clerk, message: Message) -> list[Any]:
    """What a clerk decides."""
    match message.data:
        case Do() as do:
            return _errand(state, do)
        case Ring(n):
            return [Rang(n)]
        case Outcome() as outcome:
            return [Done(int(outcome.ref), outcome.effect, outcome.status)]
        case TellRefused() as refused:
            return [Rebuffed(int(refused.reason))]
        case _:
            return []


def _errand(state: Clerk, do: Do) -> list[Any]:
    if do.choke:
        raise RuntimeError(f"errand {do.n}")
    if state.total + do.add < 0:
        raise Refused(f"{state.total} is less than {-do.add}", code="short")
    wanted: list[Any] = [Did(do.n, do.add, do.notes, do.call, do.bell), Reply({"total": state.total + do.add})]
    if do.notes:
        wanted.append(Tell(do.notes, Note(2 * do.n)))
    if do.call:
        wanted.append(Effect(do.call, Request(do.n), ref=str(do.n)))
    if do.bell is not None:
        wanted.append(Schedule(BELL, Ring(do.n), after=do.bell) if do.bell else Cancel(BELL))
    if do.notes:
        wanted.append(Tell(do.notes, Note(2 * do.n + 1)))
    return wanted


def clerk_evolve(state: Clerk, event: Any) -> Clerk:
    """What a clerk becomes."""
    state.events += 1
    if isinstance(event, Did):
        state.total += event.add
    return state


def rebuffs(k: int) -> bool:
    """Whether desks refuse this note."""
    return k % 11 == 3


def desk(state: Count, message: Message) -> list[Any]:
    """Take a note, or refuse it for good."""
    k = message.data.k
    if rebuffs(k):
        raise Refused(str(k), code="rebuffed")
    return [Noted(message.sender, k)]


def board(state: Count, message: Message) -> list[Any]:
    """See a note."""
    return [Seen(message.data.by, message.data.k)]


def count(state: Count, event: Any) -> Count:
    """One more."""
    state.events += 1
    return state


def pinned(noted: Noted, event: Event) -> str:
    """The board of a note: each desk has its own."""
    return f"board/{event.stream.partition('/')[2]}"


TALLIES = Table(
    "tallies", columns={"tenant": str, "stream": str, "events": int, "numbers": int}, key=("tenant", "stream")
)
"""By stream: how many events, and a figure of their numbers that is another one if one is left out, folded twice or out
of order."""


def tally(rows: Rows, event: Event, data: Any) -> None:
    """Fold one event."""
    row = rows.get(TALLIES, event.tenant, event.stream)
    events, numbers = (row["events"], row["numbers"]) if row else (0, 0)
    number = data.k if isinstance(data, Noted | Seen | Rebuffed) else data.n
    rows.put(TALLIES, {
        "tenant": event.tenant, "stream": event.stream, "events": events + 1,
        "numbers": (numbers * 31 + number) % 1_000_003,
    })  # fmt: skip


tallies = Projection(
    "tallies",
    version=1,
    tables=[TALLIES],
    types=[Did, Noted, Rebuffed, Seen, Rang, Done],
    keys=lambda event, data: [(TALLIES, (event.tenant, event.stream))],
    apply=tally,
    reads=("tenant", "stream"),
)


def plugin_of(outside: Outside) -> Plugin:
    """Everything, with calls going to that world."""

    async def perform(request: Request, attempt: Attempt) -> Any:
        return await outside.call(attempt.effect, attempt.number, attempt.key, request.n)

    async def reconcile(request: Request, attempt: Attempt) -> Any:
        return await outside.known(attempt.effect)

    effects = [
        EffectKind(
            name,
            request=Request,
            perform=perform,
            effect_class=class_,
            reconcile=reconcile if name == "reconciled" else None,
        )
        for name, class_ in EFFECTS.items()
    ]
    kinds = [
        Kind("clerk", state=Clerk, decide=clerk, evolve=clerk_evolve, messages=[Do, Ring, Outcome, TellRefused],
             events=[Did, Rang, Done, Rebuffed], snapshot_every=7, idle=2.0),
        Kind("desk", state=Count, decide=desk, evolve=count, messages=[Note], events=[Noted], snapshot_every=5),
        Kind("board", state=Count, decide=board, evolve=count, events=[Seen], subscribes={Noted: pinned}),
    ]  # fmt: skip
    return merge([ledger, Plugin(kinds=kinds, effects=effects, projections=[tallies])])
