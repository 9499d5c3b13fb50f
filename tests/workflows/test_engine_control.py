"""What people, timers and other runs do to a run: cancel, pause, retry, fork."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.workflows.messages import (
    CancelRun,
    PauseRun,
    RetryRun,
    Signal,
    StartRun,
    UnpauseRun,
)
from actors.workflows.plan import (
    ApprovalAction,
    Case,
    Each,
    Loop,
    Retry,
    Step,
    SwitchAction,
    TaskAction,
    WaitAction,
    encode_plan,
)
from actors.workflows.tasks import TaskCall
from events.errors import Refused
from infra.memory.system import System, run_system
from tests.workflows.constructs import do, fails, group, run, value
from tests.workflows.engine_world import Tasks, finished, graph, plan


def cancel(after: float) -> Any:
    async def script(system: System, _tasks: Tasks) -> None:
        await system.advance(after)
        await system.ask("run/1", CancelRun("enough", "me"))

    return script


# -- cancel


def test_a_cancelled_run_stops_what_is_under_way_and_runs_what_must_happen() -> None:
    steps = (
        do("task", finally_=graph(do("f1"), do("f2", "f1"))), Step("wait", WaitAction(1e6)),
        Step("event", WaitAction(event="E")), Step("approval", ApprovalAction("x")),
        do("map", each=Each(([1, 2, 3],), concurrency=2)), do("loop", loop=Loop(3)),
        group("group", do("x"), group("inner", do("y"), finally_=graph(do("f")))),
        do("retry", retry=Retry(9, backoff=1e3)), do("later", "task"),
    )  # fmt: skip
    ran = run(
        *steps, script=cancel(5), answer=lambda c: 1.0 if "!" in c.step else fails() if c.step == "retry" else None
    )
    assert ran.status == "cancelled"
    under_way = ["task", "wait", "event", "approval", "map", "loop", "group", "retry"]
    assert ran.ends(*under_way, "later") == ["cancelled"] * 8 + ["pending"]
    assert [place for place in ran.called if "!" in place].count("task!finally/f2") == 1
    assert ran.ends("group/inner!finally/f", "map[2]") == ["succeeded", "pending"]
    assert ran.tasks.at_once == 0


def test_a_task_that_ignores_the_cancellation_is_given_up_after_its_grace() -> None:
    async def script(system: System, tasks: Tasks) -> None:
        tasks.deaf = True
        await cancel(5)(system, tasks)

    ran = run(do("a"), script=script, answer=lambda _c: 1000.0, grace=20.0)
    assert ran.status == "cancelled"
    assert 25 <= (ran.state["finished_at"] - ran.state["started_at"]) / 1e6 < 60


def test_a_cancelled_run_undoes_what_it_did() -> None:
    ran = run(do("a", undo=TaskAction("u@1")), do("b", "a"), script=cancel(5),
              answer=lambda c: None if c.step == "b" else 1.0)  # fmt: skip
    assert (ran.status, ran.called) == ("cancelled", ["a", "b", "a!undo"])


def test_what_is_cancelled_during_catch_is_not_caught() -> None:
    ran = run(do("a", catch=graph(do("c1"), do("c2", "c1")), finally_=graph(do("f"))), script=cancel(5),
              answer=lambda c: fails() if c.step == "a" else None if "c1" in c.step else 1.0)  # fmt: skip
    assert (ran.status, ran.ends("a", "a!catch/c1", "a!catch/c2", "a!finally/f")) == (
        "cancelled", ["cancelled", "cancelled", "pending", "succeeded"],
    )  # fmt: skip


def test_a_task_that_says_it_was_cancelled_though_nobody_asked_has_failed() -> None:
    ran = run(do("a"), do("b", "a"), answer=lambda c: fails("cancelled") if c.step == "a" else 1.0)
    assert (ran.status, ran.ends("a", "b")) == ("failed", ["failed", "pending"])


# -- pause


def test_a_paused_run_lets_nothing_begin_and_then_goes_on() -> None:
    seen: list[list[str]] = []

    async def script(system: System, tasks: Tasks) -> None:
        await system.advance(1)
        await system.ask("run/1", PauseRun("me"))
        await system.advance(1000)
        seen.append(list(tasks.order))
        await system.ask("run/1", UnpauseRun("me"))

    steps = (
        do("a"), do("b", "a"), do("r", retry=Retry(2, backoff=100.0)), Step("w", WaitAction(50)), do("after", "w"),
        Step("late", WaitAction(5), needs=("a",)), do("m", "a", each=Each(([1, 2, 3],), concurrency=1)),
    )  # fmt: skip
    ran = run(*steps, script=script, concurrency=3,
              answer=lambda c: fails() if c.step == "r" and c.attempt == 1 else 10.0)  # fmt: skip
    assert seen == [["a", "r"]]
    assert ran.status == "succeeded"
    assert ran.tasks.most <= 3


def test_a_paused_run_can_be_cancelled() -> None:
    async def script(system: System, tasks: Tasks) -> None:
        await system.advance(1)
        await system.ask("run/1", PauseRun("me"))
        await system.ask("run/1", CancelRun())

    assert run(do("a"), do("b", "a"), script=script, answer=lambda _c: 50.0).status == "cancelled"


# -- slots and priorities


def test_those_of_higher_priority_get_the_slots_first_and_then_those_who_waited_longest() -> None:
    steps = [do("first"), *(do(f"n{n}") for n in range(3)), do("low", priority=1), do("high", priority=9)]
    ran = run(*steps, answer=lambda _c: 1.0, concurrency=1)
    assert ran.called == ["first", "high", "n0", "n1", "n2", "low"]


# -- retry


def test_a_retried_run_keeps_what_succeeded_wherever_it_stands() -> None:
    bad = True

    def answer(call: TaskCall) -> Any:
        return fails() if bad and call.input == "bad" else 0.0

    async def script(system: System, _tasks: Tasks) -> None:
        nonlocal bad
        assert (await finished(system))["status"] == "failed"
        bad = False
        await system.ask("run/1", RetryRun("me"))

    item = group("g", do("one"), do("two", "one", input="${ item }"), do("three", "two"), policy="wait_all",
                 each=Each((["a", "bad", "c"],)))  # fmt: skip
    loop = group("l", do("x"), do("y", "x", input="${ iteration.index == 1 ? 'bad' : '' }"), loop=Loop(3))
    ran = run(do("a"), group("outer", item, loop, policy="wait_all", needs=("a",)), do("end", "outer"), answer=answer,
              script=script, policy="wait_all")  # fmt: skip
    assert ran.status == "succeeded"
    calls = [place for _, place, _ in ran.tasks.calls]
    twice = {place for place in calls if calls.count(place) > 1}
    assert twice <= {"outer/g[1]/two", "outer/l#1/y"} | {
        f"outer/g[{n}]/{s}" for n in (0, 2) for s in ("two", "three", "one")
    }
    assert calls.count("a") == calls.count("outer/l#0/y") == calls.count("outer/l#1/x") == 1
    assert max(n for _, place, n in ran.tasks.calls if place == "outer/l#1/y") == 2


def test_what_was_undone_is_done_again() -> None:
    bad = True

    async def script(system: System, _tasks: Tasks) -> None:
        nonlocal bad
        assert (await finished(system))["status"] == "failed"
        bad = False
        await system.ask("run/1", RetryRun("me"))

    ran = run(
        do("a", undo=TaskAction("u@1")), do("b", "a"), do("c", "b"), do("o"), script=script,
        answer=lambda c: fails() if bad and c.step == "c" else 0.0,
    )  # fmt: skip
    assert ran.status == "succeeded"
    assert [p for p in ran.called if p != "o"] == ["a", "b", "c", "a!undo", "a", "b", "c"]
    assert ran.called.count("o") == 1


def test_a_step_may_be_named_to_be_tried_again_with_all_that_hangs_on_it() -> None:
    bad = True

    async def script(system: System, _tasks: Tasks) -> None:
        nonlocal bad
        await finished(system)
        bad = False
        with pytest.raises(Refused):
            await system.ask("run/1", RetryRun("me", ["nothing"]))
        await system.ask("run/1", RetryRun("me", ["a"]))

    ran = run(do("a"), do("b", "a"), do("c"), do("d", "b"), script=script, policy="wait_all",
              answer=lambda c: fails() if bad and c.step == "d" else 0.0)  # fmt: skip
    assert ran.status == "succeeded"
    assert sorted(ran.called) == ["a", "a", "b", "b", "c", "d", "d"]


def test_a_failed_finally_is_tried_again_without_the_action_before_it() -> None:
    bad = True

    async def script(system: System, _tasks: Tasks) -> None:
        nonlocal bad
        await finished(system)
        bad = False
        await system.ask("run/1", RetryRun("me"))

    ran = run(do("a", finally_=graph(do("f"))), script=script,
              answer=lambda c: fails() if bad and "f" in c.step else 0.0)  # fmt: skip
    assert (ran.status, ran.called) == ("succeeded", ["a", "a!finally/f", "a!finally/f"])


def test_a_cancelled_run_goes_on_and_a_result_of_before_is_not_taken_for_a_new_one() -> None:
    async def script(system: System, tasks: Tasks) -> None:
        tasks.deaf = True
        await system.advance(5)
        await system.ask("run/1", CancelRun())
        await finished(system)
        await system.ask("run/1", RetryRun("me"))

    ran = run(do("a"), script=script, answer=lambda c: 60.0 if c.attempt == 1 else 500.0)
    assert (ran.status, ran["a"]["attempt"]) == ("succeeded", 2)
    assert [e.type for e in ran.events].count("LateResult") == 1


def test_a_run_that_goes_on_or_did_not_fail_is_not_retried() -> None:
    async def script(system: System, _tasks: Tasks) -> None:
        with pytest.raises(Refused, match="not failed"):
            await system.ask("run/1", RetryRun("me"))

    assert run(do("a"), script=script, answer=lambda _c: 5.0).status == "succeeded"


# -- branches, forks


def test_a_switch_takes_one_way_and_the_others_are_dead_to_the_end() -> None:
    cases = (Case(("x",), "${ inputs.n > 1 }"), Case(("y",), "${ inputs.n > 0 }"), Case(("z",)))
    steps = (Step("s", SwitchAction(cases)), do("x", "s"), do("y", "s"), do("z", "s"), do("y2", "y"),
             do("join", "x", "y2", "z", trigger="one_success"))  # fmt: skip
    for n, way in ((2, "x"), (1, "y"), (0, "z")):
        ran = run(*steps, inputs={"n": n})
        assert {p for p in "xyz" if p in ran.called} == {way}
        assert (ran.status, ran.ends("join")) == ("succeeded", ["succeeded"])
    inclusive = (Step("s", SwitchAction(cases, inclusive=True)), *steps[1:])
    assert {p for p in "xyz" if p in run(*inclusive, inputs={"n": 2}).called} == {"x", "y"}


def test_a_fork_begins_with_recorded_results_and_takes_the_way_that_was_taken() -> None:
    made = plan(graph(
        do("a"), Step("s", SwitchAction((Case(("x",), "${ steps.a.output }"), Case(("y",)))), needs=("a",)),
        do("x", "s", input="${ steps.a.output }"), do("y", "s"), output="${ steps.x.output }",
    ))  # fmt: skip
    tasks = Tasks(lambda _c: 0.0)

    async def script(system: System) -> None:
        message = StartRun(msgspec.Raw(encode_plan(made)), results={"a": True, "s": ["x"]}, forked_from="run/0")
        await system.ask("run/1", message)
        state = await finished(system)
        assert (state["status"], state["outputs"], tasks.order) == ("succeeded", True, ["x"])
        with pytest.raises(Refused, match="no step"):
            await system.ask("run/2", StartRun(msgspec.Raw(encode_plan(made)), results={"q": 1}))

    run_system(tasks.plugin(), script)


# -- approvals, events, unknown results


def test_an_event_ends_the_wait_that_it_matches() -> None:
    async def script(system: System, _tasks: Tasks) -> None:
        await system.advance(1)
        for n in (1, 2, 3):
            await system.ask("run/1", Signal("E", {"n": n}))

    ran = run(Step("w", WaitAction(event="E", match="event.data.n == 2")), script=script,
              output="${ steps.w.output.data.n }")  # fmt: skip
    assert ran.outputs == 2
    late = run(Step("w", WaitAction(60, event="E", match="event.nothing.x")), script=script)
    assert late.error["kind"] == "timeout"


def test_a_denied_approval_is_asked_for_anew_when_the_run_is_retried() -> None:
    from actors.approval import Approve, Deny, approval_of

    async def script(system: System, _tasks: Tasks) -> None:
        await system.advance(1)
        await system.ask(approval_of("run/1", "g/ok"), Deny("ada"), sender="user:ada")
        assert (await finished(system))["error"]["kind"] == "denied"
        await system.ask("run/1", RetryRun("me"))
        await system.advance(1)
        await system.ask(approval_of("run/1", "g/ok~2"), Approve("ada"), sender="user:ada")

    ran = run(group("g", Step("ok", ApprovalAction("x"))), script=script)
    assert (ran.status, ran["g/ok"]["output"]["by"]) == ("succeeded", ["ada"])


def test_an_approval_that_can_never_be_reached_is_a_failure_not_a_wait() -> None:
    assert run(Step("ok", ApprovalAction("x", approvers=("a",), quorum=2))).error["kind"] == "refused"


# -- very many


def test_a_run_of_which_very_much_may_begin_at_once_is_decided_bit_by_bit() -> None:
    steps = [do(f"s{n}") for n in range(1_000)] + [value(f"v{n}", n) for n in range(1_000)]
    skipped = [value(f"w{n}", 1, f"s{n}", when="${ false }") for n in range(1_000)]
    ran = run(*steps, *skipped, answer=lambda _c: 0.0, snapshot_every=5_000)
    assert ran.status == "succeeded"
    assert max(ran.tasks.calls.values()) == 1
    assert any(e.type == "RunDeferred" for e in ran.events)


def test_many_steps_under_way_are_cancelled_bit_by_bit() -> None:
    ran = run(*(do(f"s{n}") for n in range(1_500)), answer=lambda _c: None, script=cancel(5), snapshot_every=5_000)
    assert (ran.status, {n["status"] for n in ran.state["nodes"].values()}) == ("cancelled", {"cancelled"})
