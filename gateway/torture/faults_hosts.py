"""What happens to hosts: they die, they stop for a while, they are replaced."""

from __future__ import annotations

import asyncio
import signal

from gateway.demo.host import HostProcess
from gateway.torture.real import LEASE, Stage, owns


async def kill(host: HostProcess) -> None:
    """SIGKILL, and start it again."""
    await host.kill()
    host.start()
    await host.ready()


async def replace(host: HostProcess) -> None:
    """SIGTERM, and start it again once it has ended."""
    await host.stop()
    host.start()
    await host.ready()


async def freeze(stage: Stage, host: HostProcess) -> None:
    """SIGSTOP for longer than its lease, until others have all that it had; then SIGCONT."""
    host.send(signal.SIGSTOP)
    try:
        others = [other for other in stage.hosts if other is not host and other.running]
        await asyncio.sleep(LEASE * 1.5)
        if len(others) == 1:
            await owns(others[0], 64)
    finally:
        host.send(signal.SIGCONT)
    await owns(host)
