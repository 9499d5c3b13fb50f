"""The demo's checks of the digest hold of a sound log, and see what is wrong in a damaged one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.testing.workflows import Mocks
from events.envelope import Event
from gateway.demo.digest import TEMPLATE
from gateway.demo.digest_proof import DigestProof, Expected, expect
from gateway.proof import Check
from gateway.workspace import load
from infra.memory.workflows import Flow, run_workflow

PAGES = {
    "a.md": "# One\n\nWords, [b](b.md), [gone](c/d.md#x), [out](https://example.org).\n\n```\n# code [x](y.md)\n```\n",
    "b.md": "#no heading\n## Two\n`[x](y.md)` and `open [z](z%20z.md 'title')\n~~~\nnever closed [a](a.md)\n",
    "c/e.md": "\u00e4\n####### seven\n[up](../a.md) [](empty.md) [two](x.md)[three](../b.md)\n",
    "c/nothing.md": "",
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Event], Expected]:
    """The log of one run of the template over those pages, and what was to be expected."""
    place = tmp_path_factory.mktemp("digest")
    for name, text in PAGES.items():
        (place / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "docs" / name).write_text(text, "utf-8")
    workspace = shutil.copytree(TEMPLATE, place / "workspace", ignore=shutil.ignore_patterns("__pycache__"))
    tasks: list[Any] = list(load(workspace).tasks)

    async def agree(flow: Flow) -> None:
        await flow.until("review", "waiting")
        await flow.approve("review")

    inputs = {"folder": str(place / "docs"), "to": str(place / "reports")}
    done = run_workflow(
        workspace / "digest.workflow.yaml", Mocks(tasks={task.name: task for task in tasks}), inputs=inputs,
        script=agree, tasks=tasks,
    ).succeeded()  # fmt: skip
    return done.events, expect(place / "docs", set(PAGES))


def held(events: list[Event], expected: Expected) -> list[Check]:
    """The checks of a log."""
    proof = DigestProof({"1": expected})
    for event in events:
        proof.see(event)
    return proof.checks()


def test_a_sound_log_passes_and_the_report_is_computed_alike_by_other_code(
    played: tuple[list[Event], Expected],
) -> None:
    events, expected = played
    assert [check.faults for check in held(events, expected)] == [[], [], [], []]
    text = expected.report.decode()
    assert "4 files" in text
    for link in ("- a.md: c/d.md\n", "- b.md: z%20z.md\n", "- c/e.md: empty.md\n", "- c/e.md: x.md\n"):
        assert link in text
    assert ": y.md" not in text


Damage = Callable[[list[Event]], list[Event]]


def _is(event: Event, type_: str, step: str) -> bool:
    return event.type == type_ and msgspec.json.decode(event.data).get("step") == step


def _without(type_: str, step: str) -> Damage:
    return lambda events: [event for event in events if not _is(event, type_, step)]


def _twice(type_: str, step: str) -> Damage:
    return lambda events: [e for event in events for e in ([event] * (2 if _is(event, type_, step) else 1))]


def _approved_twice(events: list[Event]) -> list[Event]:
    return [e for event in events for e in ([event] * (2 if event.type == "ApprovalGiven" else 1))]


def _another_hash(events: list[Event]) -> list[Event]:
    def other(event: Event) -> Event:
        if event.type != "RunFinished":
            return event
        data = msgspec.json.decode(event.data)
        data["outputs"]["sha256"] = "0" * 64
        return msgspec.structs.replace(event, data=msgspec.json.encode(data))

    return [other(event) for event in events]


@pytest.mark.parametrize(
    ("damage", "failed"),
    [
        (_without("StepSucceeded", "measure[1]"), {0}),
        (_twice("StepSucceeded", "measure[1]"), {0}),
        (_twice("StepQueued", "measure[2]"), {1}),
        (_without("StepQueued", "measure[2]"), {1}),
        (_approved_twice, {2}),
        (_another_hash, {2, 3}),
        (lambda events: [event for event in events if event.type != "RunFinished"], {0, 2, 3}),
    ],
)
def test_what_is_wrong_in_a_log_is_seen(played: tuple[list[Event], Expected], damage: Damage, failed: set[int]) -> None:
    events, expected = played
    checks = held(damage(events), expected)
    assert {number for number, check in enumerate(checks) if not check.passed} == failed


def test_a_report_that_was_changed_on_the_disk_is_seen(played: tuple[list[Event], Expected]) -> None:
    events, expected = played
    (finished,) = [event for event in events if event.type == "RunFinished"]
    report = Path(msgspec.json.decode(finished.data)["outputs"]["report"])
    before = report.read_bytes()
    try:
        report.write_bytes(before + b"\n")
        assert [check.passed for check in held(events, expected)] == [True, True, True, False]
    finally:
        report.write_bytes(before)
