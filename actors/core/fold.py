"""Folding: history into state. Total and silent: it reads no clock, opens no socket, sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

import msgspec

from actors.core.kind import Kind, encode_state
from events.chain import GENESIS
from events.errors import InvalidData, Unserved
from events.registry import Registry
from events.store import Loaded
from events.system import KERNEL_EVENTS, ActorParked, ActorResumed, Forked, ForkMadeLive

KERNEL = Registry(KERNEL_EVENTS)

Open = Callable[[int, str, bytes], bytes]
"""(version, type, data) of an event → its data with what is sealed opened."""


class Folded(msgspec.Struct):
    """An actor as its history says: user state and what the kernel itself keeps."""

    state: Any
    version: int = 0
    hash: bytes = GENESIS
    parked: ActorParked | None = None
    withheld: bool = False
    """A fork that was not made live: its tells and effects stay in."""
    skip: str = ""
    """The id of the message an operator decided to skip."""


def begin(kind: Kind, address: str) -> Folded:
    """An actor without history."""
    return Folded(kind.initial(address))


def fold(kind: Kind, folded: Folded, events: Iterable[tuple[int, str, int, bytes]], open: Open | None = None) -> Folded:
    """Apply (version, type, schema, data) in order. Raises Unserved for a type or version this code does not know."""
    decoder = kind.events.decoder
    evolve = kind.evolve
    state = folded.state
    decoders: dict[tuple[str, int], Any] = {}
    version = folded.version
    for version, name, schema, data in events:
        key = (name, schema)
        decode = decoders.get(key)
        if decode is None:
            decode = decoder(name, schema)
            if decode is None:
                if name in KERNEL:
                    apply_system(folded, KERNEL.decode(name, schema, data))
                    continue
                if kind.accepts_any:
                    state = evolve(state, name)
                    continue
                raise Unserved(
                    f"{kind.name}: event {name} (schema {schema}) at version {version} is not known to this code",
                    hint="run a newer version of the code, or add the event type or its upcaster to the kind",
                )
            decoders[key] = decode
        try:
            event = decode(data if open is None else open(version, name, data))
        except msgspec.MsgspecError as error:
            raise InvalidData(
                f"{kind.name}: event {name} at version {version} does not fit its type: {error}"
            ) from error
        state = evolve(state, event)
    folded.state = state
    folded.version = version
    return folded


def apply_system(folded: Folded, event: Any) -> None:
    """Fold one of the kernel's own events."""
    match event:
        case ActorParked():
            folded.parked = event
        case ActorResumed():
            folded.parked = None
            folded.skip = event.skipped
        case Forked():
            folded.withheld = True
        case ForkMadeLive():
            folded.withheld = False
        case _:
            pass


class _Shortcut(msgspec.Struct):
    """What a snapshot holds."""

    state: msgspec.Raw
    parked: ActorParked | None = None
    withheld: bool = False
    skip: str = ""


_shortcut = msgspec.json.Decoder(_Shortcut).decode


def snapshot_bytes(state: bytes, parked: ActorParked | None, withheld: bool, skip: str) -> bytes:
    """A snapshot's content: the encoded state and what the kernel keeps beside it."""
    return msgspec.json.encode(_Shortcut(msgspec.Raw(state), parked, withheld, skip))


def restore(kind: Kind, address: str, loaded: Loaded, open: Open | None = None) -> Folded:
    """State from what the store loaded: the newest matching snapshot and the tail after it."""
    if loaded.snapshot is not None:
        shortcut = _shortcut(loaded.snapshot.state)
        folded = Folded(kind.decode_state(shortcut.state), loaded.snapshot.version, GENESIS, shortcut.parked)
        folded.withheld = shortcut.withheld
        folded.skip = shortcut.skip
    else:
        folded = begin(kind, address)
    fold(kind, folded, loaded.events, open)
    folded.version = loaded.version
    folded.hash = loaded.hash
    return folded


def state_hash(state: Any) -> bytes:
    """SHA-256 of the state's JSON with sorted keys."""
    return sha256(encode_state(state)).digest()
