"""Maps and loops: over what, how many at once, what may fail, what comes of it; and maps of more than 1,000 items."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from actors.workflows.messages import CancelRun, PauseRun, RetryRun, UnpauseRun
from actors.workflows.plan import Each, Loop, TaskAction
from infra.memory.system import System
from tests.workflows.constructs import do, fails, group, run, value
from tests.workflows.engine_world import Tasks, finished


def each(over: Any, **said: Any) -> Each:
    return Each((over,), **said)


def test_a_map_gives_its_results_in_order() -> None:
    step = do("m", "l", input="${ x * 10 + index }", each=each("${ steps.l.output }", name="x"))
    ran = run(value("l", [3, 1, 2]), step,
              answer=lambda c: float(c.input), output="${ steps.m.output }")  # fmt: skip
    assert ran.outputs == [30, 11, 22]


def test_a_map_over_nothing_gives_nothing() -> None:
    ran = run(do("m", each=each([])), do("b", "m", input="${ steps.m.output }"), output="${ steps.b.output }")
    assert (ran.status, ran.outputs, ran.called) == ("succeeded", [], ["b"])


def test_a_map_goes_over_a_map_by_its_keys() -> None:
    ran = run(value("m", "${ item.key + item.value }", each=each({"a": "1", "b": "2"})), output="${ steps.m.output }")
    assert ran.outputs == ["a1", "b2"]


def test_lists_are_zipped_or_crossed() -> None:
    both: Any = ([1, 2], ["a", "b"])
    zipped = run(value("m", "${ item }", each=Each(both, combine="zip")), output="${ steps.m.output }")
    assert zipped.outputs == [[1, "a"], [2, "b"]]
    crossed = run(value("m", "${ item }", each=Each(both, combine="cross")), output="${ steps.m.output }")
    assert crossed.outputs == [[1, "a"], [1, "b"], [2, "a"], [2, "b"]]


def test_keys_name_items_and_must_differ() -> None:
    ran = run(
        value("m", "${ key }", each=each(["x", "y"], key="${ item + string(index) }")), output="${ steps.m.output }"
    )
    assert ran.outputs == ["x0", "y1"]
    ran = run(value("m", 1, each=each(["x", "x"], key="${ item }")))
    assert "two items have the key 'x'" in ran.error["message"]


def test_no_more_items_are_under_way_than_allowed() -> None:
    ran = run(do("m", each=each(list(range(10)), concurrency=3)), answer=lambda _c: 1.0)
    assert (ran.status, ran.tasks.most) == ("succeeded", 3)


@pytest.mark.parametrize(("said", "status"), [({"tolerate": 2}, "succeeded"), ({"tolerate": 1}, "failed"),
                                              ({"tolerate_share": 0.2}, "succeeded"),
                                              ({"tolerate_share": 0.19}, "failed")])  # fmt: skip
def test_so_many_items_may_fail(said: dict[str, Any], status: str) -> None:
    ran = run(
        do("m", each=each(list(range(10)), **said)), answer=lambda c: fails() if c.step in ("m[3]", "m[8]") else 1.0
    )
    assert ran.status == status
    if status == "succeeded":
        assert ran["m"]["output"][3:5] == [None, None]


def test_too_many_failures_stop_the_others_and_catch_may_deal_with_it() -> None:
    from tests.workflows.engine_world import graph

    ran = run(do("m", each=each([1, 2, 3]), catch=graph(value("fix", "${ error.message }"))),
              answer=lambda c: fails() if c.step == "m[1]" else None, output="${ steps.m.output.fix }")  # fmt: skip
    assert (ran.status, ran.outputs) == ("succeeded", "1 of 3 items failed, first 1: no")
    assert ran.ends("m[0]", "m[1]", "m[2]") == ["cancelled", "failed", "cancelled"]


def test_maps_groups_and_loops_nest_in_each_other() -> None:
    inner = do("i", input="${ o * 10 + n }", each=each("${ [1, 2] }", name="n"))
    again = group("again", do("t", input="${ iteration.index + o }"), loop=Loop(3, until="${ output >= o + 2 }"),
                  needs=("i",), output="${ steps.t.output }")  # fmt: skip
    output = "${ steps.i.output + [steps.again.output] }"
    ran = run(group("m", inner, again, each=each([1, 2], name="o"), output=output),
              answer=lambda _c: 1.0, output="${ steps.m.output }")  # fmt: skip
    assert ran.outputs == [[11, 12, 3], [21, 22, 4]]
    looped = group("l", do("m", input="${ item + iteration.index }", each=each([0, 10])), loop=Loop(2),
                   output="${ steps.m.output }")  # fmt: skip
    assert run(looped, answer=lambda _c: 1.0, output="${ steps.l.output }").outputs == [1, 11]


def test_an_item_may_be_a_loop() -> None:
    step = do(
        "m", input="${ item + iteration.index }", each=each([0, 5]), loop=Loop(9, until="${ output >= item + 2 }")
    )
    assert run(step, answer=lambda _c: 1.0, output="${ steps.m.output }").outputs == [2, 7]


def test_an_item_may_be_named_as_one_further_out() -> None:
    inner = value("i", "${ item }", each=each("${ item.list }"))
    ran = run(group("m", inner, each=each([{"list": [1]}, {"list": [2]}]), output="${ steps.i.output }"),
              output="${ steps.m.output }")  # fmt: skip
    assert ran.outputs == [[1], [2]]


# -- loops


def test_a_loop_ends_when_it_should() -> None:
    until = do("l", input="${ iteration.index }", loop=Loop(10, until="${ output == 3 }"))
    assert run(until, output="${ steps.l.output }").called == [f"l#{n}" for n in range(4)]
    while_ = do("l", input="${ iteration.index }", loop=Loop(10, while_="${ iteration.index < 2 }"))
    assert run(while_, output="${ steps.l.output }").outputs == 1
    never = run(do("l", loop=Loop(3, while_="${ false }")), output="${ steps.l.status }")
    assert (never.outputs, never.called) == ("succeeded", [])
    times = run(do("l", input="${ iteration.index }", loop=Loop(3)), output="${ steps.l.output }")
    assert times.outputs == 2


def test_a_loop_that_does_not_end_is_ended() -> None:
    ran = run(do("l", loop=Loop(3, until="${ false }")))
    assert (ran.status, ran.error["kind"], len(ran.called)) == ("failed", "loop", 3)


def test_a_loop_sees_what_the_iteration_before_gave_and_pauses() -> None:
    step = value("l", "${ has(iteration.last.n) ? {'n': iteration.last.n + 1} : {'n': 0} }",
                 loop=Loop(5, until="${ output.n == 2 }", pause=60.0))  # fmt: skip
    ran = run(step, output="${ steps.l.output.n }")
    assert ran.outputs == 2
    assert ran.state["finished_at"] - ran.state["started_at"] == 120_000_000
    stopped = value("l", 1, loop=Loop(5, while_="${ iteration.index < 1 }", pause=60.0))
    assert run(stopped).ends("l", "l#1") == ["succeeded", "skipped"]


def test_a_failed_iteration_fails_the_loop() -> None:
    ran = run(do("l", loop=Loop(5)), answer=lambda c: fails() if c.step == "l#2" else 1.0)
    assert (ran.status, len(ran.called)) == ("failed", 3)


# -- more than 1,000 items

MANY = list(range(1_203))


large = partial(run, snapshot_every=1_000)


def big(**said: Any) -> Any:
    return do("m", "k", input="${ item + steps.k.output }", each=each(MANY, **said))


def test_a_large_map_lives_in_runs_of_at_most_1000_items() -> None:
    ran = large(value("k", 10), big(concurrency=500), answer=lambda _c: 1.0)
    assert ran.status == "succeeded"
    assert ran["m"]["output"] == [n + 10 for n in MANY]
    assert 300 < ran.tasks.most <= 500
    assert set(ran.tasks.calls.values()) == {1}
    streams = Counter(e.stream for e in ran.events if e.type == "StepQueued")
    assert streams == {"run/1.m%0": 1000, "run/1.m%1": 203}


def test_the_slots_of_a_run_are_its_parts_too() -> None:
    ran = large(value("k", 0), big(), *(do(f"o{n}") for n in range(4)), answer=lambda _c: 1.0, concurrency=10)
    assert (ran.status, ran.tasks.most) == ("succeeded", 10)


def test_failures_count_across_parts_and_only_what_failed_is_tried_again() -> None:
    bad = {"run/1.m%0/m[3]", "run/1.m%1/m[7]"}

    async def script(system: System, tasks: Tasks) -> None:
        state = await finished(system)
        assert state["status"] == "failed"
        assert len(tasks.calls) == 1_203
        bad.clear()
        await system.ask("run/1", RetryRun("me"))

    ran = large(value("k", 1), big(tolerate=1), script=script,
              answer=lambda c: fails() if f"{c.run}/{c.step}" in bad else 0.0)  # fmt: skip
    assert ran.status == "succeeded"
    assert ran["m"]["output"] == [n + 1 for n in MANY]
    again = Counter((address, place) for address, place, _ in ran.tasks.calls)
    assert {key for key, count in again.items() if count > 1} <= {("run/1.m%0", "m[3]"), ("run/1.m%1", "m[7]")}
    assert sum(again.values()) <= 1_205


def test_a_large_map_is_cancelled_with_its_run() -> None:
    async def script(system: System, tasks: Tasks) -> None:
        await system.advance(2)
        await system.ask("run/1", CancelRun("enough", "me"))

    ran = large(value("k", 1), big(), answer=lambda _c: None, script=script)
    assert (ran.status, ran.ends("m", "m%0", "m%1")) == ("cancelled", ["cancelled"] * 3)
    assert ran.tasks.at_once == 0


def test_a_large_map_is_paused_with_its_run() -> None:
    seen: list[int] = []

    async def script(system: System, tasks: Tasks) -> None:
        await system.advance(1.5)
        await system.ask("run/1", PauseRun("me"))
        await system.advance(10)
        seen.append(len(tasks.calls))
        await system.advance(100)
        seen.append(len(tasks.calls))
        await system.ask("run/1", UnpauseRun("me"))

    ran = large(value("k", 1), big(concurrency=100), answer=lambda _c: 1.0, script=script)
    assert seen[0] == seen[1] < 1_203
    assert (ran.status, len(ran.tasks.calls)) == ("succeeded", 1_203)


def test_what_the_items_of_a_large_map_did_is_undone() -> None:
    step = group("m", do("a", undo=TaskAction("u@1", "${ item }")), each=each(MANY))
    ran = large(step, do("last", "m"), answer=lambda c: fails() if c.step == "last" else 0.0)
    undone = [place for place in ran.called if place.endswith("!undo")]
    assert (ran.status, len(undone)) == ("failed", 1_203)


def test_a_large_map_within_a_large_map_sees_all_that_is_around_it() -> None:
    inner = value(
        "i", "${ [o, item, steps.k.output, steps.own.output, inputs.x] }", "own", each=each("${ steps.l.output }")
    )
    outer = group("m", value("own", "${ o * 2 }"), inner, each=each("${ inputs.o }", name="o"), needs=("k", "l"),
                  output="${ [size(steps.i.output), steps.i.output[1022]] }")  # fmt: skip
    ran = large(value("k", "k"), value("l", list(range(1_023))), outer, inputs={"o": [1, 2], "x": 9},
              output="${ steps.m.output }")  # fmt: skip
    assert ran.outputs == [[1023, [o, 1022, "k", o * 2, 9]] for o in (1, 2)]


def test_many_small_maps_do_not_make_one_stream_large() -> None:
    ran = large(group("m", value("i", "${ item }", each=each(list(range(50)))), each=each(list(range(40)))))
    assert ran.status == "succeeded"
    assert max(Counter(e.stream for e in ran.events if e.type == "StepSucceeded").values()) <= 1_100
