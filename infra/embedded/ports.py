"""Ports for servers on the loopback address."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from events.errors import Unavailable

LOOPBACK = "127.0.0.1"


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
    and a client of ours that tries to reconnect might even be connected to itself. Raises Unavailable.
    """
    if preferred and is_free(preferred):
        return preferred
    low, high = 20_000, _first_ephemeral() - 1
    for _ in range(1000):
        port = random.SystemRandom().randint(low, high)
        if is_free(port):
            return port
    raise Unavailable(f"no free port between {low} and {high} on {LOOPBACK}")


def _first_ephemeral() -> int:
    try:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        low = 32_768
    return low if low > 21_000 else 49_152
