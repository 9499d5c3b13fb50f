"""A log and a kernel small enough to see through, for tests of the bus alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import nats
from nats.aio.client import Client

from actors.core.port import ActorView, Done
from events.address import PARTITIONS, partition_of
from events.envelope import Answer, Event, Message
from events.errors import KeyReused, NotOwned, ThespisError, Unserved
from events.registry import Registry
from infra.nats.options import options


async def plain(url: str) -> Client:
    """A client of nats-py as anybody would use it."""
    return await nats.connect(**options(url, {}), connect_timeout=2)


async def eventually(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> None:
    """Return as soon as the condition holds; TimeoutError if it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.005)


def event(position: int, *, stream: str = "account/1", data: bytes = b'{"amount":1}', **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "position": position,
        "tenant": "default",
        "stream": stream,
        "version": position,
        "id": f"0198c5f0-0000-7000-8000-{position:012x}",
        "type": "Deposited",
        "schema": 1,
        "data": data,
        "causation": "c",
        "correlation": "k",
        "epoch": 1,
        "recorded_at": 1_700_000_000_000_000 + position,
        "trace": None,
        "meta": None,
        "hash": bytes(32),
    }
    return Event(**(fields | changes))


class Log:
    """What the relay reads."""

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.events = list(events)
        self.reads = 0

    def grow(self, count: int) -> int:
        start = len(self.events)
        self.events += [event(start + n + 1, stream=f"account/{n % 7}") for n in range(count)]
        return len(self.events)

    async def head(self) -> int:
        return len(self.events)

    async def read(self, after: int, limit: int, types: Sequence[str] | None = None) -> list[Event]:
        self.reads += 1
        return self.events[after : after + limit]


class Kernel:
    """Answers every message of its partitions with a position, and remembers: the same id gets the first answer."""

    def __init__(self, owned: Sequence[int] = range(PARTITIONS), kinds: Sequence[str] = ("account", "feed")) -> None:
        self.registry = Registry()
        self.epochs = dict.fromkeys(owned, 1)
        self.kinds = kinds
        self.handled: list[Message] = []
        self.errors: list[ThespisError] = []
        """Reported for the next messages, before they are handled."""
        self.answers: dict[str, tuple[bytes, Answer]] = {}
        self.operations: list[tuple[Any, ...]] = []
        self.heads: list[int] = []

    @property
    def owned(self) -> Mapping[int, int]:
        return self.epochs

    @property
    def away(self) -> ThespisError | None:
        return None

    def serves(self, kind: str) -> bool:
        return kind in self.kinds

    def deliver(self, message: Message, done: Done) -> None:
        asyncio.get_running_loop().call_soon(self._handle, message, done)

    def _handle(self, message: Message, done: Done) -> None:
        if partition_of(message.tenant, message.to) not in self.epochs:
            done(NotOwned(f"{message.to} is not here"))
        elif message.to.partition("/")[0] not in self.kinds:
            done(Unserved(f"{message.to} is of no kind known here"))
        elif self.errors:
            done(self.errors.pop(0))
        elif message.id in self.answers:
            digest, first = self.answers[message.id]
            if digest != message.digest:
                done(KeyReused(f"{message.id} had another body"))
            else:
                done(Answer(first.outcome, first.position, first.version, first.data, duplicate=True))
        else:
            self.handled.append(message)
            answer = Answer("handled", len(self.handled), 1, message.body)
            self.answers[message.id] = (message.digest, answer)
            done(answer)

    async def ask(self, message: Message) -> Answer:
        raise AssertionError("the client delivers")

    async def query(self, tenant: str, address: str, question: str, body: bytes) -> bytes:
        self._check(tenant, address)
        self.operations.append(("query", tenant, address, question, body))
        return b'{"balance":5}'

    async def summaries(self, tenant: str, addresses: Sequence[str], size: int = 120) -> dict[str, str]:
        return {}

    async def view(self, tenant: str, address: str, at: int | None = None) -> ActorView:
        return ActorView(tenant, address, address.partition("/")[0], at or 9, {"balance": 5}, None, at)

    async def park(self, tenant: str, address: str, by: str, reason: str) -> Answer:
        self._check(tenant, address)
        self.operations.append(("park", tenant, address, by, reason))
        return Answer("handled", 1, 1)

    async def resume(self, tenant: str, address: str, by: str, reason: str, skip: bool = False) -> Answer:
        self._check(tenant, address)
        self.operations.append(("resume", tenant, address, by, reason, skip))
        return Answer("handled", 2, 1)

    async def fork(self, tenant: str, address: str, version: int, new: str, by: str) -> Answer:
        self._check(tenant, new)
        self.operations.append(("fork", tenant, address, version, new, by))
        return Answer("handled", 3, version + 1)

    async def resolve(
        self, tenant: str, effect: str, status: str, outcome: bytes | None, by: str, reason: str
    ) -> Answer:
        self._check(tenant, f"account/{effect}")
        self.operations.append(("resolve", tenant, effect, status, outcome, by, reason))
        return Answer("handled", 4, 1)

    def doorbell(self, head: int) -> None:
        self.heads.append(head)

    def _check(self, tenant: str, address: str) -> None:
        if partition_of(tenant, address) not in self.epochs:
            raise NotOwned(f"{address} is not here")
