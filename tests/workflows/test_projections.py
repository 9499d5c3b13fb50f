"""The read models of workflows say what the actors' own states say, and come back equal when they are built anew."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec

from actors.testing.workflows import Fails, InTurn, Mocks, Takes
from events.envelope import Event
from events.workflows import (
    RunFinished,
    RunPaused,
    RunStarted,
    RunUnpaused,
    StepCancelling,
    StepError,
    StepFailed,
    StepQueued,
    StepRetrying,
    StepSucceeded,
    StepWaiting,
)
from infra.memory.workflows import Done, Flow, run_workflow
from projections import replay
from projections.approvals import PROJECTION as APPROVALS
from projections.assets import PROJECTION as ASSETS
from projections.core.fold import Fold
from projections.runs import PROJECTION as RUNS
from projections.timeline import KEPT, intervals
from projections.workflows import PROJECTION as WORKFLOWS
from tests.projections.scenes import event

EVERYTHING = """
name: everything
inputs: {n: {type: integer, default: 3}}
limits: {concurrency: 2}
steps:
  list: {value: [1, 2, 3]}
  each: {task: measure, map: "${ steps.list.output }", with: "${ item }", produces: [{asset: sizes, key: "${ item }"}]}
  poll: {task: poll, loop: {until: "${ output >= 2 }", most: 5, pause: 5s}, with: "${ iteration.index }"}
  group:
    needs: [each]
    steps:
      inner: {task: work, with: 1, retry: 3}
      other: {task: work, with: 2, needs: [inner], when: "${ inputs.n > 100 }"}
  pick: {switch: [{when: "${ inputs.n > 5 }", then: [high]}, {then: [low]}]}
  high: {needs: [pick], value: high}
  low: {needs: [pick], value: low}
  shaky:
    task: shaky
    with: 1
    catch: {steps: {mend: {value: mended}}}
    finally: {steps: {tidy: {task: work, with: 3}}}
  hold: {needs: [group], wait: 1m}
  agree: {needs: [hold], approve: {what: "${ steps.each.output }", title: Well?}}
  last: {needs: [agree, poll, shaky], task: work, with: 4, trigger: all_done}
"""


def takes(n: int) -> Takes:
    return Takes(n, n)


def same(n: int) -> int:
    return n


MOCKS = Mocks(
    steps={"group/inner": InTurn(Fails("busy"), Takes(3, 1))},
    tasks={"measure": takes, "poll": same, "work": same, "shaky": Fails("broken")},
)


async def agreed(flow: Flow) -> None:
    await flow.until("agree", "waiting")
    await flow.approve("agree")


def played() -> Done:
    return run_workflow(EVERYTHING, MOCKS, script=agreed)


def test_the_steps_of_a_run_are_as_its_own_state_says() -> None:
    done = played()
    rows = replay(RUNS, done.events)
    (run,) = rows["runs"]
    assert (run["workflow"], run["status"], run["part"]) == ("everything", done.status, False)
    shown = {row["step"]: row["status"] for row in rows["steps"]}
    state = {place: node.status for place, node in done.steps.items() if node.status != "pending"}
    assert shown == state
    (progress,) = rows["run_progress"]
    counted = {name: n for name, n in progress.items() if isinstance(n, int) and n}
    assert counted == {status: list(shown.values()).count(status) for status in set(shown.values())}
    assert [(row["status"], row["runs"]) for row in rows["run_counts"] if row["runs"]] == [(done.status, 1)]


def test_the_intervals_of_every_step_follow_each_other() -> None:
    for row in replay(RUNS, played().events)["steps"]:
        found = intervals(row)
        for earlier, later in pairwise(found):
            assert earlier["from"] < earlier["to"] <= later["from"], row["step"]
        if found:
            assert (found[0]["from"] >= row["began"], found[-1]["to"]) == (True, row["ended"]), row["step"]
    steps = {row["step"]: intervals(row) for row in replay(RUNS, played().events)["steps"]}
    assert [one["state"] for one in steps["group/inner"]] == ["retrying", "running"]
    assert [one["state"] for one in steps["hold"]] == ["waiting"]
    assert steps["hold"][0]["to"] - steps["hold"][0]["from"] == 60_000_000


def test_folded_in_any_batches_they_come_back_equal() -> None:
    events = played().events
    for projection in (RUNS, WORKFLOWS, APPROVALS, ASSETS):
        expected = replay(projection, events)
        assert any(expected.values()), projection.name
        for size in (1, 7, len(events)):
            fold = Fold(projection)
            wanted = [e for e in events if e.type in projection.type_names]
            for start in range(0, len(wanted), size):
                batch = wanted[start : start + size]
                data, missing = fold.prepare(batch)
                for table, keys in missing.items():
                    fold.rows.fill(table, keys, ())
                fold.apply(batch, data)
            assert not fold.parked
            fold.rows.changes()
            assert fold.rows.contents() == expected


def test_approvals_and_assets_are_there() -> None:
    events = played().events
    (approval,) = replay(APPROVALS, events)["approvals"]
    assert (approval["title"], approval["what"], approval["status"]) == ("Well?", {"value": [1, 2, 3]}, "reached")
    assert [given["by"] for given in approval["given"]] == ["ada"]
    assets = replay(ASSETS, events)
    assert sorted(row["key"] for row in assets["assets"]) == ["1", "2", "3"]
    assert {row["version"] for row in assets["asset_versions"]} == {1}
    (workflow,) = replay(WORKFLOWS, events)["workflows"]
    assert (workflow["name"], workflow["version"], workflow["steps"]) == ("everything", 1, 11)


# -- single events


def told(*data: Any, stream: str = "run/1") -> dict[str, list[dict[str, Any]]]:
    events: list[Event] = [event(n, stream, one, version=n) for n, one in enumerate(data, 1)]
    return replay(RUNS, events)


BEGUN = RunStarted("w", 1, "hash", {}, 100)


def test_the_performers_word_divides_queued_from_running() -> None:
    rows = told(
        BEGUN,
        StepQueued("a", "t@1", 1, 100, queue="gpu"),
        StepRetrying("a", 1, StepError("timeout", "late"), 200, 300),
        StepQueued("a", "t@1", 2, 300),
        StepSucceeded("a", 400, 1, 2, 350, "worker-7", {"tokens": "5"}),
    )
    (row,) = rows["steps"]
    assert [(i["state"], i["from"], i["to"], i.get("worker")) for i in intervals(row)] == [
        ("running", 100, 200, None), ("retrying", 200, 300, None), ("queued", 300, 350, None),
        ("running", 350, 400, "worker-7"),
    ]  # fmt: skip
    assert (row["attempt"], row["worker"], msgspec.json.decode(row["usage"])) == (2, "worker-7", {"tokens": "5"})


def test_every_waiting_step_says_what_it_waits_for() -> None:
    rows = told(
        BEGUN, StepWaiting("a", "an approval", 100, ref="approval/1.a"), StepWaiting("b", "a time", 100, until=500)
    )
    waits = [(row["step"], row["status"], row["reason"], row["ref"], row["until"]) for row in rows["steps"]]
    assert waits == [("a", "waiting", "an approval", "approval/1.a", None), ("b", "waiting", "a time", None, 500)]


def test_a_run_that_is_paused_says_so_until_it_ends() -> None:
    rows = told(BEGUN, RunPaused("ada"))
    assert rows["runs"][0]["paused"] is True
    rows = told(BEGUN, RunPaused("ada"), RunUnpaused("ada"), RunFinished("cancelled", 900, usage={"cost": "1.5"}))
    (run,) = rows["runs"]
    assert (run["paused"], run["status"], run["finished"], run["usage"]) == (False, "cancelled", 4, {"cost": "1.5"})


def test_what_a_column_cannot_hold_is_left_out_of_it() -> None:
    bad = StepError("error", "a\0b" + "x" * 5000)
    long = "/".join(["step"] * 100)
    rows = told(
        msgspec.structs.replace(BEGUN, labels={"k": "v\0"}), StepQueued("a", "t@1", 1, 100), StepFailed("a", 200, bad),
        StepQueued(long, "t@1", 1, 100), StepSucceeded(long, 200),
    )  # fmt: skip
    assert rows["runs"][0]["labels"] == {"k": "v"}
    found = {len(row["step"]): row for row in rows["steps"]}
    assert (found[1]["error"][:3], len(found[1]["error"])) == ("abx", 2000)
    assert {length <= 200 for length in found} == {True}
    assert [row["status"] for row in rows["steps"]].count("succeeded") == 1


def test_a_step_that_is_tried_for_ever_keeps_its_newest_intervals() -> None:
    data: list[Any] = [BEGUN]
    for n in range(KEPT):
        data += [
            StepQueued("a", "t@1", n + 1, n * 20),
            StepRetrying("a", n + 1, StepError("e", "no"), n * 20 + 10, n * 20 + 20),
        ]
    (row,) = told(*data, StepCancelling("a", "enough", KEPT * 20))["steps"]
    found = intervals(row)
    assert len(found) <= KEPT + 1
    assert (found[-1]["state"], found[-2]["state"], found[-2]["attempt"]) == ("cancelling", "retrying", KEPT)
