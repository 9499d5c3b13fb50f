"""A small kind that uses everything the kernel offers."""

from __future__ import annotations

from typing import Any

import msgspec

from actors import (
    Ask,
    Cancel,
    Effect,
    EffectKind,
    Kind,
    Message,
    Outcome,
    Plugin,
    Refused,
    Replied,
    Reply,
    Schedule,
    Tell,
    TellRefused,
    TimedOut,
)


class Add(msgspec.Struct, frozen=True):
    by: int


class Pass(msgspec.Struct, frozen=True):
    to: str
    by: int
    hops: int = 0


class Later(msgspec.Struct, frozen=True):
    after: float
    by: int


class Never(msgspec.Struct, frozen=True):
    pass


class Question(msgspec.Struct, frozen=True):
    of: str
    timeout: float | None = None


class Call(msgspec.Struct, frozen=True):
    text: str
    kind: str = "echo"


class Burst(msgspec.Struct, frozen=True):
    to: str
    count: int


class Boom(msgspec.Struct, frozen=True):
    text: str = "boom"


class Quiet(msgspec.Struct, frozen=True):
    pass


class Added(msgspec.Struct, frozen=True):
    by: int


class Noted(msgspec.Struct, frozen=True):
    text: str


class HowMuch(msgspec.Struct, frozen=True):
    times: int = 1


class Counter(msgspec.Struct):
    total: int = 0
    notes: list[str] = []


armed = {"boom": True}


def decide(state: Counter, message: Message) -> list[Any]:
    match message.data:
        case Add(by):
            if state.total + by < 0:
                raise Refused(f"{state.total} is less than {-by}", code="too-low")
            return [Added(by), Reply({"total": state.total + by})]
        case Pass(to, by, hops):
            onward = [Tell(to, Pass(message.to, by, hops - 1))] if hops else [Tell(to, Add(by))]
            return [Noted(f"pass {hops}"), *onward]
        case Later(after, by):
            return [Noted("later"), Schedule("later", Add(by), after=after)]
        case Never():
            return [Cancel("later")]
        case Question(of, timeout):
            return [Ask(of, Add(0), ref="q", timeout=timeout)]
        case Call(text, kind):
            return [Noted(f"call {text}"), Effect(kind, Line(text), ref=text)]
        case Burst(to, count):
            return [Noted("burst"), *(Tell(to, Add(1)) for _ in range(count))]
        case Boom(text):
            if armed["boom"]:
                raise RuntimeError(text)
            return [Noted("survived")]
        case Quiet():
            return []
        case Outcome(_, _, ref, status, result, error):
            return [Noted(f"{ref} {status} {result if status == 'succeeded' else error}")]
        case Replied(ref, by, data):
            return [Noted(f"{by} replied {data['total']} to {ref}")]
        case TellRefused(by, _, _, code):
            return [Noted(f"{by} refused: {code}")]
        case TimedOut(ref):
            return [Noted(f"{ref} timed out")]
        case Added(by):
            return [Added(by * 100)]
        case _:
            raise AssertionError(message)


def evolve(state: Counter, event: Any) -> Counter:
    match event:
        case Added(by):
            state.total += by
        case Noted(text):
            state.notes.append(text)
        case _:
            pass
    return state


def query(state: Counter, question: Any) -> Any:
    return {"total": state.total * question.times}


class Line(msgspec.Struct, frozen=True):
    text: str


MESSAGES = [Add, Pass, Later, Never, Question, Call, Burst, Boom, Quiet, Outcome, Replied, TellRefused, TimedOut]

counter = Kind(
    "counter",
    state=Counter,
    decide=decide,
    evolve=evolve,
    messages=MESSAGES,
    events=[Added, Noted],
    query=query,
    questions=[HowMuch],
)


def plugin(*effects: EffectKind, extra: list[Kind] | None = None) -> Plugin:
    return Plugin(kinds=[counter, *(extra or [])], effects=effects)
