"""Folding a batch: decode, name the rows, apply; what fails parks its key. No I/O happens here (P5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from zlib import crc32

import msgspec

from events.envelope import Event
from events.errors import InvalidData
from events.registry import Registry
from projections.core.definition import WHOLE, Key, Projection, Row
from projections.core.port import Commit, Held, Poisoned
from projections.core.rows import Rows

CACHED_ROWS: Final = 20_000
"""Rows of a table kept between batches."""

MAX_KEY: Final = 400
MAX_ERROR: Final = 2_000
"""Characters of a parking key and of an error that are kept."""

_plain = msgspec.json.Decoder().decode
_FAILED: Final = object()
_SKIPPED: Final = object()


def _unknown(schema: int) -> Callable[[bytes], Any]:
    def refuse(data: bytes) -> Any:
        raise ValueError(f"schema version {schema} is not known to this projection")

    return refuse


class Fold:
    """One build in memory: its cached rows and its parked keys, and what the batch in hand does to them."""

    def __init__(self, projection: Projection, parked: Iterable[str] = ()) -> None:
        self.projection = projection
        self.rows = Rows(projection.layouts)
        self.parked = set(parked)
        self.poisoned: list[Poisoned] = []
        self.held: list[Held] = []
        self._failures: dict[int, Exception] = {}
        self._decoders: dict[tuple[str, int], Callable[[bytes], Any]] = {}
        self._names = {t for t in projection.types if isinstance(t, str)}
        self._registry = Registry(t for t in projection.types if not isinstance(t, str))

    def prepare(self, events: Sequence[Event]) -> tuple[list[Any], dict[str, dict[Key, None]]]:
        """Decode the events and name the rows that must be loaded (`rows.fill`) before `apply`."""
        data = [None] * len(events) if not self.projection.types else [self._decode(e) for e in events]
        missing: dict[str, dict[Key, None]] = {}
        keys = self.projection.keys
        if keys is not None:
            caches = self.rows.caches()
            for event, value in zip(events, data, strict=True):
                if value is _FAILED or value is _SKIPPED:
                    continue
                try:
                    for table, key in keys(event, value):
                        if key not in caches[table.name]:
                            missing.setdefault(table.name, {})[key] = None
                except Exception as error:
                    self._failures[event.position] = error
        return data, missing

    def _decode(self, event: Event) -> Any:
        decoder = self._decoders.get((event.type, event.schema)) or self._decoder(event)
        if decoder is None:
            return None
        try:
            return decoder(event.data)
        except Exception as error:
            if self.projection.undecodable == "skip":
                return _SKIPPED
            self._failures[event.position] = InvalidData(f"{event.type}: {error}")
            return _FAILED

    def _decoder(self, event: Event) -> Callable[[bytes], Any] | None:
        name, schema = event.type, event.schema
        if name in self._names:
            found = _plain
        elif name in self._registry:
            found = self._registry.decoder(name, schema) or _unknown(schema)
        else:
            return None
        self._decoders[name, schema] = found
        return found

    def apply(self, events: Sequence[Event], data: Sequence[Any]) -> None:
        """Fold prepared events in order. What fails is undone and parks its key; what is parked is held."""
        apply, rows, accept = self.projection.apply, self.rows, self.rows.journal.clear
        failures = self._failures
        for event, value in zip(events, data, strict=True):
            if self.parked and self._hold(event):
                continue
            if failures and event.position in failures:
                self.park(event, failures[event.position])
                continue
            if value is _SKIPPED:
                continue
            try:
                apply(rows, event, value)
            except MemoryError:
                raise
            except Exception as error:
                rows.undo()
                self.park(event, error)
            accept()

    def key_of(self, event: Event) -> str:
        """The event's parking key; one that cannot be computed parks the whole projection."""
        try:
            key = _printable(str(self.projection.park_key(event)))
        except Exception:
            return WHOLE
        return key if len(key) <= MAX_KEY else f"{key[:MAX_KEY]}~{crc32(key.encode()):08x}"

    def _hold(self, event: Event) -> bool:
        key = WHOLE if WHOLE in self.parked else self.key_of(event)
        if key not in self.parked:
            return False
        self.held.append(Held(key, event.position))
        return True

    def park(self, event: Event, error: Exception) -> None:
        """Stop the event's key here."""
        key = self.key_of(event)
        self.parked.add(key)
        self.poisoned.append(Poisoned(key, event.position, _printable(f"{type(error).__name__}: {error}"[:MAX_ERROR])))
        self.held.append(Held(key, event.position))

    def commit(self, cursor: int) -> Commit:
        """What to store. Raises InvalidData when a row does not fit its table."""
        return Commit(cursor, self.rows.changes(), tuple(self.poisoned), tuple(self.held))

    def hand_over(self) -> None:
        """The commit is on its way; what comes now belongs to the next one."""
        self.rows.hand_over()
        self._clear()

    def settle(self) -> None:
        """What was handed over is stored. Call it between batches."""
        self.rows.settle(CACHED_ROWS)

    def forget(self, parked: Iterable[str]) -> None:
        """Start again from what is stored."""
        self.rows.forget()
        self.parked = set(parked)
        self._clear()

    def _clear(self) -> None:
        self.poisoned.clear()
        self.held.clear()
        self._failures.clear()


def _printable(text: str) -> str:
    """What any store can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def replay(projection: Projection, events: Iterable[Event]) -> dict[str, list[Row]]:
    """The rows of each table, in order of their keys, after these events: for tests and for proofs.

    Raises what `apply` raised first: nothing is parked here.
    """
    fold = Fold(projection)
    for event in events:
        if not projection.every and event.type not in projection.type_names:
            continue
        data, missing = fold.prepare([event])
        for table, keys in missing.items():
            fold.rows.fill(table, keys, ())
        fold.apply([event], data)
        if fold.poisoned:
            raise InvalidData(f"event {event.position} cannot be folded: {fold.poisoned[0].error}")
    fold.rows.changes()
    return fold.rows.contents()
