"""The way from a task to actors."""

from __future__ import annotations

import time
from typing import Any, Final, Protocol

import msgspec

from actors.workflows.tasks import TaskError
from events import ids
from events.cloudevents import digest
from events.envelope import Answer, Message
from infra.tasks.context import Context

_encode: Final = msgspec.json.Encoder().encode


class Client(Protocol):
    """The way to actors, wherever they are."""

    async def ask(self, message: Message) -> Answer:
        """Have a message handled and committed; a refusal is an Answer."""
        ...

    async def query(self, tenant: str, address: str, question: str, body: bytes) -> bytes:
        """Ask the actor's `query` function. Returns JSON."""
        ...


class Asking:
    """The way to actors, which whoever composes the process sets once there is one."""

    def __init__(self, client: Client | None = None, now: Any = lambda: time.time_ns() // 1000) -> None:
        self.client = client
        self.now = now

    def open(self, what: str) -> Client:
        """The client. Raises TaskError (unavailable), saying what cannot be asked."""
        if self.client is None:
            raise TaskError(f"{what} cannot be asked from here", kind="unavailable")
        return self.client

    async def send(self, context: Context, to: str, data: msgspec.Struct, part: str, patience: float = 30.0) -> Any:
        """Have an actor handle a message; what it answers. The same call of a step sends the same message for each
        `part`, so it is handled once. Its correlation is what started the run. Waits `patience` seconds.

        Raises TaskError (refused).
        """
        body, name, now = _encode(data), type(data).__name__, self.now()
        id = ids.keyed(context.tenant, context.run, to, f"{context.key}\0{part}")
        message = Message(
            id=id, type=name, to=to, tenant=context.tenant, body=body, sender=f"task:{context.task}",
            time=now, causation="", correlation=context.cause or id, schema=1, digest=digest(name, body), trace=None,
            deadline=now + int(patience * 1e6),
        )  # fmt: skip
        found = await self.open(to).ask(message)
        said: Any = msgspec.json.decode(found.data or b"{}")
        if found.outcome == "refused":
            raise TaskError(str(said.get("reason") or "refused"), kind="refused")
        return said
