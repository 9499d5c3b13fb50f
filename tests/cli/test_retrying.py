"""What is worth asking again, and what is said at once."""

from __future__ import annotations

import pytest

from events.errors import Busy, Unserved
from gateway.cli.retrying import retrying


class Server:
    """Answers with these errors in turn, then with its count."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked = 0

    async def __call__(self) -> int:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.asked


async def no_pause(seconds: float) -> None:
    """Time does not pass."""


async def test_a_busy_server_is_asked_again() -> None:
    server = Server(Busy(retry_after=0.1), Busy(retry_after=0.1))
    assert await retrying(server, pause=no_pause, now=lambda: 0.0) == 3


async def test_a_kind_that_runs_nowhere_is_said_at_once() -> None:
    server = Server(Unserved("no actor kind 'nobody' runs here"))
    with pytest.raises(Unserved, match="nobody"):
        await retrying(server, pause=no_pause, now=lambda: 0.0)
    assert server.asked == 1
