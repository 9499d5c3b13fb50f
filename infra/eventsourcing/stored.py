"""Stored events as events of the log, and back, byte for byte.

A state that is JSON stays readable as an event's data; anything else (compressed, encrypted, another transcoder) is
there as base64, as a CloudEvent with binary data would be. What the library needs to find its event again is in the
event's `meta`, as CloudEvents attributes, so that readers of the bus see it too.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec
from eventsourcing.dcb.api import DCBEvent
from eventsourcing.persistence import DataError, Notification, StoredEvent

from events import ids
from events.cloudevents import BASE64, JSON
from events.errors import Invalid
from infra.eventsourcing.names import KIND, application_key, type_of

BINARY: Final = "application/octet-stream"
LARGEST: Final = 64 * 1024 * 1024
"""Bytes of an event. Those too large for the bus travel without their data."""


class Extensions(msgspec.Struct, omit_defaults=True, gc=False):
    """CloudEvents extensions, so all of them texts: the topic, the originator's version, whether its id is a UUID, what
    was saved together, and the tags as a JSON array."""

    estopic: str = ""
    esversion: str = ""
    esuuid: str = ""
    estransaction: str = ""
    estags: str = ""


class Meta(msgspec.Struct, omit_defaults=True, gc=False):
    """The attributes of such an event: `subject` is the originator's id."""

    subject: str = ""
    datacontenttype: str = ""
    encoding: str = ""
    extensions: Extensions = msgspec.field(default_factory=Extensions)


Row = tuple[Any, ...]
"""An event as `thespis.es_event` has it."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_meta = msgspec.json.Decoder(Meta).decode
_text = msgspec.json.Decoder(str).decode
_tags = msgspec.json.Decoder(list[str]).decode


class Write(msgspec.Struct, frozen=True):
    """What is the same for all events saved together. `causation` and `correlation` are None unless the caller gave
    them: then the event that was processed is the cause, or else the transaction itself."""

    tenant: str
    application: str
    transaction: str
    causation: str | None = None
    correlation: str | None = None
    trace: str | None = None


def begin(tenant: str, application: str, given: Mapping[str, Any]) -> Write:
    """A new write. `given` are the keyword arguments of `save()`: `causation`, `correlation`, `trace`, each a text."""
    said: dict[str, str] = {}
    for name in ("causation", "correlation", "trace"):
        value = given.get(name)
        if value is not None:
            if not isinstance(value, str) or not 0 < len(value) <= 1024:
                raise DataError(f"{name} is {value!r}, not a text of 1 to 1024 characters")
            said[name] = value
    return Write(tenant, application, ids.random_id(), **said)


def row_of(write: Write, stored: StoredEvent, name: str, number: int) -> Row:
    """A stored event as a row; `name` and `number` (in the save, from 1) are its stream's. Raises DataError."""
    version = str(stored.originator_version)
    uuid = "true" if isinstance(stored.originator_id, UUID) else ""
    extensions = Extensions(stored.topic, version, uuid, estransaction=write.transaction)
    meta = Meta(str(stored.originator_id), extensions=extensions)
    return _row(write, f"{name.partition('.')[2]}.{version}", stored.topic, stored.state, meta, None, number)


def row_of_dcb(write: Write, event: DCBEvent, ordinal: int) -> Row:
    """An event of the shared stream as a row. Raises DataError."""
    extensions = Extensions(event.type, estransaction=write.transaction, estags=_encode(event.tags).decode())
    id = f"{write.transaction}.{ordinal}"
    return _row(write, id, event.type, event.data, Meta(extensions=extensions), event.tags or None, 1)


def _row(write: Write, id: str, topic: str, state: bytes, meta: Meta, tags: Sequence[str] | None, number: int) -> Row:
    try:
        if _is_readable(state):
            meta.datacontenttype, data = JSON, state
        else:
            meta.datacontenttype, meta.encoding = BINARY, BASE64
            data = _encode(b64encode(state).decode())
        if len(data) > LARGEST:
            raise DataError(f"the state of {topic} has {len(state)} bytes, an event has {LARGEST} at most")
        name = application_key(write.application).partition("/")[2]
        return (
            1, number, f"/{write.tenant}/{KIND}/{name} {id}", type_of(topic), data, write.causation,
            write.correlation, write.trace, _encode(meta), topic, tags, write.transaction,
        )  # fmt: skip
    except (Invalid, UnicodeEncodeError) as error:
        raise DataError(f"an event of topic {topic!r} cannot be stored: {error}") from error


def _is_readable(state: bytes) -> bool:
    if b"\n" in state or b"\r" in state:
        return False
    try:
        _decode(state)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def state_of(data: bytes, meta: Meta) -> bytes:
    """The bytes that were stored."""
    return b64decode(_text(data)) if meta.encoding == BASE64 else data


def stored_of(data: bytes, meta: bytes) -> StoredEvent:
    """A row as the stored event it was."""
    m = _meta(meta)
    extensions = m.extensions
    return StoredEvent(_originator(m), int(extensions.esversion), extensions.estopic, state_of(data, m))


def notification_of(position: int, data: bytes, meta: bytes) -> Notification:
    """A row as a notification; its id is its position in the log."""
    m = _meta(meta)
    extensions = m.extensions
    return Notification(
        originator_id=_originator(m),
        originator_version=int(extensions.esversion),
        topic=extensions.estopic,
        state=state_of(data, m),
        id=position,
    )


def dcb_of(data: bytes, meta: bytes) -> DCBEvent:
    """A row as an event of the shared stream."""
    m = _meta(meta)
    return DCBEvent(m.extensions.estopic, state_of(data, m), _tags(m.extensions.estags))


def transaction_of(meta: bytes) -> str:
    """The transaction that wrote an event."""
    return _meta(meta).extensions.estransaction


def _originator(meta: Meta) -> UUID | str:
    return _uuid(meta.subject) if meta.extensions.esuuid else meta.subject


@lru_cache(maxsize=10_000)
def _uuid(text: str) -> UUID:
    return UUID(text)
