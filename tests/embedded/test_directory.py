"""Who holds a data directory, and what is kept in it."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from events.errors import Conflict, StoreUnavailable
from infra.embedded.directory import Ports, hold, unusable

ROOT = Path(__file__).parents[2]


def test_a_second_holder_learns_who_the_first_one_is(tmp_path: Path) -> None:
    with hold(tmp_path / "data") as directory:
        with pytest.raises(Conflict, match=rf"data is in use by process {os.getpid()} since \d{{4}}-\d\d-\d\d"):
            hold(tmp_path / "data").__enter__()
        directory.serve_at("http://127.0.0.1:1")
        with pytest.raises(Conflict, match=r"serving on http://127.0.0.1:1"):
            hold(tmp_path / "data").__enter__()
    with hold(tmp_path / "data"):
        pass


def test_a_holder_that_was_killed_blocks_nobody(tmp_path: Path) -> None:
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from infra.embedded.directory import hold
with hold(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "lock").stat().st_size > 0
    with hold(tmp_path):
        pass


def test_secrets_are_made_once_and_are_for_their_owner_alone(tmp_path: Path) -> None:
    with hold(tmp_path / "data") as directory:
        secrets = directory.secrets()
    with hold(tmp_path / "data") as directory:
        assert directory.secrets() == secrets
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data" / "secrets.json").stat().st_mode) == 0o600
    assert len({secrets.postgres, secrets.postgres_admin, secrets.nats_relay, secrets.nats_host}) == 4


def test_damaged_secrets_are_not_replaced_silently(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with hold(tmp_path) as directory, pytest.raises(StoreUnavailable, match=r"secrets.json is damaged"):
        directory.secrets()


def test_ports_are_remembered_and_forgotten_when_the_file_is_damaged(tmp_path: Path) -> None:
    with hold(tmp_path) as directory:
        assert directory.ports() == Ports()
        directory.remember(Ports(postgres=21000, nats=21001))
        assert directory.ports() == Ports(postgres=21000, nats=21001)
        (tmp_path / "ports.json").write_text("?")
        assert directory.ports() == Ports()


def test_a_repository_around_it_does_not_take_it_in(tmp_path: Path) -> None:
    with hold(tmp_path / "data"):
        assert (tmp_path / "data" / ".gitignore").read_text() == "*\n"


def test_the_reason_why_a_directory_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="Not a directory"):
        hold(tmp_path / "file" / "data").__enter__()
    assert "is full" in unusable(tmp_path, OSError(errno.ENOSPC, "No space left on device")).message
