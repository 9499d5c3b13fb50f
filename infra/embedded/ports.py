"""Ports for servers on the loopback address."""

from __future__ import annotations

import errno
import os
import random
import socket
from collections import deque
from pathlib import Path
from typing import Final

from events.errors import Unavailable

LOOPBACK = "127.0.0.1"
CLAIMS: Final = 64
"""Ports that a process keeps from others at most."""

_claims: deque[int] = deque()
"""File descriptors whose names on this machine say which ports this process has chosen."""


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free(preferred: int | None = None) -> int:
    """The preferred port if it is free, else any other one that is.

    Never one the system hands out to outgoing connections: while a server restarts, a connection might take its port,
    and a client of ours that tries to reconnect might even be connected to itself. What was chosen here last (CLAIMS)
    is chosen by no other process while this one lives: a server may need a while until it listens. Raises Unavailable.
    """
    if preferred and is_free(preferred):
        return preferred
    low, high = 20_000, _first_ephemeral() - 1
    for _ in range(1000):
        port = random.SystemRandom().randint(low, high)
        if is_free(port) and _claim(port):
            return port
    raise Unavailable(f"no free port between {low} and {high} on {LOOPBACK}")


def _claim(port: int) -> bool:
    """Choose a port; False if somebody else has. Only Linux has such names: elsewhere nobody is asked."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0thespis-port-{port}")
    except OSError as error:
        claim.close()
        return error.errno != errno.EADDRINUSE
    _claims.append(claim.detach())
    if len(_claims) > CLAIMS:
        os.close(_claims.popleft())
    return True


def _first_ephemeral() -> int:
    try:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        low = 32_768
    return low if low > 21_000 else 49_152
