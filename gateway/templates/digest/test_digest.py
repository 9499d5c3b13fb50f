"""What the digest promises. Run with: python -m pytest"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pages import TASKS

from actors.testing.workflows import Fails, InTurn, Mocks
from infra.memory.workflows import Done, Flow, every_boundary, run_workflow

DIGEST = Path(__file__).with_name("digest.workflow.yaml")
REAL = Mocks(tasks={task.name: task for task in TASKS})
"""Nothing is mocked: every task does its work."""


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Any]:
    """A folder with two pages, and where the report goes."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# One\n\nThree more words, [b](b.md).\n")
    (folder / "b.md").write_text("# Two\n\n[gone](c.md) and `[code](d.md)`.\n")
    return {"folder": str(folder), "to": str(tmp_path / "reports")}


async def agree(flow: Flow) -> None:
    """Approve what is asked."""
    await flow.until("review", "waiting")
    await flow.approve("review", by="ada")


def test_a_folder_becomes_a_report_under_its_hash(inputs: dict[str, Any]) -> None:
    outputs = run_workflow(DIGEST, REAL, inputs=inputs, script=agree, tasks=TASKS).succeeded().outputs
    report = Path(outputs["report"])
    assert sha256(report.read_bytes()).hexdigest() == outputs["sha256"]
    assert outputs["sha256"].startswith(report.stem.removeprefix("digest-"))
    assert "| a.md | 6 | 1 |" in report.read_text()
    assert "- b.md: c.md" in report.read_text()
    assert outputs["summary"]["broken"] == 1


def test_its_own_reports_are_no_pages(inputs: dict[str, Any]) -> None:
    inputs |= {"to": str(Path(inputs["folder"]) / "reports")}
    first, again = (
        run_workflow(DIGEST, REAL, inputs=inputs, script=agree, tasks=TASKS).succeeded().outputs for _ in range(2)
    )
    assert again["sha256"] == first["sha256"]


def test_what_is_refused_is_not_written(inputs: dict[str, Any]) -> None:
    async def refuse(flow: Flow) -> None:
        await flow.until("review", "waiting")
        await flow.deny("review", note="not today")

    unwritten = Mocks(tasks={task.name: task for task in TASKS if task.name != "pages.write"})
    run_workflow(DIGEST, unwritten, inputs=inputs, script=refuse, tasks=TASKS).failed("denied")
    assert not Path(inputs["to"]).exists()


def test_a_page_that_cannot_be_read_at_once_is_tried_again(inputs: dict[str, Any]) -> None:
    page = {"path": "a.md", "words": 1, "headings": 0, "links": []}
    flaky = Mocks(steps={"measure[0]": InTurn(Fails("locked", kind="busy"), page)}, tasks=REAL.tasks)
    done = run_workflow(DIGEST, flaky, inputs=inputs, script=agree, tasks=TASKS).succeeded()
    assert done.steps["measure[0]"].attempts == 2


def test_run_again_only_what_changed_is_read(inputs: dict[str, Any]) -> None:
    runs: list[Done] = []

    async def twice(flow: Flow) -> None:
        await agree(flow)
        await flow.end()
        (Path(inputs["folder"]) / "b.md").write_text("# Two\n\nNo links any more.\n")
        again = await flow.another(inputs)
        await agree(again)
        await again.end()
        runs.append(await again.done())

    first = run_workflow(DIGEST, REAL, inputs=inputs, script=twice, tasks=TASKS).succeeded()
    second = runs[0].succeeded()
    read = [[call.input["path"] for call in done.calls if "measure" in call.task] for done in (first, second)]
    assert read == [["a.md", "b.md"], ["b.md"]]
    assert second.outputs["summary"]["broken"] == 0


def test_it_ends_the_same_wherever_the_host_is_lost(inputs: dict[str, Any]) -> None:
    every_boundary(DIGEST, REAL, inputs=inputs, script=agree, tasks=TASKS)
