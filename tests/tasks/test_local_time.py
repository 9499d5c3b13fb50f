"""What a performer owes its calls when their time is over, or nobody wants them any more."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from actors.workflows.tasks import Task
from infra.tasks.context import Context
from infra.tasks.local import Slots
from tests.tasks import work
from tests.tasks.calls import Make, call, forever, noting, plain


async def test_an_attempt_has_its_time(make: Make) -> None:
    assert (await make(Task("t", forever, timeout=0.01)).perform(call())).kind == "timeout"
    assert (await make(Task("t", forever)).perform(call(timeout=0.01))).kind == "timeout"


async def test_a_thread_out_of_time_is_given_up_and_its_late_result_discarded(make: Make) -> None:
    gate = threading.Event()
    executor = make(Task("t", lambda _: gate.wait(30)), slots=Slots(threads=1))
    assert (await executor.perform(call(timeout=0.01))).kind == "timeout"
    second = asyncio.create_task(executor.perform(call(step="b", timeout=30)))
    gate.set()
    assert plain(await second) is True


async def test_a_process_out_of_time_is_killed(make: Make) -> None:
    executor = make(Task("t", work.hang, where="process"))
    assert (await executor.perform(call(timeout=0.3))).kind == "timeout"


async def test_a_call_nobody_begins_in_time_never_begins(make: Make) -> None:
    executor = make(Task("t", forever), slots=Slots(here=1))
    blocking = asyncio.create_task(executor.perform(call()))
    while not executor.open:
        await asyncio.sleep(0)
    result = await executor.perform(call(step="b", queued=0.01))
    assert (result.kind, result.started) == ("timeout", 0)
    executor.cancel("default", "run/1", "a", 1, 0)
    assert (await blocking).kind == "cancelled"


async def test_without_a_sign_of_life_it_is_over_and_with_signs_it_goes_on(make: Make) -> None:
    async def lively(_: Any, context: Context) -> str:
        for _n in range(5):
            await asyncio.sleep(0.05)
            context.heartbeat()
        return "alive"

    executor = make(Task("t", forever), Task("lively", lively))
    result = await executor.perform(call(heartbeat=0.02))
    assert (result.kind, "sign of life" in result.message) == ("timeout", True)
    assert plain(await executor.perform(call("lively", step="b", heartbeat=5.0))) == "alive"


# -- stopping


async def test_an_async_task_may_clean_up_before_it_is_stopped(make: Make) -> None:
    began, cleaned = asyncio.Event(), False

    async def task(_: Any, context: Context) -> None:
        nonlocal cleaned
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned = context.cancelled

    executor = make(Task("t", task))
    under_way = asyncio.create_task(executor.perform(call()))
    await began.wait()
    assert executor.cancel("default", "run/1", "a", 1, 30)
    assert (await under_way).kind == "cancelled"
    assert cleaned
    assert not executor.cancel("default", "run/1", "a", 1, 30)


async def test_a_task_that_will_not_stop_is_given_up_after_its_grace(make: Make) -> None:
    began, gate = asyncio.Event(), asyncio.Event()

    async def stubborn(_: Any) -> None:
        began.set()
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue

    executor = make(Task("t", stubborn))
    under_way = asyncio.create_task(executor.perform(call()))
    await began.wait()
    executor.cancel("default", "run/1", "a", 1, 0.01)
    assert (await under_way).kind == "cancelled"
    gate.set()


@pytest.mark.parametrize("where", ["thread", "process"])
async def test_functions_elsewhere_are_asked_to_stop(make: Make, where: str) -> None:
    began = asyncio.Event()
    executor = make(Task("t", work.spin, where=where))
    under_way = asyncio.create_task(executor.perform(call(), may_begin=noting(began)))
    await began.wait()
    executor.cancel("default", "run/1", "a", 1, 30)
    assert (await under_way).kind == "cancelled"


async def test_a_process_that_does_not_listen_is_killed_and_another_takes_its_place(make: Make) -> None:
    began = asyncio.Event()
    executor = make(
        Task("t", work.hang, where="process"), Task("add", work.add, input=work.Numbers, where="process"),
        slots=Slots(processes=1),
    )  # fmt: skip
    under_way = asyncio.create_task(executor.perform(call(), may_begin=noting(began)))
    await began.wait()
    executor.cancel("default", "run/1", "a", 1, 0.05)
    assert (await under_way).kind == "cancelled"
    assert plain(await executor.perform(call("add", {"a": 1}, step="b"))) == 1


async def test_a_call_that_waits_for_a_slot_is_cancelled_at_once(make: Make) -> None:
    executor = make(Task("t", forever), slots=Slots(here=1))
    first, second = (asyncio.create_task(executor.perform(call(step=s))) for s in "ab")
    while executor.open < 2:
        await asyncio.sleep(0)
    executor.cancel("default", "run/1", "b", 1, 30)
    result = await second
    assert (result.kind, result.started) == ("cancelled", 0)
    executor.cancel("default", "run/1", "a", 1, 30)
    await first


async def test_who_finished_within_the_grace_has_a_result(make: Make) -> None:
    began = asyncio.Event()

    async def task(_: Any) -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done anyway"
        return ""

    executor = make(Task("t", task))
    under_way = asyncio.create_task(executor.perform(call()))
    await began.wait()
    executor.cancel("default", "run/1", "a", 1, 30)
    result = await under_way
    assert (result.kind, plain(result)) == ("", "done anyway")
