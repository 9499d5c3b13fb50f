"""Schedules: runs at their times, catching up, overlapping runs, pauses, and the loss of hosts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.core.kind import Plugin
from actors.core.outputs import Schedule
from actors.occurrences import MOST, fires
from actors.schedule import (
    Agenda,
    FireSchedule,
    NextTimes,
    PauseSchedule,
    ResumeSchedule,
    ScheduleDue,
    decide,
    evolve,
    query,
)
from actors.testing.clock import START
from actors.workflows.messages import SetSchedule, StartWorkflow
from actors.workflows.plan import Plan, Recurrence, encode_plan
from actors.workflows.plugin import workflow_plugin
from actors.workflows.workflow import PublishWorkflow, RetireWorkflow
from events.envelope import Message
from events.errors import Refused
from events.schedules import ScheduleAdvanced, ScheduleFired, ScheduleHeld, ScheduleSkipped
from infra.cel import Cel
from infra.memory.system import System, run_system
from tests.workflows.engine_world import Tasks, graph, task

MINUTE = 60.0
MINUTELY = Recurrence("* * * * *")
HOURLY = Recurrence("0 * * * *")


def world(seconds: float = 1.0) -> Plugin:
    """Runs that take that long."""
    return workflow_plugin(Cel(), Tasks(lambda _call: seconds).plugin().effects)


def published(recurrence: Recurrence | None, **said: Any) -> PublishWorkflow:
    """A workflow with one task and that schedule."""
    plan = Plan("digest", 0, "", graph(task("t@1")), schedule=recurrence, **said)
    digest = f"{hash(encode_plan(plan)) & 0xFFFFFFFF:x}"
    return PublishWorkflow(msgspec.Raw(encode_plan(msgspec.structs.replace(plan, hash=digest))))


async def story(system: System) -> list[tuple[Any, ...]]:
    """What the schedule recorded, in short: minutes since the start."""
    found: list[tuple[Any, ...]] = []
    for event in await system.events():
        if event.stream == "schedule/digest":
            said = msgspec.json.decode(event.data)
            match event.type:
                case "ScheduleFired":
                    found.append(("fired", minutes(said["due"]), said["why"]))
                case "ScheduleSkipped":
                    found.append(("skipped", minutes(said["first"]), minutes(said["last"]), said["count"], said["why"]))
                case "ScheduleHeld":
                    found.append(("held", minutes(said["due"])))
                case _:
                    pass
    return found


def minutes(time: int) -> float:
    return (time - START) / 6e7


def hours(time: int) -> float:
    return (time - START) / 3.6e9


def test_a_run_begins_at_every_time_and_tells_of_its_end() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", published(MINUTELY))
        await system.advance(3.5 * MINUTE)
        assert await story(system) == [("fired", 1, "due"), ("fired", 2, "due"), ("fired", 3, "due")]
        assert (await system.state("run/digest-20260101T000200Z"))["status"] == "succeeded"
        state = await system.state("schedule/digest")
        assert not state.get("active")

    run_system(world(), script)


@pytest.mark.parametrize(
    ("concurrent", "expected"),
    [
        (
            "skip",
            [("fired", 1, "due"), ("skipped", 2, 2, 1, "busy"), ("skipped", 3, 3, 1, "busy"), ("fired", 4, "due")],
        ),
        ("queue", [("fired", 1, "due"), ("held", 2), ("held", 3), ("fired", 2, "waited"), ("held", 4)]),
        ("allow", [("fired", 1, "due"), ("fired", 2, "due"), ("fired", 3, "due"), ("fired", 4, "due")]),
        ("cancel_other", [("fired", 1, "due"), ("fired", 2, "due"), ("fired", 3, "due"), ("fired", 4, "due")]),
    ],
)  # fmt: skip
def test_a_run_that_is_still_under_way_is_dealt_with_as_told(concurrent: str, expected: list[Any]) -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", published(Recurrence("* * * * *", concurrent=concurrent)))
        await system.advance(4.2 * MINUTE)
        assert await story(system) == expected
        if concurrent == "cancel_other":
            assert (await system.state("run/digest-20260101T000200Z"))["status"] == "cancelled"
            fired = [msgspec.json.decode(e.data) for e in await system.events() if e.type == "ScheduleFired"]
            assert [f.get("replaced", []) for f in fired[:2]] == [[], ["digest-20260101T000100Z"]]

    run_system(world(2.5 * MINUTE), script)


def test_a_pause_skips_what_passes_and_says_so() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", published(MINUTELY))
        await system.advance(1.5 * MINUTE)
        await system.ask("schedule/digest", PauseSchedule())
        await system.ask("schedule/digest", PauseSchedule())
        await system.advance(3 * MINUTE)
        await system.ask("schedule/digest", ResumeSchedule())
        await system.advance(1 * MINUTE)
        assert await story(system) == [("fired", 1, "due"), ("skipped", 2, 4, 3, "paused"), ("fired", 5, "due")]

    run_system(world(), script)


def test_a_new_version_changes_the_schedule_and_one_without_ends_it() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", published(MINUTELY))
        await system.advance(1.5 * MINUTE)
        await system.ask("workflow/digest", published(MINUTELY, grace=5.0))
        await system.advance(1 * MINUTE)
        await system.ask("workflow/digest", published(Recurrence("*/4 * * * *")))
        await system.advance(4 * MINUTE)
        await system.ask("workflow/digest", published(None))
        await system.advance(20 * MINUTE)
        assert [said[1] for said in await story(system)] == [1, 2, 4]
        with pytest.raises(Refused):
            await system.ask("schedule/digest", FireSchedule())

    run_system(world(), script)


def test_a_retired_workflow_is_not_started_any_more() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", published(MINUTELY))
        await system.ask("workflow/digest", RetireWorkflow())
        await system.advance(5 * MINUTE)
        assert await story(system) == []

    run_system(world(), script)


def test_by_hand_it_fires_at_once_and_a_run_that_is_refused_is_recorded() -> None:
    async def script(system: System) -> None:
        schema = {"type": "object", "required": ["folder"]}
        await system.ask("workflow/digest", published(MINUTELY, inputs=schema))
        reply = await system.ask("schedule/digest", FireSchedule())
        await system.settle()
        assert [said[2] for said in await story(system)] == ["by hand"]
        ended = [msgspec.json.decode(e.data) for e in await system.events() if e.type == "ScheduledRunEnded"]
        assert ended[0]["run"] == reply["run"]
        assert "'folder' is a required property" in ended[0]["reason"]

    run_system(world(), script)


def test_no_time_is_lost_or_doubled_when_hosts_are_lost() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", published(MINUTELY))
        for _ in range(4):
            await system.advance(1.01 * MINUTE)
            await system.add_host()
            await system.lose_host(system.hosts[0])
            await system.advance(0.5 * MINUTE)
        fired = [said[1] for said in await story(system) if said[0] == "fired"]
        assert fired == [1, 2, 3, 4, 5, 6]
        started = [e.stream for e in await system.events() if e.type == "RunStarted"]
        assert len(started) == len(set(started)) == 6

    run_system(world(), script, hosts=2)


@pytest.mark.parametrize("cron", ["* * * *", "0 0 30 2 *"])
def test_a_workflow_with_a_schedule_that_is_none_is_not_published(cron: str) -> None:
    async def script(system: System) -> None:
        for bad in (Recurrence(cron), Recurrence("0 0 * * *", "Mars/Olympus")):
            with pytest.raises(Refused) as refused:
                await system.ask("workflow/digest", published(bad))
            assert refused.value.reason_code == "schedule"

    run_system(world(), script)


# -- given, when, then


def told(state: Agenda, data: Any, time: int) -> list[Any]:
    """One decision, folded."""
    message = Message("m", type(data).__name__, "schedule/digest", "default", b"", "user:ada", time, "", "m", data)
    outs = list(decide(state, message))
    for out in outs:
        evolve(state, out)
    return outs


def late(recurrence: Recurrence, by: float) -> tuple[Agenda, list[Any]]:
    """A schedule that was set at the start and is woken `by` hours later."""
    state = Agenda()
    told(state, SetSchedule(recurrence, 1), START)
    assert state.next is not None
    return state, told(state, ScheduleDue(state.next), START + int(by * 3.6e9))


def kinds(outs: list[Any]) -> list[Any]:
    """What was decided, in short."""
    return [
        (type(o).__name__, getattr(o, "count", None) or hours(getattr(o, "due", getattr(o, "upto", START))))
        for o in outs
        if isinstance(o, ScheduleFired | ScheduleHeld | ScheduleSkipped | ScheduleAdvanced)
    ]


def test_who_wakes_late_runs_the_last_time_only() -> None:
    state, outs = late(HOURLY, 5.5)
    assert kinds(outs) == [("ScheduleSkipped", 4), ("ScheduleFired", 5), ("ScheduleAdvanced", 5)]
    assert outs[0] == ScheduleSkipped(START + 3_600_000_000, START + 4 * 3_600_000_000, 4, outs[0].at, "missed")
    assert outs[1].why == "caught up"
    assert state.next == START + 6 * 3_600_000_000


def test_who_does_not_catch_up_runs_only_what_is_due_now() -> None:
    _, outs = late(msgspec.structs.replace(HOURLY, catch_up="none"), 5.5)
    assert kinds(outs) == [("ScheduleSkipped", 5), ("ScheduleAdvanced", 5)]
    _, outs = late(msgspec.structs.replace(HOURLY, catch_up="none"), 5.0001)
    assert kinds(outs) == [("ScheduleSkipped", 4), ("ScheduleFired", 5), ("ScheduleAdvanced", 5)]
    assert outs[1].why == "due"


@pytest.mark.parametrize("concurrent", ["skip", "queue"])
def test_who_catches_up_on_all_runs_one_after_the_other(concurrent: str) -> None:
    state, outs = late(msgspec.structs.replace(HOURLY, catch_up="all", concurrent=concurrent), 3.5)
    assert kinds(outs) == [("ScheduleFired", 1), ("ScheduleHeld", 2), ("ScheduleHeld", 3), ("ScheduleAdvanced", 3)]
    assert len(state.held) == 2


def test_catching_up_is_bounded_however_long_the_sleep() -> None:
    _, outs = late(Recurrence("* * * * * *", catch_up="all", concurrent="allow"), 24 * 400)
    fired = [o for o in outs if isinstance(o, ScheduleFired)]
    assert len(fired) == MOST
    assert fired[-1].due == START + 24 * 400 * 3_600_000_000
    skipped = next(o for o in outs if isinstance(o, ScheduleSkipped))
    assert skipped.last == fired[0].due - 1_000_000
    assert len([o for o in outs if isinstance(getattr(o, "data", None), StartWorkflow)]) == MOST


def test_the_jitter_is_the_same_for_everybody_and_no_time_comes_twice() -> None:
    recurrence = Recurrence("*/5 * * * *", jitter=200.0, concurrent="allow")
    state, outs = Agenda(), []
    outs = told(state, SetSchedule(recurrence, 1), START)
    seen: list[int] = []
    for _ in range(50):
        timer = next(o for o in outs if isinstance(o, Schedule))
        assert timer.at is not None
        assert state.next is not None
        assert timer.at == fires(recurrence, "schedule/digest", state.next)
        assert state.next <= timer.at <= state.next + 200_000_000
        outs = told(state, timer.data, timer.at)
        seen += [o.due for o in outs if isinstance(o, ScheduleFired)]
    assert seen == [START + n * 300_000_000 for n in range(1, 51)]
    assert len({fires(recurrence, "schedule/digest", due) - due for due in seen}) > 40


def test_a_timer_that_is_early_or_old_does_nothing_but_sleep_again() -> None:
    state = Agenda()
    told(state, SetSchedule(HOURLY, 1), START)
    assert state.next is not None
    early = told(state, ScheduleDue(state.next), START + 1)
    assert [type(o) for o in early] == [Schedule]
    assert told(state, ScheduleDue(START), START + 7_200_000_000) == []


def test_the_next_twenty_times_can_be_asked_for() -> None:
    state = Agenda()
    with pytest.raises(Refused):
        query(state, NextTimes())
    told(state, SetSchedule(HOURLY, 1), START)
    answer = query(state, NextTimes())
    assert [hours(said["due"]) for said in answer["next"]] == list(range(1, 21))
    assert len(query(state, NextTimes(3, after=START + 9_000_000_000))["next"]) == 3
