"""The ingress: CloudEvents by request on `pub.<tenant>.…`, from any client in any language.

The reply `{"id", "position"}` comes after the commit; an error comes as a problem object with the headers of
`infra.nats.errors`. One host of all answers; if it does not own the feed, it passes the event on.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import lru_cache, partial
from urllib.parse import unquote

import msgspec

from events import cloudevents
from events.address import check_tenant
from events.bus import BusMessage, Subscription
from events.envelope import Answer
from events.errors import BusUnavailable, ThespisError
from infra.nats import errors
from infra.nats.client import Client
from infra.nats.wire import Wire

log = logging.getLogger("thespis.nats")

_encode = msgspec.json.Encoder().encode


class Published(msgspec.Struct):
    """The reply to a publish."""

    id: str
    position: int


@lru_cache(maxsize=4096)
def tenant_of(subject: str) -> str:
    """The tenant in `pub.<tenant>.…` or `spool.<tenant>.…`. Raises InvalidName."""
    return check_tenant(unquote(subject.split(".", 2)[1]))


class Ingress:
    """Takes events from outside, on every host that runs one."""

    def __init__(
        self,
        bus: Wire,
        client: Client,
        *,
        max_size: int = cloudevents.MAX_SIZE,
        max_depth: int = cloudevents.MAX_DEPTH,
        timeout: float = 10.0,
    ) -> None:
        """`timeout` is how long an event may look for the owner of its feed (seconds)."""
        self._bus = bus
        self._client = client
        self._max_size, self._max_depth = max_size, max_depth
        self._timeout = timeout
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Begin to take events."""
        self._subscription = await self._bus.listen("pub.*.>", self._on_event, "thespis")
        with suppress(BusUnavailable):  # the subscription is made again after a reconnect
            await self._bus.settled()

    async def stop(self) -> None:
        """Stop taking events; those taken are still answered."""
        if self._subscription is not None:
            await self._subscription.stop()
            self._subscription = None

    def _on_event(self, request: BusMessage) -> None:
        try:
            tenant = tenant_of(request.subject)
            event = cloudevents.from_nats(
                request.headers, request.data, max_size=self._max_size, max_depth=self._max_depth
            )
            message = cloudevents.to_message(event, tenant, f"nats:{tenant}", self._client.now())
        except ThespisError as error:
            self._reply(request, *errors.encode(error))
            return
        self._client.deliver(message, partial(self._answer, request, event.id), self._timeout)

    def _answer(self, request: BusMessage, id: str, result: Answer | ThespisError) -> None:
        if isinstance(result, ThespisError):
            self._reply(request, *errors.encode(result))
        else:
            self._reply(request, _encode(Published(id, result.position)), None)

    def _reply(self, request: BusMessage, body: bytes, headers: dict[str, str] | None) -> None:
        if not request.reply:
            if headers is not None:
                log.warning("an event on %s was not taken: %s", request.subject, body.decode())
            return
        try:
            self._bus.send(request.reply, body, headers)
        except ThespisError as error:
            log.debug("a reply is lost: %s", error)
