"""What a user writes: a kind of actor is two pure functions and the types they speak."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from actors.core.outputs import Outcome, Replied, TellRefused, TimedOut
from events.address import FOREIGN, split
from events.envelope import Event, Message
from events.errors import BadDefinition, InvalidName
from events.registry import Registry, Type
from events.system import SYSTEM_EVENTS

if TYPE_CHECKING:
    from actors.core.follower import Follows

Decide = Callable[[Any, Message], "Sequence[Any] | None"]
Evolve = Callable[[Any, Any], Any]
Query = Callable[[Any, Any], Any]
Subscribe = Callable[[Any, Event], "str | Iterable[str] | None"]

EFFECT_CLASSES = ("pure", "idempotent", "keyed", "irreversible")

KERNEL_MESSAGES = (Outcome, Replied, TellRefused, TimedOut)
"""Messages the kernel sends; a kind that does not list one in `messages` is not bothered with it."""

_encode_state = msgspec.json.Encoder(order="deterministic").encode


def encode_state(state: Any) -> bytes:
    """A state as JSON, the same bytes for equal states."""
    try:
        return _encode_state(state)
    except TypeError:  # maps with keys that are no strings cannot be ordered as they are
        return _encode_state(msgspec.to_builtins(state, str_keys=True))


class Kind:
    """A kind of actor.

    `decide(state, message)` returns what happened, whom to tell, what to ask of the world and what to answer, or raises
    `Refused`; `evolve(state, event)` returns the new state (it may update the state in place); `query(state, question)`
    only reads. `state` is called without arguments for a new actor, unless `initial(address)` makes it. `messages`,
    `events` and `questions` list the types. `subscribes` maps event types of others to a function of (event, envelope)
    that names the address, or addresses, to send the event to as a message. `snapshot_every` is in events, `idle` in
    seconds until an actor that does nothing leaves memory. `folded_by` are the modules that `evolve` is made of, when
    it is more than the one it stands in: a snapshot made by other code is not used. `follows` makes
    what finds the events that actors wait for, see `actors.core.follower`. `inner` are messages that only actors and
    the kernel send: from outside they are forbidden, as those of the kernel always are.

    Raises BadDefinition when the parts contradict each other.
    """

    def __init__(
        self,
        name: str,
        *,
        state: type[Any],
        decide: Decide,
        evolve: Evolve,
        messages: Sequence[type[Any] | Type] = (),
        events: Sequence[type[Any] | Type] = (),
        query: Query | None = None,
        questions: Sequence[type[Any] | Type] = (),
        subscribes: Mapping[type[Any] | str, Subscribe] | None = None,
        initial: Callable[[str], Any] | None = None,
        accepts_any: bool = False,
        snapshot_every: int = 100,
        idle: float = 60.0,
        folded_by: Sequence[ModuleType] = (),
        follows: Callable[[], Follows] | None = None,
        inner: Sequence[type[Any]] = (),
    ) -> None:
        try:
            split(f"{name}/x")
        except InvalidName as error:
            raise BadDefinition(f"{name!r} is not a kind name", hint="use [a-z][a-z0-9_-]*, at most 32") from error
        if name in FOREIGN:
            raise BadDefinition(f"{name!r} is the kind of other libraries' streams", hint="choose another name")
        self.name = name
        self.state = state
        self.decide = decide
        self.evolve = evolve
        self.query = query
        self.initial: Callable[[str], Any] = initial or (lambda _address: state())
        self.accepts_any = accepts_any
        self.snapshot_every = snapshot_every
        self.idle = idle
        self.folded_by = tuple(folded_by)
        self.follows = follows
        self.inner = frozenset(message.__name__ for message in (*KERNEL_MESSAGES, *inner))
        self.events = Registry(events)
        self.messages = Registry(messages)
        self.questions = Registry(questions)
        self.subscribes: dict[str, Subscribe] = {}
        for event, to in (subscribes or {}).items():
            event_name = event if isinstance(event, str) else event.__name__
            self.subscribes[event_name] = to
            if not isinstance(event, str):
                self.messages.add(event)
        reserved = {t.__name__ for t in SYSTEM_EVENTS}
        for type_ in self.events:
            if type_.name in reserved:
                raise BadDefinition(f"{name}: {type_.name} is an event of the kernel", hint="choose another name")
        try:
            self.decode_state = msgspec.json.Decoder(state).decode
            msgspec.json.schema(state)
        except TypeError as error:
            raise BadDefinition(
                f"{name}: the state {state.__name__} cannot be stored: {error}",
                hint="use msgspec.Struct or dataclass with JSON-ready fields",
            ) from error
        self.personal = bool(self.events.plans)
        """Its state may hold what belongs to a person."""
        self.event_types: dict[type[Any], tuple[str, int]] = {t.struct: (t.name, t.schema) for t in self.events}
        self.fold_id = _fold_id(self)

    def __repr__(self) -> str:
        return f"Kind({self.name!r})"


def _fold_id(kind: Kind) -> str:
    """Names the fold: state schema, event schema versions and the source of the module that holds `evolve`."""
    h = sha256(msgspec.json.encode(msgspec.json.schema(kind.state), order="deterministic"))
    for type_ in sorted(kind.events, key=lambda t: t.name):
        h.update(f"{type_.name}.{type_.schema}\n".encode())
    module = sys.modules.get(kind.evolve.__module__)
    try:
        source = inspect.getsource(module) if module else ""
    except (OSError, TypeError):
        source = ""
    if not source:
        code = getattr(kind.evolve, "__code__", None)
        source = repr((code.co_code, code.co_consts, code.co_names)) if code else repr(kind.evolve)
    h.update(source.encode())
    for part in kind.folded_by:
        h.update(inspect.getsource(part).encode())
    return h.hexdigest()[:16]


Perform = Callable[[Any, "Attempt"], Any]


class Attempt(msgspec.Struct, frozen=True):
    """What a performer knows of its call besides the request: `key` is the same for every attempt of an effect."""

    effect: str
    key: str
    number: str
    tenant: str
    actor: str
    trace: str | None


class EffectKind:
    """A kind of effect and who performs it.

    `perform(request, attempt)` is async and returns a JSON-ready result or raises; `effect_class` says what may be
    repeated: `pure` and `idempotent` freely, `keyed` with the same key, `irreversible` never (one call per recorded
    attempt). `reconcile(request, attempt)` is async and finds out what became of a call whose host was lost: it returns
    `("succeeded", result)`, `("failed", error)` or None. `attempts` calls are made at most (1 for irreversible), each
    within `timeout` seconds (None: without end), the n-th retry after `backoff * 2**n` seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        request: type[Any],
        perform: Perform,
        effect_class: str = "irreversible",
        result: Any = Any,
        reconcile: Perform | None = None,
        attempts: int = 3,
        backoff: float = 0.2,
        timeout: float | None = 60.0,
        concurrency: int = 64,
    ) -> None:
        if effect_class not in EFFECT_CLASSES:
            raise BadDefinition(f"{name}: {effect_class!r} is not an effect class", hint=", ".join(EFFECT_CLASSES))
        self.name = name
        self.request = request
        self.perform = perform
        self.effect_class = effect_class
        self.result = result
        self.reconcile = reconcile
        self.attempts = 1 if effect_class == "irreversible" else attempts
        self.backoff = backoff
        self.timeout = timeout
        self.concurrency = concurrency
        self.decode = msgspec.json.Decoder(request).decode


class Plugin:
    """What a workspace or an installed package brings: explicit lists, nothing registers itself by being imported."""

    def __init__(
        self,
        *,
        kinds: Sequence[Kind] = (),
        effects: Sequence[EffectKind] = (),
        events: Sequence[type[Any] | Type] = (),
        projections: Sequence[Any] = (),
        tasks: Sequence[Any] = (),
        workflows: Sequence[Any] = (),
        tools: Sequence[Any] = (),
        agents: Sequence[Any] = (),
        policies: Sequence[Any] = (),
        models: Sequence[Any] = (),
        mcp: Sequence[Any] = (),
    ) -> None:
        self.kinds = list(kinds)
        self.effects = list(effects)
        self.events = list(events)
        self.projections = list(projections)
        self.tasks = list(tasks)
        """`actors.workflows.tasks.Task`s, for the steps of workflows."""
        self.workflows = list(workflows)
        """Files of workflow definitions, relative to the workspace."""
        self.tools = list(tools)
        """`actors.tools.tool.Tool`s, for agents."""
        self.agents = list(agents)
        """Files of agent definitions, relative to the workspace."""
        self.policies = list(policies)
        """Files of rules about tools, relative to the workspace."""
        self.models = list(models)
        """`actors.models.port.Provider`s."""
        self.mcp = list(mcp)
        """`infra.mcp.config.McpServer`s, whose tools are for agents."""


def merge(plugins: Iterable[Plugin]) -> Plugin:
    """All plugins as one. Raises BadDefinition when two bring the same name."""
    merged = Plugin()
    for plugin in plugins:
        merged.kinds += plugin.kinds
        merged.effects += plugin.effects
        merged.events += plugin.events
        merged.projections += plugin.projections
        merged.tasks += plugin.tasks
        merged.workflows += plugin.workflows
        merged.tools += plugin.tools
        merged.agents += plugin.agents
        merged.policies += plugin.policies
        merged.models += plugin.models
        merged.mcp += plugin.mcp
    for what, names in (
        ("actor kind", [k.name for k in merged.kinds]),
        ("effect kind", [e.name for e in merged.effects]),
        ("task", [t.id for t in merged.tasks]),
        ("tool", [t.name for t in merged.tools]),
        ("provider of models", [m.name for m in merged.models]),
        ("MCP server", [m.name for m in merged.mcp]),
    ):
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise BadDefinition(f"more than one {what} is named {twice[0]}", hint="rename one of them")
    return merged
