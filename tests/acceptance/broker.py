"""As much of JetStream as the relay needs, in memory: one stream, chained by the last sequence number expected."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

from events.bus import BusMessage
from events.errors import BusUnavailable
from infra.nats.connection import JetStreamError
from infra.nats.protocol import decode_headers
from tests.acceptance.steps import NOBODY

if TYPE_CHECKING:
    from tests.acceptance.world import Machine

_HPUB = re.compile(rb"HPUB (\S+) (\S+) (\d+) (\d+)\r\n")
TICK = 1e-7
"""Seconds: what is due at the same time is run in no particular order."""
Receive = Callable[[bytes, bytes, bytes, bytes], None]


class Stream(msgspec.Struct):
    """The stream of facts."""

    first: int
    created: str
    config: dict[str, Any]
    messages: list[bytes] = []
    """Header blocks, by sequence number from `first`."""

    @property
    def last(self) -> int:
        return self.first + len(self.messages) - 1


class Broker:
    """The server."""

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self._count = 0

    def publish(self, block: bytes) -> tuple[bytes, bytes]:
        """Take a message, or not; the acknowledgement as (header block, payload)."""
        if self.stream is None:
            return b"NATS/1.0 503\r\n\r\n", b""
        expected = decode_headers(block).get("Nats-Expected-Last-Sequence")
        if expected is not None and int(expected) != self.stream.last:
            text = f"wrong last sequence: {self.stream.last}"
            return b"", msgspec.json.encode({"stream": "EV", "seq": 0, "error": {"code": 400, "description": text}})
        self.stream.messages.append(block)
        return b"", b'{"stream":"EV","seq":%d}' % self.stream.last

    def api(self, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A JetStream API request. Raises JetStreamError."""
        match action.split("."):
            case ["CONSUMER", "LIST", "EV"]:
                return {"consumers": [], "total": 0}
            case ["STREAM", "CREATE", "EV"]:
                self._count += 1
                if self.stream is None:
                    self.stream = Stream(body["first_seq"], str(self._count), dict(body))
                return self._info()
            case ["STREAM", "INFO" | "UPDATE" | "DELETE" as verb, "EV"]:
                if self.stream is None:
                    raise JetStreamError("stream not found", number=10059, status=404)
                info = self._info()
                if verb == "DELETE":
                    self.stream = None
                return info
            case _:
                raise AssertionError(action)

    def _info(self) -> dict[str, Any]:
        stream = self.stream
        assert stream is not None
        state = {"messages": len(stream.messages), "first_seq": stream.first, "last_seq": stream.last}
        return {"state": state, "created": stream.created, "config": stream.config}

    def get(self, sequence: int) -> bytes:
        """The header block of one message."""
        stream = self.stream
        if stream is None or not stream.first <= sequence <= stream.last:
            return b"NATS/1.0 404\r\n\r\n"
        return stream.messages[sequence - stream.first]

    def wipe(self) -> None:
        """Its directory is removed."""
        self.stream = None

    def roll_back(self) -> None:
        """Its directory is as it was before."""
        if self.stream is not None:
            del self.stream.messages[len(self.stream.messages) // 2 :]

    def intrude(self) -> None:
        """Somebody else publishes."""
        self.publish(b"NATS/1.0\r\nce-id: foreign\r\n\r\n")

    def ids(self) -> list[str]:
        """The ids of all facts on the stream, which begins with the first."""
        if self.stream is None:
            return []
        return [decode_headers(block).get("ce-id", "") for block in self.stream.messages]


class Line:
    """A machine's connection to the broker: what is sent arrives in order, or not at all."""

    def __init__(self, machine: Machine, broker: Broker) -> None:
        self._machine = machine
        self._broker = broker
        self._receivers: dict[bytes, Receive] = {}
        self._there = self._back = 0.0
        self._inboxes = 0
        self.on_reconnect: list[Callable[[], None]] = []
        self.connected = True
        self.client = SimpleNamespace(new_inbox=self._new_inbox, max_payload=1 << 20)

    def _new_inbox(self) -> str:
        self._inboxes += 1
        return f"_INBOX.{self._machine.process.name}.{self._inboxes}"

    async def up(self) -> None:
        """It always seems to be up."""

    async def listen(self, subject: str, receive: Receive, queue: str = "") -> Any:
        prefix = subject.removesuffix(">").encode()
        self._receivers[prefix] = receive

        async def stop() -> None:
            self._receivers.pop(prefix, None)

        return SimpleNamespace(stop=stop)

    def write(self, command: bytes) -> None:
        """Publications, one after the other."""
        self._there = max(self._there + TICK, self._time() + self._machine.world.latency())
        asyncio.get_running_loop().call_at(self._there, self._publish, command, context=NOBODY)

    def _publish(self, commands: bytes) -> None:
        at = 0
        while at < len(commands):
            match = _HPUB.match(commands, at)
            assert match is not None, commands[at : at + 80]
            head = match.end() + int(match[3])
            at = match.end() + int(match[4]) + 2
            if self._machine.deaf:
                continue
            block, data = self._broker.publish(commands[match.end() : head])
            self._answer(self._receive, match[2], block, data)

    def _receive(self, subject: bytes, block: bytes, data: bytes) -> None:
        for prefix, receive in list(self._receivers.items()):
            if subject.startswith(prefix):
                receive(subject, b"", block.removesuffix(b"\r\n\r\n") if block else b"", data)

    def _answer(self, function: Callable[..., None], *args: Any) -> None:
        self._back = max(self._back + TICK, self._time() + self._machine.world.latency())
        asyncio.get_running_loop().call_at(self._back, self._machine.process.soon, function, *args, context=NOBODY)

    async def jetstream(self, action: str, body: Mapping[str, Any] | None = None, timeout: float = 5.0) -> Any:
        return await self._ask(lambda: self._broker.api(action, body or {}), timeout)

    async def request(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, timeout: float = 5.0
    ) -> tuple[bytes, bytes]:
        assert subject == "$JS.API.DIRECT.GET.EV"
        sequence: int = msgspec.json.decode(data)["seq"]
        return await self._ask(lambda: (self._broker.get(sequence), b""), timeout)

    async def _ask(self, question: Callable[[], Any], timeout: float) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def arrive() -> None:
            if self._machine.deaf:
                return
            try:
                found = question()
            except JetStreamError as error:
                self._answer(_fail, answer, error)
            else:
                self._answer(_tell, answer, found)

        self._there = max(self._there + TICK, self._time() + self._machine.world.latency())
        loop.call_at(self._there, arrive, context=NOBODY)
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise BusUnavailable("the broker does not answer") from None

    def _time(self) -> float:
        return asyncio.get_running_loop().time()


def _tell(answer: asyncio.Future[Any], result: Any) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


class BellLine:
    """What the doorbell of a machine hangs on: all others hear it, or none."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._receivers: list[Callable[[BusMessage], None]] = []

    def send(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._machine.world.rung(self._machine, BusMessage(subject, data, headers or {}))

    def receive(self, ring: BusMessage) -> None:
        """Another machine rings."""
        for receive in self._receivers:
            receive(ring)

    async def listen(self, subject: str, receive: Callable[[BusMessage], None]) -> BellLine:
        self._receivers.append(receive)
        return self

    async def stop(self) -> None:
        self._receivers.clear()
