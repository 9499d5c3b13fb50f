"""A tool: one definition is handed out, a change stops it until somebody agreed; places are fair, the rate is kept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.fold import begin
from actors.core.outputs import Reply, Schedule, Tell
from actors.testing.scenario import Scenario
from actors.testing.scenario import given as scenario
from actors.tools.arguments import fitting
from actors.tools.differences import differences
from actors.tools.messages import (
    ApproveTool,
    DescribeTool,
    DisableTool,
    EnterTool,
    LeaveTool,
    PlaceGranted,
    PlaceLost,
    RateDue,
    SeeTool,
    UseTool,
)
from actors.tools.tool import hash_of, parameters_of
from actors.tools.tool_kind import tool
from events.envelope import Message
from events.errors import InvalidData
from events.tools import ToolDefinition, ToolDisabled, ToolUseGranted
from tests.governance.world import Outside, World, play, wanted

ONE = ToolDefinition("a", "Does it.", {"type": "object"}, "read-local", "pure", at_once=2)
TWO = msgspec.structs.replace(ONE, description="Does it otherwise.", parameters={"type": "object", "maxProperties": 1})
THREE = msgspec.structs.replace(ONE, timeout=5.0)


class Misspelled(msgspec.Struct):
    path: str
    expect: str = ""


def see(definition: ToolDefinition, origin: str = "") -> SeeTool:
    return SeeTool(hash_of(definition), definition, origin)


def fresh(definition: ToolDefinition = ONE, origin: str = "") -> Scenario:
    return scenario(tool, address="tool/a").when(see(definition, origin), sender="host/1")


def status(kit: Scenario) -> str:
    return kit.state.status


def test_our_own_first_definition_is_approved_by_itself_and_that_of_others_waits() -> None:
    assert status(fresh()) == "approved"
    kit = fresh(origin="far")
    assert status(kit) == "waiting"
    kit.when(UseTool("call/1"), sender="call/1").refused("disabled")
    kit.when(ApproveTool(hash_of(TWO)), sender="user:owner").refused("changed")
    kit.when(ApproveTool(hash_of(ONE)), sender="user:owner")
    assert status(kit) == "approved"
    assert kit.state.approved_by == "owner"
    kit.when(UseTool("call/1"), sender="call/1")
    assert kit.outputs == [Reply({"hash": hash_of(ONE), "definition": msgspec.to_builtins(ONE)})]


def test_a_definition_of_others_that_changes_while_it_waits_is_not_approved_by_the_old_hash() -> None:
    kit = fresh(origin="far").when(see(TWO, "far"), sender="host/1")
    kit.when(ApproveTool(hash_of(ONE)), sender="user:owner").refused("changed")
    kit.when(ApproveTool(hash_of(TWO)), sender="user:owner")
    assert kit.state.definition == TWO


def test_a_tool_of_others_does_not_become_ours_by_saying_so() -> None:
    kit = fresh(origin="far").when(see(TWO), sender="host/1")
    assert status(kit) == "waiting"


def test_what_a_person_says_there_is_waits_too() -> None:
    for sender in ("user:mallory", "nats:host/1", "spool:default"):
        assert status(scenario(tool, address="tool/a").when(see(ONE), sender=sender)) == "waiting"


def test_a_changed_definition_stops_the_tool_until_it_is_approved() -> None:
    kit = fresh().when(see(TWO), sender="host/2")
    disabled = next(out for out in kit.outputs if isinstance(out, ToolDisabled))
    assert disabled.diff == [
        'description: "Does it." → "Does it otherwise."',
        "+ parameters.maxProperties: 1",
    ]
    assert status(kit) == "changed"
    kit.when(UseTool("call/1"), sender="call/1").refused("disabled")
    kit.when(EnterTool("call/1", hash_of(ONE)), sender="call/1").refused("disabled")
    assert tool.query is not None
    shown = tool.query(kit.state, DescribeTool())
    assert shown["pending"]["hash"] == hash_of(TWO)
    assert shown["pending"]["diff"] == disabled.diff
    kit.when(ApproveTool(hash_of(TWO), note="fine"), sender="user:owner")
    assert (status(kit), kit.state.hash, kit.state.definition) == ("approved", hash_of(TWO), TWO)
    kit.when(EnterTool("call/1", hash_of(ONE)), sender="call/1").refused("changed")


def test_a_change_taken_back_ends_the_matter_and_a_persons_no_stands() -> None:
    kit = fresh().when(see(TWO), sender="host/2").when(see(ONE), sender="host/1")
    assert (status(kit), kit.state.seen_hash) == ("approved", "")
    kit.when(DisableTool(reason="no"), sender="user:owner").when(see(TWO), sender="host/2").when(
        see(ONE), sender="host/1"
    )
    assert status(kit) == "disabled"
    kit.when(ApproveTool(hash_of(ONE)), sender="user:owner")
    assert status(kit) == "approved"


DEFINITIONS = st.sampled_from([ONE, TWO, THREE])
STEPS = st.lists(st.one_of(
    st.tuples(st.just("see"), DEFINITIONS), st.tuples(st.just("approve"), DEFINITIONS),
    st.tuples(st.just("disable"), DEFINITIONS),
), max_size=12)  # fmt: skip


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_only_what_was_agreed_to_is_ever_handed_out(steps: list[tuple[str, ToolDefinition]]) -> None:
    kit = fresh()
    agreed = {hash_of(ONE)}
    for what, definition in steps:
        if what == "see":
            kit.when(see(definition), sender="host/1")
        elif what == "disable":
            kit.when(DisableTool(), sender="user:owner")
        else:
            kit.when(ApproveTool(hash_of(definition)), sender="user:owner")
            if kit.refusal is None:
                agreed.add(hash_of(definition))
            kit.refusal = None
        before = kit.state
        kit.when(UseTool("call/1"), sender="call/1")
        if kit.refusal is None:
            answer = kit.outputs[0].data
            assert answer["hash"] in agreed
            assert before.status == "approved"
            assert hash_of(msgspec.convert(answer["definition"], ToolDefinition)) == answer["hash"]
            assert not before.seen_hash
        kit.refusal = None


@pytest.mark.parametrize("wrong", [
    {"risk": "harmless"}, {"effect_class": "free"}, {"via": "magic"}, {"sandbox": "tent"}, {"roles": {"x": "boss"}},
    {"at_once": 0}, {"per_minute": -1}, {"timeout": 0.0}, {"result": "good"}, {"parameters": {"type": "thing"}},
])  # fmt: skip
def test_a_definition_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    definition = msgspec.structs.replace(ONE, **wrong)
    scenario(tool, address="tool/a").when(see(definition), sender="host/1").refused("definition")


def test_hash_and_name_must_be_those_of_the_definition() -> None:
    scenario(tool, address="tool/a").when(SeeTool("beef", ONE), sender="host/1").refused("hash")
    scenario(tool, address="tool/b").when(see(ONE), sender="host/1").refused("name")


def test_nobody_speaks_for_another() -> None:
    kit = fresh(origin="far")
    kit.when(ApproveTool(hash_of(ONE), by="boss"), sender="user:eve").refused("speaker")


def test_differences_are_a_line_for_each_value() -> None:
    assert differences(ONE, ONE) == []
    assert differences(ONE, THREE) == ["+ timeout: 5.0"]
    many = msgspec.structs.replace(ONE, annotations={f"n{n}": n for n in range(200)})
    assert differences(ONE, many)[-1].startswith("and ")


@given(st.text(max_size=50), st.text(min_size=1, max_size=20), st.text(max_size=50), st.integers(0, 2000))
def test_no_change_hides_in_something_long(before: str, change: str, after: str, long: int) -> None:
    one = msgspec.structs.replace(ONE, description="x" * long + before + after + "y" * long)
    other = msgspec.structs.replace(ONE, description="x" * long + before + change + after + "y" * long)
    if one != other:
        (line,) = differences(one, other)
        told_before, _, told_after = line.removeprefix("description: ").partition(" → ")
        assert told_before != told_after


# -- places


def tells(kit: Scenario) -> list[str]:
    return [out.to for out in kit.outputs if isinstance(out, Tell) and isinstance(out.data, PlaceGranted)]


def enter(kit: Scenario, call: str, group: str = "", time: int = 1) -> bool:
    kit.when(EnterTool(call, hash_of(kit.state.definition), group), sender=call, time=time)
    return kit.outputs[-1].data["granted"]


def test_as_many_as_there_are_places_and_then_in_turn_by_group() -> None:
    kit = fresh()
    assert [enter(kit, f"call/a{n}", "a") for n in range(4)] == [True, True, False, False]
    assert not enter(kit, "call/b1", "b")
    assert not enter(kit, "call/a2", "a")  # asking twice is asking once
    order = []
    for leaving in ("call/a0", "call/a1", "call/a2", "call/b1"):
        kit.when(LeaveTool(leaving), sender=leaving)
        order += tells(kit)
    assert sorted(order) == ["call/a2", "call/a3", "call/b1"]
    assert order.index("call/b1") < order.index("call/a3")


def test_a_call_gives_back_its_own_place_only_and_only_calls_get_one() -> None:
    kit = fresh()
    enter(kit, "call/1")
    kit.when(LeaveTool("call/1"), sender="call/2")
    assert "call/1" in kit.state.held
    kit.when(EnterTool("agent/x", hash_of(ONE)), sender="agent/x").refused("caller")


def test_those_who_wait_are_told_when_the_tool_is_stopped() -> None:
    kit = fresh()
    for n in range(3):
        enter(kit, f"call/{n}")
    kit.when(see(TWO), sender="host/2")
    lost = [out for out in kit.outputs if isinstance(out, Tell)]
    assert [(out.to, type(out.data)) for out in lost] == [("call/2", PlaceLost)]
    assert not kit.state.waiting


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 40_000_000)), max_size=60))
@settings(max_examples=200, deadline=None)
def test_neither_places_nor_rate_are_ever_exceeded(steps: list[tuple[int, int, int]]) -> None:
    limited = msgspec.structs.replace(ONE, at_once=2, per_minute=3)
    kit = fresh(limited)
    now, grants, due = 1, [], None
    for what, n, later in steps:
        now += later
        if due is not None and now >= due:
            kit.when(RateDue(), sender="tool/a", time=now)
        elif what:
            enter(kit, f"call/{n}", f"g{n % 3}", now)
        else:
            kit.when(LeaveTool(f"call/{n}"), sender=f"call/{n}", time=now)
        if any(isinstance(out, Schedule) for out in kit.outputs):
            due = next(out.at for out in kit.outputs if isinstance(out, Schedule))
        elif due is not None and now >= due:
            due = None
        grants += [out.at for out in kit.outputs if isinstance(out, ToolUseGranted)]
        assert len(kit.state.held) <= 2
        assert not set(kit.state.held) & set(kit.state.waiting)
        # Nobody waits for nothing: all places are taken, or a timer will let them in.
        assert not kit.state.waiting or len(kit.state.held) == 2 or due is not None
    for at in grants:
        assert sum(at - 60_000_000 < other <= at for other in grants) <= 3


def test_calls_wait_for_places_and_for_the_rate_on_durable_timers() -> None:
    async def script(world: World, outside: Outside) -> None:
        outside.hangs = True
        for n in range(5):
            await world.call(f"{n}", wanted("mail.send", {"to": "eve@example.org", "text": str(n)}))
            await world.approve(f"{n}")
        assert [await world.status(f"{n}") for n in range(5)] == ["begun", "begun", *["budgeted"] * 3]
        outside.hangs = False
        outside.hang.set()
        await world.system.settle()
        assert [await world.status(f"{n}") for n in range(5)] == ["succeeded"] * 5
        assert outside.most == 2

    play(script)


def test_the_state_is_made_again_from_events() -> None:
    kit = fresh()
    for n in range(3):
        enter(kit, f"call/{n}")
    assert begin(tool, "tool/a").state is not kit.state
    message = Message("1", "UseTool", "tool/a", "default", b"{}", "call/1", 1, "", "1", UseTool("call/1"))
    assert tool.decide(kit.state, message)


def test_an_argument_that_a_struct_does_not_name_is_refused_and_not_left_out() -> None:
    schema = parameters_of(Misspelled)
    assert schema["additionalProperties"] is False
    definition = msgspec.structs.replace(ONE, parameters=schema)
    assert fitting(definition, hash_of(definition), {"path": "a"}) == {"path": "a", "expect": ""}
    with pytest.raises(InvalidData, match="'expcet' was unexpected"):
        fitting(definition, hash_of(definition), {"path": "a", "expcet": "absent"})
