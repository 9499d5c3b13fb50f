"""Virtual time moves when everybody waits, and stands still for threads."""

from __future__ import annotations

import asyncio
import time

from actors.testing.clock import run_virtual


def test_an_hour_of_waiting_takes_no_hour():
    async def main() -> float:
        await asyncio.sleep(3_600)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 3_600


def test_time_stands_still_while_a_thread_is_at_work():
    async def main() -> tuple[float, int]:
        turns = 0

        async def waiting() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.2)
                turns += 1

        waiter = asyncio.create_task(waiting())
        await asyncio.to_thread(time.sleep, 0.1)
        waiter.cancel()
        return asyncio.get_running_loop().time(), turns

    assert run_virtual(main()) == (0.0, 0)


def test_a_thread_that_waits_for_a_later_time_gets_it():
    async def main() -> float:
        loop = asyncio.get_running_loop()

        async def later() -> float:
            await asyncio.sleep(10)
            return loop.time()

        return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(later(), loop).result())

    assert run_virtual(main()) == 10.0
