"""A workspace made from the template works as it is written, and reads the project's own Markdown when told nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from actors.testing.workflows import Mocks
from gateway.cli.commands.new import command
from gateway.workspace import load
from infra.memory.workflows import Flow, run_workflow

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Made by `thespis new --template digest`."""
    made = tmp_path / "here"
    done = CliRunner().invoke(command, [str(made), "--template", "digest"])
    assert done.exit_code == 0, done.output
    assert not list(made.rglob("__pycache__"))
    return made


def test_its_tests_pass_and_it_can_be_loaded(workspace: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=workspace, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout.decode()
    plugin = load(workspace)
    assert {task.id for task in plugin.tasks} >= {"files.list@1", "pages.measure@1", "pages.write@1"}
    assert [Path(path).name for path in plugin.workflows] == ["digest.workflow.yaml"]


def test_without_a_folder_it_reads_the_markdown_of_the_project(workspace: Path) -> None:
    plugin = load(workspace)
    tasks: list[Any] = list(plugin.tasks)

    async def agree(flow: Flow) -> None:
        await flow.until("review", "waiting")
        await flow.approve("review")

    done = run_workflow(
        workspace / "digest.workflow.yaml", Mocks(tasks={task.name: task for task in tasks}), script=agree, tasks=tasks
    ).succeeded()
    read = {page["path"] for page in done.steps["measure"].output}
    ours = {
        path.relative_to(ROOT).as_posix()
        for name in ("actors", "events", "gateway", "infra", "projections")
        for path in (ROOT / name).rglob("*.md")
    }
    assert read == ours
    report = Path(done.outputs["report"])
    assert report.parent == workspace / "reports"
    assert f"{len(ours)} files" in report.read_text("utf-8")
