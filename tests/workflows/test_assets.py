"""Assets: what did not change is not done again, and checks stop what hangs on them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.asset import Asset as AssetState
from actors.asset import Explain, Lookup, Materialise, asset_address, decide, evolve, query
from actors.core.outputs import Reply
from actors.workflows.fingerprints import components, explain_stale
from actors.workflows.plan import Check, Each, Policy, Produces, Step, TaskAction, ValueAction
from actors.workflows.tasks import TaskCall, TaskResult
from events.address import split
from events.envelope import Message
from infra.memory.system import System, run_system
from tests.workflows.engine_world import Tasks, finished, graph, plan, start

WORDS = Produces("words")


def length(call: TaskCall) -> TaskResult:
    """The length of a text, or of the texts of a list."""
    return TaskResult(output=len(call.input["text"]))


def chain(**said: Any) -> list[Step]:
    """count(text) → double(its length) → report."""
    return [
        Step("count", TaskAction("t@1", {"text": "${ inputs.text }"}, code="1"), produces=(WORDS,), **said),
        Step("twice", TaskAction("t@1", {"text": "${ [steps.count.output] }"}), needs=("count",), cache=True),
        Step("last", ValueAction("${ steps.twice.output }"), needs=("twice",)),
    ]


async def run(system: System, steps: list[Step], name: str, policy: str = "fail_fast", **inputs: Any) -> dict[str, Any]:
    await start(system, plan(graph(*steps, policy=Policy(policy))), inputs, name)
    return await finished(system, name)


def called(tasks: Tasks, name: str) -> list[str]:
    return sorted(step for run, step, _ in tasks.calls if run == f"run/{name}")


def test_a_run_with_the_same_inputs_calls_no_task_and_says_where_the_results_are_from() -> None:
    tasks = Tasks(length)

    async def script(system: System) -> None:
        first = await run(system, chain(), "1", text="abc")
        second = await run(system, chain(), "2", text="abc")
        assert called(tasks, "1") == ["count", "twice"]
        assert called(tasks, "2") == []
        assert second["nodes"]["last"]["output"] == first["nodes"]["last"]["output"]
        said = [msgspec.json.decode(e.data) for e in await system.events() if e.stream == "run/2"]
        cached = {s["step"]: s["cached"] for s in said if "cached" in s}
        assert cached["count"] == "asset/words@1"
        assert cached["twice"].startswith("asset/test.twice@1")

    run_system(tasks.plugin(), script)


def test_the_same_output_from_other_inputs_cuts_off_what_comes_after() -> None:
    tasks = Tasks(length)

    async def script(system: System) -> None:
        await run(system, chain(), "1", text="abc")
        await run(system, chain(), "2", text="xyz")
        assert called(tasks, "2") == ["count"]
        await run(system, chain(), "3", text="abc")
        assert called(tasks, "3") == [], "an older version will do as well"

    run_system(tasks.plugin(), script)


@pytest.mark.parametrize("said", [{"volatile": True}, {}])
def test_other_code_and_volatile_steps_are_run_again(said: dict[str, Any]) -> None:
    tasks = Tasks(length)

    async def script(system: System) -> None:
        await run(system, chain(**said), "1", text="abc")
        again = chain(**said)
        if not said:
            again[0] = msgspec.structs.replace(
                again[0], action=TaskAction("t@1", {"text": "${ inputs.text }"}, code="2")
            )
        await run(system, again, "2", text="abc")
        assert called(tasks, "2") == ["count"]
        state = await system.state("asset/words")
        assert [v["version"] for v in state["versions"]] == [1, 2]

    run_system(tasks.plugin(), script)


@pytest.mark.parametrize("key", [None, "${ item.name }"])
def test_of_the_items_of_a_map_only_those_that_changed_are_done_again(key: str | None) -> None:
    tasks = Tasks(length)
    step = Step(
        "m", TaskAction("t@1", {"text": "${ item.text }"}), each=Each(("${ inputs.files }",)),
        produces=(Produces("size", key=key),),
    )  # fmt: skip

    async def script(system: System) -> None:
        files = [{"name": f"f{n}", "text": "x" * n} for n in range(20)]
        await run(system, [step], "1", files=files)
        files[7] = {"name": "f7", "text": "changed"}
        files.append({"name": "new", "text": "y"})
        state = await run(system, [step], "2", files=files)
        # Without a key an item is known by what it is made from: a text that was seen before is not looked at again.
        assert called(tasks, "2") == ["m[20]", "m[7]"]
        assert len(state["nodes"]["m"]["output"]) == 21
        if key is None:
            whole = await system.state("asset/size")
            assert [v["version"] for v in whole["versions"]] == [1, 2]

    run_system(tasks.plugin(), script)


def test_a_blocking_check_that_fails_stops_only_what_hangs_on_it() -> None:
    tasks = Tasks(length)
    checks = (Check("enough", "${ output > 5 }"), Check("even", "${ output % 2 == 0 }", blocking=False))
    steps = [
        Step("a", TaskAction("t@1", {"text": "${ inputs.text }"}), produces=(Produces("a", checks=checks),)),
        Step("after", ValueAction("${ steps.a.output }"), needs=("a",)),
        Step("beside", TaskAction("t@1", {"text": "${ inputs.text }"})),
        Step("last", ValueAction(1), needs=("beside",)),
    ]

    async def script(system: System) -> None:
        state = await run(system, steps, "1", text="abc")
        nodes = state["nodes"]
        assert {n: nodes[n]["status"] for n in nodes} == {
            "a": "succeeded", "after": "skipped", "beside": "succeeded", "last": "succeeded",
        }  # fmt: skip
        assert nodes["a"]["output"] == 3
        assert state["status"] == "failed"
        assert state["error"] == {"kind": "check", "message": "the check 'enough' of a does not hold"}
        checked = [msgspec.json.decode(e.data) for e in await system.events() if e.type == "AssetChecked"]
        assert [(c["name"], c["passed"], c["blocking"]) for c in checked] == [
            ("enough", False, True), ("even", False, False),
        ]  # fmt: skip
        assert checked[0]["detail"] == "output > 5 is false"
        await run(system, steps, "2", text="abc")
        assert "a" in called(tasks, "2"), "a version that a check stopped is not reused"
        good = await run(system, steps, "3", text="abcdef")
        assert good["status"] == "succeeded"

    run_system(tasks.plugin(), script)


def test_what_is_recorded_once_is_recorded_once_also_when_a_host_is_lost() -> None:
    tasks = Tasks(lambda call: 5.0)

    async def script(system: System) -> None:
        step = Step("m", TaskAction("t@1", "${ item }"), each=Each(("${ inputs.n }",)), produces=(Produces("p"),))
        await start(system, plan(graph(step)), {"n": list(range(30))})
        await system.advance(2.0)
        await system.lose_host(system.hosts[0])
        await finished(system)
        await system.settle()
        made = [e.stream for e in await system.events() if e.type == "AssetMaterialised"]
        assert len(made) == len(set(made)) == 31

    run_system(tasks.plugin(), script, hosts=2)


# -- the actor, and what explains


def told(state: AssetState, data: Any) -> Any:
    message = Message("m", type(data).__name__, "asset/a", "default", b"", "run/1", 7, "", "m", data)
    outs = decide(state, message)
    for out in outs:
        if not isinstance(out, Reply):
            evolve(state, out)
    return next(out.data for out in outs if isinstance(out, Reply))


def test_the_first_component_that_differs_is_named() -> None:
    step = chain()[0]
    before = components(step, {"inputs.text": "abc", "item": 1}, {"raw": "1"})
    assert explain_stale(None, before) == "it was never made"
    assert explain_stale(before, before) == ""
    assert explain_stale(before, components(step, {"inputs.text": "x", "item": 2}, {"raw": "1"})) == (
        "input inputs.text changed"
    )
    assert explain_stale(before, components(step, {"inputs.text": "abc", "item": 1}, {"raw": "2"})) == (
        "asset raw changed"
    )
    other = msgspec.structs.replace(step, action=TaskAction("t@1", {"text": "${ inputs.text }"}, code="9"))
    assert explain_stale(before, components(other, {}, {})) == "the code of its task changed"
    other = msgspec.structs.replace(step, action=TaskAction("t@2", {}))
    assert explain_stale(before, components(other, {}, {})) == "the definition of its step changed"
    assert explain_stale(before, {n: h for n, h in before.items() if n != "input item"}) == (
        "input item is not read any more"
    )
    assert explain_stale(before, {**before, "input more": "1"}) == "input more is new"
    assert explain_stale(before, {n: before[n] for n in ("definition", "code")}, partial=True) == ""


def test_when_and_how_often_a_step_runs_does_not_make_it_stale() -> None:
    step = chain()[0]
    other = msgspec.structs.replace(step, priority=9, optional=True, needs=("x",), when="${ true }")
    assert components(step, {}, {}) == components(other, {}, {})


def test_an_asset_answers_why_not_and_reports_each_version_once() -> None:
    state = AssetState()
    parts = {"definition": "d", "code": "c", "input x": "1"}
    made = Materialise("a", "h", "f", "w", "d", "1", "s", components=parts, output=5)
    assert told(state, Lookup("f", components=parts)).why == "it was never made"
    assert told(state, made) == {"version": 1}
    assert told(state, made) == {"version": 1}
    assert told(state, Lookup("f")).output == 5
    assert told(state, Lookup("g", components={**parts, "input x": "2"})).why == "input x changed"
    assert query(state, Explain({**parts, "code": "k"}))["why"] == "the code of its task changed"
    for n in range(2, 9):
        told(state, msgspec.structs.replace(made, run=str(n), fingerprint=f"f{n}"))
    assert len(state.versions) == 5
    assert not told(state, Lookup("f")).hit


def test_addresses_of_assets_fit_whatever_the_name() -> None:
    addresses = [
        asset_address(*args) for args in (("a",), ("a", "k"), ("ä b#c",), ("x" * 300,), ("x" * 300, "ü" * 500))
    ]
    assert len(set(addresses)) == len(addresses)
    for address in addresses:
        split(address)
