"""The hash chain of a stream: each event's hash covers its stored bytes and the hash before it."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

GENESIS: Final = bytes(32)
"""The hash before version 1."""


def link(
    previous: bytes,
    tenant: str,
    stream: str,
    version: int,
    id: str,
    type: str,
    schema: int,
    causation: str,
    data: bytes,
) -> bytes:
    """SHA-256 over the previous hash and the event's identity and data, without what the log assigns."""
    head = f"{tenant}\0{stream}\0{version}\0{id}\0{type}\0{schema}\0{causation}\0"
    return sha256(previous + head.encode() + data).digest()
