"""What the door and the bus need of the kernel on this host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from events.envelope import Answer, Message
from events.errors import ThespisError
from events.registry import Registry

Done = Callable[[Answer | ThespisError], None]
"""Called exactly once, on the event loop, after the commit (or with what went wrong)."""


class ActorView(msgspec.Struct, frozen=True):
    """An actor's state at a version, as JSON-ready values, and how the kernel sees it now."""

    tenant: str
    address: str
    kind: str
    version: int
    state: Any
    parked: str | None = None
    """The reason when it is parked."""
    at: int | None = None
    """The version asked for, or None for now."""


class Actors(Protocol):
    """The kernel of one host. Everything raises or reports NotOwned when another host owns the partition."""

    registry: Registry
    """Every event type known here."""

    @property
    def owned(self) -> Mapping[int, int]:
        """The partitions this host serves now, with their epochs."""
        ...

    @property
    def away(self) -> ThespisError | None:
        """Why this host owns nothing: the store did not answer for longer than its lease; None while it does."""
        ...

    def serves(self, kind: str) -> bool:
        """Whether actors of that kind run here."""
        ...

    def deliver(self, message: Message, done: Done) -> None:
        """Handle a message: the hot path, no task and no future. `data` is left None, the kernel decodes `body`.

        Errors for `done`: KeyReused, NotOwned, Unserved, Busy, Parked, OutcomeUnknown,
        StoreUnavailable. A refusal is an Answer with outcome `refused`.
        """
        ...

    async def ask(self, message: Message) -> Answer:
        """`deliver` for those who can wait: raises what it reports, and DeadlineExceeded at `message.deadline`."""
        ...

    async def query(self, tenant: str, address: str, question: str, body: bytes) -> bytes:
        """Ask the actor's `query` function; reads the committed state, records nothing. Returns JSON."""
        ...

    async def view(self, tenant: str, address: str, at: int | None = None) -> ActorView:
        """The committed state now, or folded up to version `at` (P5). Works on any host. Raises NotFound."""
        ...

    async def summaries(self, tenant: str, addresses: Sequence[str], size: int = 120) -> dict[str, str]:
        """The committed states of several actors as JSON, cut off after `size` characters; unknown kinds are left out.

        Works on any host.
        """
        ...

    async def park(self, tenant: str, address: str, by: str, reason: str) -> Answer:
        """Stop an actor until it is resumed, recorded in its stream."""
        ...

    async def resume(self, tenant: str, address: str, by: str, reason: str, skip: bool = False) -> Answer:
        """Let a parked actor go on: the message in hand is tried again, or skipped for good."""
        ...

    async def fork(self, tenant: str, address: str, version: int, new: str, by: str) -> Answer:
        """Begin stream `new` as a continuation of `address` at `version` , which it references."""
        ...

    async def resolve(
        self, tenant: str, effect: str, status: str, outcome: bytes | None, by: str, reason: str
    ) -> Answer:
        """Settle an unknown effect by a person's word: `succeeded` or `failed`."""
        ...

    def doorbell(self, head: int, before: int | None = None, mail: int = -1) -> None:
        """Another host wrote positions before + 1 … head, and sent tells to the partitions that are the bits of `mail`.

        Without `before` all that is known is that the log reaches to `head`.
        """
        ...
