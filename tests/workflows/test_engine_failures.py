"""What a failure leads to: policies, retries, `catch`, `finally`, `undo`, timeouts."""

from __future__ import annotations

from typing import Any

import pytest

from actors.workflows.plan import Retry, Step, TaskAction, Timeouts
from actors.workflows.tasks import TaskCall
from infra.memory.system import System
from tests.workflows.constructs import do, fails, group, run, value
from tests.workflows.engine_world import Tasks, graph


def failing(*names: str) -> Any:
    """Tasks at these places fail; others take a second."""

    def answer(call: TaskCall) -> Any:
        return fails() if call.step in names else 1.0

    return answer


def test_the_first_failure_stops_what_is_under_way_and_lets_nothing_begin() -> None:
    ran = run(do("a"), do("b"), do("c", "b"), answer=lambda c: fails() if c.step == "a" else None)
    assert ran.status == "failed"
    assert ran.ends("a", "b", "c") == ["failed", "cancelled", "pending"]
    assert ran.error == {"kind": "error", "message": "no"}


def test_wait_all_lets_the_others_end_and_then_fails() -> None:
    ran = run(do("a"), do("b"), do("c", "b"), do("d", "a"), policy="wait_all", answer=failing("a"))
    assert ran.status == "failed"
    assert ran.ends("a", "b", "c", "d") == ["failed", "succeeded", "succeeded", "skipped"]


def test_continue_does_not_mind_failures() -> None:
    ran = run(do("a"), do("b"), policy="continue", answer=failing("a"), output={"b": "${ steps.b.status }"})
    assert (ran.status, ran.outputs) == ("succeeded", {"b": "succeeded"})


def test_first_success_stops_the_others() -> None:
    ran = run(
        do("a"), do("b"), do("c"), policy="first_success",
        answer=lambda c: {"a": fails(), "b": 1.0, "c": None}[c.step], output="${ steps.b.status }",
    )  # fmt: skip
    assert (ran.status, ran.outputs) == ("succeeded", "succeeded")
    assert ran.ends("a", "b", "c") == ["failed", "succeeded", "cancelled"]


def test_first_success_fails_when_nothing_succeeds() -> None:
    ran = run(do("a"), do("b"), policy="first_success", answer=failing("a", "b"))
    assert ran.status == "failed"
    assert "0 of 2 steps succeeded, 1 must" in ran.error["message"]


def test_k_of_n_ends_as_soon_as_k_succeeded_or_cannot_any_more() -> None:
    steps = [do(name) for name in "abcd"]
    hung = run(*steps, policy="k_of_n", count=2, answer=lambda c: 1.0 if c.step in "ab" else None)
    assert hung.status == "succeeded"
    assert hung.ends(*"abcd") == ["succeeded", "succeeded", "cancelled", "cancelled"]
    lost = run(*steps, policy="k_of_n", count=2, answer=lambda c: fails() if c.step in "abc" else None)
    assert lost.status == "failed"
    assert lost.ends("d") == ["cancelled"]


def test_an_optional_step_may_fail() -> None:
    ran = run(do("a", optional=True), do("b", "a", trigger="all_done"), answer=failing("a"))
    assert ran.status == "succeeded"
    assert ran.ends("a", "b") == ["failed", "succeeded"]


@pytest.mark.parametrize("policy", ["fail_fast", "wait_all"])
def test_a_group_fails_as_one_step(policy: str) -> None:
    ran = run(
        group("g", do("a"), do("b"), policy=policy), do("after", "g"), do("other", "g", trigger="all_failed"),
        policy="wait_all", answer=failing("g/a"),
    )  # fmt: skip
    assert ran.ends("g", "after", "other") == ["failed", "skipped", "succeeded"]
    assert ran["g/b"]["status"] == ("cancelled" if policy == "fail_fast" else "succeeded")


# -- retries


def test_a_task_is_tried_again_as_often_as_it_may() -> None:
    ran = run(do("a", retry=Retry(3)), answer=lambda c: fails() if c.attempt < 3 else 1.0)
    assert ran.status == "succeeded"
    assert [n for _, _, n in ran.tasks.calls] == [1, 2, 3]
    assert run(do("a", retry=Retry(2)), answer=lambda _c: fails()).tasks.calls.total() == 2


def test_only_the_kinds_named_are_tried_again() -> None:
    assert run(do("a", retry=Retry(3, on=("busy",))), answer=lambda _c: fails()).tasks.calls.total() == 1
    assert run(do("a", retry=Retry(3, on=("busy",))), answer=lambda _c: fails("busy")).tasks.calls.total() == 3
    assert run(do("a", retry=Retry(3)), answer=lambda _c: fails("invalid")).tasks.calls.total() == 1


def test_an_attempt_that_was_lost_with_its_worker_does_not_count_but_a_task_that_kills_workers_ends() -> None:
    ran = run(do("a"), answer=lambda c: fails("lost") if c.attempt < 4 else 1.0)
    assert ran.status == "succeeded"
    assert {c.split("/")[0] for c in ran.called} == {"a"}
    ran = run(do("a"), answer=lambda _c: fails("lost"))
    assert (ran.status, ran.tasks.calls.total()) == ("failed", 6)


def test_pauses_grow_are_bounded_and_jitter_the_same_way_every_time() -> None:
    def begins(retry: Retry) -> list[float]:
        ran = run(do("a", retry=retry), answer=lambda _c: fails())
        return [round(b - a, 1) for a, b in _pairs([e for e in ran.events if e.type == "StepRetrying"])]

    plain = Retry(5, backoff=1.0, factor=3.0, longest=20.0, jitter=0.0)
    assert begins(plain) == [1.0, 3.0, 9.0, 20.0]
    shaken = Retry(5, backoff=10.0, factor=1.0, jitter=0.5)
    assert begins(shaken) == begins(shaken)
    assert all(5 <= pause <= 15 for pause in begins(shaken))
    assert len(set(begins(shaken))) > 1


def _pairs(events: list[Any]) -> list[tuple[float, float]]:
    import msgspec

    found = [msgspec.json.decode(e.data) for e in events]
    return [(e["at"] / 1e6, e["until"] / 1e6) for e in found]


# -- catch, finally


def test_what_catch_gives_is_the_result_and_it_sees_the_error() -> None:
    ran = run(
        do("a", catch=graph(value("fix", "${ error.message + '!' }"), output="${ steps.fix.output }")),
        do("b", "a", input="${ steps.a.output }"), answer=failing("a"), output="${ steps.b.output }",
    )  # fmt: skip
    assert (ran.status, ran.outputs) == ("succeeded", "no!")


def test_catch_is_only_for_the_kinds_it_names() -> None:
    caught = graph(value("fix", 1))
    assert run(do("a", catch=caught, catch_on=("timeout",)), answer=failing("a")).status == "failed"
    assert run(do("a", catch=caught, catch_on=("error",)), answer=failing("a")).status == "succeeded"


def test_a_failure_in_catch_is_the_steps_failure() -> None:
    ran = run(do("a", catch=graph(do("fix"))), answer=lambda c: fails(message=c.step))
    assert (ran.status, ran.error["message"]) == ("failed", "a!catch/fix")


@pytest.mark.parametrize("main", [1.0, "fails"])
@pytest.mark.parametrize("caught", [None, 1.0, "fails"])
@pytest.mark.parametrize("last", [1.0, "fails"])
def test_finally_runs_once_whatever_happened_and_only_its_own_failure_changes_the_end(
    main: Any, caught: Any, last: Any
) -> None:
    def answer(call: TaskCall) -> Any:
        said = {"a": main, "a!catch/c": caught, "a!finally/f": last}[call.step]
        return fails(message=call.step) if said == "fails" else said

    catch = None if caught is None else graph(do("c"))
    ran = run(do("a", catch=catch, finally_=graph(do("f", input="${ outcome.status }"))), answer=answer)
    good = main == 1.0 or caught == 1.0
    assert ran.called.count("a!finally/f") == 1
    assert ran.status == ("succeeded" if good and last == 1.0 else "failed")
    if last == 1.0:
        assert ran["a!finally/f"]["output"] == ("succeeded" if good else "failed")
        if not good:
            assert ran.error["message"] == ("a" if caught is None else "a!catch/c")
    else:
        assert ran.error["message"] == "a!finally/f"


def test_two_steps_of_a_group_that_stop_at_once_lead_to_one_catch() -> None:
    ran = run(
        group("g", do("a"), Step("w1", _wait(1e6)), Step("w2", _wait(1e6)), catch=graph(do("fix")),
              finally_=graph(do("f"))),
        answer=failing("g/a"),
    )  # fmt: skip
    assert ran.status == "succeeded"
    assert ran.called == ["g/a", "g!catch/fix", "g!finally/f"]


def _wait(seconds: float) -> Any:
    from actors.workflows.plan import WaitAction

    return WaitAction(seconds)


# -- undo


def test_what_was_done_is_undone_in_reverse_order() -> None:
    undo = TaskAction("u@1", "${ steps.a.output }")
    ran = run(
        do("a", input=7, undo=undo), group("g", do("b", undo=TaskAction("u@1")), needs=("a",)),
        do("c", "g"), answer=failing("c"),
    )  # fmt: skip
    assert ran.status == "failed"
    assert ran.called == ["a", "g/b", "c", "g/b!undo", "a!undo"]
    assert ran["a!undo"]["output"] == 7


def test_undoing_is_tried_again_and_its_failure_does_not_stop_the_rest() -> None:
    undo = TaskAction("u@1")

    def answer(call: TaskCall) -> Any:
        return fails() if call.step in ("c", "b!undo") else 1.0

    ran = run(do("a", undo=undo), do("b", "a", undo=undo, retry=Retry(2)), do("c", "b"), answer=answer)
    assert ran.status == "failed"
    assert ran.called == ["a", "b", "c", "b!undo", "b!undo", "a!undo"]
    assert ran.error == {"kind": "error", "message": "no"}
    bad = run(do("a", undo=TaskAction("u@1", "${ steps.a.output.x }")), do("c", "a"), answer=failing("c"))
    assert bad.ends("a!undo") == ["failed"]


def test_a_run_that_succeeds_undoes_nothing() -> None:
    assert run(do("a", undo=TaskAction("u@1"))).called == ["a"]


# -- timeouts


def test_the_total_time_ends_a_step_as_a_failure_that_catch_may_deal_with() -> None:
    late = Timeouts(total=10.0)
    ran = run(do("a", timeouts=late, catch=graph(value("fix", "${ error.kind }"))), answer=lambda _c: None)
    assert (ran.status, ran["a"]["output"]) == ("succeeded", {"fix": "timeout"})
    ran = run(do("a", timeouts=late, retry=Retry(100, backoff=3.0)), answer=lambda _c: fails())
    assert (ran.status, ran.error["kind"]) == ("failed", "timeout")
    assert 1 < ran.tasks.calls.total() < 6


def test_the_total_time_covers_groups_maps_and_loops() -> None:
    from actors.workflows.plan import Each, Loop

    late = Timeouts(total=10.0)
    for step in (
        group("a", do("x"), do("y"), timeouts=late),
        do("a", timeouts=late, each=Each(([1, 2, 3],), tolerate=3, concurrency=1)),
        do("a", timeouts=late, loop=Loop(5)),
        group("a", do("x"), timeouts=late, each=Each(([1, 2],))),
    ):
        ran = run(step, answer=lambda _c: None)
        assert (ran.status, ran.error["kind"]) == ("failed", "timeout"), step


def test_the_run_has_a_time_of_its_own() -> None:
    ran = run(do("a", finally_=graph(do("f"))), timeout=30.0, answer=lambda c: None if c.step == "a" else 1.0)
    assert (ran.status, ran.error["kind"]) == ("failed", "timeout")
    assert ran.ends("a", "a!finally/f") == ["cancelled", "succeeded"]


def test_a_task_that_does_not_stop_is_given_up_and_its_result_kept_aside() -> None:
    async def script(system: System, tasks: Tasks) -> None:
        await system.advance(1)
        tasks.deaf = True

    ran = run(do("a", timeouts=Timeouts(total=10.0)), do("b", "a", trigger="all_done"), policy="wait_all",
              answer=lambda c: 100.0 if c.step == "a" else 200.0, script=script)  # fmt: skip
    assert ran.ends("a", "b") == ["failed", "succeeded"]
    assert [e.type for e in ran.events].count("LateResult") == 1


def test_an_expression_without_a_value_fails_the_step_wherever_it_stands() -> None:
    from actors.workflows.plan import Case, Each, Loop, SwitchAction, WaitAction, WorkflowAction

    bad = "${ inputs.nothing.here }"
    for step in (
        do("a", input=bad), value("a", bad), do("a", when=bad), do("a", when="${ 1 }"), do("a", each=Each((bad,))),
        do("a", each=Each(("${ 3 }",))), do("a", each=Each(([1, 2],), key=bad)),
        do("a", each=Each(([1, 2],), key="${ 1 }")),
        do("a", each=Each(([1], [1, 2]), combine="zip")), do("a", each=Each(([1],)), input=bad),
        do("a", loop=Loop(3, while_=bad)), do("a", loop=Loop(3, until=bad)), do("a", loop=Loop(3, until="${ 1 }")),
        do("a", each=Each(([1],)), loop=Loop(3, while_=bad)),
        Step("a", SwitchAction((Case(("b",), bad),))), Step("a", WaitAction(bad)), Step("a", WaitAction(until="x")),
        Step("a", WorkflowAction("w", bad)), Step("a", WorkflowAction("w", "${ 3 }")), group("a", output=bad),
        group("a", value("x", bad)),
    ):  # fmt: skip
        ran = run(step, do("b", "a", trigger="all_failed"), policy="wait_all", inputs={})
        assert ran.ends("a", "b") == ["failed", "succeeded"], step
    assert run(value("a", 1), output=bad).error["kind"] == "expression"


def test_usage_is_summed_over_all_attempts_and_nonsense_left_out() -> None:
    from actors.workflows.tasks import TaskResult

    def answer(call: TaskCall) -> Any:
        usage = {"usd": "0.10", "odd": "x", "inf": "Infinity"}
        return TaskResult(kind="error" if call.attempt < 3 else "", message="no", usage=usage)

    ran = run(do("a", retry=Retry(3)), do("b", retry=Retry(3)), answer=answer)
    assert ran.state["usage"] == {"usd": "0.60"}
