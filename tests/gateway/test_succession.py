"""Who lived in a data directory before: known only when it is certainly gone."""

from __future__ import annotations

from pathlib import Path

from gateway.process import succession


def test_a_host_learns_of_the_one_that_died_in_its_directory(tmp_path: Path) -> None:
    with succession(tmp_path / "host-id", "first") as before:
        assert before is None
    with succession(tmp_path / "host-id", "second") as before:
        assert before == "first"


def test_a_host_that_still_lives_there_is_left_alone(tmp_path: Path) -> None:
    with succession(tmp_path / "host-id", "first"), succession(tmp_path / "host-id", "second") as before:
        assert before is None
    with succession(tmp_path / "host-id", "third") as before:
        assert before == "first"
