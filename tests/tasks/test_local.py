"""What a performer owes its calls: results, slots, order, processes, large values."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actors.workflows.tasks import Task, TaskError
from infra.tasks.context import Context
from infra.tasks.local import OutcomeUnknown, Slots
from infra.tasks.values import LIMIT
from tests.tasks import work
from tests.tasks.calls import Make, call, forever, plain


async def test_an_async_task_gets_its_typed_input_and_its_context(make: Make) -> None:
    async def task(numbers: work.Numbers, context: Context) -> dict[str, Any]:
        context.usage(tokens=2, cost="0.30")
        context.usage(cost="0.20")
        return {"sum": numbers.a + numbers.b, "key": context.key, "attempt": context.attempt}

    result = await make(Task("t", task, input=work.Numbers)).perform(call(input={"a": 2, "b": 3}, attempt=4))
    assert plain(result) == {"sum": 5, "key": "run/1/a", "attempt": 4}
    assert (result.kind, result.worker, result.usage) == ("", "w", {"tokens": "2", "cost": "0.50"})
    assert result.started > 0


@pytest.mark.parametrize("where", ["thread", "process"])
async def test_a_plain_function_runs_elsewhere_and_the_loop_goes_on(make: Make, where: str) -> None:
    executor = make(Task("t", work.add, input=work.Numbers, where=where))
    assert plain(await executor.perform(call(input={"a": 2, "b": 3}))) == 5


@pytest.mark.parametrize("where", ["here", "thread", "process"])
async def test_input_that_does_not_fit_is_invalid_and_the_task_never_begins(make: Make, where: str) -> None:
    async def here(numbers: work.Numbers) -> int:
        raise AssertionError

    task = Task("t", here if where == "here" else work.add, input=work.Numbers, where=where)
    result = await make(task).perform(call(input={"a": "x"}))
    assert result.kind == "invalid"
    assert "a" in result.message


async def test_a_result_that_breaks_its_promise_is_said_to(make: Make) -> None:
    result = await make(Task("t", lambda _: "text", output=int)).perform(call())
    assert result.kind == "invalid-output"


async def test_a_result_that_is_no_json_is_an_error(make: Make) -> None:
    assert (await make(Task("t", lambda _: object())).perform(call())).kind == "error"


@pytest.mark.parametrize("where", ["thread", "process"])
async def test_a_task_names_its_own_error(make: Make, where: str) -> None:
    result = await make(Task("t", work.refuse, where=where)).perform(call())
    assert (result.kind, result.message, result.data) == ("tired", "not today", {"hours": 3})


async def test_an_exception_is_an_error_with_its_name(make: Make) -> None:
    def fails(_: Any) -> None:
        raise KeyError("x")

    result = await make(Task("t", fails)).perform(call())
    assert (result.kind, result.message) == ("error", "KeyError: 'x'")


async def test_a_task_nobody_knows_is_said_to_be_unknown_and_what_is_known(make: Make) -> None:
    result = await make(Task("t", lambda _: 1)).perform(call("u"))
    assert result.kind == "unknown-task"
    assert "t@1" in result.message


async def test_the_most_urgent_goes_first_and_then_who_came_first(make: Make) -> None:
    order: list[str] = []
    gate = asyncio.Event()

    async def task(name: str) -> None:
        order.append(name)
        await gate.wait()

    executor = make(Task("t", task), slots=Slots(here=1))
    calls = [
        asyncio.create_task(executor.perform(call(input=name, step=name, priority=p)))
        for name, p in (("first", 1), ("b", 5), ("c", 5), ("urgent", 9), ("late", 0))
    ]
    while executor.open < 5:
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*calls)
    assert order == ["first", "urgent", "b", "c", "late"]


async def test_a_task_with_a_limit_of_its_own_does_not_hold_up_others(make: Make) -> None:
    running: list[str] = []
    gate = asyncio.Event()

    async def task(name: str) -> None:
        running.append(name)
        await gate.wait()
        running.remove(name)

    executor = make(Task("one", task, at_once=1), Task("t", task))
    calls = [
        asyncio.create_task(executor.perform(call(name, step, step=step)))
        for name, step in (("one", "a"), ("one", "b"), ("t", "c"))
    ]
    while len(running) < 2:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert running == ["a", "c"]
    gate.set()
    await asyncio.gather(*calls)


async def test_the_same_call_twice_is_performed_once(make: Make) -> None:
    calls = 0
    gate = asyncio.Event()

    async def task(_: Any) -> int:
        nonlocal calls
        calls += 1
        await gate.wait()
        return calls

    executor = make(Task("t", task))
    both = [asyncio.create_task(executor.perform(call())) for _ in range(2)]
    while not calls:
        await asyncio.sleep(0)
    gate.set()
    assert [plain(r) for r in await asyncio.gather(*both)] == [1, 1]


# -- processes


async def test_a_killed_child_loses_its_call_and_no_other(make: Make) -> None:
    executor = make(Task("t", work.die, where="process"), Task("pid", work.pid, where="process"))
    lost, other = await asyncio.gather(executor.perform(call()), executor.perform(call("pid", step="b")))
    assert (lost.kind, other.kind) == ("lost", "")
    assert (await executor.perform(call("pid", step="c"))).kind == ""


async def test_children_are_used_again(make: Make) -> None:
    executor = make(Task("t", work.pid, where="process"), slots=Slots(processes=1))
    pids = {plain(await executor.perform(call(step=step))) for step in "abc"}
    assert len(pids) == 1


async def test_a_function_in_a_child_uses_its_context_and_may_print(make: Make) -> None:
    seen: list[Any] = []
    executor = make(Task("t", work.count, where="process"), show=lambda tenant, call, data: seen.append(data))
    result = await executor.perform(call())
    assert (plain(result), result.usage) == ("run/1/a", {"tokens": "7", "cost": "0.10"})
    assert seen == [{"done": 1}]


# -- what is irreversible


@pytest.mark.parametrize("task", [
    Task("t", forever, timeout=0.01, effect_class="irreversible"),
    Task("t", work.die, where="process", effect_class="irreversible"),
])  # fmt: skip
async def test_an_irreversible_task_cut_off_half_way_has_no_known_outcome(make: Make, task: Task) -> None:
    with pytest.raises(OutcomeUnknown):
        await make(task).perform(call())


async def test_an_irreversible_task_that_says_it_failed_has_failed(make: Make) -> None:
    task = Task("t", work.refuse, effect_class="irreversible")
    assert (await make(task).perform(call())).kind == "tired"


async def test_a_reconciler_finds_out(make: Make) -> None:
    async def ask(input: Any) -> tuple[str, Any] | None:
        return ("succeeded", {"paid": input})

    executor = make(Task("t", forever, reconcile=ask), Task("u", forever))
    found = await executor.reconcile(call(input=7), "default")
    assert found is not None
    assert (found[0], plain(found[1])) == ("succeeded", {"paid": 7})
    assert await executor.reconcile(call("u"), "default") is None


# -- large values


async def test_a_large_result_is_kept_by_its_content_and_resolved_for_the_next_task(make: Make) -> None:
    async def large(_: Any) -> list[str]:
        return ["x" * 1000] * 100

    async def measure(input: dict[str, Any]) -> int:
        return sum(len(text) for text in input["deep"][0]["here"])

    executor = make(Task("large", large, output=list[str]), Task("measure", measure))
    reference = plain(await executor.perform(call("large")))
    assert set(reference) == {"$blob", "size"}
    assert reference["size"] > LIMIT
    again = plain(await executor.perform(call("large", step="b")))
    assert again == reference
    result = await executor.perform(call("measure", {"deep": [{"here": reference}]}, step="c"))
    assert plain(result) == 100_000


async def test_a_value_that_is_gone_is_invalid(make: Make) -> None:
    result = await make(Task("t", forever)).perform(call(input={"$blob": "00" * 32, "size": 70_000}))
    assert result.kind == "invalid"


async def test_stopping_leaves_nothing_behind(make: Make, tmp_path: Path) -> None:
    executor = make(Task("t", forever), Task("p", work.hang, where="process"))
    calls = [asyncio.create_task(executor.perform(call(name, step=name))) for name in ("t", "p")]
    while executor.open < 2:
        await asyncio.sleep(0)
    await executor.stop()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(r, asyncio.CancelledError) for r in results)
    assert executor.open == 0


def test_errors_of_tasks_are_values() -> None:
    assert TaskError("x", kind="y", data=1).data == 1
