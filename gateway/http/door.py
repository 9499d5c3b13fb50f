"""What the door needs of the rest of the system. Wired by hand where the process is composed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from actors import Kind
from actors.core.history import Step
from actors.core.port import ActorView
from events.bus import Subscription
from events.envelope import Answer, Message
from events.errors import Unserved
from events.models import Price
from events.registry import Registry
from events.store import EventStore
from events.tokens import TokenStore
from gateway.definitions import Definitions
from gateway.http.heads import Heads
from gateway.http.metrics import Metrics, Sample
from gateway.http.subjects_port import Subjects
from projections.core.parking import Outcome
from projections.core.port import Build, Page, ParkedKey, ReadModelStore, Switch
from projections.core.projector import Status

if TYPE_CHECKING:
    from actors.agents.definition.compile import CompiledAgent


class Client(Protocol):
    """The way to any actor, whichever host owns it. The errors are those of `actors.core.port.Actors`."""

    async def ask(self, message: Message) -> Answer:
        """Have a message handled and committed; a refusal is an Answer. `message.deadline` bounds the wait."""
        ...

    async def query(self, tenant: str, address: str, question: str, body: bytes) -> bytes:
        """Ask the actor's `query` function. Returns JSON."""
        ...

    async def view(self, tenant: str, address: str, at: int | None = None) -> ActorView:
        """The committed state now, or folded up to version `at`. Raises NotFound."""
        ...

    async def summaries(self, tenant: str, addresses: Sequence[str], size: int = 120) -> dict[str, str]:
        """The committed states of several actors as JSON, cut off after `size` characters."""
        ...

    async def park(self, tenant: str, address: str, by: str, reason: str) -> Answer:
        """Stop an actor until it is resumed."""
        ...

    async def resume(self, tenant: str, address: str, by: str, reason: str, skip: bool = False) -> Answer:
        """Let a parked actor go on."""
        ...

    async def fork(self, tenant: str, address: str, version: int, new: str, by: str) -> Answer:
        """Begin stream `new` as a continuation of `address` at `version`."""
        ...

    async def resolve(
        self, tenant: str, effect: str, status: str, outcome: bytes | None, by: str, reason: str
    ) -> Answer:
        """Settle an unknown effect by a person's word."""
        ...


class Projections(Protocol):
    """Who keeps projections up to date: a `Projector`, as far as the door needs it."""

    async def status(self) -> Sequence[Status]:
        """All projections that have a live build, whether they run here or not."""
        ...

    async def wait(self, name: str, position: int, timeout: float) -> int:
        """Wait until the live rows include `position`; returns their cursor. Raises DeadlineExceeded, NotFound."""
        ...

    async def stale(self, name: str, page: Page) -> int | None:
        """Of a page that no code here keeps up to date: when the first event it lacks was recorded (µs), or None."""
        ...

    async def rebuild(self, name: str) -> Build:
        """Begin a new build beside the live one. Raises NotFound, Conflict."""
        ...

    async def switch(self, name: str, to: int, by: str, reason: str, timeout: float) -> Switch:
        """Let readers see another build. Raises NotFound, Conflict, DeadlineExceeded."""
        ...

    async def drop(self, name: str, number: int) -> None:
        """Remove a build that is not live. Raises NotFound, Conflict."""
        ...

    async def parked(self, name: str | None = None) -> Sequence[ParkedKey]:
        """Keys of live builds whose events wait because one of them could not be folded."""
        ...

    async def retry(self, name: str, key: str, by: str, reason: str) -> Outcome:
        """Fold what is held for a parked key again. Raises NotFound."""
        ...

    async def discard(self, name: str, key: str, by: str, reason: str) -> Outcome:
        """Free a parked key without folding what is held for it. Raises NotFound."""
        ...


class Live(Protocol):
    """The live plane: what is worth seeing now and not kept, such as an answer while a model writes it."""

    async def watch(self, tenant: str, actor: str, seen: Callable[[str, bytes], None]) -> Subscription:
        """Be shown (topic, data) of one actor from when this returns. `seen` must not block or raise."""
        ...


class Agents(Protocol):
    """What checks definitions of agents, with the models and tools known here."""

    @property
    def broken(self) -> Sequence[Any]:
        """Files of the workspace that are wrong, as `file` and `problems`."""
        ...

    @property
    def providers(self) -> Collection[str]:
        """Who has models here."""
        ...

    async def check(self, text: str, file: str) -> CompiledAgent:
        """A definition, checked and resolved. Raises DefinitionInvalid with all that is wrong."""
        ...


class Policies(Protocol):
    """What checks rules about tools."""

    async def check(self, text: str, file: str) -> tuple[msgspec.Raw, str]:
        """The rules in a text and their hash. Raises NotValid with all that is wrong."""
        ...


class Consumer(msgspec.Struct, frozen=True):
    """Somebody who reads the log or the bus in order: a relay, a router, the spool, a projection.

    `position` is how far it is (of the spool: a sequence number of its stream), `lag` what it has not handled yet, both
    None when that cannot be told now. `here`: it runs on this host. `detail` says what is wrong, or more.
    """

    name: str
    kind: str
    position: int | None
    lag: int | None
    here: bool
    detail: str = ""


class Check(msgspec.Struct, frozen=True):
    """One thing that must be well before work is sent here."""

    ok: bool
    detail: str = ""


History = Callable[[str, str, int, int | None], AsyncGenerator[Step]]
"""(tenant, address, first version, last version or None)"""


async def _no_checks() -> Mapping[str, Check]:
    return {}


async def _no_history(tenant: str, address: str, first: int, last: int | None) -> AsyncGenerator[Step]:
    raise Unserved(f"nobody here folds {address}")
    yield  # what makes it a generator


def _no_samples() -> Iterable[Sample]:
    return ()


async def _no_consumers() -> Sequence[Consumer]:
    return ()


async def _no_providers() -> Sequence[Mapping[str, Any]]:
    return ()


def _no_price(_model: str, _known: Price | None, _tier: str) -> Price | None:
    return None


@dataclass(slots=True, kw_only=True)
class Door:
    """Everything behind the door.

    `checks` answers readiness beyond the store itself, which the door checks on its own (bus connected, partitions
    owned …). `samples` are metrics of other parts of the process for `/metrics`. `consumers` are who reads the log or
    the bus, besides the projections.
    """

    client: Client
    store: EventStore
    models: ReadModelStore
    projections: Projections
    tokens: TokenStore
    registry: Registry
    heads: Heads
    kinds: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    """The actor kinds that run here."""
    history: History = _no_history
    """An actor's versions in order, each with the state after it."""
    checks: Callable[[], Awaitable[Mapping[str, Check]]] = _no_checks
    samples: Callable[[], Iterable[Sample]] = _no_samples
    consumers: Callable[[], Awaitable[Sequence[Consumer]]] = _no_consumers
    subjects: Subjects | None = None
    """None when no type has personal fields."""
    definitions: Definitions = field(default_factory=Definitions)
    """What checks definitions of workflows, with the tasks known here."""
    live: Live | None = None
    """None: answers are seen when they are there, and no sooner."""
    agents: Agents | None = None
    """None: definitions of agents cannot be published here."""
    policies: Policies | None = None
    """None: rules about tools cannot be published here."""
    providers: Callable[[], Awaitable[Sequence[Mapping[str, Any]]]] = _no_providers
    """Who has language models here, and which."""
    price: Callable[[str, Price | None, str], Price | None] = _no_price
    """The price of a model (`provider:name`, the row it was priced by, the tier) as it is listed here now."""
    metrics: Metrics = field(default_factory=Metrics)
