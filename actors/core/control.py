"""Operators' words to an actor, and looking at it: recorded like everything else, or without any trace."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from actors.core import foreign
from actors.core.cell import Cell, Work
from actors.core.deciding import EffectBody
from actors.core.effects import outcome_id
from actors.core.fold import begin
from actors.core.kind import Kind, encode_state
from actors.core.outputs import Outcome
from actors.core.port import ActorView
from actors.core.sealing import refolded, restored
from events import chain
from events.address import FOREIGN, partition_of, split
from events.envelope import Answer, Message
from events.errors import Conflict, InvalidData, NotFound, NotOwned, ThespisError, UnknownType
from events.ids import derived, random_id
from events.store import Append, EffectChange, NewEvent, Status
from events.system import ActorParked, ActorResumed, EffectResolved, Forked

if TYPE_CHECKING:
    from actors.core.host import Host

_encode = msgspec.json.Encoder().encode


class Control:
    """Everything of the port that is not the hot path."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def view(self, tenant: str, address: str, at: int | None) -> ActorView:
        """See `Actors.view`."""
        host = self._host
        if split(address)[0] in FOREIGN:
            return await foreign.view(host.store, tenant, address, at)
        kind = self._kind(address)
        if at is None:
            loaded = (await host.store.load([(tenant, address, kind.fold_id)]))[0]
            if loaded.version == 0:
                raise NotFound(f"{address} has no history")
            folded = await restored(host.words.sealing, kind, tenant, address, loaded)
        else:
            events = await host.store.read_stream(tenant, address, 0, at)
            if not events or events[-1].version < at or at < 1:
                raise NotFound(f"{address} has no version {at}", hint="versions count from 1")
            folded = await refolded(host.words.sealing, kind, begin(kind, address), events)
            folded.version = at
        state = msgspec.json.decode(encode_state(folded.state))
        parked = folded.parked.reason if folded.parked is not None else None
        return ActorView(tenant, address, kind.name, folded.version, state, parked, at)

    async def summaries(self, tenant: str, addresses: Sequence[str], size: int) -> dict[str, str]:
        """See `Actors.summaries`."""
        kinds = self._host.kinds
        known = [(address, kind) for address in addresses if (kind := kinds.get(address.partition("/")[0]))]
        loaded = await self._host.store.load([(tenant, address, kind.fold_id) for address, kind in known])
        found: dict[str, str] = {}
        for (address, kind), history in zip(known, loaded, strict=True):
            try:
                folded = await restored(self._host.words.sealing, kind, tenant, address, history)
                text = encode_state(folded.state).decode()
            except Exception as error:
                text = f"cannot be folded: {error}"
            found[address] = text if len(text) <= size else f"{text[: size - 1]}…"
        return found

    async def query(self, tenant: str, address: str, question: str, body: bytes) -> bytes:
        """See `Actors.query`."""
        host = self._host
        kind = self._kind(address)
        decode = kind.questions.decoder(question, 1)
        if kind.query is None or decode is None:
            known = ", ".join(sorted(t.name for t in kind.questions)) or "none"
            raise UnknownType(f"{kind.name} has no question {question!r}", hint=f"known questions: {known}")
        try:
            asked = decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidData(f"{question}: {error}") from error
        partition = partition_of(tenant, address)
        if partition not in host.owned:
            raise NotOwned(f"{address} belongs to partition {partition}, which this host does not own")
        cell = host.cells.get(tenant, {}).get(address)
        if cell is not None and cell.loaded and not cell.busy:
            return _encode(kind.query(cell.state, asked))
        # Not here, or what is in memory is not committed yet: fold what is.
        loaded = (await host.store.load([(tenant, address, kind.fold_id)]))[0]
        folded = await restored(host.words.sealing, kind, tenant, address, loaded)
        return _encode(kind.query(folded.state, asked))

    async def park(self, tenant: str, address: str, by: str, reason: str) -> Answer:
        """See `Actors.park`."""
        if (await self.view(tenant, address, None)).parked is not None:
            raise Conflict(f"{address} is parked already")
        return await self._note(tenant, address, by, ActorParked("", "", reason, f"parked by {by}", 0))

    async def resume(self, tenant: str, address: str, by: str, reason: str, skip: bool) -> Answer:
        """See `Actors.resume`."""
        kind = self._kind(address)
        loaded = (await self._host.store.load([(tenant, address, kind.fold_id)]))[0]
        if loaded.version == 0:
            raise NotFound(f"{address} has no history")
        parked = await self._parked_by(tenant, address)
        if parked is None:
            raise Conflict(f"{address} is not parked")
        return await self._note(tenant, address, by, ActorResumed(by, reason, parked.message if skip else ""))

    async def _parked_by(self, tenant: str, address: str) -> ActorParked | None:
        parked: ActorParked | None = None
        for event in await self._host.store.read_stream(tenant, address):
            if event.type == "ActorParked":
                parked = msgspec.json.decode(event.data, type=ActorParked)
            elif event.type == "ActorResumed":
                parked = None
        return parked

    async def _note(self, tenant: str, address: str, by: str, note: Any) -> Answer:
        now = self._host.now()
        id = random_id(now)
        return await self._submit(Message(id, "", address, tenant, b"", by, now, "", id), Work, note=note)

    async def fork(self, tenant: str, address: str, version: int, new: str, by: str) -> Answer:
        """See `Actors.fork`."""
        host = self._host
        kind = self._kind(address)
        if split(new)[0] != kind.name:
            raise Conflict(f"a fork of {address} is of its kind, {kind.name}, not {new}", hint=f"use {kind.name}/…")
        partition = partition_of(tenant, new)
        epoch = host.owned.get(partition)
        if epoch is None:
            raise NotOwned(f"{new} belongs to partition {partition}, which this host does not own")
        events = await host.store.read_stream(tenant, address, max(version - 1, 0), version)
        if not events or events[-1].version != version:
            raise NotFound(f"{address} has no version {version}")
        source = events[-1]
        now = host.now()
        id = f"{derived(new, random_id(now), now)}0000"
        data = _encode(Forked(address, version, by))
        link = chain.link(source.hash, tenant, new, version + 1, id, "Forked", 1, source.id, data)
        event = NewEvent(id, "Forked", 1, data, source.id, source.correlation, link)
        append = Append(tenant, new, partition, epoch, version, [event], fork_of=(address, version))
        verdict, appended = await host.appender.append(append)
        if verdict.status is Status.FENCED:
            raise NotOwned(f"{new} moved to another host")
        if verdict.status is not Status.WRITTEN:
            raise Conflict(f"{new} exists already", hint="choose another name")
        return Answer("handled", min(verdict.position, appended.head), version + 1)

    async def resolve(
        self, tenant: str, effect: str, status: str, outcome: bytes | None, by: str, reason: str
    ) -> Answer:
        """See `Actors.resolve`."""
        if status not in ("succeeded", "failed"):
            raise InvalidData(f"an effect is resolved as succeeded or failed, not {status!r}")
        row = await self._host.store.effect(effect)
        if row is None or row.tenant != tenant:
            raise NotFound(f"there is no effect {effect}")
        if row.status != "unknown":
            raise Conflict(f"effect {effect} is {row.status}, only an unknown one can be resolved")
        outcome = await self._host.effects.resolved(row, outcome or b"{}")
        stored = msgspec.json.decode(outcome, type=dict[str, Any])
        told = Outcome(
            row.id, row.kind, msgspec.json.decode(row.data, type=EffectBody).ref, status,
            stored.get("result"), stored.get("error", ""),
        )  # fmt: skip
        now = self._host.now()
        message = Message(
            outcome_id(row, row.attempt, status), "Outcome", row.stream, tenant, _encode(told), by, now,
            row.causation, row.correlation,
        )  # fmt: skip
        change = EffectChange(row.id, status, row.attempt, outcome, delivered=True)
        note = EffectResolved(row.id, row.kind, status, by, reason)
        return await self._submit(message, Work, change=change, note=note)

    async def _submit(self, message: Message, make: type[Work], **rows: Any) -> Answer:
        host = self._host
        partition = partition_of(message.tenant, message.to)
        if partition not in host.owned:
            raise NotOwned(f"{message.to} belongs to partition {partition}, which this host does not own")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def done(result: Answer | ThespisError) -> None:
            if future.done():
                return
            if isinstance(result, ThespisError):
                future.set_exception(result)
            else:
                future.set_result(result)

        cell: Cell | None = host.cell(message.tenant, message.to, partition)
        assert cell is not None
        host.run_queue.enqueue(cell, make(message, done, **rows), front=True)
        return await future

    def _kind(self, address: str) -> Kind:
        name = split(address)[0]
        kind = self._host.kinds.get(name)
        if name in FOREIGN:
            raise UnknownType(f"{address} is written by an application of its own", hint="it can be read, no more")
        if kind is None:
            raise UnknownType(f"no actor kind {name!r} runs here", hint=f"known kinds: {', '.join(self._host.kinds)}")
        return kind
