"""Real hosts and workers, killed, stopped and moved; an outside service counts the calls."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.servers import Nats
from tests.tasks.world import Place, call, stop


@pytest.fixture
async def place(postgres_url: str, nats_server: Nats, tmp_path: Path) -> AsyncIterator[Place]:
    async with Place(postgres_url, nats_server.url, tmp_path) as made:
        yield made


async def test_workers_share_a_queue_and_every_call_is_made_once(place: Place) -> None:
    await place.host()
    await place.worker("--concurrency", "8")
    await place.worker("--concurrency", "8")
    await place.go("job/1", *(call("job/1", f"s{n}") for n in range(200)))
    came = await place.came("job/1", 200)
    assert all(len(results) == 1 and results[0]["output"] == {"number": 1} for results in came.values())
    assert set(place.outside.calls.values()) == {1}
    assert len({results[0]["worker"] for results in came.values()}) == 2


async def test_a_call_made_before_there_is_a_worker_waits_for_one(place: Place) -> None:
    await place.host()
    await place.go("job/1", call("job/1", "a"))
    await place.worker()
    assert (await place.came("job/1"))["a"][0]["output"] == {"number": 1}


async def test_a_killed_worker_loses_nothing_that_may_be_repeated(place: Place) -> None:
    place.outside.hold = True
    await place.host()
    worker = await place.worker()
    await place.go("job/1", call("job/1", "a"))
    await place.outside.called("job/1/a")
    stop(worker, signal.SIGKILL)
    await place.worker()
    await place.outside.called("job/1/a", 2)
    place.outside.release()
    came = await place.came("job/1")
    assert [result["kind"] for result in came["a"]] == [""]
    assert place.outside.calls["job/1/a"] == 2


async def test_an_irreversible_call_of_a_killed_worker_is_unknown_and_not_made_again(place: Place) -> None:
    place.outside.hold = True
    await place.host()
    worker = await place.worker()
    await place.go("job/1", call("job/1", "a", "pay"), effect_class="irreversible")
    await place.outside.called("job/1/a")
    stop(worker, signal.SIGKILL)
    await place.worker()
    came = await place.came("job/1")
    assert came["a"][0]["status"] == "unknown"
    await place.go("job/2", call("job/2", "b"))  # the other worker is there, and has not been given the first
    await place.outside.called("job/2/b")
    assert place.outside.calls["job/1/a"] == 1


async def test_a_worker_that_wakes_up_too_late_changes_nothing_but_is_heard(place: Place) -> None:
    place.outside.hold = True
    await place.host()
    sleeper = await place.worker()
    await place.go("job/1", call("job/1", "a"))
    await place.outside.called("job/1/a")
    stop(sleeper, signal.SIGSTOP)
    await place.worker()
    await place.outside.called("job/1/a", 2)
    place.outside.release()
    first = (await place.came("job/1"))["a"][0]
    stop(sleeper, signal.SIGCONT)
    both = (await place.came("job/1", 1, 2))["a"]
    assert both[0] == first
    assert both[1]["worker"] != first["worker"]


async def test_an_unknown_irreversible_call_is_settled_by_its_late_result(place: Place) -> None:
    place.outside.hold = True
    await place.host()
    sleeper = await place.worker()
    await place.go("job/1", call("job/1", "a", "pay"), effect_class="irreversible")
    await place.outside.called("job/1/a")
    stop(sleeper, signal.SIGSTOP)
    assert [r["status"] for r in (await place.came("job/1"))["a"]] == ["unknown"]
    place.outside.release()
    stop(sleeper, signal.SIGCONT)
    came = (await place.came("job/1", 1, 2))["a"]
    assert [r["status"] for r in came] == ["unknown", "succeeded"]
    assert place.outside.calls["job/1/a"] == 1


@pytest.mark.parametrize(("task", "effect_class"), [("outside", "idempotent"), ("pay", "irreversible")])
async def test_a_host_that_takes_over_waits_for_the_worker_that_has_the_call(
    place: Place, task: str, effect_class: str
) -> None:
    place.outside.hold = True
    host = await place.host()
    await place.worker()
    await place.go("job/1", call("job/1", "a", task), effect_class=effect_class)
    await place.outside.called("job/1/a")
    stop(host, signal.SIGKILL)
    await place.host()
    place.outside.release()
    came = await place.came("job/1")
    assert [(r["status"], r["output"]) for r in came["a"]] == [("succeeded", {"number": 1})]
    assert place.outside.calls["job/1/a"] == 1


async def test_results_made_while_there_is_no_host_are_kept(place: Place) -> None:
    place.outside.hold = True
    host = await place.host()
    await place.worker("--concurrency", "8")
    await place.go("job/1", *(call("job/1", f"s{n}") for n in range(8)))
    for n in range(8):
        await place.outside.called(f"job/1/s{n}")
    stop(host, signal.SIGKILL)
    place.outside.release()
    await host.wait()
    await place.host()
    came = await place.came("job/1", 8)
    assert all(len(results) == 1 for results in came.values())
    assert set(place.outside.calls.values()) == {1}


@pytest.mark.parametrize("effect_class", ["idempotent", "irreversible"])
async def test_calls_that_wait_in_the_queue_survive_their_host_and_are_not_doubled(
    place: Place, effect_class: str
) -> None:
    task = "pay" if effect_class == "irreversible" else "outside"
    host = await place.host()
    await place.go("job/1", *(call("job/1", f"s{n}", task) for n in range(5)), effect_class=effect_class)
    await place.queued(5)
    stop(host, signal.SIGKILL)
    await place.host()
    await place.worker()
    came = await place.came("job/1", 5)
    assert all([r["status"] for r in results] == ["succeeded"] for results in came.values())
    assert set(place.outside.calls.values()) == {1}


async def test_the_queue_may_be_wiped(place: Place, nats_server: Nats) -> None:
    await place.host()
    await place.go("job/1", *(call("job/1", f"s{n}") for n in range(5)))
    await place.queued(5)
    await nats_server.kill()
    await nats_server.wipe()
    await nats_server.restart()
    await place.worker()
    came = await place.came("job/1", 5)
    assert set(place.outside.calls.values()) == {1}
    assert all(len(results) == 1 for results in came.values())


async def test_a_step_that_needs_a_label_waits_for_a_worker_that_has_it(place: Place) -> None:
    await place.host()
    plain = await place.worker()
    await place.go("job/1", call("job/1", "a", labels={"zone": "eu"}), call("job/1", "b"))
    await place.outside.called("job/1/b")
    eu = await place.worker("--label", "zone=eu", "--label", "disk=ssd")
    await place.came("job/1", 2)
    assert place.outside.pids["job/1/a"] == [eu.pid]
    assert place.outside.pids["job/1/b"] == [plain.pid]


async def test_a_call_with_a_worker_is_stopped_and_one_in_the_queue_is_taken_back(place: Place) -> None:
    place.outside.hold = True
    await place.host()
    await place.worker("--concurrency", "1")
    await place.go("job/1", call("job/1", "a"))
    await place.outside.called("job/1/a")
    await place.go("job/1", call("job/1", "b"))
    await place.ask("job/1", "Stop", {"step": "b"})
    await place.ask("job/1", "Stop", {"step": "a"})
    came = await place.came("job/1", 2)
    assert [came[step][0]["kind"] for step in "ab"] == ["cancelled", "cancelled"]
    assert place.outside.calls["job/1/b"] == 0


async def test_a_worker_that_is_told_to_stop_finishes_what_it_has(place: Place) -> None:
    place.outside.hold = True
    await place.host()
    worker = await place.worker()
    await place.go("job/1", call("job/1", "a"))
    await place.outside.called("job/1/a")
    stop(worker, signal.SIGTERM)
    place.outside.release()
    assert await worker.wait() == 0
    assert [r["kind"] for r in (await place.came("job/1"))["a"]] == [""]


async def test_large_results_come_from_workers_without_a_database(place: Place) -> None:
    await place.host()
    await place.worker(DATABASE_URL="")
    await place.go("job/1", call("job/1", "a", "large", 200_000))
    reference = (await place.came("job/1"))["a"][0]["output"]
    assert set(reference) == {"$blob", "size"}
    await place.go("job/2", call("job/2", "a", "length", reference))
    assert (await place.came("job/2"))["a"][0]["output"] == 200_000


async def test_a_task_only_workers_know_is_found_by_what_they_offer(place: Place) -> None:
    await place.host()
    await place.worker("--queue", "special")
    await place.go("job/1", call("job/1", "a", "echo", 7, queue=""))
    assert (await place.came("job/1"))["a"][0]["output"] == 7


@pytest.mark.parametrize(("task", "effect_class"), [("outside", "idempotent"), ("pay", "irreversible")])
async def test_a_worker_cut_off_from_the_bus_keeps_its_result_and_is_not_taken_for_lost(
    place: Place, nats_server: Nats, task: str, effect_class: str
) -> None:
    place.outside.hold = True
    await place.host()
    await place.worker()
    await place.go("job/1", call("job/1", "a", task), effect_class=effect_class)
    await place.outside.called("job/1/a")
    await nats_server.kill()
    place.outside.release()
    assert await place.outlasts(2.5)
    await nats_server.restart()
    came = await place.came("job/1")
    assert [r["status"] for r in came["a"]] == ["succeeded"]
    assert place.outside.calls["job/1/a"] == 1


async def test_a_worker_that_leaves_gives_back_what_it_has_not_begun(place: Place) -> None:
    place.outside.hold = True
    await place.host()
    labelled = await place.worker("--label", "zone=eu", "--concurrency", "1")
    await place.go("job/1", call("job/1", "a", labels={"zone": "eu"}))
    await place.outside.called("job/1/a")
    await place.go("job/1", call("job/1", "b"))
    stop(labelled, signal.SIGTERM)
    place.outside.release()
    await place.worker()
    came = await place.came("job/1", 2)
    assert [len(results) for results in came.values()] == [1, 1]
    assert set(place.outside.calls.values()) == {1}


async def test_a_worker_finds_its_bus_in_the_data_directory_of_an_instance(place: Place, tmp_path: Path) -> None:
    await place.host()
    place.describe(tmp_path / "run.json")
    await place.worker("--data", str(tmp_path), NATS_URL="", DATABASE_URL="")
    await place.go("job/1", call("job/1", "a", "large", 100_000))
    assert (await place.came("job/1"))["a"][0]["output"]["size"] == 100_002
