"""Messages on the bus: headers and body of `host.` and `ask.`, the body of their replies, and subjects of actors.

Hosts trust each other: what comes on `host.` is the message as it is. `ask.` is open to clients: who they say they are
is kept as `nats:…`, the time is ours, and their key counts only among theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import msgspec

from events import ids
from events.address import GOVERNED, address, check_tenant, check_type, partition_of, split, token
from events.cloudevents import compact, digest, percent_decode, percent_encode
from events.envelope import Answer, Message
from events.errors import Forbidden, InvalidData, InvalidName

HOST: Final = "host"
"""The plane on which hosts pass messages on to the owner of an actor; no client may write there."""
ASK: Final = "ask"
"""The plane on which clients ask actors."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


_NOTHING = msgspec.Raw(b"")


class _Answer(msgspec.Struct, omit_defaults=True):
    outcome: str
    position: int
    version: int
    data: msgspec.Raw = _NOTHING
    duplicate: bool = False


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Answer).decode


@lru_cache(maxsize=65_536)
def subject_for(plane: str, tenant: str, actor: str) -> str:
    """`<plane>.<partition>.<tenant>.<kind>.<id>`."""
    kind, name = split(actor)
    return f"{plane}.{partition_of(tenant, actor)}.{token(tenant)}.{token(kind)}.{token(name)}"


@lru_cache(maxsize=65_536)
def target_of(subject: str) -> tuple[str, str]:
    """The (tenant, address) a subject names. Raises InvalidName."""
    parts = subject.split(".")
    if len(parts) != 5:
        raise InvalidName(f"{subject!r} does not name an actor", hint="<plane>.<partition>.<tenant>.<kind>.<id>")
    return check_tenant(unquote(parts[2])), address(unquote(parts[3]), unquote(parts[4]))


def encode_message(message: Message) -> dict[str, str]:
    """The headers of a message; its body is the payload."""
    out = {
        "ce-type": message.type,
        "ce-source": percent_encode(message.sender),
        "thespis-id": message.id,
        "thespis-time": str(message.time),
    }
    if message.causation:
        out["thespis-causation"] = percent_encode(message.causation)
    if message.correlation:
        out["thespis-correlation"] = percent_encode(message.correlation)
    if message.schema != 1:
        out["thespis-schema"] = str(message.schema)
    if message.digest:
        out["thespis-digest"] = message.digest.hex()
    if message.deadline is not None:
        out["thespis-deadline"] = str(message.deadline)
    if message.trace is not None:
        out["traceparent"] = percent_encode(message.trace)
    if message.meta is not None:
        out["thespis-meta"] = percent_encode(message.meta.decode())
    return out


def decode_message(subject: str, headers: Mapping[str, str], body: bytes, now_us: int) -> Message:
    """The message of another host. Raises InvalidName, InvalidData."""
    tenant, to = target_of(subject)
    get = headers.get
    id = get("thespis-id") or ""
    if not _UUID.fullmatch(id):
        raise InvalidData(f"header thespis-id is {id!r}, not a UUID in lower case")
    try:
        time, schema = int(get("thespis-time") or now_us), _schema(get("thespis-schema"))
        deadline = int(text) if (text := get("thespis-deadline")) else None
        known = bytes.fromhex(get("thespis-digest") or "")
    except ValueError as error:
        raise InvalidData(f"a header cannot be read: {error}") from None
    meta = get("thespis-meta")
    return Message(
        id=id,
        type=check_type(get("ce-type") or ""),
        to=to,
        tenant=tenant,
        body=body,
        sender=percent_decode(get("ce-source") or ""),
        time=time,
        causation=percent_decode(get("thespis-causation") or ""),
        correlation=percent_decode(get("thespis-correlation") or ""),
        schema=schema,
        digest=known,
        trace=percent_decode(get("traceparent") or "") or None,
        meta=percent_decode(meta).encode() if meta else None,
        deadline=deadline,
    )


def _schema(text: str | None) -> int:
    """The schema version of a body; 1 unless said. There is no word for "the newest": a repetition after a deployment
    would mean something else. Raises ValueError."""
    schema = int(text or 1)
    if not 1 <= schema < 2**15:
        raise ValueError(f"thespis-schema is {schema}; versions count from 1")
    return schema


def decode_ask(subject: str, headers: Mapping[str, str], body: bytes, now_us: int) -> Message:
    """The message of a client. Only header `ce-type` is required; a repetition has the same `thespis-id`, any text.

    Raises InvalidName, InvalidData, TooLarge, and Forbidden for those who decide what may be done.
    """
    tenant, to = target_of(subject)
    if to.partition("/")[0] in GOVERNED:
        raise Forbidden(
            f"{to} takes no messages from clients of the bus: who asks has to be known",
            hint="ask over HTTP, where a token says who it is",
        )
    get = headers.get
    name = get("ce-type")
    if name is None:
        raise InvalidData("header ce-type is required: it names the type of the message")
    sender = "nats:" + percent_decode(get("ce-source") or "")
    key = get("thespis-id")
    id = ids.keyed(tenant, "nats", to, percent_decode(key)) if key else ids.random_id(now_us)
    body = compact(body or b"null")
    try:
        schema = _schema(get("thespis-schema"))
        deadline = int(text) if (text := get("thespis-deadline")) else None
    except ValueError as error:
        raise InvalidData(f"a header cannot be read: {error}") from None
    return Message(
        id=id,
        type=check_type(name),
        to=to,
        tenant=tenant,
        body=body,
        sender=sender,
        time=now_us,
        causation=percent_decode(get("thespis-causation") or ""),
        correlation=percent_decode(get("thespis-correlation") or "") or id,
        schema=schema,
        digest=digest(name, body),
        trace=percent_decode(get("traceparent") or "") or None,
        deadline=deadline,
    )


def encode_answer(answer: Answer) -> bytes:
    """The body of a reply."""
    data = _NOTHING if answer.data is None else msgspec.Raw(answer.data)
    return _encode(_Answer(answer.outcome, answer.position, answer.version, data, answer.duplicate))


def decode_answer(body: bytes) -> Answer:
    """The answer in a reply. Raises InvalidData."""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidData(f"the reply is not an answer: {error}") from None
    return Answer(found.outcome, found.position, found.version, bytes(found.data) or None, found.duplicate)
