"""The spool: CloudEvents from publishers that cannot wait or are offline, kept by JetStream until they are in the log.

`ce-subject` naming the address of an actor kind served here makes the event a message to that actor; all others go to
the feed of their source. A message is acknowledged after its commit, or when it was handled before. What can never be
handled becomes a dead letter: recorded in the log (`feed/dead-letters`), copied to `dlq.<tenant>.…`, and terminated.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from contextlib import suppress
from functools import partial
from random import random

import msgspec

from actors.core.port import Actors
from events import cloudevents
from events.address import DEFAULT_TENANT, GOVERNED, partition_of
from events.cloudevents import CloudEvent
from events.envelope import Answer
from events.errors import Corrupt, Forbidden, InvalidName, Parked, ThespisError, Unavailable
from infra.nats.client import Client
from infra.nats.connection import Connection
from infra.nats.ingress import tenant_of
from infra.nats.probe import Probe
from infra.nats.protocol import decode_headers
from infra.nats.provision import (
    SPOOL,
    SPOOL_CONSUMER,
    Retention,
    ensure_consumer,
    ensure_stream,
    recreate_stream,
    spool_config,
    spool_consumer_config,
)
from infra.nats.pull import Pull

log = logging.getLogger("thespis.nats")

SOURCE = "dead-letters"
"""The source of dead letters, whose feed is `feed/dead-letters`."""

PROBE = "spool.-.probe"
"""The subject of messages that only show that the stream takes messages."""

_WAITING = (Unavailable, Parked, Corrupt)
"""What may pass; everything else never will."""
_MAX_COPY = 64 * 1024
_encode = msgspec.json.Encoder().encode


class _DeadLetter(msgspec.Struct):
    """`events.system.DeadLettered` with what is needed to send it again. `size`: bytes of the whole body."""

    message: str
    message_type: str
    to: str
    reason: str
    headers: dict[str, str]
    body_base64: str
    size: int


class Spool:
    """Takes messages from the spool, on every host that runs one."""

    def __init__(
        self,
        connection: Connection,
        client: Client,
        actors: Actors,
        *,
        retention: Retention | None = None,
        limit: int = 4096,
        heartbeat: float = 2.0,
        ack_wait: float = 30.0,
        probe_interval: float = 5.0,
        probe_patience: float = 4.0,
        max_size: int = cloudevents.MAX_SIZE,
        max_depth: int = cloudevents.MAX_DEPTH,
    ) -> None:
        """`limit` messages may be taken and not finished; not finished within `ack_wait` seconds, they come again."""
        self._connection = connection
        self._client = client
        self._actors = actors
        self._retention = retention or Retention()
        self._ack_wait = ack_wait
        self._max_ack_pending = max(20_000, 4 * limit)
        self._max_size, self._max_depth = max_size, max_depth
        self._served: dict[str, bool] = {}
        self.pull = Pull(
            connection, SPOOL, SPOOL_CONSUMER, self.provision, self._take, limit=limit, heartbeat=heartbeat
        )
        self.probe = Probe(
            connection,
            SPOOL,
            PROBE,
            self._elected,
            self._begin_again,
            interval=probe_interval,
            patience=probe_patience,
        )
        self.acknowledged = 0
        """Messages acknowledged so far."""
        self.dead = 0
        """Messages that became dead letters so far."""

    async def start(self) -> None:
        """Begin to take messages."""
        await self.pull.start()
        await self.probe.start()

    async def stop(self) -> None:
        """Stop taking messages."""
        await self.probe.stop()
        await self.pull.stop()

    def _elected(self) -> bool:
        """One host watches the stream: the one that owns the partition of `system/spool`."""
        return partition_of(DEFAULT_TENANT, "system/spool") in self._actors.owned

    async def _begin_again(self) -> None:
        await recreate_stream(self._connection, spool_config(self._retention), 1)

    async def provision(self) -> None:
        """Make stream and consumer what they should be. Raises BusUnavailable, JetStreamError."""
        await ensure_stream(self._connection, spool_config(self._retention))
        wanted = spool_consumer_config(self._max_ack_pending, self._ack_wait)
        await ensure_consumer(self._connection, SPOOL, wanted)

    # -- one message

    def _take(self, subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        if subject == PROBE.encode():
            self._settle(reply, b"+ACK")
            return
        try:
            tenant = tenant_of(subject.decode())
            headers = decode_headers(head)
            event = cloudevents.from_nats(headers, data, max_size=self._max_size, max_depth=self._max_depth)
            message = cloudevents.to_message(
                event, tenant, f"spool:{tenant}", self._client.now(), self._address(event.subject)
            )
        except (ThespisError, UnicodeDecodeError) as error:
            self._bury(subject, reply, head, data, "", "", str(error))
            return
        self._client.deliver(message, partial(self._done, subject, reply, head, data, event), 10.0)

    def _address(self, subject: str | None) -> str | None:
        """The actor a `ce-subject` names, if it is of a kind served here (and no feed)."""
        if subject is None or "/" not in subject:
            return None
        kind = subject.partition("/")[0]
        if kind in GOVERNED:
            raise Forbidden(f"{subject} takes no messages from clients of the bus: who asks has to be known")
        served = self._served.get(kind)
        if served is None:
            if len(self._served) > 1000:
                self._served.clear()
            served = self._served[kind] = kind != "feed" and self._actors.serves(kind)
        return subject if served else None

    def _done(
        self,
        subject: bytes,
        reply: bytes,
        head: bytes,
        data: bytes,
        event: CloudEvent,
        result: Answer | ThespisError,
    ) -> None:
        if isinstance(result, Answer):
            self._settle(reply, b"+ACK")
            self.acknowledged += 1
        elif isinstance(result, _WAITING):
            self._later(reply, result)
        else:
            reason = f"{result.code}: {result.message}"
            self._bury(subject, reply, head, data, f"{event.source} {event.id}", event.type, reason)

    def _later(self, reply: bytes, error: ThespisError) -> None:
        """Have it delivered again after a while that grows with the number of deliveries."""
        delivered = _place(reply)[0]
        seconds = min((error.retry_after or 1.0) * 2 ** min(delivered, 10), 60.0) * (0.5 + random() / 2)
        log.debug("a message on the spool waits %.1f s: %s", seconds, error)
        self._settle(reply, b'-NAK {"delay":%d}' % int(seconds * 1_000_000_000))

    def _settle(self, reply: bytes, what: bytes) -> None:
        try:
            self._connection.write(b"PUB %b %d\r\n%b\r\n" % (reply, len(what), what))
        except ThespisError as error:
            log.debug("an acknowledgement is lost, the message comes again: %s", error)
        self.pull.finished()

    # -- dead letters

    def _bury(self, subject: bytes, reply: bytes, head: bytes, data: bytes, name: str, type: str, reason: str) -> None:
        place = subject.decode(errors="replace")
        try:
            tenant = tenant_of(place)
        except InvalidName:
            tenant = DEFAULT_TENANT
        _, sequence, stamp = _place(reply)
        copy = b64encode(data[:_MAX_COPY]).decode()
        letter = _DeadLetter(name or f"{SPOOL} {sequence}", type, place, reason, decode_headers(head), copy, len(data))
        body = _encode(letter)
        log.warning("dead letter from %s: %s", place, reason)
        with suppress(ThespisError):
            self._connection.send(f"dlq.{place.removeprefix('spool.')}", data, {"thespis-reason": _line(reason)})
        event = CloudEvent(id=f"{SPOOL}-{sequence}-{stamp}", source=SOURCE, type="DeadLettered", data=body)
        message = cloudevents.to_message(event, tenant, "system/spool", self._client.now())
        self._client.deliver(message, partial(self._buried, reply), 10.0)

    def _buried(self, reply: bytes, result: Answer | ThespisError) -> None:
        if isinstance(result, Answer):
            self.dead += 1
            self._settle(reply, b"+TERM")
        else:
            self._later(reply, result)


def _line(text: str) -> str:
    return cloudevents.percent_encode(text[:500])


def _place(reply: bytes) -> tuple[int, int, int]:
    """(deliveries, stream sequence, timestamp) from `$JS.ACK.<stream>.<consumer>.…`, with or without a domain."""
    words = reply.split(b".")
    at = 4 if len(words) < 11 else 6
    try:
        return int(words[at]), int(words[at + 1]), int(words[at + 3])
    except (IndexError, ValueError):
        return 1, 0, 0
