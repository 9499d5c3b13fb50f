"""Stored events as events of the log, and back, byte for byte.

A state that is JSON stays readable as an event's data; anything else (compressed, encrypted, another transcoder) is
there as base64, as a CloudEvent with binary data would be. What the library needs to find its event again is in the
event's `meta`, as CloudEvents attributes, so that readers of the bus see it too.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from eventsourcing.dcb.api import DCBEvent
from eventsourcing.persistence import DataError, Notification, StoredEvent

from events import ids
from events.cloudevents import BASE64, JSON, compact
from events.errors import Invalid
from infra.eventsourcing.names import KIND, application_key, type_of

BINARY: Final = "application/octet-stream"
LARGEST: Final = 64 * 1024 * 1024
"""Bytes of an event. Those too large for the bus travel without their data."""


class Meta(msgspec.Struct, omit_defaults=True):
    """The attributes of such an event: `subject` is the originator's id; the extensions `estopic`, `esversion` (the
    originator's version), `esuuid` (whether the id is a UUID), `estransaction` (what was saved together), `estags`.
    """

    subject: str = ""
    datacontenttype: str = JSON
    encoding: str = ""
    extensions: dict[str, str] = {}


Row = tuple[Any, ...]
"""An event as `thespis.es_event` has it."""

_encode = msgspec.json.Encoder().encode
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
    extensions = {
        "estopic": stored.topic,
        "esversion": str(stored.originator_version),
        "estransaction": write.transaction,
    }
    if isinstance(stored.originator_id, UUID):
        extensions["esuuid"] = "true"
    id = f"{name.partition('.')[2]}.{stored.originator_version}"
    return _row(write, id, str(stored.originator_id), stored.topic, stored.state, extensions, None, number)


def row_of_dcb(write: Write, event: DCBEvent, ordinal: int) -> Row:
    """An event of the shared stream as a row. Raises DataError."""
    extensions = {"estopic": event.type, "estransaction": write.transaction, "estags": _encode(event.tags).decode()}
    id = f"{write.transaction}.{ordinal}"
    return _row(write, id, "", event.type, event.data, extensions, event.tags or None, 1)


def _row(
    write: Write,
    id: str,
    subject: str,
    topic: str,
    state: bytes,
    extensions: dict[str, str],
    tags: Sequence[str] | None,
    number: int,
) -> Row:
    try:
        meta = Meta(subject, extensions=extensions)
        data = state
        if not _is_readable(state):
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
        compact(state, len(state))
    except (Invalid, UnicodeDecodeError, RecursionError):
        return False
    return True


def state_of(data: bytes, meta: Meta) -> bytes:
    """The bytes that were stored."""
    return b64decode(_text(data)) if meta.encoding == BASE64 else data


def stored_of(data: bytes, meta: bytes) -> StoredEvent:
    """A row as the stored event it was."""
    m = _meta(meta)
    extensions = m.extensions
    return StoredEvent(_originator(m), int(extensions["esversion"]), extensions["estopic"], state_of(data, m))


def notification_of(position: int, data: bytes, meta: bytes) -> Notification:
    """A row as a notification; its id is its position in the log."""
    m = _meta(meta)
    extensions = m.extensions
    return Notification(
        originator_id=_originator(m),
        originator_version=int(extensions["esversion"]),
        topic=extensions["estopic"],
        state=state_of(data, m),
        id=position,
    )


def dcb_of(data: bytes, meta: bytes) -> DCBEvent:
    """A row as an event of the shared stream."""
    m = _meta(meta)
    return DCBEvent(m.extensions["estopic"], state_of(data, m), _tags(m.extensions["estags"]))


def transaction_of(meta: bytes) -> str:
    """The transaction that wrote an event."""
    return _meta(meta).extensions.get("estransaction", "")


def _originator(meta: Meta) -> UUID | str:
    return UUID(meta.subject) if "esuuid" in meta.extensions else meta.subject
