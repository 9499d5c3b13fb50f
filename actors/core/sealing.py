"""Personal fields in the kernel: sealed before anything of a decision is kept, opened before anything is folded.

Only hosts with marked types have a `Sealing`; for all others none of this runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec

from actors.core.cell import Cell, Work
from actors.core.fold import Folded, Open, fold, restore
from actors.core.kind import Kind, Plugin
from actors.core.outputs import Ask, Effect, Reply, Schedule, Tell
from events.envelope import Event, Message, Raw
from events.errors import InvalidData, Refused
from events.ids import digest
from events.registry import Registry
from events.sealing import is_sealed, keys_in, require, seal, unseal
from events.store import Loaded
from events.subjects import Keyring, KeysNeeded, Place, Plan, plan_of
from events.system import Forked

_encode = msgspec.json.Encoder().encode
_source = msgspec.json.Decoder(Forked).decode
_set = msgspec.structs.force_setattr


class Sealing:
    """Seals what actors decide and are sent, by the marks of its types. `names` are those of all marked types."""

    def __init__(self, keyring: Keyring, registry: Registry, names: set[str]) -> None:
        self.keyring = keyring
        self._registry = registry
        self._names = names

    # -- what a decision says
    def require(self, cell: Cell, message: Message, outputs: Sequence[Any]) -> None:
        """Raise KeysNeeded unless everything in `outputs` can be sealed at once. Nothing is changed yet then."""
        needed = KeysNeeded()
        for out in outputs:
            to, data = cell.address, out
            if isinstance(out, (Tell, Ask)):
                to, data = out.to, out.data
            elif isinstance(out, (Effect, Schedule, Reply)):
                data = out.data
            plan = self._plan(data, out)
            if plan is not None:
                body = data if isinstance(data, bytes) else data.data if isinstance(data, Raw) else _encode(data)
                require(self.keyring, plan, body, cell.tenant, to, needed)
                if isinstance(out, Reply) and "/" in message.sender:
                    require(self.keyring, plan, body, cell.tenant, message.sender, needed)
        if needed:
            raise needed

    def _plan(self, data: Any, out: Any) -> Plan | None:
        if isinstance(data, Raw):
            return self._registry.plans.get(data.type)
        if isinstance(data, bytes):
            return self._registry.plans.get(out.type or "")
        return plan_of(data.__class__)

    def body(self, value: Any, body: bytes, tenant: str, stream: str, at: str, type: str) -> bytes:
        """The JSON of `value` as it is kept at this place. Raises KeysNeeded."""
        plan = self._registry.plans.get(type) if isinstance(value, (bytes, Raw)) else plan_of(value.__class__)
        return body if plan is None else seal(self.keyring, plan, body, Place(tenant, stream, at, type))

    # -- what an actor is sent
    def decode(self, kind: Kind, work: Work, decode: Callable[[Kind, Message, bytes], bool]) -> bool:
        """Give a message its typed data; one from outside is sealed before it is kept.

        Raises KeysNeeded, and Refused as `decode` does.
        """
        message = work.message
        if work.mail is not None or work.timer is not None or work.change is not None:
            body = message.body
            if is_sealed(body):
                at = message.id if work.change is None else work.change.id
                body = unseal(self.keyring, body, Place(message.tenant, message.to, at, message.type))
            return decode(kind, message, body)
        if message.type not in self._names:
            return decode(kind, message, message.body)
        types = self._registry if kind.accepts_any and message.type not in kind.messages else kind.messages
        known, plan = types.get(message.type), types.plans.get(message.type)
        if known is None or plan is None:
            if known is None:
                _keep(message, b"null")
            return decode(kind, message, message.body)
        try:
            # Typed and back: what the type does not know may be personal too, and nobody could seal it.
            plain = _encode(types.decode(message.type, message.schema, message.body))
            place = Place(message.tenant, message.to, message.id, message.type)
            sealed = seal(self.keyring, plan, plain, place)
        except InvalidData as error:
            _keep(message, b"null")
            raise Refused(error.message, code="invalid-data") from error
        _set(message, "schema", known.schema)
        decode(kind, message, plain)
        _keep(message, sealed)
        return True

    # -- what was
    def opener(self, tenant: str, stream: Callable[[int], str]) -> Open:
        """Opens events for a fold; `stream` tells in which stream a version was recorded."""

        def open(version: int, type: str, data: bytes) -> bytes:
            if not is_sealed(data):
                return data
            return unseal(self.keyring, data, Place(tenant, stream(version), str(version), type))

        return open


def personal_types(plugin: Plugin) -> set[str]:
    """The names of all types and effects of a plugin that have personal fields."""
    names = set(Registry(plugin.events).plans)
    names.update(*(kind.events.plans for kind in plugin.kinds), *(kind.messages.plans for kind in plugin.kinds))
    return names | {kind.name for kind in plugin.effects if plan_of(kind.request) or plan_of(kind.result)}


def proof(sealing: Sealing | None, kind: Kind, state: bytes) -> bytes:
    """The hash of a state's JSON that is remembered: a keyed one where SHA-256 could confirm a guess about somebody."""
    if sealing is None or not kind.personal:
        return sha256(state).digest()
    return sealing.keyring.proof(state)


def _keep(message: Message, body: bytes) -> None:
    """Let a message be kept like this. Its digest must not tell what is sealed."""
    _set(message, "body", body)
    _set(message, "digest", digest(message.type, body))


async def restored(sealing: Sealing | None, kind: Kind, tenant: str, address: str, loaded: Loaded) -> Folded:
    """`restore`, with what is sealed opened. Raises StoreUnavailable when keys cannot be fetched."""
    if sealing is None or not kind.personal:
        return restore(kind, address, loaded)
    open = sealing.opener(tenant, origins(address, loaded.events))
    return await _again(sealing, [data for *_, data in loaded.events], lambda: restore(kind, address, loaded, open))


async def refolded(sealing: Sealing | None, kind: Kind, folded: Folded, events: Sequence[Event]) -> Folded:
    """`fold` over events as the log has them, with what is sealed opened. Raises StoreUnavailable."""
    rows = [(e.version, e.type, e.schema, e.data) for e in events]
    if sealing is None or not kind.personal or not events:
        return fold(kind, folded, rows)
    where = {e.version: e.stream for e in events}
    await _have(sealing, [e.data for e in events])
    open = sealing.opener(events[0].tenant, where.__getitem__)
    opened: list[tuple[int, str, int, bytes]] = []
    for version, type, schema, data in rows:
        opened.append((version, type, schema, await _again(sealing, [], partial(open, version, type, data))))
    return fold(kind, folded, opened)


async def _again(sealing: Sealing, datas: Sequence[bytes], work: Callable[[], Any]) -> Any:
    await _have(sealing, datas)
    while True:
        try:
            return work()
        except KeysNeeded as needed:
            await sealing.keyring.fetch(needed)


async def _have(sealing: Sealing, datas: Sequence[bytes]) -> None:
    """All keys of a history at once."""
    needed = KeysNeeded()
    for data in datas:
        needed.keys |= keys_in(data)
    if needed:
        await sealing.keyring.fetch(needed)


def origins(address: str, events: Sequence[tuple[int, str, int, bytes]]) -> Callable[[int], str]:
    """In which stream a version was recorded: a fork's history begins with that of its source."""
    forked = [(version, _source(data).source) for version, name, _, data in events if name == "Forked"]
    return lambda version: next((source for at, source in forked if version < at), address)
