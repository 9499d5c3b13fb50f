"""A small register of people, with personal fields wherever there can be some."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from actors import Ask, Effect, EffectKind, Kind, Message, Plugin, Replied, Reply, Schedule, Tell
from events import Erased, subject
from projections import Projection, Table

Text = str | Erased


class Line(msgspec.Struct, frozen=True):
    who: str
    text: Annotated[Text, subject("who")]


class Register(msgspec.Struct, frozen=True):
    who: str
    email: Annotated[Text, subject("who")]
    notes: list[Line] = []


class Registered(msgspec.Struct, frozen=True):
    who: str
    email: Annotated[Text, subject("who")]
    notes: list[Line] = []


class Look(msgspec.Struct, frozen=True):
    who: str


class Seen(msgspec.Struct, frozen=True):
    who: str
    email: Annotated[Text | None, subject("who")]


class Greet(msgspec.Struct, frozen=True):
    who: str
    email: Annotated[Text, subject("who")]


class Greeted(msgspec.Struct, frozen=True):
    who: str
    result: Annotated[Text, subject("who")]


class Book(msgspec.Struct):
    people: dict[str, Text] = {}
    count: int = 0


class Letter(msgspec.Struct, frozen=True):
    who: str
    to: Annotated[Text, subject("who")]


class Sent(msgspec.Struct, frozen=True):
    who: str
    address: Annotated[Text, subject("who")]


def decide(state: Book, message: Message) -> list[Any]:
    data = message.data
    match data:
        case Register(who, email, notes):
            return [
                Registered(who, email, notes),
                Tell("diary/d", Greet(who, email)),
                Effect("letter", Letter(who, email), ref=who),
                Schedule("again", Greet(who, email), after=3600),
                Reply(Seen(who, email)),
            ]
        case Look(who):
            return [Reply(Seen(who, state.people.get(who)))]
        case Greet(who, email):
            return [Greeted(who, email)]
        case _:
            return []


def evolve(state: Book, event: Any) -> Book:
    state.count += 1
    match event:
        case Registered(who, email):
            state.people[who] = email
        case Greeted(who, result):
            state.people[who] = result
    return state


def ask(state: Book, message: Message) -> list[Any]:
    """A diary asks the book about whoever greets it, and writes down what it heard."""
    match message.data:
        case Greet(who, email):
            return [Greeted(who, email), Ask("book/b", Look(who), ref=who)]
        case Replied(ref, _, data):
            return [Greeted(ref, msgspec.convert(data, Seen).email or "")]
        case Registered(who, email):
            return [Greeted(who, email)]
        case _:
            return []


performed: list[Text] = []


async def send(letter: Letter, attempt: Any) -> Sent:
    performed.append(letter.to)
    return Sent(letter.who, letter.to)


book = Kind(
    "book", state=Book, decide=decide, evolve=evolve, messages=[Register, Look, Greet], events=[Registered, Greeted],
    query=lambda state, _question: Seen("", next(iter(state.people.values()), None)), questions=[Look],
    snapshot_every=2,
)  # fmt: skip
diary = Kind(
    "diary", state=Book, decide=ask, evolve=evolve, messages=[Greet, Replied], events=[Greeted],
    subscribes={Registered: lambda event, _fact: "diary/s"},
)  # fmt: skip

TABLE = Table("people", {"tenant": str, "who": str, "email": str}, key=("tenant", "who"))


def apply(rows: Any, event: Any, data: Registered) -> None:
    email = "(erased)" if isinstance(data.email, Erased) else data.email
    rows.put(TABLE, {"tenant": event.tenant, "who": data.who, "email": email})


people = Projection("people", version=1, tables=[TABLE], types=[Registered], apply=apply, reads=("tenant", "stream"))
letter = EffectKind("letter", request=Letter, result=Sent, perform=send, effect_class="idempotent")
plugin = Plugin(kinds=[book, diary], effects=[letter], events=[Registered, Sent], projections=[people])
