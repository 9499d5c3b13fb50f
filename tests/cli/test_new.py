"""A new workspace works as it is written, and nothing that is there is ever touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.workspace import load
from tests.cli.conftest import ROOT, Thespis


@pytest.mark.parametrize("name", ["shop", "my-shop", "actors", "deep/in/here"])
def test_its_tests_pass_and_it_can_be_loaded(thespis: Thespis, tmp_path: Path, name: str) -> None:
    done = thespis("new", name)
    assert done.returncode == 0
    assert done.stdout.decode().startswith(f"next: cd {name}; ")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / name,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout
    assert b"3 passed" in tested.stdout
    assert b"Warning" not in tested.stdout + tested.stderr
    plugin = load(tmp_path / name)
    assert [kind.name for kind in plugin.kinds] == ["counter"]
    assert [projection.name for projection in plugin.projections] == ["totals"]


def test_a_new_workspace_has_schemas(thespis: Thespis) -> None:
    thespis("new", "shop")
    done = thespis("events", "schema", "Added", "--workspace", "shop")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b'"urn:thespis:type:Added:1"' in done.stdout
    unknown = thespis("events", "schema", "Aded", "--workspace", "shop")
    assert unknown.returncode == 4
    assert b"did you mean Added?" in unknown.stderr
    bus = thespis("events", "schema", "--format", "asyncapi", "--workspace", "shop", "-o", "yaml")
    assert bus.stdout.startswith(b"asyncapi: 3.0.0\n")


def test_an_empty_directory_is_filled(thespis: Thespis, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    assert thespis("new", "shop").returncode == 0
    assert (tmp_path / "shop" / "workspace.py").is_file()


@pytest.mark.parametrize("content", ["file", "directory with a file"])
def test_what_is_there_is_left_as_it_is(thespis: Thespis, tmp_path: Path, content: str) -> None:
    place = tmp_path / "shop"
    if content == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "mine").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    done = thespis("new", "shop")
    assert done.returncode == 5
    assert done.stderr.startswith(b"error[conflict]: shop is ")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_cannot_be_written_leaves_nothing_behind(thespis: Thespis, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = thespis("new", "file/shop")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error[system]: ")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file"]
