"""A bus inside one process: the same port and fast path as NATS, for the testing kit and several hosts in one process.

Deterministic: messages are handed over by the event loop in the order they were sent, members of a queue group take
turns. Nothing is lost except by stopping.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from events.bus import BusMessage, Handler, Subscription
from events.errors import DeadlineExceeded, InvalidName, NotFound, ThespisError, TooLarge
from infra.nats.protocol import encode_headers
from infra.nats.wire import Called, Receive, Serial

log = logging.getLogger("thespis.bus")

MAX_PAYLOAD = 8 * 1024 * 1024


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject falls under a pattern: `*` stands for one token, a final `>` for one or more."""
    wanted, given = pattern.split("."), subject.split(".")
    for n, token in enumerate(wanted):
        if token == ">":
            return len(given) > n
        if n >= len(given) or token not in ("*", given[n]):
            return False
    return len(given) == len(wanted)


class _Member:
    """One subscription."""

    def __init__(self, bus: MemoryBus, pattern: str, queue: str, receive: Receive) -> None:
        self._bus = bus
        self.pattern = pattern
        self.queue = queue
        self.receive = receive

    async def stop(self) -> None:
        """Stop receiving; messages already received are still handled."""
        self._bus.forget(self)


class MemoryBus:
    """Publish, request and subscribe within the process."""

    def __init__(self) -> None:
        self._members: list[_Member] = []
        self._turns: dict[tuple[str, str], int] = {}
        self._calls: dict[str, tuple[Called, asyncio.TimerHandle]] = {}
        self._count = 0

    async def publish(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send and forget."""
        self.send(subject, data, headers, reply)

    def send(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, reply: str = "") -> None:
        """`publish` without waiting.

        Raises InvalidName for a subject with wildcards or empty tokens, InvalidData for headers, TooLarge.
        """
        _check(subject, wildcards=False)
        if headers:
            encode_headers(headers)
        if len(data) > MAX_PAYLOAD:
            raise TooLarge(f"{len(data)} bytes for {subject}, the bus takes {MAX_PAYLOAD}")
        message = BusMessage(subject, data, dict(headers or {}), reply)
        asyncio.get_running_loop().call_soon(self._route, message)

    async def request(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, timeout: float = 5.0
    ) -> BusMessage:
        """Send and wait for one answer. Raises NotFound when nobody listens, DeadlineExceeded."""
        future: asyncio.Future[BusMessage] = asyncio.get_running_loop().create_future()

        def done(result: BusMessage | ThespisError) -> None:
            if future.done():
                return
            if isinstance(result, ThespisError):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.call(subject, data, headers, timeout, done)
        return await future

    def call(self, subject: str, data: bytes, headers: Mapping[str, str] | None, timeout: float, done: Called) -> None:
        """`request` with a callback."""
        loop = asyncio.get_running_loop()
        self._count += 1
        inbox = f"_INBOX.{self._count}"
        late = DeadlineExceeded(f"no answer on {subject} within {timeout:.3g} s")
        self._calls[inbox] = (done, loop.call_later(timeout, self._settle, inbox, late))
        try:
            self.send(subject, data, headers, inbox)
        except ThespisError as error:
            loop.call_soon(self._settle, inbox, error)

    async def subscribe(self, subject: str, handler: Handler, queue: str = "") -> Subscription:
        """Receive what matches; the handler runs for one message after the other."""
        return await self.listen(subject, Serial(handler).receive, queue)

    async def listen(self, subject: str, receive: Receive, queue: str = "") -> Subscription:
        """`subscribe` with a plain function."""
        _check(subject, wildcards=True)
        member = _Member(self, subject, queue, receive)
        self._members.append(member)
        return member

    async def settled(self) -> None:
        """Everything sent so far is on its way already."""

    def forget(self, member: _Member) -> None:
        """End a subscription."""
        if member in self._members:
            self._members.remove(member)

    def _settle(self, inbox: str, result: BusMessage | ThespisError) -> None:
        found = self._calls.pop(inbox, None)
        if found is not None:
            found[1].cancel()
            found[0](result)

    def _route(self, message: BusMessage) -> None:
        if message.subject in self._calls:
            self._settle(message.subject, message)
            return
        groups: dict[tuple[str, str], list[_Member]] = {}
        chosen: list[_Member] = []
        for member in self._members:
            if matches(member.pattern, message.subject):
                if member.queue:
                    groups.setdefault((member.queue, member.pattern), []).append(member)
                else:
                    chosen.append(member)
        for key, members in groups.items():
            turn = self._turns.get(key, 0)
            self._turns[key] = turn + 1
            chosen.append(members[turn % len(members)])
        for member in chosen:
            try:
                member.receive(message)
            except Exception:
                log.exception("a receiver of %s failed", message.subject)
        if not chosen and message.reply:
            self._settle(message.reply, NotFound("nobody listens there"))


def _check(subject: str, *, wildcards: bool) -> None:
    tokens = subject.split(".")
    for n, token in enumerate(tokens):
        wild = token == "*" or (token == ">" and n == len(tokens) - 1)
        if (
            not token
            or any(c.isspace() for c in token)
            or (("*" in token or ">" in token) and not (wild and wildcards))
        ):
            raise InvalidName(f"{subject!r} is not a subject to {'listen on' if wildcards else 'send to'}")
