"""Virtual time moves when everybody waits, and stands still for threads."""

from __future__ import annotations

import asyncio
import threading

from actors.testing.clock import run_virtual


async def after(seconds: float) -> float:
    """What the loop's clock says when that is over."""
    loop = asyncio.get_running_loop()
    due: asyncio.Future[float] = loop.create_future()
    loop.call_later(seconds, lambda: due.set_result(loop.time()))
    return await due


def test_an_hour_of_waiting_takes_no_hour():
    assert run_virtual(after(3_600)) == 3_600


def test_time_stands_still_while_a_thread_is_at_work():
    async def main() -> tuple[float, bool]:
        soon = asyncio.create_task(after(0.001))
        await asyncio.to_thread(threading.Event().wait, 0.1)
        return asyncio.get_running_loop().time(), soon.done()

    assert run_virtual(main()) == (0.0, False)


def test_a_thread_that_waits_for_a_later_time_gets_it():
    async def main() -> float:
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(after(10), loop).result())

    assert run_virtual(main()) == 10.0
