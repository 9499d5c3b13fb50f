"""A decision: from the message through `decide` to events, tells, effects and timers in the actor's draft."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import Any

import msgspec

from actors.core.cell import Work
from actors.core.draft import Draft
from actors.core.kind import Kind
from actors.core.outputs import Ask, Cancel, Effect, Replied, Reply, Schedule, Tell, TellRefused, TimedOut
from actors.core.sealing import Sealing
from events.address import partition_of, split
from events.envelope import Message, Raw
from events.errors import BadDefinition, Refused, TooLarge, UnknownType
from events.ids import TIMERS, derived, keyed, numbered
from events.store import NewEffect, NewTimer
from events.subjects import plan_of
from events.system import MessageHandled, MessageRefused

REPLY = "Reply"
"""The type of a place in which an answer is kept."""
MAX_OUTPUTS = 10_000
"""The most a single decision may return."""

_encode = msgspec.json.Encoder().encode


class AskMeta(msgspec.Struct):
    """In the meta of a tell that wants an answer."""

    ask: str


_ask_meta = msgspec.json.Decoder(AskMeta).decode


class _Refusal(msgspec.Struct):
    code: str
    reason: str


@lru_cache(maxsize=100_000)
def receiver(tenant: str, to: str) -> int:
    """The partition of an address a decision names. Raises InvalidName."""
    split(to)
    return partition_of(tenant, to)


class Vocabulary(msgspec.Struct):
    """What a decision may name: message types by their struct, and the class of each effect kind."""

    messages: dict[type[Any], tuple[str, int]]
    effects: dict[str, str]
    sealing: Sealing | None = None
    """Set when there are types with personal fields."""


def decide_into(draft: Draft, work: Work, words: Vocabulary) -> None:
    """Let the actor decide one message, apply its events to the state, and add everything to the draft.

    Raises what `decide` or `evolve` raise; the draft is then unchanged unless `evolve` failed, and in both cases the
    caller drops the state. A `Refused` is recorded here.
    """
    cell = draft.cell
    kind = cell.kind
    message = work.message
    seal = words.sealing
    if cell.skip and message.id == cell.skip:
        if seal is not None:
            with contextlib.suppress(Refused):
                seal.decode(kind, work, _decode)
        draft.consume(work, "skipped", None)
        return
    if work.note is not None and not message.type:
        draft.record(
            derived(cell.address, message.id, message.time), 0, message, work.note, type(work.note).__name__, 1
        )
        draft.consume(work, "handled", None)
        return
    try:
        if message.data is not None:
            known_to_kind = True
        elif seal is None:
            known_to_kind = _decode(kind, message, message.body)
        else:
            known_to_kind = seal.decode(kind, work, _decode)
        outputs = kind.decide(cell.state, message) if known_to_kind else ()
    except Refused as refused:
        _refuse(draft, work, refused)
        return
    outputs = outputs or ()
    if len(outputs) > MAX_OUTPUTS:
        raise TooLarge(
            f"{cell.address} decided {len(outputs)} outputs on one {message.type}, the limit is {MAX_OUTPUTS}"
        )
    if seal is not None:
        seal.require(cell, message, outputs)
    base = derived(cell.address, message.id, message.time) if outputs or work.note is not None else ""
    number = 0
    first = ""
    reply: bytes | None = None
    kept: bytes | None = None
    replied: Any = None
    later: list[Any] = []
    if known_to_kind and message.type in _ANSWERS and (ref := getattr(message.data, "ref", "")):
        draft.unwind(f"ask:{ref}")
    if work.note is not None:
        first = draft.record(base, 0, message, work.note, type(work.note).__name__, 1)
        number = 1
    event_types = kind.event_types
    evolve = kind.evolve
    for out in outputs:
        cls = out.__class__
        known = event_types.get(cls)
        if known is not None:
            id = numbered(base, number)
            data = _encode(out)
            if seal is not None:
                data = seal.body(out, data, cell.tenant, cell.address, str(draft.version + 1), known[0])
            draft.add(id, known[0], known[1], data, message, None)
            first = first or id
            cell.state = evolve(cell.state, out)
            number += 1
        elif cls is Reply:
            replied = out.data
            reply = _encode(replied)
            if seal is not None:
                kept = seal.body(replied, reply, cell.tenant, cell.address, message.id, REPLY)
            elif plan_of(replied.__class__) is not None:
                raise BadDefinition(
                    f"{kind.name} replies with {replied.__class__.__name__}: it has personal fields, nothing else has",
                    hint="list it in Plugin(events=[…]), so that there are keys for it",
                )
        elif cls is Raw:
            data = out.data
            if seal is not None:
                data = seal.body(out, data, cell.tenant, cell.address, str(draft.version + 1), out.type)
            id = draft.add(out.id or numbered(base, number), out.type, out.schema, data, message, out.meta)
            first = first or id
            cell.state = evolve(cell.state, out)
            number += 1
        else:
            later.append(out)
    wanted = _wanted(message) if work.mail is not None and message.meta is not None else None
    if later or wanted is not None:
        if not first:
            handled = MessageHandled(message.id, message.type)
            first = draft.record(base or derived(cell.address, message.id, message.time), number, message, handled,
                                 "MessageHandled", 1)  # fmt: skip
            number += 1
        base = base or first[:32]
        if not cell.withheld:
            for out in later:
                id = numbered(base, number)
                number += 1
                if out.__class__ is Tell:
                    # By far the most frequent one.
                    to, data = out.to, out.data
                    name, schema = (out.type, out.schema) if out.type else _name(data, words.messages)
                    body = _body(data)
                    if seal is not None:
                        body = seal.body(data, body, cell.tenant, to, id, name)
                    draft.send(id, to, receiver(cell.tenant, to), name, schema, body, message, first)
                else:
                    _add(draft, out, id, message, first, words)
            if wanted is not None:
                id = numbered(base, number)
                answer = reply
                if seal is not None and reply is not None:
                    answer = seal.body(replied, reply, cell.tenant, message.sender, id, "Replied")
                data = _encode(Replied(wanted, cell.address, msgspec.Raw(answer) if answer is not None else None))
                partition = partition_of(cell.tenant, message.sender)
                draft.send(id, message.sender, partition, "Replied", 1, data, message, first)
    draft.consume(work, "handled", reply, kept)


def _decode(kind: Kind, message: Message, body: bytes) -> bool:
    """Give the message its typed data, from `body`. False: a message of the kernel this kind does not care for."""
    decode = kind.messages.decoder(message.type, message.schema)
    if decode is None:
        if kind.accepts_any:
            msgspec.structs.force_setattr(message, "data", Raw(message.type, body, message.schema))
            return True
        if message.type in _KERNEL:
            return False
        raise Refused(f"{kind.name} has no message {message.type} (schema {message.schema})", code=UnknownType.code)
    try:
        msgspec.structs.force_setattr(message, "data", decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(f"{message.type}: {error}", code="invalid-data") from error
    return True


_ANSWERS = frozenset(("Replied", "TellRefused"))
"""What ends the timeout of an `Ask`."""

_KERNEL = frozenset(("Outcome", "Replied", "TellRefused", "TimedOut"))


def _wanted(message: Message) -> str | None:
    try:
        return _ask_meta(message.meta or b"{}").ask
    except msgspec.MsgspecError:
        return None


def _refuse(draft: Draft, work: Work, refused: Refused) -> None:
    """A refusal is consumed and remembered; a tell's sender is told."""
    message = work.message
    cell = draft.cell
    answer = _encode(_Refusal(refused.reason_code, refused.message))
    if work.mail is not None or work.timer is not None or work.change is not None:
        base = derived(cell.address, message.id, message.time)
        event = MessageRefused(message.id, message.type, refused.reason_code, refused.message)
        first = draft.record(base, 0, message, event, "MessageRefused", 1)
        if work.mail is not None and not cell.withheld and message.type not in _KERNEL and _is_actor(message.sender):
            ref = (_wanted(message) or "") if message.meta else ""
            told = TellRefused(cell.address, message.id, message.type, refused.reason_code, refused.message, ref)
            partition = partition_of(cell.tenant, message.sender)
            draft.send(f"{base}0001", message.sender, partition, "TellRefused", 1, _encode(told), message, first)
    draft.consume(work, "refused", answer)


def _is_actor(sender: str) -> bool:
    return "/" in sender and not sender.startswith("router/")


def _add(draft: Draft, out: Any, id: str, message: Message, first: str, words: Vocabulary) -> None:
    """One output that is neither event nor tell: an ask, an effect, a timer."""
    cell = draft.cell
    match out:
        case Ask(to, data, ref, timeout, type_, schema):
            name, version = (type_, schema) if type_ else _name(data, words.messages)
            meta = _encode(AskMeta(ref))
            body = _sealed(words, data, cell.tenant, to, id, name)
            draft.send(id, to, receiver(cell.tenant, to), name, version, body, message, first, meta)
            if timeout is not None:
                due = message.time + int(timeout * 1_000_000)
                late = _encode(TimedOut(ref, to))
                draft.wind(
                    NewTimer(
                        f"ask:{ref}",
                        keyed(cell.tenant, cell.address, to, f"timeout:{id}"),
                        due,
                        "TimedOut",
                        1,
                        late,
                        first,
                        message.correlation or message.id,
                    )
                )
        case Effect(kind, data, ref, key):
            effect_class = words.effects.get(kind)
            if effect_class is None:
                raise BadDefinition(
                    f"{cell.kind.name} asks for effect {kind!r}, which nobody performs",
                    hint=f"known effect kinds: {', '.join(sorted(words.effects)) or 'none'}; add an EffectKind",
                )
            body = _encode(EffectBody(ref, msgspec.Raw(_sealed(words, data, cell.tenant, cell.address, id, kind))))
            correlation = message.correlation or message.id
            effect = NewEffect(id, kind, effect_class, key or id, body, message.time, first, correlation, message.trace)
            draft.ask(effect)
        case Schedule(name, data, after, at, type_):
            if (after is None) == (at is None):
                raise BadDefinition(f"{cell.address}: Schedule({name!r}) needs either after or at")
            due = at if at is not None else message.time + int((after or 0.0) * 1_000_000)
            id = numbered(id[:32], int(id[32:], 16) | TIMERS)
            type_name, version = (type_, 1) if type_ else _name(data, words.messages)
            body = _sealed(words, data, cell.tenant, cell.address, id, type_name)
            draft.wind(NewTimer(name, id, due, type_name, version, body, first, message.correlation or message.id))
        case Cancel(name):
            draft.unwind(name)
        case _:
            raise BadDefinition(
                f"{cell.kind.name}: decide returned {type(out).__name__}, no event of its own and no output",
                hint="list it in Kind(events=[…]), or return Tell, Ask, Effect, Schedule, Cancel or Reply",
            )


class EffectBody(msgspec.Struct):
    """What the ledger keeps of an effect: the actor's own reference and the request."""

    ref: str
    request: msgspec.Raw


def _sealed(words: Vocabulary, data: Any, tenant: str, to: str, id: str, name: str) -> bytes:
    body = _body(data)
    return body if words.sealing is None else words.sealing.body(data, body, tenant, to, id, name)


def _body(data: Any) -> bytes:
    return data if isinstance(data, bytes) else _encode(data)


def _name(data: Any, message_types: dict[type[Any], tuple[str, int]]) -> tuple[str, int]:
    cls: type[Any] = data.__class__
    known = message_types.get(cls)
    if known is not None:
        return known
    if cls.__module__ == "builtins":
        raise BadDefinition(f"a tell of a bare {cls.__name__} needs a type", hint="give type='…' or send a struct")
    return cls.__name__, 1
