"""Effects: calls to the outside world, recorded honestly (P8).

requested → (started) → succeeded, failed or unknown. What may be repeated is repeated with the same key under a new
attempt number; an irreversible call is recorded as started before it is made, and a lost one becomes unknown.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, cast

import msgspec

from actors.core.deciding import EffectBody
from actors.core.kind import Attempt, EffectKind
from actors.core.outputs import Outcome
from actors.core.sealing import Sealing
from events.errors import InvalidData, NotOwned, ThespisError, Unavailable
from events.ids import keyed
from events.sealing import is_sealed, unseal
from events.store import Effect, EffectChange, EventStore
from events.subjects import KeysNeeded, Place, plan_of
from events.system import EffectUnknown

PAGE = 500

_encode = msgspec.json.Encoder().encode
_body = msgspec.json.Decoder(EffectBody).decode

Settle = Callable[[Effect, Outcome, EffectChange, Any], None]
Record = Callable[[Effect, EffectChange], Awaitable[bool]]
Late = Callable[[Effect, str, bytes], Awaitable[None]]


class Effects:
    """Performs the open effects of the held partitions, `concurrency` of a kind at a time.

    `settle(effect, outcome, change, note)` hands the outcome to the actor; `record(effect, change)` appends a bare
    change and says whether it was written; `late` is told the outcome of a call whose partition another host owns now.
    """

    def __init__(
        self,
        store: EventStore,
        kinds: Mapping[str, EffectKind],
        owned: Mapping[int, int],
        settle: Settle,
        record: Record,
        late: Late | None = None,
    ) -> None:
        self._store = store
        self.kinds = kinds
        self._owned = owned
        self._settle = settle
        self._record = record
        self.late = late
        self.closing: list[Callable[[str], None]] = []
        """Called with the id of every effect whose outcome was delivered."""
        self.sealing: Sealing | None = None
        self._known: set[str] = set()
        """Effects queued, running or handed to their actor."""
        self._handed: dict[str, Effect] = {}
        self._waiting: dict[str, deque[tuple[Effect, bool, int | None]]] = {name: deque() for name in kinds}
        self._running: dict[str, int] = dict.fromkeys(kinds, 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempts = 0
        self.unserved: set[str] = set()
        """Kinds of open effects that no EffectKind here performs."""

    async def stop(self) -> None:
        """Make no more calls; calls under way are cut off and their outcome is found out by whoever takes over."""
        for waiting in self._waiting.values():
            waiting.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def opened(self, effect: Effect) -> None:
        """An effect was committed here just now."""
        self._take(effect, found=False)

    def closed(self, id: str) -> None:
        """The outcome was delivered, or nobody here is responsible any more."""
        self._known.discard(id)
        self._handed.pop(id, None)
        for listener in self.closing:
            listener(id)

    def undelivered(self, change: EffectChange) -> None:
        """The actor cannot take the outcome now: keep it in the ledger until it can."""
        effect = self._handed.pop(change.id, None)
        if effect is None:
            return
        self._known.discard(effect.id)
        if effect.status not in ("succeeded", "failed", "unknown"):
            self._spawn(self._keep(effect, msgspec.structs.replace(change, delivered=False)))

    def acquired(self, partitions: Collection[int]) -> None:
        """Read the ledger of new partitions, page by page, without activating any actor."""
        self._spawn(self._take_over(sorted(partitions), None))

    def again(self, tenant: str, stream: str, partition: int) -> None:
        """Take up the effects of an actor that goes on after it was parked."""
        self._spawn(self._take_over([partition], (tenant, stream)))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_over(self, partitions: list[int], only: tuple[str, str] | None) -> None:
        after = ""
        while partitions:
            try:
                page = await self._store.effects(partitions, after, PAGE)
            except ThespisError:
                await asyncio.sleep(0.5)
                continue
            for effect in page:
                after = effect.id
                if effect.partition in self._owned and only in (None, (effect.tenant, effect.stream)):
                    self._take(effect, found=True)
            if len(page) < PAGE:
                return
            await asyncio.sleep(0)

    def _take(self, effect: Effect, *, found: bool) -> None:
        if effect.id in self._known:
            return
        if effect.status in ("succeeded", "failed", "unknown"):
            self._known.add(effect.id)
            outcome = msgspec.json.decode(effect.outcome or b"null", type=_Stored)
            self._hand_over(effect, effect.status, outcome.result, outcome.error, effect.attempt)
            return
        if effect.kind not in self._waiting:
            self.unserved.add(effect.kind)
            return
        self._known.add(effect.id)
        self._waiting[effect.kind].append((effect, found, self._owned.get(effect.partition)))
        self._start(effect.kind)

    def _start(self, name: str) -> None:
        waiting = self._waiting[name]
        while waiting and self._running[name] < self.kinds[name].concurrency:
            effect, found, epoch = waiting.popleft()
            if epoch is None or self._owned.get(effect.partition) != epoch:
                self._let_go(effect)
                continue
            self._running[name] += 1
            self._spawn(self._run(self.kinds[name], effect, found))

    async def _run(self, kind: EffectKind, effect: Effect, found: bool) -> None:
        try:
            await self._perform(kind, effect, found)
        finally:
            self._running[kind.name] -= 1
            self._start(kind.name)

    async def _perform(self, kind: EffectKind, effect: Effect, found: bool) -> None:
        try:
            request = kind.decode(await self._request(effect))
        except msgspec.MsgspecError as error:
            await self._finish(
                effect, "failed", None, f"the request does not fit {kind.request.__name__}: {error}", "0"
            )
            return
        if found and effect.status == "started":
            await self._reconcile(kind, effect, request)
            return
        for retry in range(kind.attempts):
            if retry:
                await asyncio.sleep(kind.backoff * 2 ** (retry - 1))
            epoch = self._owned.get(effect.partition)
            if epoch is None:
                self._known.discard(effect.id)
                return
            self._attempts += 1
            number = f"{epoch}.{self._attempts}"
            if kind.effect_class == "irreversible" and not await self._begun(effect, number, epoch):
                return
            attempt = Attempt(effect.id, effect.key, number, effect.tenant, effect.stream, effect.trace)
            try:
                async with asyncio.timeout(kind.timeout):
                    result = await kind.perform(request, attempt)
                await self._finish(effect, "succeeded", result, "", number)
                return
            except NotOwned:  # the performer saw that the actor moved: whoever owns it now goes on with the call
                self._let_go(effect)
                return
            except Exception as error:
                unsure = kind.effect_class == "irreversible" and isinstance(error, OSError)
                text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                if plan_of(kind.request) is not None:
                    text = type(error).__name__  # the rest could quote what is personal
                if unsure or retry + 1 == kind.attempts:
                    await self._finish(effect, "unknown" if unsure else "failed", None, text, number)
                    return

    async def _begun(self, effect: Effect, number: str, epoch: int) -> bool:
        """Record that a call is about to be made. None was yet, so it is tried until it is certain."""
        while self._owned.get(effect.partition) == epoch:
            try:
                if await self._record(effect, EffectChange(effect.id, "started", number)):
                    return True
                self._known.discard(effect.id)
                return False
            except Unavailable:
                await asyncio.sleep(0.2)
        self._let_go(effect)
        return False

    def _let_go(self, effect: Effect) -> None:
        """Its partition was lost. If it is ours again, the ledger knows what others did with it meanwhile."""
        self._known.discard(effect.id)
        if effect.partition in self._owned:
            self.again(effect.tenant, effect.stream, effect.partition)

    async def _reconcile(self, kind: EffectKind, effect: Effect, request: Any) -> None:
        error = "the host was lost between the call and its record"
        if kind.reconcile is not None:
            attempt = Attempt(effect.id, effect.key, effect.attempt, effect.tenant, effect.stream, effect.trace)
            try:
                async with asyncio.timeout(kind.timeout):
                    known = await kind.reconcile(request, attempt)
                if known is not None:
                    status, value = known
                    result, text = (value, "") if status == "succeeded" else (None, str(value))
                    await self._finish(effect, status, result, text, effect.attempt)
                    return
            except NotOwned:
                self._let_go(effect)
                return
            except Exception as failure:
                error = f"{error}; reconciling failed: {type(failure).__name__}: {failure}"
        await self._finish(effect, "unknown", None, error, effect.attempt)

    async def _finish(self, effect: Effect, status: str, result: Any, error: str, attempt: str) -> None:
        try:
            result = await self._kept(effect, result)
        except (TypeError, ValueError) as failure:
            status, result, error = "failed", None, f"the result cannot be stored: {failure}"
        if effect.partition in self._owned:
            self._hand_over(effect, status, result, error, attempt)
            return
        self._known.discard(effect.id)
        if self.late is not None and status != "unknown":
            await self.late(effect, status, _encode(_Stored(result, error)))

    async def _request(self, effect: Effect) -> bytes:
        body = bytes(_body(effect.data).request)
        if self.sealing is None or not is_sealed(body):
            return body
        place = Place(effect.tenant, effect.stream, effect.id, effect.kind)
        while True:
            try:
                return unseal(self.sealing.keyring, body, place)
            except KeysNeeded as needed:
                await self._fetch(needed)

    async def _kept(self, effect: Effect, result: Any) -> Any:
        """The result as it is stored. Raises TypeError or ValueError when it cannot be."""
        body = _encode(result)
        if self.sealing is None or plan_of(result.__class__) is None:
            return result
        while True:
            try:
                sealed = self.sealing.body(result, body, effect.tenant, effect.stream, effect.id, "Outcome")
                return msgspec.Raw(sealed)
            except KeysNeeded as needed:
                await self._fetch(needed)

    async def resolved(self, effect: Effect, outcome: bytes) -> bytes:
        """What a person says became of an effect, with what is personal in the result sealed.

        Raises InvalidData when the result of a type with personal fields is none of that type.
        """
        kind = self.kinds.get(effect.kind)
        plan = plan_of(kind.result) if self.sealing is not None and kind is not None else None
        if plan is None or kind is None or is_sealed(outcome):
            return outcome
        said = msgspec.json.decode(outcome)
        # Without the names `result` and `error` it is taken for the result itself: nothing may be kept as it came.
        shaped = isinstance(said, dict) and cast("dict[str, Any]", said).keys() <= {"result", "error"}
        try:
            stored = msgspec.convert(said, _Stored) if shaped else _Stored(said)
            if stored.result is None:
                return _encode(stored)
            # Typed and back: what the type does not know may be personal too, and nobody could seal it.
            stored.result = await self._kept(effect, msgspec.convert(stored.result, kind.result))
        except (msgspec.MsgspecError, InvalidData) as error:
            raise InvalidData(f"the outcome of effect {effect.id} is no {kind.result.__name__}: {error}") from error
        return _encode(stored)

    async def _fetch(self, needed: KeysNeeded) -> None:
        assert self.sealing is not None
        try:
            await self.sealing.keyring.fetch(needed)
        except ThespisError:
            await asyncio.sleep(0.5)

    def _hand_over(self, effect: Effect, status: str, result: Any, error: str, attempt: str) -> None:
        ref = _body(effect.data).ref
        outcome = Outcome(effect.id, effect.kind, ref, status, result, error)
        change = EffectChange(effect.id, status, attempt, _encode(_Stored(result, error)), delivered=True)
        self._handed[effect.id] = effect
        note = EffectUnknown(effect.id, effect.kind, _number(attempt), error) if status == "unknown" else None
        self._settle(effect, outcome, change, note if effect.status != "unknown" else None)

    async def _keep(self, effect: Effect, change: EffectChange) -> None:
        while effect.partition in self._owned:
            try:
                await self._record(effect, change)
                return
            except Unavailable:
                await asyncio.sleep(0.5)


class _Stored(msgspec.Struct):
    """What the ledger keeps of an outcome."""

    result: Any = None
    error: str = ""


def outcome_id(effect: Effect, attempt: str, status: str) -> str:
    """The message id of an outcome: (effect, attempt, status)."""
    return keyed(effect.tenant, "effect", effect.id, f"{attempt}:{status}")


def _number(attempt: str) -> int:
    return int(attempt.rpartition(".")[2] or 0)
