"""A committed event as the bytes of its publication: subject, CloudEvents headers and body, made once and fast."""

from __future__ import annotations

from functools import lru_cache

from events import cloudevents
from events.address import token
from events.envelope import Event
from infra.nats.protocol import decode_headers

_percent = lru_cache(maxsize=65_536)(cloudevents.percent_encode)
_rfc3339 = lru_cache(maxsize=256)(cloudevents.rfc3339)
_token = lru_cache(maxsize=4096)(token)


@lru_cache(maxsize=65_536)
def _stream(tenant: str, stream: str) -> tuple[str, str]:
    kind, _, name = stream.partition("/")
    return f"ev.{token(tenant)}.{token(kind)}.{token(name)}.", cloudevents.percent_encode(stream)


def subject(event: Event) -> str:
    """`ev.<tenant>.<kind>.<id>.<Type>`, every part one token."""
    return _stream(event.tenant, event.stream)[0] + _token(event.type)


def _block(event: Event) -> tuple[str, bytes]:
    """The header lines (without the end) and the body. The common case is written out; it equals the other."""
    if event.meta is None and " " not in event.id:
        _, stream = _stream(event.tenant, event.stream)
        position = event.position
        block = (
            f"NATS/1.0\r\nNats-Expected-Last-Sequence: {position - 1}\r\nce-specversion: 1.0\r\nce-id: {event.id}\r\n"
            f"ce-source: /{event.tenant}/{stream}\r\nce-type: {event.type}\r\nce-time: {_rfc3339(event.recorded_at)}"
            f"\r\nce-datacontenttype: application/json\r\nce-correlationid: {_percent(event.correlation)}"
            f"\r\nce-causationid: {_percent(event.causation)}\r\nce-position: {position}\r\nce-streamversion: "
            f"{event.version}\r\nce-schemaversion: {event.schema}\r\nce-tenant: {event.tenant}\r\nce-stream: {stream}"
        )
        if event.trace is not None:
            trace = _percent(event.trace)
            block += f"\r\nce-traceparent: {trace}\r\ntraceparent: {trace}"
        return block, event.data
    headers = cloudevents.headers(cloudevents.from_event(event))
    if event.trace is not None:
        headers["traceparent"] = headers["ce-traceparent"]
    lines = [f"NATS/1.0\r\nNats-Expected-Last-Sequence: {event.position - 1}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines), cloudevents.content(event)


def headers(event: Event) -> dict[str, str]:
    """The headers an event is published with."""
    return decode_headers(_block(event)[0].encode())


def publication(event: Event, reply: str, max_payload: int) -> bytes:
    """The HPUB command of an event, to be accepted only right after the event before it.

    An event that does not fit the server's `max_payload` travels without its data; `ce-dataref` says so.
    """
    block, data = _block(event)
    head = (block + "\r\n\r\n").encode()
    if len(head) + len(data) > max_payload:
        head = (block + f"\r\nce-dataref: urn:thespis:position:{event.position}\r\n\r\n").encode()
        data = b""
    size = len(head)
    return b"%b%b%b\r\n" % (
        f"HPUB {subject(event)} {reply} {size} {size + len(data)}\r\n".encode(),
        head,
        data,
    )
